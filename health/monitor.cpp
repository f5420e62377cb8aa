#include "health/monitor.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "health/arbiter.hpp"
#include "health/control_link.hpp"
#include "health/deadline_timer.hpp"
#include "health/role_fsm.hpp"
#include "health/sentinel_fsm.hpp"

namespace fairlead::health {

namespace asio = boost::asio;

class Monitor::Impl {
 public:
  Impl(asio::io_context& context, Options options, Publish publish, Report report, Memory memory)
      : context_(context),
        options_(std::move(options)),
        publish_(std::move(publish)),
        report_(std::move(report)),
        remember_(std::move(memory.remember)),
        arbiter_(options_, std::move(memory.last)),
        tick_(context) {}

  void start();
  void stop();
  void on_signal(const Signal& signal);
  void reload(Options options);
  void accept_restarted() { apply(arbiter_.on_restart_accepted(clock_now())); }
  [[nodiscard]] std::string set_standing(const resp::Address& address, Standing standing) {
    std::string why_not = arbiter_.why_not(address, standing);
    if (why_not.empty()) apply(arbiter_.on_standing(address, standing, clock_now()));
    return why_not;
  }

 private:
  // One watched server: its machine, its connection, its timer.
  struct ServerWatch {
    ServerWatch(Impl& owner, const resp::Address& address);
    RoleFsm fsm;
    ControlLink link;
    DeadlineTimer timer;
    LinkActions actions;  // of the call under way
  };
  struct SentinelWatch {
    SentinelWatch(Impl& owner, const resp::Address& address);
    SentinelFsm fsm;
    ControlLink command;
    ControlLink subscription;
    DeadlineTimer timer;
    SentinelFsm::Actions actions;
  };
  using ServerWatches = std::map<resp::Address, std::unique_ptr<ServerWatch>>;
  using SentinelWatches = std::map<resp::Address, std::unique_ptr<SentinelWatch>>;

  [[nodiscard]] ControlLink::Callbacks server_callbacks(const resp::Address& address);
  [[nodiscard]] ControlLink::Callbacks sentinel_callbacks(const resp::Address& address,
                                                          SentinelFsm::Channel channel);

  template <typename Step>
  void step_server(const resp::Address& address, Step step);
  template <typename Step>
  void step_sentinel(const resp::Address& address, Step step);
  void settle(const resp::Address& address, ServerWatch& watch);
  void settle(const resp::Address& address, SentinelWatch& watch);

  void apply(Arbiter::Outcome outcome);
  void reconcile(TimePoint now);
  void set_pace(TimePoint now);
  [[nodiscard]] Pace pace_of(const resp::Address& server) const {
    return candidate_ == server ? Pace::closest : pace_;
  }
  void look_now(TimePoint now);
  void learn_from(const resp::Address& address, TimePoint now);
  void arm_tick();

  asio::io_context& context_;
  Options options_;
  const Publish publish_;
  const Report report_;
  const Remember remember_;
  Arbiter arbiter_;
  ServerWatches servers_;
  SentinelWatches sentinels_;
  Pace pace_ = Pace::normal;
  std::optional<resp::Address> candidate_;  // watched at Pace::closest
  DeadlineTimer tick_;
  bool running_ = false;
};

Monitor::Impl::ServerWatch::ServerWatch(Impl& owner, const resp::Address& address)
    : fsm(owner.options_),
      link(owner.context_, address, owner.server_callbacks(address)),
      timer(owner.context_) {}

Monitor::Impl::SentinelWatch::SentinelWatch(Impl& owner, const resp::Address& address)
    : fsm(owner.options_),
      command(owner.context_, address, owner.sentinel_callbacks(address, SentinelFsm::Channel::command)),
      subscription(owner.context_, address,
                   owner.sentinel_callbacks(address, SentinelFsm::Channel::subscription)),
      timer(owner.context_) {}

void Monitor::Impl::start() {
  if (running_) return;
  running_ = true;
  apply(arbiter_.start(clock_now()));
  arm_tick();
}

void Monitor::Impl::stop() {
  running_ = false;
  tick_.follow(std::nullopt, [] {});
  // Links close and timers cancel as they are destroyed; handlers that are queued find nothing to do.
  servers_.clear();
  sentinels_.clear();
}

void Monitor::Impl::on_signal(const Signal& signal) {
  if (running_) apply(arbiter_.on_signal(signal, clock_now()));
}

ControlLink::Callbacks Monitor::Impl::server_callbacks(const resp::Address& address) {
  ControlLink::Callbacks callbacks;
  callbacks.connected = [this, address] {
    step_server(address,
                [](ServerWatch& watch, TimePoint now) { return watch.fsm.on_connected(now, watch.actions); });
  };
  callbacks.failed = [this, address](LinkFailure failure, std::string text) {
    step_server(address, [&](ServerWatch& watch, TimePoint now) {
      return watch.fsm.on_failed(failure, std::move(text), now);
    });
  };
  callbacks.reply = [this, address](resp::Value reply) {
    step_server(address, [&](ServerWatch& watch, TimePoint now) {
      return watch.fsm.on_reply(std::move(reply), now, watch.actions);
    });
  };
  return callbacks;
}

ControlLink::Callbacks Monitor::Impl::sentinel_callbacks(const resp::Address& address,
                                                         SentinelFsm::Channel channel) {
  ControlLink::Callbacks callbacks;
  callbacks.connected = [this, address, channel] {
    step_sentinel(address, [&](SentinelWatch& watch, TimePoint now) {
      return watch.fsm.on_connected(channel, now, watch.actions);
    });
  };
  callbacks.failed = [this, address, channel](LinkFailure failure, std::string text) {
    step_sentinel(address, [&](SentinelWatch& watch, TimePoint now) {
      return watch.fsm.on_failed(channel, failure, std::move(text), now);
    });
  };
  callbacks.reply = [this, address, channel](resp::Value reply) {
    step_sentinel(address, [&](SentinelWatch& watch, TimePoint now) {
      return watch.fsm.on_reply(channel, reply, now, watch.actions);
    });
  };
  return callbacks;
}

// Moves one machine by one event, does what it says, and hands its news to the Arbiter. Applying the
// Arbiter's outcome comes last: it may drop the watch itself.
template <typename Step>
void Monitor::Impl::step_server(const resp::Address& address, Step step) {
  const auto found = servers_.find(address);
  if (found == servers_.end()) return;
  ServerWatch& watch = *found->second;
  const auto now = clock_now();
  const RoleFsm::News news = step(watch, now);
  settle(address, watch);
  if (news == RoleFsm::News::report) apply(arbiter_.on_server(address, watch.fsm.report(), now));
  if (news == RoleFsm::News::commands) apply(arbiter_.on_commands(address, watch.fsm.take_commands(), now));
}

template <typename Step>
void Monitor::Impl::step_sentinel(const resp::Address& address, Step step) {
  const auto found = sentinels_.find(address);
  if (found == sentinels_.end()) return;
  SentinelWatch& watch = *found->second;
  const auto now = clock_now();
  const SentinelFsm::News news = step(watch, now);
  settle(address, watch);
  if (news == SentinelFsm::News::report) apply(arbiter_.on_sentinel(address, watch.fsm.report(), now));
}

void Monitor::Impl::settle(const resp::Address& address, ServerWatch& watch) {
  perform(std::exchange(watch.actions, {}), watch.link);
  watch.timer.follow(watch.fsm.deadline(), [this, address] {
    step_server(address, [](ServerWatch& due, TimePoint now) { return due.fsm.on_timer(now, due.actions); });
  });
}

void Monitor::Impl::settle(const resp::Address& address, SentinelWatch& watch) {
  const SentinelFsm::Actions actions = std::exchange(watch.actions, {});
  perform(actions.command, watch.command);
  perform(actions.subscription, watch.subscription);
  watch.timer.follow(watch.fsm.deadline(), [this, address] {
    step_sentinel(address,
                  [](SentinelWatch& due, TimePoint now) { return due.fsm.on_timer(now, due.actions); });
  });
}

// Publication first: each further step costs the workers time in which they trust a lost route. What is to be
// remembered is only handed over.
void Monitor::Impl::apply(Arbiter::Outcome outcome) {
  if (outcome.remember && remember_) remember_(*outcome.remember);
  if (outcome.topology) publish_(std::move(outcome.topology));
  const auto now = clock_now();
  if (outcome.watch_changed) reconcile(now);
  set_pace(now);
  if (outcome.look_now) look_now(now);
  if (outcome.learn_from) learn_from(*outcome.learn_from, now);
  for (const auto& event : outcome.events) report_(event);
}

// All connections begin anew, with the new logins and times; what the old ones said stands until then.
void Monitor::Impl::reload(Options options) {
  options_ = options;
  servers_.clear();
  sentinels_.clear();
  apply(arbiter_.on_options(std::move(options), clock_now()));
}

void Monitor::Impl::reconcile(TimePoint now) {
  const auto servers = arbiter_.servers();
  const auto sentinels = arbiter_.sentinels();
  std::erase_if(servers_, [&](const auto& entry) {
    return !std::binary_search(servers.begin(), servers.end(), entry.first);
  });
  std::erase_if(sentinels_, [&](const auto& entry) {
    return !std::binary_search(sentinels.begin(), sentinels.end(), entry.first);
  });
  for (const auto& address : sentinels) {
    auto& watch = sentinels_[address];
    if (watch) continue;
    watch = std::make_unique<SentinelWatch>(*this, address);
    watch->fsm.set_pace(pace_, now);
    watch->fsm.start(now, watch->actions);
    settle(address, *watch);
  }
  for (const auto& address : servers) {
    auto& watch = servers_[address];
    if (watch) continue;
    watch = std::make_unique<ServerWatch>(*this, address);
    watch->fsm.set_pace(pace_of(address), now);
    watch->fsm.start(now, watch->actions);
    settle(address, *watch);
  }
}

void Monitor::Impl::set_pace(TimePoint now) {
  if (candidate_ != arbiter_.candidate()) {
    const auto former = std::exchange(candidate_, arbiter_.candidate());
    for (const auto& changed : {former, candidate_}) {
      const auto found = changed ? servers_.find(*changed) : servers_.end();
      if (found == servers_.end()) continue;
      found->second->fsm.set_pace(pace_of(*changed), now);
      if (changed == candidate_) found->second->fsm.probe_now(now, found->second->actions);
      settle(*changed, *found->second);
    }
  }
  if (pace_ == arbiter_.pace()) return;
  pace_ = arbiter_.pace();
  for (auto& [address, watch] : servers_) {
    watch->fsm.set_pace(pace_of(address), now);
    settle(address, *watch);
  }
  for (auto& [address, watch] : sentinels_) {
    watch->fsm.set_pace(pace_, now);
    settle(address, *watch);
  }
  if (running_) arm_tick();
}

void Monitor::Impl::look_now(TimePoint now) {
  for (auto& [address, watch] : servers_) {
    watch->fsm.probe_now(now, watch->actions);
    settle(address, *watch);
  }
  for (auto& [address, watch] : sentinels_) {
    watch->fsm.poll_now(now, watch->actions);
    settle(address, *watch);
  }
}

void Monitor::Impl::learn_from(const resp::Address& address, TimePoint now) {
  const auto found = servers_.find(address);
  if (found == servers_.end()) return;
  found->second->fsm.request_commands(now, found->second->actions);
  settle(address, *found->second);
}

void Monitor::Impl::arm_tick() {
  const auto interval = pace_ == Pace::fast ? options_.probe_interval_suspect : options_.sentinel_interval();
  tick_.follow(clock_now() + interval, [this] {
    apply(arbiter_.on_tick(clock_now()));
    if (running_) arm_tick();
  });
}

Monitor::Monitor(asio::io_context& context, Options options, Publish publish, Report report, Memory memory)
    : impl_(std::make_unique<Impl>(context, std::move(options), std::move(publish), std::move(report),
                                   std::move(memory))) {}

Monitor::~Monitor() = default;

void Monitor::start() {
  impl_->start();
}

void Monitor::stop() {
  impl_->stop();
}

void Monitor::reload(Options options) {
  impl_->reload(std::move(options));
}

void Monitor::accept_restarted() {
  impl_->accept_restarted();
}

std::string Monitor::set_standing(const resp::Address& address, Standing standing) {
  return impl_->set_standing(address, standing);
}

void Monitor::on_signal(const Signal& signal) {
  impl_->on_signal(signal);
}

}  // namespace fairlead::health
