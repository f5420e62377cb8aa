#include "proxy/operator_desk.hpp"

#include <systemd/sd-daemon.h>

#include <utility>

#include "proxy/log.hpp"

namespace fairlead::proxy {

namespace {

OperatorOrder given_by(const std::string& by) {
  return {true, std::chrono::system_clock::now(), by};
}

ActionResult refused(std::string why) {
  return {std::move(why), {}, {}};
}

ActionResult done_as(std::string text) {
  return {{}, std::move(text), {}};
}

}  // namespace

void OperatorDesk::close() {
  monitor_ = nullptr;
  failover_.reset();
}

void OperatorDesk::act(const AdminAction& action, const ActionDone& done) {
  if (monitor_ == nullptr) return done(refused("this process is starting or about to end"));
  if (action.name == "failover") return fail_over(action, done);
  if (action.name == "pause") return done(pause(action.by));
  if (action.name == "resume") return done(resume(action.by));
  if (action.name == "drain") return done(drain(action));
  if (action.name == "ready") return done(ready(action));
  if (action.name == "maint") return done(stand(action, health::Standing::maint));
  if (action.name == "kill") return done(kill(action));
  if (action.name == "reload") return done(reload(action));
  done(refused("there is no such action"));
}

ActionResult OperatorDesk::pause(const std::string& by) {
  if (paused_.given) return done_as("it is paused already, by " + paused_.by);
  paused_ = given_by(by);
  const auto hold_ms = std::to_string(tools_.options.engine.limits.hold_max.count());
  log(LogLevel::warning, "paused by the operator: commands wait until RESUME or SIGUSR2",
      {{"by", by}, {"hold_ms", hold_ms}});
  ::sd_notify(0, "STATUS=paused by the operator");
  for (const auto& worker : tools_.workers) {
    worker->post([w = worker.get()] { w->pause(); });
  }
  return done_as("paused: commands wait for at most " + hold_ms + " ms, then they fail; RESUME goes on");
}

ActionResult OperatorDesk::resume(const std::string& by) {
  const bool was_paused = std::exchange(paused_, {}).given;
  if (was_paused) log(LogLevel::info, "resumed by the operator", {{"by", by}});
  for (const auto& worker : tools_.workers) {
    worker->post([w = worker.get()] { w->resume(); });
  }
  if (monitor_ != nullptr) monitor_->accept_restarted();
  return done_as(was_paused ? "resumed" : "it was not paused");
}

std::string OperatorDesk::why_drained() const {
  return drained_.given ? "drained by the operator (" + drained_.by + "); READY takes it back"
                        : std::string();
}

ActionResult OperatorDesk::drain(const AdminAction& action) {
  if (!action.argument.empty()) return stand(action, health::Standing::drain);
  if (drained_.given) return done_as("it is drained already, by " + drained_.by);
  drained_ = given_by(action.by);
  const bool in_pair = tools_.options.vrrp.in_pair();
  log(LogLevel::warning,
      in_pair ? "drained by the operator: the address goes to the peer; clients are served as long as they "
                "come"
              : "drained by the operator: /readyz says no; clients are served as long as they come",
      {{"by", action.by}});
  tools_.drain_changed();
  return done_as(in_pair ? "drained: the address goes to the peer, its clients reconnect there; READY takes "
                           "it back"
                         : "drained: /readyz says no, so that nobody new is sent here; READY takes it back");
}

ActionResult OperatorDesk::ready(const AdminAction& action) {
  if (!action.argument.empty()) return stand(action, health::Standing::ready);
  if (!std::exchange(drained_, {}).given) return done_as("it was not drained");
  log(LogLevel::info, "ready again by the operator's word", {{"by", action.by}});
  tools_.drain_changed();
  return done_as(
      tools_.options.vrrp.in_pair()
          ? "ready: fit to have the address again, which stays with the peer as long as that is fit"
          : "ready");
}

ActionResult OperatorDesk::stand(const AdminAction& action, health::Standing standing) {
  const auto address = resp::parse_address(action.argument, 6379);
  if (!address) return refused("'" + action.argument + "' is no address; SHOW SERVERS lists the servers");
  std::string why_not = monitor_->set_standing(*address, standing);
  if (!why_not.empty()) return refused(std::move(why_not));
  std::string text = resp::to_string(*address) + " is " + health::to_string(standing) + " now";
  log(LogLevel::warning, "a server was given another standing by the operator",
      {{"server", resp::to_string(*address)}, {"standing", health::to_string(standing)}, {"by", action.by}});
  if (standing == health::Standing::ready) return done_as(std::move(text));
  text +=
      tools_.options.backend.sentinels.empty()
          ? ": it is not followed as a master until READY"
          : ": that it is down is meant; Sentinel may still promote it, which CONFIG SET replica-priority 0 "
            "on it prevents";
  return done_as(std::move(text));
}

ActionResult OperatorDesk::kill(const AdminAction& action) {
  for (const engine::ClientRow& row : tools_.observer.clients()) {
    if (std::to_string(row.id) != action.argument) continue;
    Worker* const worker = tools_.workers.at(row.worker).get();
    worker->post([worker, conn = row.conn] { worker->kill(conn); });
    log(LogLevel::warning, "client closed by the operator",
        {{"client", action.argument}, {"address", row.address}, {"by", action.by}});
    return {};
  }
  return refused("no client of this id is listed any more");
}

ActionResult OperatorDesk::reload(const AdminAction& action) {
  log(LogLevel::info, "reload asked for by the operator", {{"by", action.by}});
  return tools_.reload();
}

std::vector<resp::Address> OperatorDesk::sentinels() const {
  std::vector<resp::Address> usable;
  if (const health::TopologyPtr topology = tools_.topology()) {
    for (const health::SentinelView& view : topology->sentinels) {
      if (view.usable) usable.push_back(view.address);
    }
  }
  return usable.empty() ? tools_.options.backend.sentinels : usable;
}

void OperatorDesk::fail_over(const AdminAction& action, const ActionDone& done) {
  if (tools_.options.backend.sentinels.empty()) {
    return done(
        refused("without Sentinel nobody can be asked for a failover: promote a replica yourself (REPLICAOF "
                "NO ONE there, then REPLICAOF on the old master); fairlead follows"));
  }
  if (failover_) return done(refused("a failover was asked for already, and its answer is awaited"));
  log(LogLevel::warning, "failover asked for by the operator", {{"by", action.by}});
  failover_ = std::make_unique<health::FailoverOrder>(
      tools_.context, tools_.options.backend, sentinels(),
      [this, done](const health::FailoverOrder::Answer& answer) {
        failover_.reset();
        const std::string who = resp::to_string(answer.sentinel);
        if (answer.error.empty()) {
          log(LogLevel::warning, "the Sentinel begins the failover", {{"sentinel", who}});
          return done(done_as(who + " begins the failover; the timeline tells what it costs"));
        }
        log(LogLevel::error, "no failover", {{"sentinel", who}, {"error", answer.error}});
        done(refused(answer.sentinel.host.empty() ? answer.error : who + " says: " + answer.error));
      });
}

}  // namespace fairlead::proxy
