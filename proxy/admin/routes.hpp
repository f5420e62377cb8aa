// The paths of the stats listener. Pure: what they tell comes from the providers, which live as long as the
// handler and are called on its thread.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "proxy/admin/http_types.hpp"

namespace fairlead::proxy {

struct HealthProvider {
  std::function<std::string()> fault;    // why this process is unfit; empty: it is fit
  std::function<std::string()> ready;    // why no commands can be served yet; empty: they can
  std::function<std::string()> metrics;  // Prometheus text, version 0.0.4
};

/// /healthz: 200 "ok", or 503 with the fault. /readyz: the same, and a fault counts too. /metrics. Other
/// methods than GET and HEAD on these: 405. Everything else is for `pages`; without it 404.
[[nodiscard]] HttpHandler make_routes(HealthProvider provider, HttpHandler pages = {});

/// What probes ask without login.
[[nodiscard]] std::vector<std::string> probe_paths();

}  // namespace fairlead::proxy
