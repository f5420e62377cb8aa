#include "proxy/engine/write_gate.hpp"

namespace fairlead::engine {

bool WriteGate::on_topology(const health::Topology& topology, health::TimePoint now) {
  if (topology.version <= version_) return false;
  version_ = topology.version;
  const health::Shard& shard = topology.shards.front();
  const bool steady = shard.state == health::GroupState::steady && shard.route.has_value();
  if (!steady) {
    close(now);
    return false;
  }
  if (open_ || topology.version <= closed_version_) return false;
  open_ = true;
  return true;
}

bool WriteGate::close(health::TimePoint now) {
  if (!open_) return false;
  open_ = false;
  closed_since_ = now;
  closed_version_ = version_;
  return true;
}

}  // namespace fairlead::engine
