// What a reload may change while the proxy runs, and what stays until it is started again. Pure; called on
// the control thread.
#pragma once

#include <string>
#include <vector>

#include "proxy/options.hpp"

namespace fairlead::proxy {

enum class BackendChange : std::uint8_t { none, changed };

struct ReloadPlan {
  Options options;                   // the running ones with every change that can be made now
  std::vector<std::string> changed;  // `[failover] hold: "10s" -> "5s"`; secrets without their values
  std::vector<std::string> refused;  // the same, for what stays as it is, with the reason
  BackendChange backend = BackendChange::none;  // the Monitor has something to do
};

/// `wanted` is a valid configuration.
[[nodiscard]] ReloadPlan plan_reload(const Options& running, const Options& wanted);

}  // namespace fairlead::proxy
