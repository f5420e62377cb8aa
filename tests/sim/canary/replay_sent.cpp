// A planted bug, for the test that the simulator can find one: a write that was sent, and whose answer is
// lost, is dispatched once more. Linked in place of proxy/engine/replay.cpp; never part of fairlead.
#define on_link_lost on_link_lost_as_designed
#include "proxy/engine/replay.cpp"
#undef on_link_lost

namespace fairlead::engine {

LossOutcome on_link_lost(SentState sent, const RequestClass& traits, BlockingReplay blocking,
                         BlockReplay block);

LossOutcome on_link_lost(SentState sent, const RequestClass& traits, BlockingReplay blocking,
                         BlockReplay block) {
  const LossOutcome outcome = on_link_lost_as_designed(sent, traits, blocking, block);
  return outcome == LossOutcome::uncertain && !traits.is_exec ? LossOutcome::redispatch : outcome;
}

}  // namespace fairlead::engine
