// What the Monitor must know. Names, flags and files are proxy/config's business.
// Numbers: FAILOVER design, "Sentinel authority in numbers".
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "resp/address.hpp"

namespace fairlead::health {

struct Login {
  std::string username;  // empty: AUTH with the password alone
  std::string password;  // empty: no AUTH
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
  std::chrono::milliseconds probe_timeout{1000};            // an answer that takes longer counts as missed
  int probes_missed_max = 3;                                // missed in a row: evidence against the route
  int suspect_confirm = 2;                                  // good probes in a row that end SUSPECT
  std::chrono::milliseconds waiting_report_interval{5000};  // how often no_master_waiting is said again

  // A Sentinel that only asks for votes holds the gate this long: candidates that nobody elects must not stop
  // a good master for Sentinel's whole election timeout of 10 s.
  std::chrono::milliseconds candidate_hold_max{2000};
  // An elected leader holds it this long without a result; Sentinel itself may try for its failover-timeout
  // (180 s).
  std::chrono::milliseconds election_hold_max{10000};
  // A switch that cannot be verified is given up after the other Sentinels contradicted it this long.
  std::chrono::milliseconds contradiction_max{2000};
  // So long must a majority name another master at an older config-epoch before it is followed. Followers
  // learn of a failover within Sentinel's hello period of 2 s; an operator's SENTINEL MONITOR stays.
  std::chrono::milliseconds outdated_patience{10000};
  // Evidence that comes back within this time after SUSPECT ended doubles the good probes needed to end it
  // again.
  std::chrono::milliseconds flap_window{1000};
};

}  // namespace fairlead::health
