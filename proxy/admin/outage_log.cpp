#include "proxy/admin/outage_log.hpp"

#include <fmt/format.h>

#include <utility>

namespace fairlead::proxy {

namespace {

using health::GroupState;
using std::chrono::duration_cast;
using std::chrono::milliseconds;

/// Workers report every 250 ms: after this time their counts hold all that the outage cost.
constexpr milliseconds settle_time{600};

std::string name_of(OutageKind kind) {
  return kind == OutageKind::failover ? "failover" : "interruption";
}

bool explains_an_outage(health::EventKind kind) {
  return kind == health::EventKind::route_suspect || kind == health::EventKind::route_switching ||
         kind == health::EventKind::route_restarted;
}

}  // namespace

void OutageLog::on_topology(const health::Topology& topology, Moment at) {
  const health::Shard& shard = topology.shards.front();
  const GroupState before = std::exchange(state_, shard.state);
  const bool moved = shard.route && route_ && shard.route->address != *route_;
  // The first master of a process is no failover, and what holds before it is no outage.
  if (route_ && before == GroupState::steady && (shard.state != GroupState::steady || moved))
    begin(shard, at);
  const bool open = !outages_.empty() && outages_.front().ongoing;
  if (open && shard.state == GroupState::switching && outages_.front().until_named.count() < 0) {
    Outage& outage = outages_.front();
    outage.until_named = duration_cast<milliseconds>(at.now - detected_at_);
    say(fmt::format("another master is named {} ms after the first sign", outage.until_named.count()));
  }
  if (open && shard.state == GroupState::steady && shard.route) release(*shard.route, at);
  if (shard.route) route_ = shard.route->address;
}

void OutageLog::begin(const health::Shard& shard, Moment at) {
  if (settling_) finish();
  Outage outage;
  outage.id = next_id_++;
  outage.from = resp::to_string(*route_);
  outage.detected = at.wall;
  if (shard.route) outage.term = shard.route->term;
  detected_at_ = at.now;
  at_begin_ = latest_;
  outages_.push_front(std::move(outage));
  if (outages_.size() > length_max) outages_.pop_back();
  say(fmt::format("commands for {} are held from now on", outages_.front().from));
}

void OutageLog::release(const health::Route& route, Moment at) {
  Outage& outage = outages_.front();
  outage.ongoing = false;
  outage.to = resp::to_string(route.address);
  outage.term = route.term;
  outage.kind = outage.to == outage.from ? OutageKind::interruption : OutageKind::failover;
  outage.until_released = duration_cast<milliseconds>(at.now - detected_at_);
  if (outage.kind == OutageKind::failover) {
    ++failovers_;
    durations_.add(static_cast<std::uint64_t>(std::chrono::nanoseconds(at.now - detected_at_).count()));
    if (outage.until_named.count() < 0) {
      outage.until_named = outage.until_released;
      say(fmt::format("{} is promoted, and followed before Sentinel announces it", outage.to));
    }
  } else {
    ++interruptions_;
  }
  released_at_ = at.now;
  settling_ = true;
  say(fmt::format("{} is verified as master at term {}; held commands are released after {} ms", outage.to,
                  outage.term, outage.until_released.count()));
}

void OutageLog::on_event(const health::Event& event) {
  if (outages_.empty() || !explains_an_outage(event.kind)) return;
  Outage& outage = outages_.front();
  if (outage.cause.empty() && (outage.ongoing || settling_)) {
    outage.cause = event.text;
    say("the reason: " + event.text);
  }
}

void OutageLog::on_stats(const engine::Stats& total, health::TimePoint now) {
  latest_ = total;
  if (outages_.empty() || !(outages_.front().ongoing || settling_)) return;
  Outage& outage = outages_.front();
  outage.held = total.held - at_begin_.held;
  outage.uncertain = total.uncertain - at_begin_.uncertain;
  outage.master_down = total.master_down - at_begin_.master_down;
  outage.redispatched = total.redispatched - at_begin_.redispatched;
  outage.transactions_lost = total.transactions_lost - at_begin_.transactions_lost;
  if (settling_ && now - released_at_ >= settle_time) finish();
}

void OutageLog::finish() {
  settling_ = false;
  const Outage& outage = outages_.front();
  say(
      fmt::format("it cost a pause of {} ms: {} times commands waited, {} were sent again, {} were answered "
                  "UNCERTAIN, {} MASTERDOWN, {} transactions were lost",
                  outage.until_released.count(), outage.held, outage.redispatched, outage.uncertain,
                  outage.master_down, outage.transactions_lost));
}

/// Until it ends nobody knows whether it is a failover.
void OutageLog::say(std::string text) {
  const Outage& outage = outages_.front();
  const std::string name = outage.ongoing ? "outage" : name_of(outage.kind);
  lines_.push_back(fmt::format("{} {}: {}", name, outage.id, text));
}

std::vector<std::string> OutageLog::take_lines() {
  return std::exchange(lines_, {});
}

}  // namespace fairlead::proxy
