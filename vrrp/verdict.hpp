// Fit or unfit to have the address, from local facts alone. Pure.
//
// What is *not* here matters most: whether Redis has a master. Both nodes see that alike, and if both called
// themselves unfit the address would vanish from the network.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace fairlead::vrrp {

struct WorkerFacts {
  std::chrono::milliseconds silence{0};  // since it was asked to turn its loop, without having done so
  std::uint32_t listeners_open = 0;
};

enum class Phase : std::uint8_t {
  starting,  // listeners are not open yet
  serving,
  leaving,  // draining before the end, or told to stand aside
};

struct LocalFacts {
  Phase phase = Phase::starting;
  std::string leaving_reason;
  std::vector<WorkerFacts> workers;
  std::uint32_t listeners_wanted = 0;  // of each worker
};

struct Verdict {
  bool fit = false;
  std::string reason;  // empty when fit
};

/// A worker whose loop has not turned for so long stands still. Longer than the guard allows the process as a
/// whole: one thread that a busy host does not run for a second is no reason to move the address.
constexpr std::chrono::milliseconds silence_max{2000};

/// A sentence about the first worker that stands still; empty: all turn. The watchdog asks this alone.
[[nodiscard]] std::string standing_still(const LocalFacts& facts);

[[nodiscard]] Verdict judge(const LocalFacts& facts);

}  // namespace fairlead::vrrp
