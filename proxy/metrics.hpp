// Prometheus text (exposition format 0.0.4) of the counters that exist. Pure; called on the control thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "health/topology.hpp"
#include "proxy/engine/stats.hpp"

namespace fairlead::proxy {

/// What a worker last reported.
struct WorkerReport {
  engine::Stats stats;
  std::uint64_t buffer_bytes = 0;
};

struct MetricsInput {
  std::vector<WorkerReport> workers;
  health::TopologyPtr topology;          // null until the first was published
  std::string version;                   // of this program
  std::uint64_t failovers = 0;           // times the route moved to another server
  std::uint64_t promotions_revoked = 0;  // provisional routes that were taken back
  bool paused = false;                   // by the operator
  double uptime_s = 0;
};

/// The sum of all workers' counters.
[[nodiscard]] engine::Stats sum(const std::vector<WorkerReport>& workers);

[[nodiscard]] std::string render_metrics(const MetricsInput& input);

}  // namespace fairlead::proxy
