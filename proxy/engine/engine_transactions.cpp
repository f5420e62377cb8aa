// MULTI blocks whose link is lost before EXEC left: the server has executed nothing of them, so they are said
// again on the next link, and the client sees latency only. FAILOVER design, section 3.
//
// Two places hold a block together: what the server has answered (+OK, +QUEUED) is kept in OpenBlock, what it
// has not answered is still in the link's FIFO, and is held with everything else. Replies come in order, so
// OpenBlock always belongs to the block at the front of the FIFO.
#include "proxy/engine/engine.hpp"
#include "resp/writer.hpp"

namespace fairlead::engine {

using resp::CommandId;

namespace {

/// What a block may leave behind for the next one of the same client, so that it need not be allocated again.
constexpr std::size_t kept_capacity_max = 4096;

}  // namespace

/// The server has answered a command of an open block. What is kept counts as memory of the buffers.
void Engine::keep_queued(Session& session, const Request& request, ReplyKind reply) {
  if (request.ends_block()) return forget_kept(session);
  OpenBlock& block = session.extras().block;
  if (!block.whole) return;
  if (reply == ReplyKind::error) {
    block.whole = false;  // its client was told, and EXEC must fail
  } else if (block.frames.size() + request.frame.size > options_.limits.transaction_bytes_max ||
             memory_in_use() + request.frame.size > options_.limits.memory_bytes_max) {
    ++stats_.transactions_unkept;
    block.whole = false;
  } else {
    block.frames.append(request.frame.view());
    stats_.transaction_bytes_now += request.frame.size;
    ++block.count;
    return;
  }
  stats_.transaction_bytes_now -= block.frames.size();
  block.frames = {};
  block.count = 0;
}

void Engine::forget_kept(Session& session) {
  session.mode.block_lost = false;
  if (session.extras_or_null() == nullptr) return;
  OpenBlock& block = session.extras().block;
  stats_.transaction_bytes_now -= block.frames.size();
  block.frames.clear();
  if (block.frames.capacity() > kept_capacity_max) block.frames = {};
  block.count = 0;
  block.whole = true;
}

/// Before the requests of a lost link are judged one by one: the last one that belongs to a block which
/// cannot be said again, because its EXEC was sent or because it was not kept whole. nullptr: all blocks can.
const Request* Engine::judge_blocks(const BackendLink& link) {
  if (link.owner == nullptr) return nullptr;
  Session& session = *link.owner;
  const bool whole = session.extras_or_null() == nullptr || session.extras().block.whole;
  bool front_ended = false;
  const Request* last = nullptr;
  for (const Request* r = link.fifo.front(); r != nullptr; r = r->next_in_fifo) {
    if (!r->in_block()) continue;
    // A DISCARD that stands for EXEC executes nothing either.
    const bool executed = r->traits.is_exec && r->override_reply == ReplyOverride::none &&
                          link.sent_state(*r) == SentState::sent;
    if (executed || (!whole && !front_ended)) last = r;
    front_ended = front_ended || r->ends_block();
  }
  const bool front_lost = last != nullptr && front_ended;
  if (front_lost) {
    forget_kept(session);
  } else if (!whole && session.mode.in_multi && !session.mode.transaction_lost) {
    session.mode.transaction_lost = true;
    ++stats_.transactions_lost;
    forget_kept(session);
  }
  session.mode.block_lost = session.extras_or_null() != nullptr && session.extras().block.count > 0;
  return last;
}

/// On a link that knows nothing of the session's block yet: the scripts that the block needs, which would be
/// queued if they came later, and what the client believes to be queued already.
void Engine::begin_block_again(Session& session, BackendLink& link) {
  ++stats_.transactions_replayed;
  // SELECT, CLIENT SETNAME and unknown commands in it change the link; which, nobody looks up twice.
  link.unclean = true;
  name_link(session);
  for (const Request* r = session.slots.front(); r != nullptr && !scripts_.empty(); r = r->next_slot) {
    if (r->state == RequestState::held && r->id == CommandId::evalsha) load_script_of(link, r->frame.view());
  }
  if (!session.mode.block_lost) return;
  session.mode.block_lost = false;
  const OpenBlock& block = session.extras().block;
  std::string_view rest = block.frames;
  while (!scripts_.empty() && !rest.empty()) rest.remove_prefix(load_script_of(link, rest));
  // One request for each reply that will come and that the client has already; the first carries the bytes.
  for (std::uint32_t i = 0; i < block.count; ++i) {
    Request* request = slab_.take();
    request->kind = RequestKind::swallow;
    if (i == 0) {
      link.append(buffers_, request, block.frames);
    } else {
      link.append(request);
    }
  }
}

bool Engine::carries_block(const BackendLink& link) {
  for (const Request* r = link.fifo.front(); r != nullptr; r = r->next_in_fifo) {
    if (r->session != nullptr && r->in_block()) return true;
  }
  return false;
}

/// The end of an open block was refused: what is held of it must not be said on the next link, where nobody
/// would end it. An earlier block may be held before it, which is said again whole.
void Engine::abandon_block(Session& session) {
  bool kept_is_of_another = false;
  Request* first = nullptr;
  for (Request* r = session.slots.front(); r != nullptr; r = r->next_slot) {
    if (!r->in_block() || r->state == RequestState::answered) continue;
    if (r->ends_block()) {
      kept_is_of_another = true;
      first = nullptr;
    } else if (first == nullptr) {
      first = r;
    }
  }
  for (Request* r = first; r != nullptr; r = r->next_slot) {
    if (!r->in_block() || r->state != RequestState::held) continue;
    answer_held(session, *r, transaction_text);
  }
  if (!kept_is_of_another) forget_kept(session);
  session.flush_slots(buffers_, slab_);
  mark_dirty(session);
}

/// A client was told that its block failed: nothing of it may be said again.
void Engine::give_up_block(Session& session) {
  forget_kept(session);
  if (!session.mode.in_multi || session.mode.transaction_lost) return;
  session.mode.transaction_lost = true;
  ++stats_.transactions_lost;
}

}  // namespace fairlead::engine
