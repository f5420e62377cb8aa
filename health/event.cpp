#include "health/event.hpp"

namespace fairlead::health {

const char* to_string(EventKind kind) {
  switch (kind) {
    case EventKind::sentinel_up:
      return "sentinel_up";
    case EventKind::sentinel_down:
      return "sentinel_down";
    case EventKind::sentinel_unknown_master:
      return "sentinel_unknown_master";
    case EventKind::sentinel_login_failed:
      return "sentinel_login_failed";
    case EventKind::sentinel_tilt:
      return "sentinel_tilt";
    case EventKind::sentinel_discovered:
      return "sentinel_discovered";
    case EventKind::server_up:
      return "server_up";
    case EventKind::server_down:
      return "server_down";
    case EventKind::server_login_failed:
      return "server_login_failed";
    case EventKind::server_role_changed:
      return "server_role_changed";
    case EventKind::server_rogue:
      return "server_rogue";
    case EventKind::server_discovered:
      return "server_discovered";
    case EventKind::server_loading:
      return "server_loading";
    case EventKind::route_verified:
      return "route_verified";
    case EventKind::route_suspect:
      return "route_suspect";
    case EventKind::route_restored:
      return "route_restored";
    case EventKind::route_switching:
      return "route_switching";
    case EventKind::election_started:
      return "election_started";
    case EventKind::replica_selected:
      return "replica_selected";
    case EventKind::route_provisional:
      return "route_provisional";
    case EventKind::route_confirmed:
      return "route_confirmed";
    case EventKind::route_revoked:
      return "route_revoked";
    case EventKind::route_refused:
      return "route_refused";
    case EventKind::no_master_waiting:
      return "no_master_waiting";
    case EventKind::route_restarted:
      return "route_restarted";
    case EventKind::restart_held:
      return "restart_held";
    case EventKind::restart_accepted:
      return "restart_accepted";
    case EventKind::route_isolated:
      return "route_isolated";
    case EventKind::term_remembered:
      return "term_remembered";
    case EventKind::command_table_learnt:
      return "command_table_learnt";
    case EventKind::command_table_refused:
      return "command_table_refused";
    case EventKind::sentinels_disagree:
      return "sentinels_disagree";
    case EventKind::server_standing:
      return "server_standing";
    case EventKind::two_masters:
      return "two_masters";
  }
  return "unknown";
}

}  // namespace fairlead::health
