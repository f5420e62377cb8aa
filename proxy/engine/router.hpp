// Where one command goes: a pure function of the command, what is known of it and what the session is in the
// middle of. Whether it may go now is the WriteGate's question.
#pragma once

#include "proxy/engine/session_mode.hpp"
#include "resp/command_traits.hpp"

namespace fairlead::engine {

enum class RouteKind : std::uint8_t {
  local,    // answered here, see local_reply
  clients,  // answered here, see engine_clients: what concerns the clients of all workers
  select,   // SELECT without a lease: the session moves to another shared link
  shared,
  leased,
  raw,                   // a lease, and no more accounting of replies
  refused,               // NOPERM
  unauthenticated,       // NOAUTH
  subscription,          // (P|S)(UN)SUBSCRIBE by way of the hub
  not_while_subscribed,  // a RESP2 subscriber may say a few commands only
  unknown_before_login,  // unknown command of a client that is not logged in, or of a RESP2 subscriber:
                         // nothing reaches a server
  wrong_arity,           // a local command with the wrong number of arguments
  not_in_transaction,
  discarded,  // part of a transaction whose link was lost
  hang_up,    // POST and Host: somebody speaks HTTP to us
};

/// The command itself is executed, here or in the server; all else is refused before.
[[nodiscard]] constexpr bool is_executed(RouteKind kind) {
  switch (kind) {
    case RouteKind::local:
    case RouteKind::clients:
    case RouteKind::select:
    case RouteKind::shared:
    case RouteKind::leased:
    case RouteKind::raw:
    case RouteKind::discarded:
      return true;
    default:
      return false;
  }
}

struct Routing {
  RouteKind kind = RouteKind::leased;
  resp::LeaseSpan lease = resp::LeaseSpan::none;
};

/// `spec` is nullptr for an unknown command.
[[nodiscard]] Routing route(const resp::CommandSpec* spec, const resp::CommandView& command,
                            const SessionMode& mode);

/// Where nearly all commands go: to a shared link, and their reply to the client, with nothing else to think
/// of. When this says so, route() says the same, with ten times the work.
[[nodiscard]] inline bool is_plainly_shared(const resp::CommandSpec& spec, const SessionMode& mode) {
  return spec.id == resp::CommandId::other && spec.affinity == resp::Affinity::shared &&
         spec.lease == resp::LeaseSpan::none && mode.is_plain();
}

}  // namespace fairlead::engine
