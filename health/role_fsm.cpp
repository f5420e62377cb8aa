#include "health/role_fsm.hpp"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>

namespace fairlead::health {

namespace {

LinkFsm::Timing timing_of(const Options& options) {
  LinkFsm::Timing timing;
  timing.connect_timeout = options.connect_timeout;
  timing.connect_timeout_fast = options.connect_timeout_suspect;
  timing.reply_timeout = options.probe_timeout;
  timing.retry_fast = options.probe_interval_suspect;
  timing.retry_max = options.probe_interval;
  return timing;
}

bool begins_with(const resp::Value& reply, std::string_view word) {
  return reply.is_error() && std::string_view(reply.text).substr(0, word.size()) == word;
}

// The sum of `db0:keys=12,expires=...` over all databases; -1 when it is no INFO.
std::int64_t keys_in(const std::string& info) {
  if (info_field(info, "run_id").empty()) return -1;
  std::int64_t sum = 0;
  const std::string_view mark = ":keys=";
  for (std::size_t at = info.find(mark); at != std::string::npos; at = info.find(mark, at + 1)) {
    const std::size_t line = info.rfind('\n', at);
    const std::string_view name = std::string_view(info).substr(line + 1, at - line - 1);
    if (name.substr(0, 2) != "db") continue;
    std::int64_t keys = 0;
    std::from_chars(info.data() + at + mark.size(), info.data() + info.size(), keys);
    sum += keys;
  }
  return sum;
}

}  // namespace

RoleFsm::RoleFsm(const Options& options)
    : options_(options), link_(options.server_login, timing_of(options)) {}

RoleFsm::News RoleFsm::on_connected(TimePoint now, LinkActions& out) {
  if (link_.on_connected(now, out) == LinkFsm::Change::ready) begin_probe(now, out);
  return News::none;
}

RoleFsm::News RoleFsm::on_failed(LinkFailure failure, std::string text, TimePoint now) {
  // A server that refuses us says why ("max number of clients reached") and then closes: the reason is what
  // helps.
  if (failure == LinkFailure::lost && draft_.role == Role::unknown && !draft_.last_error.empty()) {
    text = draft_.last_error;
  }
  return link_.on_failed(failure, std::move(text), now) == LinkFsm::Change::failed ? note_failure()
                                                                                   : News::none;
}

RoleFsm::News RoleFsm::on_reply(resp::Value reply, TimePoint now, LinkActions& out) {
  if (link_.state() == LinkFsm::State::logging_in) {
    const auto change = link_.on_login_reply(reply, now, out);
    if (change == LinkFsm::Change::ready) begin_probe(now, out);
    return change == LinkFsm::Change::failed ? note_failure() : News::none;
  }
  if (link_.state() != LinkFsm::State::ready) return News::none;
  const auto tag = link_.take_tag();
  if (!tag || is_login_error(reply)) {
    link_.fail(tag ? LinkFailure::login_refused : LinkFailure::protocol,
               reply.text.empty() ? "an answer to no question" : reply.text, now, out);
    return note_failure();
  }
  switch (*tag) {
    case Tag::role:
      read_role(reply);
      return News::none;
    case Tag::ping:
      draft_.loading = begins_with(reply, "LOADING");
      return run_id_known_ ? end_probe(now, out) : News::none;
    case Tag::info:
      draft_.run_id = info_field(reply.text, "run_id");
      draft_.redis_version = info_field(reply.text, "redis_version");
      draft_.append_only = info_field(reply.text, "aof_enabled") == "1";
      draft_.keys = keys_in(reply.text);
      if (draft_.run_id.empty() && draft_.last_error.empty()) draft_.last_error = "INFO: " + reply.text;
      // While it loads it does not have its keys yet: ask again.
      run_id_known_ = !draft_.run_id.empty() && !draft_.loading;
      return end_probe(now, out);
    case Tag::commands:
      commands_wanted_ = 0;
      commands_sent_ = false;
      commands_ = std::move(reply);
      return News::commands;
    default:
      return News::none;
  }
}

RoleFsm::News RoleFsm::on_timer(TimePoint now, LinkActions& out) {
  if (link_.on_timer(now, out) == LinkFsm::Change::failed) return note_failure();
  if (link_.state() == LinkFsm::State::ready && !probing_ && now >= next_probe_) begin_probe(now, out);
  if (commands_wanted_ < 0) {
    commands_wanted_ = 0;
    commands_ = resp::Value{resp::ValueType::error, "COMMAND was not answered", 0, {}};
    return News::commands;
  }
  return News::none;
}

void RoleFsm::set_pace(Pace pace, TimePoint now) {
  pace_ = pace;
  link_.set_pace(pace, now);
  if (pace != Pace::normal) next_probe_ = std::min(next_probe_, now + interval());
}

std::chrono::milliseconds RoleFsm::interval() const {
  switch (pace_) {
    case Pace::normal:
      break;
    case Pace::fast:
      return options_.probe_interval_suspect;
    case Pace::closest:
      return options_.probe_interval_promotion;
  }
  return options_.probe_interval;
}

void RoleFsm::probe_now(TimePoint now, LinkActions& out) {
  if (link_.state() != LinkFsm::State::ready) {
    link_.hurry(now);
  } else if (probing_) {
    probe_again_ = true;
  } else {
    begin_probe(now, out);
  }
}

void RoleFsm::request_commands(TimePoint now, LinkActions& out) {
  commands_wanted_ = command_attempts_max;
  if (link_.state() == LinkFsm::State::ready && !commands_sent_) send_commands(now, out);
}

std::optional<TimePoint> RoleFsm::deadline() const {
  auto due = link_.deadline();
  if (link_.state() == LinkFsm::State::ready && !probing_)
    due = due ? std::min(*due, next_probe_) : next_probe_;
  return due;
}

void RoleFsm::begin_probe(TimePoint now, LinkActions& out) {
  probing_ = true;
  probe_again_ = false;
  draft_ = ServerReport{};
  draft_.asked_at = now;
  draft_.attempts = report_.attempts;
  draft_.run_id = report_.run_id;
  draft_.redis_version = report_.redis_version;
  draft_.append_only = report_.append_only;
  draft_.keys = report_.keys;
  link_.send(Tag::role, {"ROLE"}, now, out);
  link_.send(Tag::ping, {"PING"}, now, out);
  if (!run_id_known_) link_.send(Tag::info, {"INFO"}, now, out);
}

void RoleFsm::send_commands(TimePoint now, LinkActions& out) {
  commands_sent_ = true;
  link_.send(Tag::commands, {"COMMAND"}, now, out);
}

RoleFsm::News RoleFsm::end_probe(TimePoint now, LinkActions& out) {
  link_.confirm();
  draft_.reachable = true;
  ++draft_.attempts;
  report_ = draft_;
  probing_ = false;
  next_probe_ = draft_.asked_at + interval();
  if (commands_wanted_ > 0 && !commands_sent_) send_commands(now, out);
  if (probe_again_) begin_probe(now, out);
  return News::report;
}

RoleFsm::News RoleFsm::note_failure() {
  const bool timed_out = link_.failure() == LinkFailure::timed_out;
  report_.reachable = false;
  report_.failure = link_.failure();
  report_.last_error = link_.error();
  report_.missed = timed_out ? report_.missed + 1 : report_.missed;
  report_.loading = false;
  ++report_.attempts;
  // A server that closes whenever COMMAND is asked would never be probed again: the wish ends after a few
  // attempts, and on_timer answers for it.
  if (commands_sent_ && --commands_wanted_ == 0) commands_wanted_ = -1;
  commands_sent_ = false;
  probing_ = false;
  run_id_known_ = false;
  draft_ = ServerReport{};
  return News::report;
}

// Master: ["master", offset, [replicas]]; replica: ["slave", host, port, state, offset]; Sentinel:
// ["sentinel", names].
void RoleFsm::read_role(const resp::Value& reply) {
  if (begins_with(reply, "BUSY")) {
    // A script runs for too long: the server is alive and still what it was.
    draft_.role = report_.role;
    draft_.offset = report_.offset;
    draft_.replica_of = report_.replica_of;
    return;
  }
  if (reply.type != resp::ValueType::array || reply.items.empty() || !reply.items[0].is_text()) {
    draft_.last_error = reply.is_error() ? "ROLE: " + reply.text : "ROLE: an answer of unknown shape";
    return;
  }
  const auto& items = reply.items;
  if (items[0].text == "master") {
    draft_.role = Role::master;
    if (items.size() > 1) draft_.offset = items[1].integer;
  } else if (items[0].text == "slave" || items[0].text == "replica") {
    draft_.role = Role::replica;
    if (items.size() > 2 && items[2].integer > 0 && items[2].integer <= 65535) {
      draft_.replica_of = {items[1].text, static_cast<std::uint16_t>(items[2].integer), false};
    }
    if (items.size() > 4) draft_.offset = items[4].integer;
  } else if (items[0].text == "sentinel") {
    draft_.role = Role::sentinel;
    draft_.last_error = "this is a Sentinel, not a server of data";
  }
}

}  // namespace fairlead::health
