// I8: how soon a proxy is STEADY once a master can be verified. README.md here says how the bound is made.
#include <algorithm>

#include "tests/sim/world.hpp"

namespace fairlead::sim {

namespace {

constexpr Milliseconds watch_interval{5};
/// How often the operator looks whether a restarted master waits for his word, in watches.
constexpr int watches_per_look = 5;
/// The promise of the design, from the first evidence on.
constexpr Milliseconds ready_promise{100};
/// What the network takes until the master is verified: a connection (2), its first probe (2), a poll that
/// was under way and the next one (4), and the question that verifies (2).
constexpr int verify_trips = 10;
/// Good probes within the promise: the first is sent at once, the second an interval later.
constexpr int probes_promised = 2;
/// A lost packet comes 200 ms later, and several may be lost in a row: such worlds only show that it ends.
constexpr Milliseconds ready_max_lossy{2500};

}  // namespace

/// The server that nobody who is asked could fail to name.
std::optional<std::size_t> World::verified_master() const {
  const std::size_t named = sentinels_.front()->named();
  const std::uint64_t epoch = sentinels_.front()->config_epoch();
  for (const auto& sentinel : sentinels_) {
    const bool agrees = sentinel->alive() && !sentinel->in_tilt() && sentinel->named() == named &&
                        sentinel->config_epoch() == epoch && sentinel->failover() == Failover::none &&
                        !sentinel->believes_down();
    if (!agrees || network_.stopped(sentinel->host())) return std::nullopt;
  }
  const RedisNode& server = *servers_[named];
  if (!server.serves() || network_.stopped(server.host())) return std::nullopt;
  return named;
}

bool World::proxy_can_know(const ProxyModel& proxy, std::size_t master) const {
  if (!proxy.running() || slow_until_ + path_recovers > now()) return false;
  const auto clear = [&](HostId host) {
    const auto since = network_.clear_since(proxy.host(), host);
    return since && now() - *since >= path_recovers;
  };
  return clear(servers_[master]->host()) &&
         std::all_of(sentinels_.begin(), sentinels_.end(),
                     [&](const auto& sentinel) { return clear(sentinel->host()); });
}

/// 100 ms from the moment when the first evidence can have arrived: that of the next poll, at the pace of a
/// proxy that knows that something is wrong or of one that does not.
Milliseconds World::ready_max(const Readiness& readiness) const {
  const health::Options& health = options_.health;
  const auto poll = readiness.calm ? health.sentinel_interval() : health.probe_interval_suspect;
  const auto more_probes =
      std::max(0, readiness.probes_needed - probes_promised) * health.probe_interval_suspect;
  const auto network = std::chrono::ceil<Milliseconds>(verify_trips * options_.network.delay_max);
  const auto bound = poll + ready_promise + more_probes + network + watch_interval;
  return options_.network.loss_percent > 0 ? std::max(bound, ready_max_lossy) : bound;
}

void World::watch() {
  if (network_.slowness() > 1) slow_until_ = now();
  for (const auto& sentinel : sentinels_) {
    if (const auto server = sentinel->promotes()) note_promoting(*server);
  }
  const bool operator_looks = watches_++ % watches_per_look == 0;
  const auto master = verified_master();
  for (std::size_t i = 0; i < proxies_.size(); ++i) {
    // A master that came back empty waits for the operator, who is there at once.
    const bool waits = proxies_[i]->state() == health::GroupState::restarted;
    if (waits && operator_looks) proxies_[i]->accept_restarted();
    if (master && proxy_can_know(*proxies_[i], *master)) {
      watch_readiness(*proxies_[i], *master, readiness_[i]);
    } else {
      readiness_[i] = {};
    }
  }
  schedule_.after(watch_interval, [this] { watch(); });
}

void World::watch_readiness(const ProxyModel& proxy, std::size_t master, Readiness& readiness) {
  const bool steady = proxy.state() == health::GroupState::steady;
  const bool right = steady && proxy.route() && proxy.route()->address == server_address(master);
  if (right) {
    if (readiness.waits_since) {
      const auto waited = std::chrono::duration_cast<Milliseconds>(now() - *readiness.waits_since);
      counts_.ready_ms.push_back(waited.count());
    }
    readiness = {};
    return;
  }
  if (!readiness.waits_since) readiness.waits_since = now();
  readiness.calm = readiness.calm || steady;
  readiness.probes_needed = std::max(readiness.probes_needed, proxy.probes_needed());
  const auto waited = std::chrono::duration_cast<Milliseconds>(now() - *readiness.waits_since);
  if (waited <= ready_max(readiness)) return;
  fail("I8: server " + std::to_string(master) + " could be verified for " + std::to_string(waited.count()) +
       " ms, more than " + std::to_string(ready_max(readiness).count()) + ", but " + proxy.describe());
}

}  // namespace fairlead::sim
