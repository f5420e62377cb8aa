// Everything that the stats page, its API, `;csv`, /metrics and the console tell, as it was at one moment.
// Plain data, made by the Observer on the control thread and rendered there; nothing in it refers to anything
// else. Addresses, names and keys in it come from outside: who renders it escapes them.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "health/event.hpp"
#include "health/topology.hpp"
#include "proxy/engine/stats.hpp"
#include "proxy/engine/telemetry.hpp"
#include "vrrp/status.hpp"

namespace fairlead::proxy {

using WallTime = std::chrono::system_clock::time_point;

/// A counter that HAProxy tells as three: now, the highest ever, and (elsewhere) its limit.
struct Level {
  std::uint64_t now = 0;
  std::uint64_t max = 0;

  void set(std::uint64_t value) {
    now = value;
    if (value > max) max = value;
  }
};

/// What is remembered of one server beyond what it says of itself. Traffic counts for the server that was the
/// master when it was counted, since nothing is sent to others.
struct ServerHistory {
  bool reachable = false;
  health::TimePoint changed_at{};  // of `reachable`
  std::chrono::milliseconds downtime{};
  std::uint64_t downs = 0;
  Level links;
  Level rate;  // connections a second
  std::uint64_t links_opened = 0;
  std::uint64_t links_failed = 0;
  std::uint64_t bytes_in = 0;   // to the server
  std::uint64_t bytes_out = 0;  // from the server
  std::uint64_t replies = 0;
  std::uint64_t error_replies = 0;
  std::uint64_t redispatched = 0;
};

struct CommandRow {
  std::string name;
  std::uint64_t calls = 0;
  std::uint64_t errors = 0;
  bool blocking = false;
  double rate = 0;              // a second, over the last minute
  engine::Histogram durations;  // since the start
  engine::Histogram last_minute;
};

/// One second of the charts.
struct HistorySample {
  std::int64_t unix_ms = 0;
  double commands = 0;  // a second
  double errors = 0;    // a second
  double bytes_in = 0;  // from clients, a second
  double bytes_out = 0;
  std::uint64_t clients = 0;
  std::uint64_t held = 0;
  std::uint64_t p50_ns = 0;
  std::uint64_t p99_ns = 0;
  std::uint64_t p999_ns = 0;
};

enum class OutageKind : std::uint8_t {
  failover,      // another server is the master now
  interruption,  // the same one came back, or evidence against it was false
};

/// One time that commands were held, from the first evidence to their release.
struct Outage {
  std::uint64_t id = 0;
  OutageKind kind = OutageKind::interruption;
  bool ongoing = true;
  std::string from;
  std::string to;     // empty while ongoing
  std::string cause;  // the first evidence, as a sentence
  std::uint64_t term = 0;
  WallTime detected{};
  std::chrono::milliseconds until_named{-1};     // from detected; -1: no other master was named
  std::chrono::milliseconds until_released{-1};  // -1: ongoing
  std::uint64_t held = 0;                        // times that commands had to wait
  std::uint64_t uncertain = 0;                   // answered UNCERTAIN
  std::uint64_t master_down = 0;                 // answered MASTERDOWN
  std::uint64_t redispatched = 0;
  std::uint64_t transactions_lost = 0;
};

struct TimedEvent {
  WallTime at{};
  health::Event event;
};

/// What an operator has ordered and nobody has taken back.
struct OperatorOrder {
  bool given = false;
  WallTime since{};
  std::string by;  // who, in words
};

struct AdminSnapshot {
  WallTime taken{};
  health::TimePoint now{};
  double uptime_s = 0;
  std::string version;
  std::string listen;     // where clients connect, for the page's head
  std::string fault;      // as /healthz
  std::string not_ready;  // as /readyz
  std::uint32_t clients_max = 0;
  std::uint32_t leased_links_max = 0;
  std::size_t workers = 0;
  std::uint64_t buffer_bytes = 0;
  engine::Stats total;
  Level clients;
  Level clients_rate;   // accepted a second
  Level commands_rate;  // a second
  Level links;
  Level held;
  health::TopologyPtr topology;  // null until the first was published
  std::map<resp::Address, ServerHistory> servers;
  std::uint64_t failovers = 0;
  std::uint64_t interruptions = 0;
  engine::Histogram failover_durations;  // from the first evidence to the release
  std::uint64_t promotions_revoked = 0;  // provisional routes that were taken back
  OperatorOrder paused;                  // commands are held
  OperatorOrder drained;                 // this instance is not to be chosen
  std::chrono::milliseconds hold_max{};  // how long a pause may last before commands fail
  std::optional<vrrp::Status> vrrp;      // nullopt: this instance stands alone
  bool reload_ok = true;
  std::vector<Outage> outages;     // newest first
  std::vector<TimedEvent> events;  // newest first
  std::vector<CommandRow> commands;
  std::vector<engine::SlowCommand> slow;
  std::vector<engine::HotKey> hot;
  std::uint64_t hot_samples = 0;
  std::vector<engine::BigKey> big;
  std::vector<engine::ClientRow> client_rows;
  std::vector<engine::LinkRow> link_rows;
  engine::Histogram turns;            // of all workers' loops
  std::deque<HistorySample> history;  // oldest first, one a second
};

}  // namespace fairlead::proxy
