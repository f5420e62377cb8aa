// Prometheus text (exposition format 0.0.4) of everything that is counted, but for names of
// keys and clients: those would be series without bound. Pure; called on the control thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "proxy/admin/snapshot.hpp"
#include "proxy/engine/stats.hpp"

namespace fairlead::proxy {

/// What a worker last reported.
struct WorkerReport {
  engine::Stats stats;
  std::uint64_t buffer_bytes = 0;
};

/// A counter of the engine by the name of its metric.
struct NamedCounter {
  std::string name;
  std::uint64_t value = 0;
};
[[nodiscard]] std::vector<NamedCounter> named_counters(const engine::Stats& stats);

/// The sum of all workers' counters.
[[nodiscard]] engine::Stats sum(const std::vector<WorkerReport>& workers);

[[nodiscard]] std::string render_metrics(const AdminSnapshot& snapshot);

}  // namespace fairlead::proxy
