#include "proxy/engine/write_gate.hpp"

namespace fairlead::engine {

namespace {

bool same_route(const health::Route& a, const health::Route& b) {
  return a.address == b.address && a.run_id == b.run_id && a.term == b.term;
}

}  // namespace

bool WriteGate::on_topology(const health::Topology& topology, health::TimePoint now) {
  if (topology.version <= version_) return false;
  version_ = topology.version;
  const health::Shard& shard = topology.shards.front();
  if (shard.state != health::GroupState::steady || !shard.route) {
    close(now);
    doubted_ = false;
    return false;
  }
  const bool same = same_route(*shard.route, route_);
  route_ = *shard.route;
  if (open_ || (doubted_ && same)) return false;
  doubted_ = false;
  open_ = true;
  return true;
}

bool WriteGate::doubt(health::TimePoint now) {
  if (!open_) return false;
  close(now);
  doubted_ = true;
  return true;
}

void WriteGate::close(health::TimePoint now) {
  if (!open_) return;
  open_ = false;
  closed_since_ = now;
}

}  // namespace fairlead::engine
