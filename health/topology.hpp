// The immutable picture of the Redis set that the Monitor publishes and every worker's Engine routes by.
// Pure data. Built on the control thread, shared as shared_ptr<const Topology>, never changed after
// publication.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "resp/address.hpp"
#include "resp/command_table.hpp"

namespace fairlead::health {

/// The clock of all machines. They are passed `now`; only shells read it.
using TimePoint = std::chrono::steady_clock::time_point;
using Duration = std::chrono::steady_clock::duration;

/// States of one group of servers (a master and its replicas).
enum class GroupState : std::uint8_t {
  init,       // no trusted route yet
  steady,     // the route is verified: dispatch
  suspect,    // authority unchanged, evidence against the route: hold
  switching,  // authority names another master: hold until it is verified
  restarted,  // same address and term, another process: hold until its data can be trusted
  isolated,   // strict mode: no majority of Sentinels was heard within the lease
};

enum class Role : std::uint8_t { unknown, master, replica, sentinel };

/// What the operator says of a server, in HAProxy's words. It never opens a route; without Sentinel it keeps
/// a server that is not the route from becoming it.
enum class Standing : std::uint8_t {
  ready,
  drain,  // not to be followed; its faults still count
  maint,  // not to be followed, and that it is down is meant
};

/// The one place where commands may go. `term` is Sentinel's config-epoch; it never decreases. A provisional
/// route has none of its own yet, and bears the former one's until a Sentinel announces it.
struct Route {
  resp::Address address;
  std::string run_id;
  std::string redis_version;  // INFO server: `7.0.15`; HELLO repeats it to clients
  std::uint64_t term = 0;
  TimePoint since{};
};

/// What a proxy that is started again must know of its last route: it never routes below that term.
struct Remembered {
  resp::Address address;
  std::string run_id;
  std::uint64_t term = 0;
  std::uint64_t epoch = 0;  // the config-epoch that votes are compared with
  // Provisional: the config-epoch at which this promotion is to be announced. 0: the route was announced.
  std::uint64_t promised = 0;
  friend bool operator==(const Remembered&, const Remembered&) = default;
};

struct ServerView {
  resp::Address address;
  Role role = Role::unknown;
  bool reachable = false;
  bool rogue = false;  // says master and is not the route
  Standing standing = Standing::ready;
  std::string run_id;
  std::int64_t offset = -1;  // replication offset in bytes; -1 unknown
  std::string last_error;    // why it is not reachable or not usable
};

struct SentinelView {
  resp::Address address;
  bool reachable = false;
  bool usable = false;  // answers for this master, not in TILT
  std::string run_id;
  resp::Address vote;  // the master it names
  std::uint64_t config_epoch = 0;
  std::string last_error;
};

struct Shard {
  GroupState state = GroupState::init;
  std::optional<Route> route;                // last trusted route; dispatch only while state is steady
  bool provisional = false;                  // steady before Sentinel announced it; may be taken back
  TimePoint lease_until = TimePoint::max();  // strict mode: nothing is dispatched from then on
  std::vector<ServerView> servers;
};

struct Topology {
  std::uint64_t version = 0;  // grows by one with each publication
  std::vector<Shard> shards;  // at least one; exactly one without Redis Cluster
  std::vector<SentinelView> sentinels;
  std::shared_ptr<const resp::CommandTable> commands;  // never null
};

using TopologyPtr = std::shared_ptr<const Topology>;

[[nodiscard]] const char* to_string(GroupState state);
[[nodiscard]] const char* to_string(Role role);
[[nodiscard]] const char* to_string(Standing standing);

}  // namespace fairlead::health
