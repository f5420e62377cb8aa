#include "proxy/engine/replay.hpp"

namespace fairlead::engine {

using resp::ServerErrorKind;

LossOutcome on_link_lost(SentState sent, const RequestClass& traits, BlockingReplay blocking,
                         BlockReplay block) {
  if (traits.is_exec && sent == SentState::sent) return LossOutcome::uncertain;
  if (traits.is_exec || traits.in_transaction) {
    // Before EXEC left, nothing of the block was executed.
    return block == BlockReplay::whole ? LossOutcome::redispatch : LossOutcome::discard_transaction;
  }
  // Redis executes whole commands only: a frame whose last byte was not sent is as good as unsent.
  if (sent != SentState::sent) return LossOutcome::redispatch;
  if (traits.script) return LossOutcome::uncertain;
  if (traits.repeatable) return LossOutcome::redispatch;
  if (traits.blocking && blocking == BlockingReplay::again) return LossOutcome::redispatch;
  return LossOutcome::uncertain;
}

RefusalOutcome on_refusal(ServerErrorKind kind, const RequestClass& traits, RouteAge age) {
  // Inside MULTI the server has marked the block as failed: the client must hear it.
  if (traits.in_transaction || traits.is_exec) return RefusalOutcome::pass;
  const bool passes_soon = kind == ServerErrorKind::no_replicas && age == RouteAge::fresh;
  return is_evidence(kind) || passes_soon ? RefusalOutcome::redispatch : RefusalOutcome::pass;
}

bool is_evidence(ServerErrorKind kind) {
  switch (kind) {
    case ServerErrorKind::read_only:
    case ServerErrorKind::loading:
    case ServerErrorKind::master_down:
    case ServerErrorKind::unblocked:
      return true;
    default:
      return false;
  }
}

}  // namespace fairlead::engine
