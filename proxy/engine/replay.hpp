// What happens to a command whose link was lost, or that the server refused: one pure table, the same for
// every way a route can be lost. FAILOVER design, section 3.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "proxy/engine/limits.hpp"
#include "proxy/engine/request.hpp"
#include "resp/server_error.hpp"

namespace fairlead::engine {

/// How far a frame got on its link.
enum class SentState : std::uint8_t { unsent, partial, sent };

enum class LossOutcome : std::uint8_t {
  redispatch,           // surely not executed, or harmless to repeat: dispatch on the next verified route
  uncertain,            // may have been executed: never again; the client is told UNCERTAIN
  discard_transaction,  // of a MULTI block that can neither be executed any more nor said again
};

/// Whether the MULTI block that a command belongs to can be said again on another link.
enum class BlockReplay : std::uint8_t {
  whole,  // its EXEC was not sent, and all of its commands are known
  never,
};

/// `block` matters to commands of a block and to its EXEC alone.
[[nodiscard]] LossOutcome on_link_lost(SentState sent, const RequestClass& traits, BlockingReplay blocking,
                                       BlockReplay block);

/// To a command of a block that cannot be said again.
inline constexpr std::string_view transaction_text =
    "ERR fairlead: the connection to the master was lost inside this transaction";

enum class RefusalOutcome : std::uint8_t {
  pass,        // Redis' own error goes to the client
  redispatch,  // not executed: hold it and dispatch it on the next verified route
};

/// How long the route has been this one. A replica that was just promoted has no good replicas of its own for
/// a moment (min-replicas-to-write).
enum class RouteAge : std::uint8_t { fresh, settled };

/// A route is fresh for so long.
constexpr std::chrono::seconds route_fresh_max{5};

/// `kind` is what the server answered. Evidence about the route is judged apart, by is_evidence.
[[nodiscard]] RefusalOutcome on_refusal(resp::ServerErrorKind kind, const RequestClass& traits, RouteAge age);

/// True when the error says that this server is no master that takes commands now: the gate closes.
[[nodiscard]] bool is_evidence(resp::ServerErrorKind kind);

}  // namespace fairlead::engine
