// Opens and closes the way to the servers. While it is closed, commands are held: up to hold_max, measured
// from the moment it closed, so that no client waits longer than that in one outage. Pure; one per Engine.
//
// Evidence (`close`) shuts it at once; only a Topology that is newer than the one acted on when it was shut,
// and steady, opens it again.
#pragma once

#include <chrono>
#include <cstdint>

#include "health/topology.hpp"

namespace fairlead::engine {

enum class GateVerdict : std::uint8_t {
  dispatch,
  hold,
  fail,  // the hold time is over: answer MASTERDOWN at once
};

class WriteGate {
 public:
  /// Begins closed: nothing is known at start.
  WriteGate(std::chrono::milliseconds hold_max, health::TimePoint now)
      : hold_max_(hold_max), closed_since_(now) {}

  /// A published topology. Returns true when the gate opened with it.
  bool on_topology(const health::Topology& topology, health::TimePoint now);
  /// Evidence against the route, from the data path. Returns true when the gate was open.
  bool close(health::TimePoint now);

  [[nodiscard]] GateVerdict verdict(health::TimePoint now) const {
    if (open_) return GateVerdict::dispatch;
    return now - closed_since_ < hold_max_ ? GateVerdict::hold : GateVerdict::fail;
  }
  [[nodiscard]] bool open() const { return open_; }
  [[nodiscard]] health::TimePoint hold_deadline() const { return closed_since_ + hold_max_; }
  [[nodiscard]] std::chrono::milliseconds hold_max() const { return hold_max_; }

 private:
  std::chrono::milliseconds hold_max_;
  health::TimePoint closed_since_;
  std::uint64_t version_ = 0;         // the newest topology seen
  std::uint64_t closed_version_ = 0;  // the topology whose route the evidence speaks against
  bool open_ = false;
};

}  // namespace fairlead::engine
