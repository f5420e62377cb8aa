// Gathers what workers and Monitor tell and keeps what the page shows beyond the present moment: history for
// the charts, highest values, times of servers, outages, events. Pure: it is told the time. Owned by the
// Server; lives on the control thread; it never asks anybody and never decides anything.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "proxy/admin/outage_log.hpp"
#include "proxy/admin/snapshot.hpp"
#include "proxy/metrics.hpp"

namespace fairlead::proxy {

/// What does not change while the process runs.
struct ObserverOptions {
  std::string version;
  std::uint32_t clients_max = 0;
  std::uint32_t leased_links_max = 0;
};

class Observer {
 public:
  static constexpr std::size_t history_max = 300;  // seconds
  static constexpr std::size_t events_max = 200;
  static constexpr std::size_t gone_servers_max = 128;

  Observer(ObserverOptions options, OutageLog::Moment started);

  void on_topology(const health::TopologyPtr& topology, OutageLog::Moment at);
  void on_event(const health::Event& event, WallTime at);
  /// The counters of all workers, four times a second.
  void on_reports(const std::vector<WorkerReport>& reports, OutageLog::Moment at);
  /// What all workers measured, once a second.
  void on_telemetry(const std::vector<engine::TelemetrySnapshot>& workers, OutageLog::Moment at);

  [[nodiscard]] AdminSnapshot snapshot(OutageLog::Moment at) const;
  [[nodiscard]] std::vector<std::string> take_lines() { return outages_.take_lines(); }
  [[nodiscard]] const std::vector<engine::ClientRow>& clients() const { return kept_.client_rows; }

 private:
  struct Baseline {
    health::TimePoint at{};
    std::map<std::string, CommandRow> commands;
  };

  void merge_commands(const std::vector<engine::TelemetrySnapshot>& workers, health::TimePoint now);
  void merge_keys(const std::vector<engine::TelemetrySnapshot>& workers);
  void add_sample(const engine::Histogram& since_last, OutageLog::Moment at);
  void count_for_route(const engine::Stats& before, const engine::Stats& after);

  ObserverOptions options_;
  OutageLog::Moment started_;
  AdminSnapshot kept_;  // all of a snapshot that lasts; what depends on the moment is filled in by snapshot()
  /// Servers that the Sentinels do not list now. A promotion makes them forget one for a moment, and its
  /// counters must not begin anew.
  std::map<resp::Address, ServerHistory> gone_;
  OutageLog outages_;
  std::deque<TimedEvent> events_;
  std::map<std::string, CommandRow> commands_;
  Baseline older_;  // the last minute is counted from here ...
  Baseline newer_;  // ... and from here when that has become too old
  engine::Histogram all_at_last_sample_;
  engine::Stats stats_at_last_sample_;
  health::TimePoint last_sample_at_{};
};

}  // namespace fairlead::proxy
