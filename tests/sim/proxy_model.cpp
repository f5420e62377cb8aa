#include "tests/sim/proxy_model.hpp"

#include <algorithm>
#include <utility>

#include "resp/writer.hpp"
#include "tests/sim/world.hpp"

namespace fairlead::sim {

using health::Arbiter;
using health::GroupState;
using health::LinkAction;
using health::LinkFailure;
using health::RoleFsm;
using health::SentinelFsm;

namespace {

/// A posted message from one thread to another.
constexpr Microseconds hop{20};
/// The Monitor reads its clock anew when the Arbiter has spoken: what it asks then is asked after the
/// decision, and the answer counts.
constexpr std::chrono::nanoseconds clock_goes_on{1};
/// What is remembered over a restart is written by a thread of its own.
constexpr Milliseconds disk{5};

/// The replica that is being promoted, where the Arbiter knows of such a thing.
template <typename AnyArbiter>
std::optional<resp::Address> candidate_of(const AnyArbiter& arbiter) {
  if constexpr (requires { arbiter.candidate(); }) {
    return arbiter.candidate();
  } else {
    return std::nullopt;
  }
}

template <typename AnyPace>
AnyPace closest_or_fast() {
  if constexpr (requires { AnyPace::closest; }) {
    return AnyPace::closest;
  } else {
    return AnyPace::fast;
  }
}

template <typename AnyOptions>
std::chrono::milliseconds calm_interval(const AnyOptions& options) {
  if constexpr (requires { options.sentinel_interval(); }) {
    return options.sentinel_interval();
  } else {
    return options.probe_interval;
  }
}

LinkFailure failure_of(Ending why) {
  switch (why) {
    case Ending::refused:
      return LinkFailure::connect_failed;
    case Ending::timed_out:
      return LinkFailure::timed_out;
    case Ending::end_of_file:
    case Ending::reset:
      return LinkFailure::lost;
  }
  return LinkFailure::lost;
}

}  // namespace

ProxyModel::ProxyModel(World& world, std::size_t index, HostId host, std::optional<health::Remembered> memory)
    : world_(world),
      index_(index),
      host_(host),
      options_(world.health_options()),
      arbiter_(options_, memory),
      term_(memory ? memory->term : 0) {
  const std::size_t count = world.options().workers;
  for (std::size_t i = 0; i < count; ++i) {
    const engine::WorkerName name{static_cast<std::uint32_t>(i + 1), static_cast<std::uint32_t>(count)};
    workers_.push_back(std::make_unique<WorkerModel>(world, host, name, [this](const health::Signal& signal) {
      world_.schedule().after(hop, [this, signal] { on_signal(signal); });
    }));
  }
}

ProxyModel::~ProxyModel() = default;

void ProxyModel::start() {
  running_ = true;
  world_.network().listen(host_, [this](ConnKey key) {
    WorkerModel& worker = *workers_[next_worker_++ % workers_.size()];
    return worker.accept(key);
  });
  apply(arbiter_.start(world_.now()));
  arm_tick();
}

void ProxyModel::stop() {
  running_ = false;
  ++tick_.round;
  for (auto& [address, watch] : servers_) close(watch->link);
  for (auto& [address, watch] : sentinels_) {
    close(watch->command);
    close(watch->subscription);
  }
  for (auto& worker : workers_) worker->stop();
}

void ProxyModel::on_signal(const health::Signal& signal) {
  if (running_) apply(arbiter_.on_signal(signal, world_.now()));
}

void ProxyModel::accept_restarted() {
  if (running_) apply(arbiter_.on_restart_accepted(world_.now()));
}

// --- Machines

template <typename Step>
void ProxyModel::step_server(ServerWatch& watch, Step step) {
  if (!running_) return;
  const RoleFsm::News news = step(watch);
  settle(watch);
  if (news == RoleFsm::News::report) {
    apply(arbiter_.on_server(watch.address, watch.fsm.report(), world_.now()));
  }
  if (news == RoleFsm::News::commands) {
    apply(arbiter_.on_commands(watch.address, watch.fsm.take_commands(), world_.now()));
  }
}

template <typename Step>
void ProxyModel::step_sentinel(SentinelWatch& watch, Step step) {
  if (!running_) return;
  const SentinelFsm::News news = step(watch);
  settle(watch);
  if (news == SentinelFsm::News::report) {
    apply(arbiter_.on_sentinel(watch.address, watch.fsm.report(), world_.now()));
  }
}

void ProxyModel::settle(ServerWatch& watch) {
  if (!watch.actions.empty()) perform(std::exchange(watch.actions, {}), {&watch, nullptr, {}});
  follow(watch.timer, watch.fsm.deadline(), [this, &watch] {
    step_server(watch, [this](ServerWatch& due) { return due.fsm.on_timer(world_.now(), due.actions); });
  });
}

void ProxyModel::settle(SentinelWatch& watch) {
  const SentinelFsm::Actions actions = std::exchange(watch.actions, {});
  perform(actions.command, {nullptr, &watch, SentinelFsm::Channel::command});
  perform(actions.subscription, {nullptr, &watch, SentinelFsm::Channel::subscription});
  follow(watch.timer, watch.fsm.deadline(), [this, &watch] {
    step_sentinel(watch, [this](SentinelWatch& due) { return due.fsm.on_timer(world_.now(), due.actions); });
  });
}

template <typename Due>
void ProxyModel::follow(Timer& timer, std::optional<TimePoint> deadline, Due due) {
  if (deadline == timer.armed) return;
  timer.armed = deadline;
  const std::uint64_t round = ++timer.round;
  if (!deadline) return;
  // A thread sees its timer a little late.
  world_.schedule().at(*deadline + hop, [&timer, round, due] {
    if (timer.round != round) return;
    timer.armed.reset();
    due();
  });
}

// --- Control connections

void ProxyModel::close(ControlModel& link) {
  if (link.key) world_.network().close(*link.key, End::connector);
  link.key.reset();
  link.inbox.clear();
}

void ProxyModel::perform(const health::LinkActions& actions, const Channel& channel) {
  ControlModel& link = channel.link();
  for (const LinkAction& action : actions) {
    if (action.kind == LinkAction::Kind::close) {
      close(link);
    } else if (action.kind == LinkAction::Kind::send) {
      std::string bytes;
      resp::append_command(bytes, action.command);
      if (link.key) world_.network().send(*link.key, End::connector, std::move(bytes));
    } else {
      close(link);
      open(channel);
    }
  }
}

void ProxyModel::open(const Channel& channel) {
  ControlModel& link = channel.link();
  const std::uint64_t round = ++link.round;
  const auto is_current = [channel, round] { return channel.link().round == round; };
  Handlers handlers;
  handlers.opened = [this, channel, is_current] {
    if (is_current()) opened(channel);
  };
  handlers.bytes = [this, channel, is_current](std::string_view bytes) {
    if (is_current()) arrived(channel, bytes);
  };
  handlers.ended = [this, channel, is_current](Ending why) {
    if (is_current()) failed(channel, why);
  };
  link.key = world_.network().connect(host_, world_.host_at(channel.address()), std::move(handlers),
                                      Patience::user_timeout);
}

void ProxyModel::opened(const Channel& channel) {
  const TimePoint now = world_.now();
  if (channel.server != nullptr) {
    step_server(*channel.server,
                [now](ServerWatch& watch) { return watch.fsm.on_connected(now, watch.actions); });
  } else {
    step_sentinel(*channel.sentinel, [&](SentinelWatch& watch) {
      return watch.fsm.on_connected(channel.channel, now, watch.actions);
    });
  }
}

void ProxyModel::arrived(const Channel& channel, std::string_view bytes) {
  ControlModel& link = channel.link();
  if (const auto* known = heard_before(link, bytes)) return answered(channel, *known);
  const bool alone = link.inbox.empty();
  auto answers = take_answers(link, bytes);
  if (!alone || !link.inbox.empty()) return answered(channel, answers);
  if (link.heard.size() < heard_max) link.heard.emplace_back();
  Heard& heard = link.heard[link.oldest_heard++ % link.heard.size()];
  heard = {std::string(bytes), std::move(answers)};
  answered(channel, heard.answers);
}

const std::vector<resp::Value>* ProxyModel::heard_before(ControlModel& link, std::string_view bytes) {
  if (!link.inbox.empty()) return nullptr;
  const auto found = std::find_if(link.heard.begin(), link.heard.end(),
                                  [bytes](const Heard& heard) { return heard.packet == bytes; });
  return found == link.heard.end() ? nullptr : &found->answers;
}

/// The answers that are complete with these bytes.
std::vector<resp::Value> ProxyModel::take_answers(ControlModel& link, std::string_view bytes) {
  link.inbox += bytes;
  std::vector<resp::Value> answers;
  if (bytes.find('\n') == std::string_view::npos) return answers;  // nothing can have become complete
  std::size_t taken = 0;
  while (taken < link.inbox.size()) {
    auto parsed = resp::parse_value(std::string_view(link.inbox).substr(taken));
    if (parsed.status == resp::ParseStatus::malformed) world_.fail("a model speaks no RESP");
    if (parsed.status != resp::ParseStatus::complete) break;
    taken += parsed.consumed;
    answers.push_back(std::move(parsed.value));
  }
  link.inbox.erase(0, taken);
  return answers;
}

/// One after the other, unless what one of them does ends the connection.
void ProxyModel::answered(const Channel& channel, const std::vector<resp::Value>& answers) {
  const ControlModel& link = channel.link();
  const std::uint64_t round = link.round;
  for (const resp::Value& answer : answers) {
    if (!link.key || link.round != round) return;
    answered(channel, answer);
  }
}

void ProxyModel::answered(const Channel& channel, const resp::Value& answer) {
  const TimePoint now = world_.now();
  if (channel.server != nullptr) {
    step_server(*channel.server,
                [&](ServerWatch& watch) { return watch.fsm.on_reply(answer, now, watch.actions); });
  } else {
    step_sentinel(*channel.sentinel, [&](SentinelWatch& watch) {
      return watch.fsm.on_reply(channel.channel, answer, now, watch.actions);
    });
  }
}

void ProxyModel::failed(const Channel& channel, Ending why) {
  channel.link().key.reset();
  const TimePoint now = world_.now();
  const LinkFailure failure = failure_of(why);
  if (channel.server != nullptr) {
    step_server(*channel.server,
                [&](ServerWatch& watch) { return watch.fsm.on_failed(failure, "connection lost", now); });
  } else {
    step_sentinel(*channel.sentinel, [&](SentinelWatch& watch) {
      return watch.fsm.on_failed(channel.channel, failure, "connection lost", now);
    });
  }
}

// --- What the Arbiter wants

void ProxyModel::apply(Arbiter::Outcome outcome) {
  if (outcome.topology) {
    check_topology(*outcome.topology);
    for (auto& worker : workers_) {
      world_.schedule().after(hop,
                              [&worker = *worker, topology = outcome.topology] { worker.publish(topology); });
    }
  }
  for (const health::Event& event : outcome.events) {
    world_.trace("proxy " + std::to_string(index_) + ": " + health::to_string(event.kind) + ": " +
                 event.text);
  }
  if (outcome.remember) {
    world_.schedule().after(disk, [&world = world_, index = index_, memory = *outcome.remember] {
      world.remember(index, memory);
    });
  }
  const TimePoint then = world_.now() + clock_goes_on;
  if (outcome.watch_changed) reconcile(then);
  set_pace(then);
  if (outcome.look_now) look_now(then);
  if (outcome.learn_from) {
    const auto found = servers_.find(*outcome.learn_from);
    if (found != servers_.end()) {
      found->second->fsm.request_commands(then, found->second->actions);
      settle(*found->second);
    }
  }
}

void ProxyModel::check_topology(const health::Topology& topology) {
  const health::Shard& shard = topology.shards.front();
  const GroupState before = std::exchange(published_, shard.state);
  if (shard.state == GroupState::isolated && before != GroupState::isolated) ++isolations_;
  if (topology.shards.size() != 1) world_.fail("I1: more than one shard");
  if (shard.state == GroupState::steady && !shard.route) world_.fail("I1: steady without a route");
  if (!shard.route) return;
  if (shard.route->term < term_) {
    world_.fail("I2: the term falls from " + std::to_string(term_) + " to " +
                std::to_string(shard.route->term));
  }
  term_ = shard.route->term;
  // A promotion that is followed before it is announced may come to nothing; then the old master goes on.
  if (shard.state == GroupState::steady && !shard.provisional) world_.note_route(index_, *shard.route);
}

void ProxyModel::reconcile(TimePoint then) {
  const auto servers = arbiter_.servers();
  const auto sentinels = arbiter_.sentinels();
  retire_all_but(servers, servers_, former_servers_);
  retire_all_but(sentinels, sentinels_, former_sentinels_);
  for (const auto& address : sentinels) {
    if (sentinels_.contains(address)) continue;
    auto& watch = sentinels_[address] = std::make_unique<SentinelWatch>(options_, address);
    watch->fsm.set_pace(pace_, then);
    watch->fsm.start(then, watch->actions);
    settle(*watch);
  }
  for (const auto& address : servers) {
    if (servers_.contains(address)) continue;
    auto& watch = servers_[address] = std::make_unique<ServerWatch>(options_, address);
    watch->fsm.set_pace(pace_of(address), then);
    watch->fsm.start(then, watch->actions);
    settle(*watch);
  }
}

template <typename Watch>
void ProxyModel::retire_all_but(const std::vector<resp::Address>& wanted,
                                std::map<resp::Address, std::unique_ptr<Watch>>& watches,
                                std::vector<std::unique_ptr<Watch>>& former) {
  for (auto at = watches.begin(); at != watches.end();) {
    if (std::binary_search(wanted.begin(), wanted.end(), at->first)) {
      ++at;
      continue;
    }
    retire(*at->second);
    former.push_back(std::move(at->second));
    at = watches.erase(at);
  }
}

void ProxyModel::retire(ServerWatch& watch) {
  ++watch.timer.round;
  close(watch.link);
}

void ProxyModel::retire(SentinelWatch& watch) {
  ++watch.timer.round;
  close(watch.command);
  close(watch.subscription);
}

health::Pace ProxyModel::pace_of(const resp::Address& address) const {
  return candidate_ == address ? closest_or_fast<health::Pace>() : pace_;
}

void ProxyModel::set_pace(TimePoint then) {
  const auto candidate = candidate_of(arbiter_);
  if (candidate_ != candidate) {
    const auto former = std::exchange(candidate_, candidate);
    for (const auto& changed : {former, candidate_}) {
      const auto found = changed ? servers_.find(*changed) : servers_.end();
      if (found == servers_.end()) continue;
      found->second->fsm.set_pace(pace_of(*changed), then);
      if (changed == candidate_) found->second->fsm.probe_now(then, found->second->actions);
      settle(*found->second);
    }
  }
  if (pace_ == arbiter_.pace()) return;
  pace_ = arbiter_.pace();
  for (auto& [address, watch] : servers_) {
    watch->fsm.set_pace(pace_of(address), then);
    settle(*watch);
  }
  for (auto& [address, watch] : sentinels_) {
    watch->fsm.set_pace(pace_, then);
    settle(*watch);
  }
  arm_tick();
}

void ProxyModel::look_now(TimePoint then) {
  for (auto& [address, watch] : servers_) {
    watch->fsm.probe_now(then, watch->actions);
    settle(*watch);
  }
  for (auto& [address, watch] : sentinels_) {
    watch->fsm.poll_now(then, watch->actions);
    settle(*watch);
  }
}

void ProxyModel::arm_tick() {
  const auto interval =
      pace_ == health::Pace::fast ? options_.probe_interval_suspect : calm_interval(options_);
  follow(tick_, world_.now() + interval, [this] {
    if (!running_) return;
    apply(arbiter_.on_tick(world_.now()));
    arm_tick();
  });
}

std::uint64_t ProxyModel::held() const {
  std::uint64_t held = 0;
  for (const auto& worker : workers_) held += worker->engine().stats().held_now;
  return held;
}

std::string ProxyModel::describe() const {
  std::string text = "proxy " + std::to_string(index_) + " " + health::to_string(arbiter_.state());
  if (arbiter_.route()) {
    text += " on " + resp::to_string(arbiter_.route()->address) + " at term " +
            std::to_string(arbiter_.route()->term);
  }
  for (const auto& worker : workers_) text += "; " + worker->describe();
  return text;
}

}  // namespace fairlead::sim
