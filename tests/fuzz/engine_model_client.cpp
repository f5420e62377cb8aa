#include "tests/fuzz/engine_model_client.hpp"

#include <algorithm>
#include <utility>

#include "resp/writer.hpp"
#include "tests/fuzz/engine_model_server.hpp"

namespace fairlead::fuzz {

using resp::Value;
using resp::ValueType;

namespace {

constexpr std::size_t channels_per_client = 3;

bool starts_with(std::string_view text, std::string_view word) {
  return text.substr(0, word.size()) == word;
}

}  // namespace

void ModelClient::wrong(const std::string& why) const {
  broken(describe() + ": " + why);
}

void ModelClient::denied(const std::string& tag) const {
  if (!ledger_->denied(tag)) wrong(tag + " may have been executed, and it is told that it was not");
}

std::string ModelClient::describe() const {
  std::string text = "client " + std::to_string(number_) + ", owed " + std::to_string(expected_.size());
  if (!expected_.empty()) {
    text += ", first kind " + std::to_string(static_cast<int>(expected_.front().kind)) + " '" +
            expected_.front().tag + "'";
  }
  return text + "; it said and heard:" + history_;
}

// --- What it says

void ModelClient::send(std::initializer_list<std::string_view> words, Kind kind, std::string tag,
                       std::size_t frames) {
  resp::append_command(unsent, words);
  for (const std::string_view word : words) history_ += " " + std::string(word.substr(0, 20));
  history_ += ",";
  expected_.push_back({kind, std::move(tag), frames});
}

void ModelClient::say(Choices& choices) {
  if (stopped_speaking_) return;
  const std::size_t choice = choices.below(16);
  if (choice < 8) {
    say_data(choices);
  } else if (choice < 11) {
    say_transaction(choices);
  } else if (choice < 13) {
    say_subscription(choices);
  } else {
    say_connection(choices);
  }
}

void ModelClient::log_in() {
  send({"AUTH", "secret"}, Kind::auth, {});
}

void ModelClient::say_data(Choices& choices) {
  const std::string tag = "t" + std::to_string(number_) + "." + std::to_string(next_tag_++);
  const std::size_t choice = choices.below(10);
  if (choice >= 3 && choice <= 6) ledger_->will_write(tag, number_, next_tag_);
  switch (choice) {
    case 0:
    case 1:
      return send({"GET", tag}, Kind::data, tag);
    case 2:
      return send({"GETRANGE", tag, "0", "-1"}, Kind::data, tag);
    case 3:
      return send({"SET", tag, "v"}, Kind::data, tag);
    case 4:
      return send({"SET", tag, std::string(300 * choices.byte(), 'x')}, Kind::data, tag);
    case 5:
      return send({"MODCMD", tag}, Kind::data, tag);
    case 6:
      return send({"EVAL", "return 1", "1", tag}, Kind::data, tag);
    case 7:
      return send({"BLPOP", tag, "0"}, Kind::data, tag);
    case 8:
      return send({"PING", tag}, Kind::ping, tag);
    default:
      // An inline command is encoded anew on its way.
      unsent += "get " + tag + "\r\n";
      history_ += " get " + tag + ",";
      expected_.push_back({Kind::data, tag, 1});
      return;
  }
}

void ModelClient::say_transaction(Choices& choices) {
  switch (choices.below(12)) {
    case 0:
    case 1:
    case 2:
      return send({"MULTI"}, Kind::multi, {});
    case 3:
    case 4:
    case 5:
      return send({"EXEC"}, Kind::exec, {});
    case 6:
      return send({"DISCARD"}, Kind::discard, {});
    case 7:
      return send({"WATCH", "k"}, Kind::watch, {});
    case 8:
      return send({"UNWATCH"}, Kind::watch, {});
    case 9:
      return send({"DISCARD", "x"}, Kind::wrong_arity, {});
    case 10:
      return send({"UNWATCH", "x"}, Kind::wrong_arity, {});
    default:
      return send({"MULTI", "x"}, Kind::wrong_arity, {});
  }
}

void ModelClient::say_subscription(Choices& choices) {
  const auto channel = [this](std::size_t which) {
    return "c" + std::to_string(number_) + "." + std::to_string(which);
  };
  const std::string one = channel(choices.below(channels_per_client));
  switch (choices.below(4)) {
    case 0:
      return send({"SUBSCRIBE", one}, Kind::subscribe, one);
    case 1: {
      const std::string other = channel(choices.below(channels_per_client));
      return send({"SUBSCRIBE", one, other}, Kind::subscribe, one + " " + other, 2);
    }
    case 2:
      return send({"UNSUBSCRIBE", one}, Kind::unsubscribe, one);
    default:
      return send({"UNSUBSCRIBE"}, Kind::unsubscribe_all, {}, 0);
  }
}

void ModelClient::say_connection(Choices& choices) {
  switch (choices.below(16)) {
    case 0:
    case 1:
    case 2: {
      const std::string db = std::to_string(choices.below(3));
      return send({"SELECT", db}, Kind::select, db);
    }
    case 3:
      return send({"SELECT", "99"}, Kind::select, "99");
    case 4:
    case 5: {
      const std::string version = std::to_string(2 + choices.below(2));
      return send({"HELLO", version}, Kind::hello, version);
    }
    case 6:
      return send({"RESET"}, Kind::reset, {});
    case 7:
      stopped_speaking_ = true;
      return send({"QUIT"}, Kind::quit, {});
    case 8:
      stopped_speaking_ = true;
      unsent += "*1\r\n:4\r\n";
      history_ += " nonsense,";
      expected_.push_back({Kind::protocol_error, {}, 1});
      return;
    case 9: {
      const std::string name = "n" + std::to_string(next_tag_++);
      return send({"CLIENT", "SETNAME", name}, Kind::set_name, name);
    }
    case 10:
      return send({"CLIENT", "GETNAME"}, Kind::get_name, {});
    case 11:
      return send({"WAIT", "0", "0"}, Kind::wait, {});
    case 12:
      return send({"CLIENT", "TRACKING", "ON"}, Kind::tracking, {});
    default:
      return log_in();
  }
}

// --- What it hears

void ModelClient::receive(std::string_view bytes) {
  inbox_ += bytes;
  std::size_t taken = 0;
  while (taken < inbox_.size()) {
    const resp::ParsedValue parsed = resp::parse_value(std::string_view(inbox_).substr(taken));
    if (parsed.status == resp::ParseStatus::need_more) break;
    if (parsed.status == resp::ParseStatus::malformed) wrong("it gets what is no reply");
    taken += parsed.consumed;
    on_reply(parsed.value);
  }
  inbox_.erase(0, taken);
}

bool ModelClient::on_message(const Value& reply) {
  const bool aggregate = reply.type == ValueType::array || reply.type == ValueType::push;
  if (!aggregate || reply.items.size() != 3 || reply.items[0].text != "message") return false;
  if (!starts_with(reply.items[1].text, "c" + std::to_string(number_) + ".")) {
    wrong("it gets a message of " + reply.items[1].text);
  }
  return true;
}

void ModelClient::on_reply(const Value& reply) {
  if (on_message(reply)) return;
  // The link that knew what it has read is lost: its cache is of no use any more.
  if (reply.type == ValueType::push && !reply.items.empty() && reply.items[0].text == "invalidate") return;
  history_ += " <" + reply.text.substr(0, 40) +
              (reply.items.empty() ? "" : "[" + reply.items[0].text + " ...]") + ">";
  if (expected_.empty()) wrong("it gets a reply that it did not ask for: " + reply.text);
  Expected& expected = expected_.front();
  const bool subscription = expected.kind == Kind::subscribe || expected.kind == Kind::unsubscribe ||
                            expected.kind == Kind::unsubscribe_all;
  if (subscription && !reply.is_error()) {
    on_confirmation(expected_.begin(), reply);
    return;
  }
  const Expected mine = std::move(expected);
  expected_.pop_front();
  if (reply.is_error()) {
    on_error(mine, reply.text);
  } else {
    on_answer(mine, reply);
  }
}

void ModelClient::on_confirmation(std::deque<Expected>::iterator at, const Value& reply) {
  Expected& expected = *at;
  if (reply.items.size() != 3) wrong("a confirmation of another shape: '" + reply.text + "'");
  const std::string& channel = reply.items[1].text;
  if (expected.kind == Kind::unsubscribe_all && expected.frames == 0) {
    expected.frames = std::max<std::size_t>(1, channels_.size());
  }
  const bool subscribed = expected.kind == Kind::subscribe;
  if (reply.items[0].text != (subscribed ? "subscribe" : "unsubscribe")) wrong("another confirmation");
  if (expected.kind != Kind::unsubscribe_all && expected.tag.find(channel) == std::string::npos) {
    wrong("a confirmation of " + channel);
  }
  if (subscribed) {
    channels_.insert(channel);
  } else {
    channels_.erase(channel);
  }
  if (reply.items[2].integer != static_cast<std::int64_t>(channels_.size())) {
    wrong("another number of channels: " + std::to_string(reply.items[2].integer));
  }
  if (--expected.frames == 0) expected_.erase(at);
}

void ModelClient::on_error(const Expected& expected, const std::string& text) {
  const bool uncertain = starts_with(text, "UNCERTAIN");
  if (starts_with(text, "ERR Protocol error")) {
    const bool too_much_before_login = text.find("unauthenticated") != std::string::npos;
    if (too_much_before_login) {
      expected_.clear();
      stopped_speaking_ = true;
    } else if (expected.kind != Kind::protocol_error) {
      wrong("a protocol error that it did not make");
    }
    expects_close_ = true;
    return;
  }
  switch (expected.kind) {
    case Kind::data:
      if (in_multi_) {
        refused_.push_back(expected.tag);
      } else if (!uncertain) {
        denied(expected.tag);
      }
      return;
    case Kind::exec:
      if (!uncertain) {
        for (const std::string& tag : queued_) denied(tag);
        for (const std::string& tag : refused_) denied(tag);
      }
      in_multi_ = false;
      queued_.clear();
      refused_.clear();
      return;
    case Kind::discard:
      // Without a master there is nobody who holds the block: it is gone, whatever the answer.
      if (starts_with(text, "ERR DISCARD without MULTI") || starts_with(text, "MASTERDOWN")) end_unexecuted();
      return;
    case Kind::quit:
    case Kind::protocol_error:
      wrong("an error instead of its end: " + text);
    default:
      return;
  }
}

void ModelClient::check_signature(const std::string& tag, const std::string& text) const {
  const std::string with_db =
      tag + "@" + (db_.empty() ? std::string() : db_ + "@" + std::to_string(protocol_));
  if (!starts_with(text, with_db)) wrong("it gets '" + text.substr(0, 40) + "' for '" + with_db + "'");
}

void ModelClient::on_data(const Expected& expected, const Value& reply) {
  if (reply.type == ValueType::simple && reply.text == "QUEUED") {
    if (!in_multi_) wrong("QUEUED outside of MULTI");
    queued_.push_back(expected.tag);
    return;
  }
  if (in_multi_ && expected.kind == Kind::data) wrong("an answer inside MULTI");
  if (expected.kind == Kind::ping) {
    const bool subscribed = reply.items.size() == 2 && reply.items[0].text == "pong";
    const std::string& text = subscribed ? reply.items[1].text : reply.text;
    if (text != expected.tag) wrong("another PING's answer: " + text);
    return;
  }
  check_signature(expected.tag, reply.items.empty() ? reply.text : reply.items[0].text);
  ledger_->acknowledged(expected.tag);
}

void ModelClient::end_unexecuted() {
  in_multi_ = false;
  for (const std::string& tag : queued_) denied(tag);
  queued_.clear();
  refused_.clear();
}

/// EXEC's answer: null, or one answer for each command that was queued, in order.
void ModelClient::end_block(const Value& reply) {
  if (!in_multi_) wrong("EXEC outside of MULTI succeeds");
  in_multi_ = false;
  std::vector<std::string> tags;
  std::swap(tags, queued_);
  const std::string block_name = std::exchange(block_name_, {});
  if (reply.type == ValueType::null) {
    for (const std::string& tag : tags) denied(tag);
    refused_.clear();
    return;
  }
  if (!refused_.empty()) wrong("a block with a refused command is executed");
  if (reply.type != ValueType::array || reply.items.size() != tags.size()) {
    wrong("EXEC answers " + std::to_string(reply.items.size()) + " of " + std::to_string(tags.size()));
  }
  for (std::size_t i = 0; i < tags.size(); ++i) {
    const Value& item = reply.items[i];
    const std::string& text = item.items.empty() ? item.text : item.items[0].text;
    // Other commands of a block (PING, SELECT ...) are kept with an empty tag.
    if (!tags[i].empty() && !starts_with(text, tags[i])) wrong("EXEC answers " + text + " for " + tags[i]);
    if (!tags[i].empty()) ledger_->acknowledged(tags[i]);
  }
  if (!block_name.empty()) name_ = block_name;
}

void ModelClient::on_answer(const Expected& expected, const Value& reply) {
  const bool queued = reply.type == ValueType::simple && reply.text == "QUEUED";
  if (queued && expected.kind != Kind::data && expected.kind != Kind::ping) {
    if (!in_multi_) wrong("QUEUED outside of MULTI");
    queued_.emplace_back();
    if (expected.kind == Kind::select) db_.clear();
    if (expected.kind == Kind::set_name) block_name_ = expected.tag;
    return;
  }
  switch (expected.kind) {
    case Kind::data:
    case Kind::ping:
      return on_data(expected, reply);
    case Kind::multi:
      in_multi_ = true;
      block_name_.clear();
      return;
    case Kind::exec:
      return end_block(reply);
    case Kind::discard:
      return end_unexecuted();
    case Kind::select:
      db_ = expected.tag;
      return;
    case Kind::hello:
      protocol_ = expected.tag == "3" ? 3 : 2;
      return;
    case Kind::get_name:
      if (reply.text != name_) wrong("it is called " + reply.text + " and not " + name_);
      return;
    case Kind::set_name:
      name_ = expected.tag;
      return;
    case Kind::reset:
      if (reply.text != "RESET") wrong("RESET answers " + reply.text);
      in_multi_ = false;
      queued_.clear();
      refused_.clear();
      channels_.clear();
      name_.clear();
      db_ = "0";
      protocol_ = 2;
      return;
    case Kind::quit:
      if (reply.text != "OK") wrong("QUIT answers " + reply.text);
      expects_close_ = true;
      return;
    case Kind::wrong_arity:
      wrong("a command with too many words is accepted");
    case Kind::protocol_error:
      wrong("a protocol error is answered with " + reply.text);
    default:
      return;
  }
}

}  // namespace fairlead::fuzz
