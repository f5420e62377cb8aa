// Topologies and lost links: what becomes of whom when a route or a connection ends. A part of Engine.
#include <utility>
#include <vector>

#include "proxy/engine/check.hpp"
#include "proxy/engine/engine.hpp"
#include "resp/writer.hpp"

namespace fairlead::engine {

using health::SignalKind;
using health::TimePoint;

namespace {

constexpr std::string_view uncertain_text =
    "UNCERTAIN fairlead: the connection to the master was lost after the command was sent; it may or may not "
    "have been "
    "executed";

/// After an error reply closed the gate for nothing, others are not believed for so long: no client may stop
/// all others again and again with a reply that only looks like a failover.
constexpr std::chrono::seconds false_alarm_rest{10};

}  // namespace

// --- Topologies

void Engine::on_topology(health::TopologyPtr topology, TimePoint now) {
  FAIRLEAD_CHECK(topology && !topology->shards.empty() && topology->commands);
  if (topology_ && topology->version <= topology_->version) return;
  topology_ = std::move(topology);
  apply_policy();
  const health::Shard& shard = topology_->shards.front();
  const bool steady = shard.state == health::GroupState::steady && shard.route.has_value();
  const bool was_open = gate_.open();
  const bool new_route = steady && pool_.set_route(*shard.route);
  if (new_route) want_warm_links(now);
  if (gate_.on_topology(*topology_, now)) {
    if (closed_by_reply_ && !new_route) replies_believed_from_ = now + false_alarm_rest;
    closed_by_reply_ = false;
    // What could not leave while the gate was closed.
    for (BackendLink& link : pool_.all()) {
      if (!link.out.empty()) mark_dirty(link);
    }
  }
  if (was_open && !gate_.open()) ++stats_.gate_closed;
  if (gate_.doubted()) {
    // Published before the Monitor heard of the evidence: it must hear it about this topology.
    send_signal(SignalKind::link_lost, pool_.route().address, "the route is still in doubt", now);
  }
  if (!new_route) return;
  for (auto& [user, hub] : hubs_) hub->version = resp::Version::resp3;
  std::vector<ConnId> revoked;
  for (const BackendLink& link : pool_.all()) {
    if (link.route_serial != pool_.route_serial()) revoked.push_back(link.id);
  }
  for (const ConnId id : revoked) {
    if (BackendLink* link = pool_.find(id)) retire(*link, now);
  }
}

/// The link's route was revoked: nothing more is written to it. Reads that it has received may still be
/// answered; writes not: whatever the old master says of them now, it may say as a master that nobody
/// replicates any more, and that will throw them away when it is made a replica.
void Engine::retire(BackendLink& link, TimePoint now) {
  if (link.state == LinkState::draining) return;
  pool_.forget(link);
  if (link.leased && link.owner == nullptr) {
    pool_.close(link);
    return;
  }
  if (await_blocked(link, now)) return;
  const bool bound =
      link.owner != nullptr && (link.owner->mode.in_multi || link.owner->mode.watching ||
                                link.owner->mode.subscribed || link.owner->mode.tracking ||
                                link.owner->mode.raw || (link.busy() && link.fifo.front()->traits.blocking));
  // What a block has begun here must be judged as one, while no reply is half written.
  const bool has_block = link.leased && !mid_reply(link) && carries_block(link);
  if (link.state != LinkState::ready || bound || has_block) {
    lose(link, now);
    return;
  }
  take_back_unsent(link);
  if (!link.busy() || (owes_write(link) && !mid_reply(link))) {
    lose(link, now);
    return;
  }
  link.state = LinkState::draining;
  link.unclean = true;
  link.out.clear(buffers_);
  wheel_.arm(link.timer, now + options_.limits.drain_grace);
}

bool Engine::owes_write(const BackendLink& link) {
  for (const Request* r = link.fifo.front(); r != nullptr; r = r->next_in_fifo) {
    if (r->session != nullptr && r->kind == RequestKind::forward && !r->traits.repeatable) return true;
  }
  return false;
}

/// The client has the beginning of a reply; to end the link now would cut it.
bool Engine::mid_reply(const BackendLink& link) {
  const Request* front = link.fifo.front();
  return link.state != LinkState::login && !link.scanner.at_boundary() && front != nullptr &&
         front->session != nullptr && front->session->mid_reply && front->session->slots.front() == front;
}

void Engine::take_back_unsent(BackendLink& link) {
  split_runs(link);
  Request* last_sent = nullptr;
  for (Request* r = link.fifo.front(); r != nullptr && link.sent_state(*r) == SentState::sent;
       r = r->next_in_fifo) {
    last_sent = r;
  }
  Request* unsent = link.fifo.cut_after(last_sent);
  bool whole_block = false;  // the block's MULTI is taken back, too
  while (unsent != nullptr) {
    Request* request = unsent;
    unsent = unsent->next_in_fifo;
    request->next_in_fifo = nullptr;
    const bool in_block = request->in_block();
    const bool ends = request->ends_block();
    if (in_block && request->id == resp::CommandId::multi) whole_block = true;
    if (request->session == nullptr) {
      slab_.give_back(buffers_, request);
    } else if (in_block && !whole_block) {
      lose_request(
          link, request,
          BlockReplay::never);  // the next master knows nothing of a block that the old one has begun
    } else if (!give_up_query(request)) {
      hold_request(request);
    }
    if (ends) whole_block = false;
  }
}

// --- By the operator

void Engine::pause(TimePoint now) {
  if (gate_.pause(now)) ++stats_.gate_closed;
}

void Engine::resume() {
  gate_.resume();
}

// --- Evidence

void Engine::close_gate(BackendLink& link, SignalKind kind, std::string_view detail, TimePoint now) {
  if (link.route_serial != pool_.route_serial()) return;  // evidence against a route of the past
  if (!gate_.doubt(now)) return;
  ++stats_.gate_closed;
  send_signal(kind, link.address, detail, now);
}

void Engine::send_signal(SignalKind kind, const resp::Address& server, std::string_view detail,
                         TimePoint now) {
  last_signal_ = now;
  io_.signal({kind, server, topology_ ? topology_->version : 0, std::string(detail)});
}

/// Meanwhile another server may have been promoted, and the commands that arrived would go to the old one.
/// The Monitor has slept as well; it reads what Sentinel said in the meantime before it confirms the route.
void Engine::on_standstill(std::chrono::milliseconds gap, TimePoint now) {
  if (!gate_.doubt(now)) return;
  ++stats_.gate_closed;
  send_signal(SignalKind::stood_still, pool_.route().address,
              "fairlead itself did not run for " + std::to_string(gap.count()) + " ms", now);
}

// --- Links

void Engine::on_connected(ConnId id, TimePoint) {
  BackendLink* link = pool_.find(id);
  if (link == nullptr) return;
  FAIRLEAD_CHECK(link->state == LinkState::connecting);
  link->state = LinkState::login;
  link->greeting.append_copy(
      buffers_, link->login.begin(link->user ? *link->user : options_.server_login,
                                  link->key.db_kept ? &options_.server_login : nullptr, link->key.version,
                                  link->key.db, link->leased ? LinkUse::leased : LinkUse::shared));
  mark_dirty(*link);
}

void Engine::on_connect_failed(ConnId id, std::string_view why, TimePoint now) {
  BackendLink* link = pool_.find(id);
  if (link == nullptr) return;
  ++stats_.links_failed;
  close_gate(*link, SignalKind::connect_failed, why, now);
  lose(*link, now);
}

void Engine::on_login_reply(BackendLink& link, TimePoint now) {
  const LoginResult result = link.login.on_reply(link.scanner);
  // What a server of the past thinks of our login stops nobody. One that is a replica by now has ended those
  // who were blocked there itself.
  const bool of_the_past = link.key.lane == unblock_lane;
  if (of_the_past && result != LoginResult::in_progress && result != LoginResult::ready) {
    ++stats_.links_failed;
    lose(link, now);
    return;
  }
  switch (result) {
    case LoginResult::in_progress:
      return;
    case LoginResult::ready:
      on_ready(link);
      return;
    case LoginResult::busy:
      // As on a connection that has this database already: a script runs, and everybody hears so.
    case LoginResult::bad_database:
      // Only SELECT asks for a database that no link had before, and it waits at the front.
      refuse_all(link, link.login.error());
      break;
    case LoginResult::no_protocol:
      if (link.hub != nullptr) {
        link.hub->version = resp::Version::resp2;
        break;
      }
      [[fallthrough]];
    case LoginResult::refused:
      if (link.user) {
        refuse_all(link, link.login.error());  // this user's trouble, and nobody else's
        break;
      }
      // Holding would not make the password right: say so to those who wait, and to the operator.
      send_signal(SignalKind::login_failed, link.address, link.login.error(), now);
      refuse_all(link, "MASTERDOWN fairlead: the server refused fairlead's own login (" + link.login.error() +
                           "); the command was not executed");
      break;
    case LoginResult::not_master:
      close_gate(link, SignalKind::not_master, link.login.error(), now);
      break;
    case LoginResult::loading:
      close_gate(link, SignalKind::refused_loading, link.login.error(), now);
      break;
  }
  ++stats_.links_failed;
  lose(link, now);
}

/// Nothing of what waits on the link was sent: all of it is answered with `error`.
void Engine::refuse_all(BackendLink& link, const std::string& error) {
  split_runs(link);
  if (link.hub != nullptr) refuse_hub(*link.hub, error);
  while (link.busy()) {
    Request* request = link.fifo.pop_front();
    if (request->session == nullptr) {
      slab_.give_back(buffers_, request);
    } else {
      // A client that hears no about MULTI, or about a command of its block, must not have the rest executed
      // alone.
      if (request->in_block()) give_up_block(*request->session);
      answer_request(request, error);
    }
  }
}

void Engine::on_ready(BackendLink& link) {
  if (link.key.lane != unblock_lane) link.timer.cancel();  // the whole life of that one is bounded
  link.state = LinkState::ready;
  mark_dirty(link);
  if (link.hub != nullptr) on_hub_ready(*link.hub);
  complete_synthesised(link);
}

void Engine::on_link_timer(BackendLink& link, TimePoint now) {
  const bool asks_the_past = link.state == LinkState::ready && link.key.lane == unblock_lane;
  if (link.state == LinkState::draining || asks_the_past) {
    if (!outlasts_unblocking(link, now)) lose(link, now);
  } else if (link.state == LinkState::ready) {
    // Commands that wait for the gate on this link were not sent: they are held like all others. When their
    // time is over, the link's end hands them to those who answer.
    if (gate_.open() || link.out.empty()) return;
    if (gate_.verdict(now) == GateVerdict::fail) return lose(link, now);
    wheel_.arm(link.timer, gate_.hold_deadline());
  } else {
    on_connect_failed(link.id, "no connection within the connect timeout", now);
  }
}

/// The end of a link, whatever the reason: every request in its FIFO is judged by the replay table.
void Engine::lose(BackendLink& link, TimePoint now) {
  if (link.state == LinkState::closed) return;
  pool_.forget(link);
  if (link.route_serial == pool_.route_serial()) want_warm_links(now + warm_retry_pause);
  if (mid_reply(link)) {
    // The client has the beginning of a reply whose end nobody has.
    ++stats_.replies_cut;
    close_session(*link.fifo.front()->session);
    if (link.state == LinkState::closed) return;
  }
  Session* owner = link.owner;
  if (owner != nullptr) {
    // First of all, so that an answer below does not hand the lost link back to the pool.
    owner->lease = nullptr;
    owner->mode.has_lease = false;
  }
  split_runs(link);
  const Request* last_lost = judge_blocks(link);
  BlockReplay block = last_lost == nullptr ? BlockReplay::whole : BlockReplay::never;
  while (link.busy()) {
    Request* request = link.fifo.pop_front();
    const bool was_last_lost = request == last_lost;
    lose_request(link, request, block);
    if (was_last_lost) block = BlockReplay::whole;
  }
  pool_.close(link);
  if (link.hub != nullptr) on_hub_lost(*link.hub);
  if (owner != nullptr) {
    lose_owner(*owner);
    if (!lease_waiters_.empty()) wake(lease_waiters_.front(), Wait::lease);
  }
  while (!backlog_waiters_.empty()) wake(backlog_waiters_.front(), Wait::backlog);
  while (!reply_waiters_.empty()) wake(reply_waiters_.front(), Wait::replies);
}

void Engine::lose_request(BackendLink& link, Request* request, BlockReplay block) {
  if (request->session == nullptr) {
    slab_.give_back(buffers_, request);
    return;
  }
  if (give_up_query(request)) return;
  // A DISCARD that stands for EXEC has executed nothing, however far it got.
  const bool never_executed = request->traits.is_exec && request->override_reply != ReplyOverride::none;
  const SentState sent = never_executed ? SentState::unsent : link.sent_state(*request);
  switch (on_link_lost(sent, request->traits, options_.blocking_replay, block)) {
    case LossOutcome::redispatch:
      request->reply.clear(buffers_);
      hold_request(request);
      return;
    case LossOutcome::uncertain:
      ++stats_.uncertain;
      answer_request(request, uncertain_text);
      return;
    case LossOutcome::discard_transaction:
      break;
  }
  const bool begins_or_ends =
      request->id == resp::CommandId::multi || request->id == resp::CommandId::discard;
  if (begins_or_ends) {
    // The block is lost, but not to be begun again nor still open: commands in it hear of it, and EXEC.
    request->reply.clear(buffers_);
    request->link = nullptr;
    request->reply.append_copy(buffers_, "+OK\r\n");
    answered(*request->session, request);
  } else if (request->override_reply == ReplyOverride::null) {
    // Its block lost a WATCH before: it fails as after a conflict, whatever came of the link.
    request->reply.clear(buffers_);
    request->link = nullptr;
    text_.clear();
    resp::append_null_array(text_, request->session->mode.version);
    request->reply.append_copy(buffers_, text_);
    answered(*request->session, request);
  } else if (request->traits.is_exec) {
    answer_request(request, "EXECABORT Transaction discarded because of previous errors.");
  } else {
    answer_request(request, transaction_text);
  }
}

/// What the owner of a lost lease was in the middle of.
void Engine::lose_owner(Session& session) {
  SessionMode& mode = session.mode;
  if (sessions_.find(session.id) == nullptr) return;
  if (mode.raw) {
    // What the server said last still goes out: it may have closed because all was said (SYNC, an RDB file).
    ++stats_.raw_closed;
    session.in.clear();
    give_up_hold(session);
    session.wait_hook.unlink();  // also from those who wait for this link's backlog
    session.wait = Wait::none;
    stop_reading_and_end(session);
    return;
  }
  if (mode.db_unknown || (mode.tracking && !lose_tracking(session))) {
    ++stats_.raw_closed;
    close_session(session);
    return;
  }
  mode.redirect_target = false;  // who redirected to it loses its own link, too, or hears of it
  if (mode.watching) {
    mode.watching = false;
    mode.watch_lost = true;
  }
  if (session.has_subscriptions() || mode.tracking) {
    session.resubscribe = true;
    hold(session);
    update_reading(session);
  } else if (mode.subscribed && session.in_flight == 0 && session.held == 0) {
    mode.subscribed = false;
  }
}

/// An answer made here for a request that was in a link's FIFO.
void Engine::answer_request(Request* request, std::string_view reply) {
  request->reply.clear(buffers_);
  request->link = nullptr;
  text_.clear();
  resp::append_error(text_, reply);
  request->reply.append_copy(buffers_, text_);
  answered(*request->session, request);
}

}  // namespace fairlead::engine
