#include "proxy/engine/write_gate.hpp"

#include <algorithm>

namespace fairlead::engine {

namespace {

// Whatever its term: a higher one only affirms the same process.
bool same_route(const health::Route& a, const health::Route& b) {
  return a.address == b.address && a.run_id == b.run_id;
}

}  // namespace

bool WriteGate::on_topology(const health::Topology& topology, health::TimePoint now) {
  if (topology.version <= version_) return false;
  version_ = topology.version;
  const bool was_open = open();
  const health::Shard& shard = topology.shards.front();
  lease_until_ = shard.lease_until;
  look_at_lease(now);
  if (shard.state != health::GroupState::steady || !shard.route) {
    close(now);
    doubted_ = false;
    return false;
  }
  const bool same = same_route(*shard.route, route_);
  route_ = *shard.route;
  if (!master_ && !(doubted_ && same)) {
    doubted_ = false;
    master_ = true;
  }
  return !was_open && open();
}

bool WriteGate::doubt(health::TimePoint now) {
  if (!master_) return false;
  close(now);
  doubted_ = true;
  return true;
}

bool WriteGate::pause(health::TimePoint now) {
  if (paused_) return false;
  const bool was_open = open();
  paused_ = true;
  paused_since_ = now;
  return was_open;
}

void WriteGate::close(health::TimePoint now) {
  if (!master_) return;
  master_ = false;
  closed_since_ = now;
}

health::TimePoint WriteGate::closed_since() const {
  // The lease alone, or with the operator's hand. Without a master its end says nothing: there may never have
  // been one.
  const auto since = master_ ? lease_until_ : closed_since_;
  return paused_ ? std::min(since, paused_since_) : since;
}

}  // namespace fairlead::engine
