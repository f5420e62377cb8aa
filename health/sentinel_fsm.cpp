#include "health/sentinel_fsm.hpp"

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

template <typename Number>
std::optional<Number> number_in(const std::string& text) {
  Number number{};
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (status != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// Host and port as Sentinel writes them, in two fields. Host empty when they are no address.
resp::Address address_of(const std::string& host, const std::string& port) {
  const auto number = number_in<std::uint16_t>(port);
  if (host.empty() || !number || *number == 0) return {};
  return {host, *number, false};
}

std::string field(const resp::Value& fields, std::string_view key) {
  const resp::Value* value = fields.find(key);
  return value != nullptr ? value->text : std::string();
}

bool has_flag(std::string_view flags, std::string_view flag) {
  for (std::size_t at = flags.find(flag); at != std::string_view::npos; at = flags.find(flag, at + 1)) {
    const bool begins = at == 0 || flags[at - 1] == ',';
    const bool ends = at + flag.size() == flags.size() || flags[at + flag.size()] == ',';
    if (begins && ends) return true;
  }
  return false;
}

// After `reconf_slaves` the promotion is done and counted in the config-epoch: that is no threat to a route
// any more.
ElectionStage stage_of(std::string_view flags, std::string_view failover_state) {
  if (!has_flag(flags, "failover_in_progress")) return ElectionStage::none;
  if (failover_state == "reconf_slaves" || failover_state == "update_config") return ElectionStage::none;
  return failover_state == "wait_start" ? ElectionStage::candidate : ElectionStage::elected;
}

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words;
  std::size_t begin = 0;
  while (begin < text.size()) {
    std::size_t end = text.find(' ', begin);
    if (end == std::string::npos) end = text.size();
    if (end > begin) words.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

}  // namespace

SentinelFsm::SentinelFsm(const Options& options)
    : options_(options),
      command_(options.sentinel_login, timing_of(options)),
      subscription_(options.sentinel_login, timing_of(options)) {}

void SentinelFsm::start(TimePoint now, Actions& out) {
  command_.start(now, out.command);
  subscription_.start(now, out.subscription);
}

void SentinelFsm::stop(Actions& out) {
  command_.stop(out.command);
  subscription_.stop(out.subscription);
}

SentinelFsm::News SentinelFsm::on_connected(Channel channel, TimePoint now, Actions& out) {
  if (channel == Channel::command) {
    if (command_.on_connected(now, out.command) == LinkFsm::Change::ready) begin_poll(now, out);
  } else if (subscription_.on_connected(now, out.subscription) == LinkFsm::Change::ready) {
    subscription_.send(Tag::subscribe, {"PSUBSCRIBE", "*"}, now, out.subscription);
  }
  return News::none;
}

SentinelFsm::News SentinelFsm::on_failed(Channel channel, LinkFailure failure, std::string text,
                                         TimePoint now) {
  if (channel == Channel::subscription) {
    // Polls go on without it, a little later to know. Whatever is wrong with the Sentinel shows on the other
    // one.
    static_cast<void>(subscription_.on_failed(failure, std::move(text), now));
    return News::none;
  }
  return command_.on_failed(failure, std::move(text), now) == LinkFsm::Change::failed ? note_failure()
                                                                                      : News::none;
}

SentinelFsm::News SentinelFsm::on_reply(Channel channel, const resp::Value& reply, TimePoint now,
                                        Actions& out) {
  return channel == Channel::command ? on_command_reply(reply, now, out)
                                     : on_subscription_reply(reply, now, out);
}

SentinelFsm::News SentinelFsm::on_command_reply(const resp::Value& reply, TimePoint now, Actions& out) {
  if (command_.state() == LinkFsm::State::logging_in) {
    const auto change = command_.on_login_reply(reply, now, out.command);
    if (change == LinkFsm::Change::ready) begin_poll(now, out);
    return change == LinkFsm::Change::failed ? note_failure() : News::none;
  }
  if (command_.state() != LinkFsm::State::ready) return News::none;
  const auto tag = command_.take_tag();
  if (!tag || is_login_error(reply)) {
    command_.fail(tag ? LinkFailure::login_refused : LinkFailure::protocol,
                  reply.text.empty() ? "an answer to no question" : reply.text, now, out.command);
    return note_failure();
  }
  read(static_cast<Tag>(*tag), reply);
  // The name is unknown: ask for the names it knows, so that the message to the operator can say them.
  if (*tag == Tag::master && draft_.status == SentinelStatus::unknown_master) {
    command_.send(Tag::masters, {"SENTINEL", "MASTERS"}, now, out.command);
  }
  return command_.outstanding() == 0 ? end_poll(now, out) : News::none;
}

SentinelFsm::News SentinelFsm::on_subscription_reply(const resp::Value& reply, TimePoint now, Actions& out) {
  if (subscription_.state() == LinkFsm::State::logging_in) {
    if (subscription_.on_login_reply(reply, now, out.subscription) == LinkFsm::Change::ready) {
      subscription_.send(Tag::subscribe, {"PSUBSCRIBE", "*"}, now, out.subscription);
    }
    return News::none;
  }
  if (subscription_.state() != LinkFsm::State::ready) return News::none;
  if (reply.items.size() == 4 && reply.items[0].text == "pmessage") {
    const auto words = words_of(reply.items[3].text);
    // Said without a master's name, just before the +try-failover that it belongs to.
    if (reply.items[2].text == "+new-epoch" && words.size() == 1) {
      new_epoch_ = number_in<std::uint64_t>(words[0]).value_or(0);
      return News::none;
    }
    const bool tilt = reply.items[2].text == "+tilt" || reply.items[2].text == "-tilt";
    if (!tilt && !about_our_master(words)) return News::none;
    const News news = on_message(reply.items[2].text, reply.items[3].text);
    pushed_ = true;
    poll_now(now, out);
    return news;
  }
  const auto tag = subscription_.take_tag();
  if (!tag || reply.is_error()) {
    subscription_.fail(LinkFailure::protocol, reply.text, now, out.subscription);
    return News::none;
  }
  subscription_.confirm();
  next_ping_ = now + options_.probe_interval;
  // What was announced while nobody listened is not repeated: look.
  if (*tag == Tag::subscribe) poll_now(now, out);
  return News::none;
}

SentinelFsm::News SentinelFsm::on_message(const std::string& channel, const std::string& payload) {
  const auto words = words_of(payload);
  const bool of_the_master = words.size() > 1 && words[0] == "master";
  if (channel == "+switch-master" && words.size() == 5) {
    report_.announced = address_of(words[3], words[4]);
  } else if (channel == "+tilt") {
    report_.tilt = true;
  } else if (channel == "+sdown" && of_the_master) {
    report_.subjectively_down = true;
  } else if (channel == "+odown" && of_the_master) {
    report_.objectively_down = true;
  } else {
    return on_failover_message(channel, words);
  }
  return News::report;
}

// The stages of a failover that this Sentinel leads. From the selection on, what is said names the replica:
// `slave <name> <ip> <port> @ <master> ...`.
SentinelFsm::News SentinelFsm::on_failover_message(const std::string& channel,
                                                   const std::vector<std::string>& words) {
  const bool names_replica = words.size() >= 4 && words[0] == "slave";
  if (channel == "+try-failover") {
    report_.election = ElectionStage::candidate;
    report_.election_epoch = new_epoch_;
    report_.selected = {};
  } else if (channel == "+elected-leader") {
    report_.election = ElectionStage::elected;
  } else if (names_replica && (channel == "+selected-slave" || channel == "+failover-state-wait-promotion" ||
                               channel == "+promoted-slave")) {
    report_.election = ElectionStage::elected;
    report_.selected = address_of(words[2], words[3]);
  } else {
    // The poll that follows every announcement reads the rest. An abortion is read there as well: it would
    // open the gate, and an answer that is older than it, still under way on the other connection, would
    // close it again.
    return News::none;
  }
  return News::report;
}

// "+switch-master" names the master first; all others write `<type> <name> <ip> <port>`, followed by `@
// <master> ...` unless the master itself is meant.
bool SentinelFsm::about_our_master(const std::vector<std::string>& words) const {
  if (words.empty()) return false;
  if (words[0] == options_.master_name) return true;
  if (words.size() > 1 && words[0] == "master") return words[1] == options_.master_name;
  const auto at = std::find(words.begin(), words.end(), "@");
  return at != words.end() && at + 1 != words.end() && *(at + 1) == options_.master_name;
}

SentinelFsm::News SentinelFsm::on_timer(TimePoint now, Actions& out) {
  News news = News::none;
  if (command_.on_timer(now, out.command) == LinkFsm::Change::failed) news = note_failure();
  static_cast<void>(subscription_.on_timer(now, out.subscription));
  if (command_.state() == LinkFsm::State::ready && !polling_ && now >= next_poll_) begin_poll(now, out);
  if (subscription_.state() == LinkFsm::State::ready && subscription_.outstanding() == 0 &&
      now >= next_ping_) {
    subscription_.send(Tag::ping, {"PING"}, now, out.subscription);
  }
  return news;
}

void SentinelFsm::set_pace(Pace pace, TimePoint now) {
  pace_ = pace;
  command_.set_pace(pace, now);
  subscription_.set_pace(pace, now);
  if (pace != Pace::normal) next_poll_ = std::min(next_poll_, now + options_.probe_interval_suspect);
}

void SentinelFsm::poll_now(TimePoint now, Actions& out) {
  if (command_.state() != LinkFsm::State::ready) {
    command_.hurry(now);
  } else if (polling_) {
    poll_again_ = true;
  } else {
    begin_poll(now, out);
  }
}

std::optional<TimePoint> SentinelFsm::deadline() const {
  auto due = command_.deadline();
  const auto sooner = [&due](std::optional<TimePoint> other) {
    if (other && (!due || *other < *due)) due = other;
  };
  sooner(subscription_.deadline());
  if (command_.state() == LinkFsm::State::ready && !polling_) sooner(next_poll_);
  if (subscription_.state() == LinkFsm::State::ready && subscription_.outstanding() == 0) sooner(next_ping_);
  return due;
}

// The order matters. A leader's MASTER shows the new config-epoch with the old address while it still
// reconfigures the replicas; GET-MASTER-ADDR-BY-NAME names the promoted node from the same instant on. Asked
// second, its address is never older than the epoch; the other way round an old address could be paired with
// a new epoch.
void SentinelFsm::begin_poll(TimePoint now, Actions& out) {
  polling_ = true;
  poll_again_ = false;
  pushed_ = false;
  draft_ = report_;
  draft_.status = SentinelStatus::ok;
  draft_.failure = LinkFailure::none;
  draft_.last_error.clear();
  draft_.known_masters.clear();
  draft_.announced = {};
  draft_.asked_at = now;
  const auto& name = options_.master_name;
  command_.send(Tag::master, {"SENTINEL", "MASTER", name}, now, out.command);
  command_.send(Tag::address, {"SENTINEL", "GET-MASTER-ADDR-BY-NAME", name}, now, out.command);
  command_.send(Tag::info, {"INFO", "sentinel"}, now, out.command);
  if (now >= next_full_poll_ || report_.status != SentinelStatus::ok) {
    command_.send(Tag::my_id, {"SENTINEL", "MYID"}, now, out.command);
    command_.send(Tag::replicas, {"SENTINEL", "REPLICAS", name}, now, out.command);
    command_.send(Tag::peers, {"SENTINEL", "SENTINELS", name}, now, out.command);
    next_full_poll_ = now + options_.probe_interval;
  }
}

SentinelFsm::News SentinelFsm::end_poll(TimePoint now, Actions& out) {
  command_.confirm();
  if (pushed_) keep_pushed_flags();
  report_ = draft_;
  polling_ = false;
  next_poll_ = draft_.asked_at +
               (pace_ != Pace::normal ? options_.probe_interval_suspect : options_.sentinel_interval());
  if (poll_again_) begin_poll(now, out);
  return News::report;
}

// The announcement came after the questions were sent, on another connection: which of the two is older
// cannot be known from here. The poll that follows settles it; until then the worse is believed.
void SentinelFsm::keep_pushed_flags() {
  draft_.tilt = draft_.tilt || report_.tilt;
  draft_.subjectively_down = draft_.subjectively_down || report_.subjectively_down;
  draft_.objectively_down = draft_.objectively_down || report_.objectively_down;
  draft_.election = std::max(draft_.election, report_.election);
  draft_.election_epoch = report_.election_epoch;
  draft_.selected = report_.selected;
  draft_.announced = report_.announced;
}

SentinelFsm::News SentinelFsm::note_failure() {
  report_.status = SentinelStatus::unreachable;
  report_.failure = command_.failure();
  report_.last_error = command_.error();
  report_.announced = {};  // the other Sentinels will say it
  polling_ = false;
  return News::report;
}

void SentinelFsm::read(Tag tag, const resp::Value& reply) {
  switch (tag) {
    case Tag::master:
      read_master(reply);
      break;
    case Tag::address:
      draft_.vote = {};
      if (reply.items.size() == 2) draft_.vote = address_of(reply.items[0].text, reply.items[1].text);
      break;
    case Tag::info:
      if (reply.is_text()) draft_.tilt = info_field(reply.text, "sentinel_tilt") == "1";
      break;
    case Tag::my_id:
      if (reply.is_text()) draft_.run_id = reply.text;  // an error before redis 6.2: addresses must do then
      break;
    case Tag::replicas:
      if (reply.type != resp::ValueType::array) break;
      draft_.replicas.clear();
      for (const auto& item : reply.items) {
        const auto found = address_of(field(item, "ip"), field(item, "port"));
        if (!found.host.empty() && draft_.replicas.size() < list_max) draft_.replicas.push_back(found);
      }
      break;
    case Tag::peers:
      if (reply.type != resp::ValueType::array) break;
      draft_.peers.clear();
      for (const auto& item : reply.items) {
        const auto found = address_of(field(item, "ip"), field(item, "port"));
        if (!found.host.empty() && draft_.peers.size() < list_max) {
          draft_.peers.push_back({found, field(item, "runid")});
        }
      }
      break;
    case Tag::masters:
      for (const auto& item : reply.items) {
        const auto name = field(item, "name");
        if (!name.empty() && draft_.known_masters.size() < list_max) draft_.known_masters.push_back(name);
      }
      break;
    case Tag::subscribe:
    case Tag::ping:
      break;
  }
}

void SentinelFsm::read_master(const resp::Value& reply) {
  if (reply.is_error()) {
    const bool unknown = reply.text.find("No such master") != std::string::npos;
    draft_.status = unknown ? SentinelStatus::unknown_master : SentinelStatus::refused;
    draft_.last_error = reply.text;
    return;
  }
  const auto epoch = number_in<std::uint64_t>(field(reply, "config-epoch"));
  draft_.watching = address_of(field(reply, "ip"), field(reply, "port"));
  if (!epoch || draft_.watching.host.empty()) {
    draft_.status = SentinelStatus::refused;
    draft_.last_error = "SENTINEL MASTER: an answer of unknown shape";
    return;
  }
  const auto flags = field(reply, "flags");
  const auto down_after = number_in<std::uint32_t>(field(reply, "down-after-milliseconds"));
  draft_.down_after = std::chrono::milliseconds(down_after.value_or(0));
  draft_.config_epoch = *epoch;
  draft_.subjectively_down = has_flag(flags, "s_down");
  draft_.objectively_down = has_flag(flags, "o_down");
  draft_.election = stage_of(flags, field(reply, "failover-state"));
  if (draft_.election == ElectionStage::none) draft_.selected = {};
}

}  // namespace fairlead::health
