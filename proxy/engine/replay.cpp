#include "proxy/engine/replay.hpp"

namespace fairlead::engine {

using resp::ServerErrorKind;

LossOutcome on_link_lost(SentState sent, const RequestClass& traits, BlockingReplay blocking) {
  if (traits.is_exec) {
    // Before EXEC left, nothing of the block was executed; after it, nobody knows.
    return sent == SentState::sent ? LossOutcome::uncertain : LossOutcome::discard_transaction;
  }
  if (traits.in_transaction) return LossOutcome::discard_transaction;
  // Redis executes whole commands only: a frame whose last byte was not sent is as good as unsent.
  if (sent != SentState::sent) return LossOutcome::redispatch;
  if (traits.script) return LossOutcome::uncertain;
  if (traits.repeatable) return LossOutcome::redispatch;
  if (traits.blocking && blocking == BlockingReplay::again) return LossOutcome::redispatch;
  return LossOutcome::uncertain;
}

RefusalOutcome on_refusal(ServerErrorKind kind, const RequestClass& traits) {
  // Inside MULTI the server has marked the block as failed: the client must hear it.
  if (traits.in_transaction || traits.is_exec) return RefusalOutcome::pass;
  return is_evidence(kind) ? RefusalOutcome::redispatch : RefusalOutcome::pass;
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
