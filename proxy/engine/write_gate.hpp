// Opens and closes the way to the servers. While it is closed, commands are held: up to hold_max, measured
// from the moment it closed, so that no client waits longer than that in one outage. Pure; one per Engine.
//
// Three hands can close it, and all three must let go: the master (no steady Topology, or evidence against
// it), the lease (strict mode: no majority of Sentinels was heard for too long), the operator (PAUSE).
//
// Evidence (`doubt`) shuts it at once. Only a steady Topology opens it again, and after evidence only one
// that took the evidence into account: of another route, or published after a Topology that was not steady. A
// steady Topology of the same route may have been on its way before the Monitor heard anything.
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
  /// Evidence against the route, from the data path. Returns true when nobody had doubted it.
  bool doubt(health::TimePoint now);
  /// True while only the data path doubts: the Monitor has not answered the signal yet.
  [[nodiscard]] bool doubted() const { return doubted_; }
  /// The operator's hand. pause() returns true when the gate was open.
  bool pause(health::TimePoint now);
  void resume() { paused_ = false; }
  [[nodiscard]] bool paused() const { return paused_; }
  /// Notices that the lease ran out, for open(), which does not know the time.
  void look_at_lease(health::TimePoint now) { lease_over_ = now >= lease_until_; }

  [[nodiscard]] GateVerdict verdict(health::TimePoint now) const {
    if (master_ && !paused_ && now < lease_until_) return GateVerdict::dispatch;
    return now - closed_since() < hold_max_ ? GateVerdict::hold : GateVerdict::fail;
  }
  [[nodiscard]] bool open() const { return master_ && !paused_ && !lease_over_; }
  [[nodiscard]] health::TimePoint hold_deadline() const { return closed_since() + hold_max_; }
  [[nodiscard]] std::chrono::milliseconds hold_max() const { return hold_max_; }
  void set_hold_max(std::chrono::milliseconds hold_max) { hold_max_ = hold_max; }

 private:
  void close(health::TimePoint now);
  /// The first of the hands that hold it closed.
  [[nodiscard]] health::TimePoint closed_since() const;

  std::chrono::milliseconds hold_max_;
  health::TimePoint closed_since_;  // by the master's hand
  health::TimePoint paused_since_;
  health::TimePoint lease_until_ = health::TimePoint::max();
  std::uint64_t version_ = 0;  // the newest topology seen
  health::Route route_;        // of the last steady topology
  bool master_ = false;        // a steady topology that nobody doubts
  bool doubted_ = false;
  bool paused_ = false;
  bool lease_over_ = false;
};

}  // namespace fairlead::engine
