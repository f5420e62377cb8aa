// What the Monitor must know. Names, flags and files are proxy/config's business.
// Numbers: FAILOVER design, "Sentinel authority in numbers".
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "resp/address.hpp"

namespace fairlead::health {

struct Login {
  std::string username;  // empty: AUTH with the password alone
  std::string password;  // empty: no AUTH
};

/// What is to be done with a master that was restarted faster than Sentinel noticed.
enum class RestartPolicy : std::uint8_t {
  verify,  // trusted when it has an append-only file or keys, or when no other server has its data
  accept,  // trusted at once: a cache
};

struct Options {
  // Exactly one of the two lists is not empty: Sentinel mode, or role polling without Sentinel.
  std::vector<resp::Address> sentinels;
  std::vector<resp::Address> servers;
  std::string master_name = "mymaster";
  Login server_login;
  Login sentinel_login;

  std::chrono::milliseconds connect_timeout{500};
  std::chrono::milliseconds connect_timeout_suspect{150};
  std::chrono::milliseconds probe_interval{1000};           // ROLE on every server, polls of every Sentinel
  std::chrono::milliseconds probe_interval_suspect{50};     // the same while there is no steady route
  std::chrono::milliseconds probe_interval_promotion{10};   // ROLE on the replica that is being promoted
  std::chrono::milliseconds probe_timeout{1000};            // an answer that takes longer counts as missed
  int probes_missed_max = 3;                                // missed in a row: evidence against the route
  int suspect_confirm = 2;                                  // good probes in a row that end SUSPECT
  std::chrono::milliseconds waiting_report_interval{5000};  // how often no_master_waiting is said again

  // A Sentinel that only asks for votes does not close the gate, but keeps it closed this long when it is
  // closed: candidates that nobody elects must not stop a good master for Sentinel's whole election timeout
  // of 10 s.
  std::chrono::milliseconds candidate_hold_max{2000};
  // An elected leader holds it this long without a result; Sentinel itself may try for its failover-timeout
  // (180 s).
  std::chrono::milliseconds election_hold_max{10000};
  // Follow the replica that an elected Sentinel promotes as soon as it says master, a second before Sentinel
  // announces it. Such a route is provisional: without a config-epoch for it within so long it is taken back.
  bool early_promotion = true;
  std::chrono::milliseconds promotion_confirm_max{2000};
  RestartPolicy restarted = RestartPolicy::verify;
  // Strict mode: nothing is dispatched unless a majority of the known Sentinels answered within the lease. It
  // is never longer than Sentinel's own down-after-milliseconds: by then the others may begin to elect.
  bool strict = false;
  std::chrono::milliseconds lease{1000};
  // A switch that cannot be verified is given up after the other Sentinels contradicted it this long.
  std::chrono::milliseconds contradiction_max{2000};
  // So long must a majority name another master at an older config-epoch before it is followed. Followers
  // learn of a failover within Sentinel's hello period of 2 s; an operator's SENTINEL MONITOR stays.
  std::chrono::milliseconds outdated_patience{10000};
  // Evidence that comes back within this time after SUSPECT ended doubles the good probes needed to end it
  // again.
  std::chrono::milliseconds flap_window{1000};

  /// How often a Sentinel is asked while all is well: in strict mode often enough to keep the lease.
  [[nodiscard]] std::chrono::milliseconds sentinel_interval() const {
    return strict ? std::min(probe_interval, lease / 4) : probe_interval;
  }
};

}  // namespace fairlead::health
