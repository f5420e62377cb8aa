// What a server's error line means to a proxy. Only the first word decides, as for every Redis client.
#pragma once

#include <cstdint>
#include <string_view>

#include "resp/address.hpp"

namespace fairlead::resp {

enum class ServerErrorKind : std::uint8_t {
  other,  // ERR, WRONGTYPE and all that have no meaning for routing
  read_only,
  loading,
  master_down,
  cluster_down,
  try_again,
  moved,
  ask,
  unblocked,
  no_replicas,
  busy,
  out_of_memory,
  misconf,
  no_script,
  cross_slot,
  exec_abort,
  no_perm,
  no_auth,
  wrong_pass,
  no_proto,
  unkillable
};

struct ServerError {
  ServerErrorKind kind = ServerErrorKind::other;
  std::uint16_t slot = 0;  // moved, ask
  Address address;         // moved, ask; host empty when the server left it out
};

/// `line` is the error without '-' and CRLF: `READONLY You can't write against a read only replica.`
[[nodiscard]] ServerError parse_server_error(std::string_view line);

/// True for the errors that prove that the command was not executed and that another server, or the same one
/// later, will execute it: READONLY, LOADING, MASTERDOWN, CLUSTERDOWN, TRYAGAIN, MOVED, ASK, UNBLOCKED,
/// NOREPLICAS.
[[nodiscard]] bool is_refusal(ServerErrorKind kind);

}  // namespace fairlead::resp
