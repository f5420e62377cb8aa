// What the stats page, the metrics and the console tell about the pair. A plain copy, made by the control
// thread when somebody asks.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "vrrp/notify_line.hpp"

namespace fairlead::vrrp {

struct Status {
  std::string instance;  // keepalived's name for it
  std::string address;   // the address that moves; empty: none was configured
  State state = State::unknown;
  std::uint32_t priority = 0;    // as keepalived last said it
  bool address_here = false;     // netlink
  std::chrono::seconds since{};  // since the address came or went, or since the start
  bool fit = false;
  std::string reason;       // why unfit
  std::string ready_file;   // empty: none
  std::string ready_value;  // what is in it now; differs from the verdict when somebody else wrote it
  bool guard_up = false;
  std::uint64_t guard_restarts = 0;
  std::uint64_t gains = 0;
  std::uint64_t losses = 0;
  std::uint64_t clients_reset = 0;  // let go because the address left
  std::uint64_t notify_lines = 0;
  std::uint64_t notify_garbage = 0;
};

/// Name and value of each line, in the order in which a person wants to read them: for `SHOW VRRP` and the
/// page.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> describe(const Status& status);

/// The same as Prometheus text, with its HELP and TYPE lines.
[[nodiscard]] std::string render_metrics(const Status& status);

}  // namespace fairlead::vrrp
