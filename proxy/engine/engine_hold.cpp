// What waits for a master: held, dispatched again in the client's order, or answered when its time is over. A
// part of Engine.
#include <string>
#include <utility>
#include <vector>

#include "proxy/engine/check.hpp"
#include "proxy/engine/engine.hpp"
#include "proxy/engine/remaining_timeout.hpp"
#include "resp/writer.hpp"

namespace fairlead::engine {

using health::TimePoint;

void Engine::hold_request(Request* request) {
  Session& session = *request->session;
  FAIRLEAD_CHECK(session.in_flight > 0);
  request->state = RequestState::held;
  request->link = nullptr;
  --session.in_flight;
  ++session.held;
  hold(session);
  if (held_too_long(session)) {
    // The gate was open for too short a time, as before: the wait goes on, and is over.
    give_up_hold(session);
    make_runnable(session);
  }
  update_reading(session);
}

/// The counterpart of hold_request(): one of what is held is under way on `link`.
void Engine::leave_hold(Session& session, const BackendLink& link) {
  --session.held;
  ++session.in_flight;
  session.link_in_use = link.id;
}

/// Something behind what is held is under way. Its answer tells whether it was refused, too, and is said
/// again behind what is held now, or was executed: then what is held must not be executed any more.
bool Engine::awaits_later_answers(const Session& session) {
  if (session.in_flight == 0) return false;
  bool held = false;
  for (const Request* r = session.slots.front(); r != nullptr; r = r->next_slot) {
    if (held && r->state == RequestState::in_link) return true;
    held = held || r->state == RequestState::held;
  }
  return false;
}

/// Sends what is held, in the client's order, on the route of now, however long it has waited for one. False
/// when some of it must wait on.
bool Engine::dispatch_held(Session& session, TimePoint now) {
  const GateVerdict verdict = gate_.verdict(now);
  if (verdict == GateVerdict::fail || (verdict == GateVerdict::hold && held_too_long(session))) {
    fail_held(session);
    return true;
  }
  if (verdict == GateVerdict::hold) {
    hold(session);
    return false;
  }
  if (awaits_later_answers(session)) {
    set_wait(session, Wait::drain);
    return false;
  }
  bool block_to_begin = true;
  for (Request* r = session.slots.front(); r != nullptr; r = r->next_slot) {
    if (r->state != RequestState::held) continue;
    if (r->kind == RequestKind::subscribe) {
      submit_again(session, r);
      continue;
    }
    if (r->kind == RequestKind::synthesise) return select_again(session, r, now);
    if (is_pending_login(session, *r)) return log_in_again(session, r, now);
    BackendLink* link = link_for(session, r->on_lease ? RouteKind::leased : RouteKind::shared, now);
    if (link == nullptr) return false;
    r->reply.clear(buffers_);
    if (r->in_block() && std::exchange(block_to_begin, false)) begin_block_again(session, *link);
    load_script_again(*link, *r);
    append_again(*link, r, now);
    // The session counts this WATCH as lost. Whoever got the link next would see its conflict.
    if (r->id == resp::CommandId::watch) link->unclean = true;
    leave_hold(session, *link);
    ++stats_.redispatched;
    mark_dirty(*link);
  }
  return true;
}

/// A blocking command waits on for what is left of its timeout.
void Engine::append_again(BackendLink& link, Request* request, TimePoint now) {
  if (request->traits.blocking) {
    if (request->id == resp::CommandId::wait || request->id == resp::CommandId::waitaof) prime_offset(link);
    const auto waited = std::chrono::duration_cast<std::chrono::milliseconds>(now - request->dispatched_at);
    request->dispatched_at = now;
    if (const auto shorter = with_remaining_timeout(request->frame.view(), waited)) {
      link.append(buffers_, request, *shorter);
      return;
    }
  }
  if (request->ends_watch && request->override_reply == ReplyOverride::none) {
    // Who has changed the watched keys meanwhile, nobody knows: EXEC fails as if somebody had.
    request->override_reply = ReplyOverride::null;
    text_.clear();
    resp::append_command(text_, {"DISCARD"});
    link.append(buffers_, request, text_);
    return;
  }
  link.append(buffers_, request, request->frame);
}

/// A SELECT whose link was lost before it was ready. It is always the last of its session's slots.
bool Engine::select_again(Session& session, Request* request, TimePoint now) {
  if (session.in_flight > 0) {
    set_wait(session, Wait::drain);
    return false;
  }
  LinkKey key = key_of(session);
  key.db = static_cast<std::uint32_t>(request->select_db);
  BackendLink* link = pool_.shared(key, session.user, now);
  leave_hold(session, *link);
  set_wait(session, Wait::drain);
  link->append(request);
  if (link->state == LinkState::ready) complete_synthesised(*link);
  return false;
}

/// The subscriptions and the tracking of a session, made again on a new lease. False when its commands must
/// wait for that; once the hold time is over they are answered without, and the session stays in line for the
/// next route.
bool Engine::subscribe_again(Session& session, TimePoint now) {
  const GateVerdict verdict = gate_.verdict(now);
  if (verdict == GateVerdict::hold && !held_too_long(session)) {
    hold(session);
    return false;
  }
  if (verdict != GateVerdict::dispatch) {
    if (!session.wait_hook.is_linked()) subscribers_in_line_.push_back(session);
    return true;
  }
  BackendLink* link = link_for(session, RouteKind::leased, now);
  if (link == nullptr) return false;
  session.resubscribe = false;
  track_again(session, *link);
  if (session.has_subscriptions()) ++stats_.resubscribed;
  constexpr std::pair<ChannelKind, resp::CommandId> kinds[] = {
      {ChannelKind::channel, resp::CommandId::subscribe},
      {ChannelKind::pattern, resp::CommandId::psubscribe},
      {ChannelKind::shard, resp::CommandId::ssubscribe}};
  constexpr std::string_view words[] = {"SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE"};
  for (const auto& [kind, id] : kinds) {
    const Subscriptions::Names& names = session.extras().subscriptions.of(kind);
    if (names.empty()) continue;
    std::vector<std::string> command{std::string(words[static_cast<std::size_t>(kind)])};
    command.insert(command.end(), names.begin(), names.end());
    text_.clear();
    resp::append_command(text_, command);
    Request* request = slab_.take();
    request->kind = RequestKind::swallow;
    request->id = id;
    request->frames_expected = static_cast<std::uint32_t>(names.size());
    link->append(buffers_, request, text_);
  }
  mark_dirty(*link);
  return true;
}

/// The hold time is over: what waits is answered, and what comes is answered at once, until there is a route.
void Engine::expire_hold() {
  while (!held_sessions_.empty()) {
    Session& session = held_sessions_.front();
    give_up_hold(session);
    fail_held(session);
    make_runnable(session);
  }
}

/// The end of what is held: an error, or without a text what its reply says already.
void Engine::answer_held(Session& session, Request& request, std::string_view error) {
  if (!error.empty()) {
    const bool begins_or_ends = request.in_block() && (request.id == resp::CommandId::multi ||
                                                       request.id == resp::CommandId::discard);
    text_.clear();
    if (begins_or_ends) {
      resp::append_simple(text_, "OK");  // an error would say that no block is open, or that it still is
    } else {
      resp::append_error(text_, error);
    }
    request.reply.clear(buffers_);
    request.reply.append_copy(buffers_, text_);
  }
  request.state = RequestState::answered;
  --session.held;
}

/// What was taken from a link and could not be dispatched again in time was surely not executed since.
void Engine::fail_held(Session& session) {
  const std::string error = master_down_text();
  bool block_failed = false;  // of an open block: then nothing of it may be said again
  for (Request* r = session.slots.front(); r != nullptr; r = r->next_slot) {
    if (r->state != RequestState::held) continue;
    block_failed = block_failed || r->in_block();
    const bool refused_by_master = r->lacked_replicas && !r->reply.empty();  // which is the answer then
    if (!refused_by_master) ++stats_.master_down;
    answer_held(session, *r, refused_by_master ? std::string_view() : error);
  }
  if (block_failed) give_up_block(session);
  session.flush_slots(buffers_, slab_);
  mark_dirty(session);
  // A SUBSCRIBE that was held has failed with the rest.
  const bool hopes = session.in_flight > 0 || session.has_subscriptions() || session.resubscribe;
  if (!hopes) session.mode.subscribed = false;
}

std::string Engine::master_down_text() const {
  return std::string("MASTERDOWN fairlead: ") + (gate_.paused() ? "paused by the operator" : "no master") +
         " for " + std::to_string(gate_.hold_max().count()) + " ms; the command was not executed";
}

}  // namespace fairlead::engine
