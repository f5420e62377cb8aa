// What one Engine measures about the commands it serves: how many of each, how long they took, which were
// slow, which keys are hot or large. Owned by the Engine; lives on its worker's thread; plain numbers, no
// atomic. Between begin() and end() a command costs two stores, a subtraction and three increments; nothing
// is allocated but when a command is seen for the first time, is sampled, or is slow.
//
// Durations are differences of the Engine's time, which is read once per turn of the loop: a command that is
// dispatched and answered within neighbouring turns is measured to the length of a turn.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "health/topology.hpp"
#include "proxy/engine/heavy_keys.hpp"
#include "proxy/engine/histogram.hpp"
#include "proxy/engine/io.hpp"
#include "proxy/engine/slow_log.hpp"
#include "resp/command_table.hpp"

namespace fairlead::engine {

struct Request;
struct Session;

/// Frames and replies of this size are looked at for the table of big keys.
constexpr std::uint64_t big_bytes_min = 16 * 1024;
/// One command in so many, on average, is asked for its key.
constexpr std::uint32_t sample_interval = 64;
/// How often the counts of hot keys are halved.
constexpr std::chrono::seconds hot_key_half_life{10};

/// Of one command name. Named by its address for the Engine's whole life.
struct CommandMeter {
  std::string name;
  std::uint64_t calls = 0;
  std::uint64_t errors = 0;  // answered with an error by the server
  bool blocking = false;     // waits in the server by intent: apart from the latency of all
  Histogram durations;       // of those that a server answered
};

struct ClientRow {
  ConnId conn;
  std::uint32_t worker = 0;  // filled in by the shell
  std::uint64_t id = 0;
  std::string name;
  std::string address;  // filled in by the shell
  std::string user;
  std::uint32_t db = 0;
  int resp_version = 2;
  std::uint32_t in_flight = 0;
  std::uint64_t unread_bytes = 0;    // commands not handled yet
  std::uint64_t unsent_bytes = 0;    // replies that the client has not taken
  std::chrono::milliseconds idle{};  // since bytes last came from it
  std::string state;                 // held, transaction, subscriber, ...
};

/// A connection to a server.
struct LinkRow {
  ConnId conn;
  std::uint32_t worker = 0;  // filled in by the shell
  std::string server;
  const char* kind = "";   // shared, bulk, leased, idle, subscriptions, logins, admin
  const char* state = "";  // connecting, login, ready, draining
  std::string user;        // empty: fairlead's own login
  std::uint32_t db = 0;
  int resp_version = 2;
  std::uint64_t owner_id = 0;  // the client that leases it; 0: none
  std::uint64_t in_flight = 0;
  std::uint64_t unsent_bytes = 0;    // accepted from clients, not yet by the socket
  std::uint64_t sent_bytes = 0;      // commands, without the login
  std::uint64_t received_bytes = 0;  // replies and messages
  std::chrono::milliseconds age{};
};

/// Everything above, copied for another thread.
struct TelemetrySnapshot {
  std::vector<CommandMeter> commands;
  std::vector<SlowCommand> slow;  // newest first
  std::vector<HotKey> hot;
  std::uint64_t hot_samples = 0;
  std::vector<BigKey> big;
  std::vector<ClientRow> clients;  // those with the most to do, clients_listed_max of them
  std::vector<LinkRow> links;      // those with the most in flight, links_listed_max of them
  Histogram turns;                 // of the worker's loop; filled in by the shell
};

enum class ReplyKind : std::uint8_t { value, error };

class Telemetry {
 public:
  Telemetry(std::chrono::nanoseconds slow_min, health::TimePoint now)
      : slow_min_(slow_min), decayed_at_(now) {}

  /// A command goes on its way to a server. `spec` may be null.
  void begin(Request& request, const Session& session, const resp::CommandSpec* spec,
             const resp::CommandView& command, health::TimePoint now);
  /// A run of commands does; `frames` are theirs.
  void begin_run(Request& run, const Session& session, const resp::CommandSpec& spec, std::string_view frames,
                 health::TimePoint now);
  /// Its reply is complete, or the next so many of a run are. `table` is the Engine's present one.
  void end(const Request& request, const Session& session, ReplyKind reply, const resp::CommandTable& table,
           health::TimePoint now, std::uint32_t commands = 1);
  /// A command that fairlead answers itself.
  void count(const resp::CommandSpec* spec) { ++meter_of(spec).calls; }
  /// The table of commands changed: nothing is known by the address of its spec any more.
  void forget_specs();

  /// Without clients, which are the Engine's to tell.
  [[nodiscard]] TelemetrySnapshot snapshot() const;

 private:
  void start_clock(Request& request, const Session& session, const resp::CommandSpec* spec,
                   health::TimePoint now);
  CommandMeter& meter_of(const resp::CommandSpec* spec) {
    return spec == last_spec_ && last_meter_ != nullptr ? *last_meter_ : find_meter(spec);
  }
  CommandMeter& find_meter(const resp::CommandSpec* spec);
  CommandMeter& meter_named(const std::string& name, const resp::CommandSpec* spec);
  void sample_key(const resp::CommandSpec* spec, const resp::CommandView& command, health::TimePoint now);
  void sample_run(const resp::CommandSpec& spec, std::string_view frames, std::uint32_t commands,
                  health::TimePoint now);
  void look_closer(const Request& request, const Session& session, const resp::CommandTable& table,
                   std::uint32_t commands, std::uint64_t bytes, std::uint64_t duration_ns,
                   health::TimePoint now);
  void note_slow(const resp::CommandSpec* spec, const resp::CommandView& command, const Session& session,
                 std::uint64_t duration_ns, health::TimePoint now);

  std::chrono::nanoseconds slow_min_;
  std::vector<std::unique_ptr<CommandMeter>> meters_;
  boost::unordered_flat_map<std::string, CommandMeter*> by_name_;
  boost::unordered_flat_map<const resp::CommandSpec*, CommandMeter*> by_spec_;
  const resp::CommandSpec* last_spec_ = nullptr;  // clients repeat themselves: spares the look-up
  CommandMeter* last_meter_ = nullptr;
  SlowLog slow_;
  HotKeys hot_;
  BigKeys big_;
  std::uint32_t until_sample_ = sample_interval;
  std::uint64_t random_ = 0x9E3779B97F4A7C15ULL;  // the state of a xorshift generator; anything but 0
  health::TimePoint decayed_at_;
  std::vector<std::uint32_t> key_positions_;
  resp::CommandScratch scratch_;
};

}  // namespace fairlead::engine
