#include "tests/sim/client_model.hpp"

#include "resp/writer.hpp"
#include "tests/sim/world.hpp"

namespace fairlead::sim {

ClientModel::ClientModel(World& world, std::size_t number, Habit habit, HostId proxy)
    : world_(world), number_(number), habit_(habit), proxy_(proxy), random_(world.random().fork()) {
  if (random_.percent(40)) protocol_ = 3;
  if (habit_ == Habit::writer && random_.percent(15)) db_ = "1";
}

void ClientModel::connect() {
  Handlers handlers;
  handlers.opened = [this] {
    connected_ = true;
    if (protocol_ == 3) say({"HELLO", "3"}, Kind::hello, "", false);
    if (db_ != "0") say({"SELECT", db_}, Kind::select, "", false);
    if (habit_ == Habit::subscriber) say({"SUBSCRIBE", "news"}, Kind::subscribe, "", false);
    send_said();
    act();
  };
  handlers.bytes = [this](std::string_view bytes) { on_bytes(bytes); };
  handlers.ended = [this](Ending why) { on_ended(why); };
  key_ = world_.network().connect(world_.client_host(), proxy_, std::move(handlers), Patience::endless);
}

// --- Saying

void ClientModel::act() {
  if (gone_ || quiet_) return;
  const auto& options = world_.options();
  if (habit_ == Habit::idle || habit_ == Habit::subscriber) return;
  if (expected_.size() < options.pipeline_max) {
    const std::size_t count = 1 + random_.below(options.pipeline_max - expected_.size());
    for (std::size_t i = 0; i < count; ++i) say_something();
    send_said();
  }
  if (random_.percent(1) && options.clients_leave) return leave();
  const auto pause = random_.between(Microseconds(200), options.think_max);
  world_.schedule().after(pause, [this] { act(); });
}

void ClientModel::quiet() {
  quiet_ = true;
  if (gone_) return;
  // Its last words must not be queued.
  while (block_open_) go_on_with_block();
  send_said();
}

void ClientModel::say_something() {
  switch (habit_) {
    case Habit::transactions:
      return block_open_ ? go_on_with_block() : say_block();
    case Habit::popper:
      if (expected_.empty()) say_pop();
      return;
    default:
      break;
  }
  const std::size_t choice = random_.below(10);
  if (choice < 6) {
    say_write(false);
  } else if (choice < 9) {
    const std::string tag = next_tag();
    say({"GET", "t:" + tag}, Kind::read, tag, false);
  } else {
    const std::string tag = next_tag();
    say({"PUBLISH", "news", tag}, Kind::publish, tag, false);
  }
}

void ClientModel::say_write(bool in_block) {
  const std::string tag = next_tag();
  const std::string own = "l" + std::to_string(number_);
  const std::string shared = "s" + std::to_string(random_.below(4));
  const std::string& key = random_.percent(50) ? own : shared;
  switch (random_.below(7)) {
    case 0:
      return say({"SET", "x" + key, tag}, Kind::write, tag, in_block);
    case 1:
    case 2:
      return say({"HINCRBY", "h" + key, tag, "1"}, Kind::write, tag, in_block);
    case 3:
      return say({"EVAL", "return redis.call('RPUSH', KEYS[1], ARGV[1])", "1", key, tag}, Kind::write, tag,
                 in_block);
    case 4:
      if (!in_block) return say({"MODCMD", key, tag}, Kind::write, tag, false);
      [[fallthrough]];
    case 5:
      return say({"RPUSH", "q", tag}, Kind::write, tag, in_block);
    default:
      return say({"RPUSH", key, tag}, Kind::write, tag, in_block);
  }
}

void ClientModel::say_block() {
  if (random_.percent(40)) {
    say({"WATCH", "xs" + std::to_string(random_.below(4))}, Kind::watch, "", false);
  }
  say({"MULTI"}, Kind::multi, "", false);
  block_open_ = true;
  block_left_ = 1 + random_.below(3);
  // Some say the whole block at once, some wait for each QUEUED.
  if (random_.percent(60)) {
    while (block_open_) go_on_with_block();
  }
}

void ClientModel::go_on_with_block() {
  if (block_left_ > 0) {
    --block_left_;
    say_write(true);
  } else {
    block_open_ = false;
    say({"EXEC"}, Kind::exec, "", false);
  }
}

void ClientModel::say_pop() {
  const char* timeouts[] = {"0", "0.3", "1", "3", "8"};
  say({"BLPOP", "q", timeouts[random_.below(5)]}, Kind::pop, "", false);
}

void ClientModel::say_last_write(std::string_view key) {
  last_key_ = key;
  last_tag_ = next_tag();
  say({"RPUSH", key, last_tag_}, Kind::write, last_tag_, false);
  send_said();
}

void ClientModel::say_last_news(std::string_view message) {
  last_news_ = message;
  say({"PUBLISH", "news", message}, Kind::publish, last_news_, false);
  send_said();
}

/// Where packets are lost the gate may close without anything else being wrong, and a short hold time be
/// over: then MASTERDOWN is a true answer, and a client says it again. Where none are lost there is no reason
/// for it.
void ClientModel::say_last_again(const Expected& expected, const std::string& text) {
  const bool last = !expected.tag.empty() && (expected.tag == last_tag_ || expected.tag == last_news_);
  const bool down = text.compare(0, 11, "MASTERDOWN ") == 0;
  if (!last || !down || world_.options().network.loss_percent == 0) return;
  world_.schedule().after(Milliseconds(500), [this, kind = expected.kind] {
    if (kind == Kind::publish) return say_last_news(std::string(last_news_));
    say_last_write(std::string(last_key_));
  });
}

std::string ClientModel::next_tag() {
  return to_string(Tag{number_, ++said_});
}

void ClientModel::say(std::initializer_list<std::string_view> words, Kind kind, std::string tag,
                      bool in_block) {
  resp::append_command(outbox_, words);
  if (world_.traces()) {
    std::string said;
    for (const std::string_view word : words) said.append(" ").append(word.substr(0, 40));
    world_.trace("client " + std::to_string(number_) + " says" + said);
  }
  expected_.push_back({kind, std::move(tag), std::string(*words.begin()), in_block, world_.now()});
}

void ClientModel::send_said() {
  // What is said before the connection is there leaves with it.
  if (!gone_ && connected_) world_.network().send(key_, End::connector, std::exchange(outbox_, {}));
}

void ClientModel::leave() {
  if (gone_) return;
  gone_ = true;
  world_.network().close(key_, End::connector);
  forget_pending();
}

void ClientModel::forget_pending() {
  for (const Expected& expected : expected_) {
    if (expected.kind == Kind::write) world_.ledger().told(expected.tag, Told::uncertain);
  }
  expected_.clear();
  close_block(Told::uncertain);
}

// --- Hearing

void ClientModel::on_bytes(std::string_view bytes) {
  inbox_ += bytes;
  if (bytes.find('\n') == std::string_view::npos) return;  // nothing can have become complete
  std::size_t taken = 0;
  while (taken < inbox_.size() && !gone_) {
    const auto parsed = resp::parse_value(std::string_view(inbox_).substr(taken));
    if (parsed.status == resp::ParseStatus::malformed)
      return wrong("I6: receives what is no RESP: " + inbox_);
    if (parsed.status == resp::ParseStatus::need_more) break;
    on_reply(parsed.value, std::string_view(inbox_).substr(taken, parsed.consumed));
    taken += parsed.consumed;
  }
  inbox_.erase(0, taken);
}

void ClientModel::on_ended(Ending) {
  if (gone_) return;
  gone_ = true;
  // Refused: its proxy is not there at the moment.
  if (connected_) world_.note_disconnect(number_, proxy_, describe());
  forget_pending();
}

bool ClientModel::on_message(const resp::Value& reply) {
  const bool is_message = reply.items.size() == 3 && reply.items[0].text == "message";
  if (!is_message || !(reply.type == resp::ValueType::push || habit_ == Habit::subscriber)) return false;
  if (!heard_.insert(reply.items[2].text).second) wrong("I5: hears " + reply.items[2].text + " twice");
  return true;
}

void ClientModel::on_reply(const resp::Value& reply, std::string_view raw) {
  if (on_message(reply)) return;
  if (expected_.empty())
    return wrong("I6: is answered without a question: " + std::string(raw.substr(0, 60)));
  const Expected expected = std::move(expected_.front());
  if (world_.traces()) {
    world_.trace("client " + std::to_string(number_) + " hears " + std::string(raw.substr(0, 60)) + " for " +
                 expected.name + " " + expected.tag);
  }
  expected_.pop_front();
  if (reply.is_error()) {
    on_error(expected, reply.text);
  } else {
    on_answer(expected, reply, raw);
  }
}

/// What an error says about its command's execution.
Told ClientModel::judge_error(const Expected& expected, const std::string& text) {
  const auto begins = [&text](std::string_view word) { return text.compare(0, word.size(), word) == 0; };
  if (begins("UNCERTAIN fairlead")) {
    world_.count().uncertain += 1;
    if (expected.kind == Kind::read) wrong("a read is answered with " + text);
    return Told::uncertain;
  }
  const bool block = expected.in_block || expected.kind == Kind::exec;
  if (begins("MASTERDOWN fairlead")) {
    world_.count().master_down += 1;
    block_excused_ = block_excused_ || block;
    // A block has waited since its MULTI: what is said in it later waits no longer than that.
    const bool waited_before = block && !multi_failed_;
    world_.check_hold_over(proxy_,
                           waited_before ? std::min(expected.said_at, multi_said_at_) : expected.said_at);
    return Told::not_done;
  }
  if (begins("NOREPLICAS")) {
    block_excused_ = block_excused_ || block;
    world_.note_no_replicas(proxy_, expected.said_at);
    return Told::not_done;
  }
  if (begins("READONLY") || begins("LOADING") || begins("UNBLOCKED")) {
    world_.count().refusals_passed += 1;
    block_excused_ = block_excused_ || block;
    return Told::not_done;
  }
  if (expected.in_block && begins("ERR fairlead: the connection to the master was lost")) {
    block_told_lost_ = true;
    // Its MULTI had waited too long, and was answered OK: an error would say that no block is open.
    const bool waited = world_.now() - multi_said_at_ >= world_.options().engine.limits.hold_max;
    block_excused_ = block_excused_ || waited || world_.hold_is_over(proxy_, multi_said_at_);
  }
  if (block && (begins("EXECABORT") || begins("ERR fairlead: the connection to the master was lost"))) {
    return Told::not_done;
  }
  if (expected.kind == Kind::exec && multi_failed_) return Told::not_done;  // EXEC without MULTI
  wrong("I6: " + expected.name + " " + expected.tag + " is answered with the error " + text);
  return Told::not_done;
}

void ClientModel::on_error(const Expected& expected, const std::string& text) {
  const Told told = judge_error(expected, text);
  say_last_again(expected, text);
  if (expected.kind == Kind::subscribe) {
    world_.schedule().after(Milliseconds(500), [this] {
      say({"SUBSCRIBE", "news"}, Kind::subscribe, "", false);
      send_said();
    });
  } else if (expected.kind == Kind::multi) {
    multi_failed_ = true;
  } else if (expected.kind == Kind::exec) {
    if (block_told_lost_ && !block_excused_ && told != Told::uncertain) {
      wrong("I6: a block is discarded that could have been said again");
    }
    close_block(told);
  } else if (expected.kind == Kind::write && expected.in_block && !multi_failed_) {
    if (told == Told::uncertain) return wrong("I6: a queued command is uncertain before its EXEC");
    refused_.push_back(expected.tag);
  } else if (expected.kind == Kind::write) {
    world_.ledger().told(expected.tag, told);
  }
}

void ClientModel::on_answer(const Expected& expected, const resp::Value& reply, std::string_view raw) {
  switch (expected.kind) {
    case Kind::hello:
    case Kind::select:
    case Kind::watch:
      if (reply.text != "OK" && expected.kind != Kind::hello) wrong("I6: " + expected.name + " without OK");
      return;
    case Kind::subscribe:
      confirmed_ = true;
      if (reply.items.size() != 3 || reply.items[0].text != "subscribe") wrong("I6: no confirmation");
      return;
    case Kind::multi:
      multi_failed_ = false;
      multi_said_at_ = expected.said_at;
      if (reply.text != "OK") wrong("I6: MULTI is answered with " + std::string(raw));
      return;
    case Kind::exec:
      return end_block(reply);
    case Kind::read:
      if (reply.text != "v:" + expected.tag) wrong("I6: GET t:" + expected.tag + " gives " + reply.text);
      return;
    case Kind::publish:
      if (reply.type != resp::ValueType::integer) wrong("I6: PUBLISH is answered with " + std::string(raw));
      return;
    case Kind::pop:
      if (reply.type == resp::ValueType::null) return;
      if (reply.items.size() != 2) return wrong("I6: BLPOP is answered with " + std::string(raw));
      return world_.ledger().received_pop(reply.items[1].text);
    case Kind::write:
      if (expected.in_block && !multi_failed_) {
        if (reply.text != "QUEUED") wrong("I6: a queued command is answered with " + std::string(raw));
        queued_.push_back(expected.tag);
        return;
      }
      return on_write_answer(expected, raw);
  }
}

void ClientModel::on_write_answer(const Expected& expected, std::string_view raw) {
  const std::string* reply = world_.ledger().reply_of(expected.tag);
  if (reply == nullptr || *reply != raw) {
    wrong("I6: " + expected.name + " " + expected.tag + " is answered with " + std::string(raw) +
          ", but gave " + (reply == nullptr ? "nothing" : *reply));
  }
  world_.ledger().told(expected.tag, Told::done);
  if (expected.tag == last_tag_) last_write_done_ = true;
}

void ClientModel::end_block(const resp::Value& reply) {
  if (reply.type == resp::ValueType::null) return close_block(Told::not_done);
  if (!refused_.empty()) wrong("I6: EXEC executes a block of which a command was refused");
  if (reply.items.size() != queued_.size()) wrong("I6: EXEC answers for another number of commands");
  close_block(Told::done);
}

void ClientModel::close_block(Told told) {
  for (const std::string& tag : queued_) world_.ledger().told(tag, told);
  for (const std::string& tag : refused_) {
    world_.ledger().told(tag, told == Told::uncertain ? Told::uncertain : Told::not_done);
  }
  queued_.clear();
  refused_.clear();
  multi_failed_ = block_told_lost_ = block_excused_ = false;
}

void ClientModel::wrong(const std::string& why) {
  world_.fail("client " + std::to_string(number_) + " " + why);
}

std::string ClientModel::describe() const {
  std::string text = "client " + std::to_string(number_) + " owes";
  for (const Expected& expected : expected_) text += " " + expected.name + ":" + expected.tag;
  return text;
}

}  // namespace fairlead::sim
