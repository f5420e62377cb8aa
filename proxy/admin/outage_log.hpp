// The timeline of failovers: watches topologies and counters, and tells each outage as a story of a few lines
// with its durations. Pure; owned by the Observer; lives on the control thread; decides nothing.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "proxy/admin/snapshot.hpp"

namespace fairlead::proxy {

class OutageLog {
 public:
  static constexpr std::size_t length_max = 100;

  struct Moment {
    health::TimePoint now;
    WallTime wall;
  };

  void on_topology(const health::Topology& topology, Moment at);
  void on_event(const health::Event& event);
  /// The counters of all workers, several times a second.
  void on_stats(const engine::Stats& total, health::TimePoint now);

  /// Lines of the story that have become true since the last call.
  [[nodiscard]] std::vector<std::string> take_lines();
  [[nodiscard]] const std::deque<Outage>& outages() const { return outages_; }  // newest first
  [[nodiscard]] std::uint64_t failovers() const { return failovers_; }
  [[nodiscard]] std::uint64_t interruptions() const { return interruptions_; }
  [[nodiscard]] const engine::Histogram& durations() const { return durations_; }

 private:
  void begin(const health::Shard& shard, Moment at);
  void release(const health::Route& route, Moment at);
  void finish();
  void say(std::string text);

  std::deque<Outage> outages_;
  std::vector<std::string> lines_;
  health::GroupState state_ = health::GroupState::init;
  std::optional<resp::Address> route_;
  health::TimePoint detected_at_{};
  health::TimePoint released_at_{};
  engine::Stats at_begin_;
  engine::Stats latest_;
  bool settling_ = false;  // released; the workers' last counts are still on their way
  std::uint64_t next_id_ = 1;
  std::uint64_t failovers_ = 0;
  std::uint64_t interruptions_ = 0;
  engine::Histogram durations_;  // of failovers
};

}  // namespace fairlead::proxy
