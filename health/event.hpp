// What happened, typed: the pure machines return events, tests assert on them, proxy/log and proxy/event_log
// tell them.
#pragma once

#include <cstdint>
#include <string>

#include "health/topology.hpp"

namespace fairlead::health {

enum class EventKind : std::uint8_t {
  sentinel_up,
  sentinel_down,
  sentinel_unknown_master,
  sentinel_login_failed,
  sentinel_tilt,
  sentinel_discovered,
  server_up,
  server_down,
  server_login_failed,
  server_role_changed,
  server_rogue,
  server_discovered,
  server_loading,
  route_verified,     // a route became STEADY: text says from where to where and how long it took
  route_suspect,      // evidence against the route
  route_restored,     // SUSPECT -> STEADY, same master
  route_switching,    // authority names another master
  election_started,   // a Sentinel begins a failover of the route
  replica_selected,   // an elected Sentinel says which replica it promotes
  route_provisional,  // the selected replica became the route before Sentinel announced it
  route_confirmed,    // ... and Sentinel announced it
  route_revoked,      // ... and Sentinel did not: back to the former master, in doubt
  route_refused,      // the named master could not be verified: it is a replica, loading, wrong password ...
  no_master_waiting,  // said again at a slow pace while there is no route, with what is missing and the
                      // remedy
  route_restarted,    // the same address and term, another process: what it had not persisted is lost
  restart_held,       // ... and nothing shows that it has its data again: it waits for the operator
  restart_accepted,   // ... and why it is trusted again
  route_isolated,     // strict mode: no majority of Sentinels was heard within the lease
  term_remembered,    // at start: the last term of the former process
  command_table_learnt,
  command_table_refused,  // COMMAND was not answered with a table: the previous one stays
  sentinels_disagree,     // several masters at one config-epoch without a majority
  server_standing,        // the operator put a server into DRAIN, MAINT or READY, or Sentinel overruled it
  two_masters,            // without Sentinel: more than one configured server says master
};

enum class Severity : std::uint8_t { debug, info, warning, error };

struct Event {
  EventKind kind{};
  Severity severity = Severity::info;
  resp::Address subject;  // the server or Sentinel it is about
  std::string text;       // a sentence for a person: what, where, what to do
};

[[nodiscard]] const char* to_string(EventKind kind);

}  // namespace fairlead::health
