// What the data path tells the Monitor. Signals can only close the gate early and make the Monitor look at
// once; they never open it and never choose a master.
#pragma once

#include <cstdint>
#include <string>

#include "resp/address.hpp"

namespace fairlead::health {

enum class SignalKind : std::uint8_t {
  link_lost,        // end of file or reset on an established shared link
  connect_failed,   // refused, unreachable or timed out
  read_only,        // the server answered READONLY
  refused_loading,  // the server answered LOADING or MASTERDOWN
  login_failed,     // AUTH, HELLO or SELECT of our own failed
  not_master,       // ROLE on a fresh link did not say master
  stood_still,      // this process did not run for a while: there may be news that nobody has read yet
};

struct Signal {
  SignalKind kind = SignalKind::link_lost;
  resp::Address server;
  std::uint64_t topology_version =
      0;               // the snapshot the worker acted on; older ones than the route's are ignored
  std::string detail;  // the error text, for logs
};

[[nodiscard]] const char* to_string(SignalKind kind);

}  // namespace fairlead::health
