// Which link a session sends to, leases of a link of one's own, and sessions that pass as on a wire.
#include "proxy/engine/check.hpp"
#include "proxy/engine/engine.hpp"
#include "resp/writer.hpp"

namespace fairlead::engine {

using health::TimePoint;
using resp::CommandId;

/// The shared link that was asked for last, when a command of `session` may go there at once: what link_for()
/// answers nearly always. Null: it must decide.
BackendLink* Engine::usual_link(const Session& session) const {
  BackendLink* link = pool_.last_shared();
  if (link == nullptr || session.lease != nullptr || session.mode.pinned) return nullptr;
  const bool free = session.in_flight == 0 || session.link_in_use == link->id;
  const bool room = link->backlog() <= options_.limits.link_backlog_bytes_max;
  return asks_for_few(*link, session) && free && room && link->key == key_of(session) ? link : nullptr;
}

BackendLink* Engine::link_for(Session& session, RouteKind kind, TimePoint now) {
  const LinkKey key = key_of(session);
  if (session.lease != nullptr) {
    const LinkKey& have = session.lease->key;
    const bool fits = have.version == key.version && have.db == key.db && have.db_kept == key.db_kept &&
                      have.user == key.user && session.lease->state != LinkState::draining;
    if (fits) return session.lease;
    if (session.mode.db_unknown) {
      close_session(session);  // on another link its commands would go to a database that it did not choose
      return nullptr;
    }
    // HELLO changed what the session needs of a link, or the link's route was revoked.
    if (session.in_flight == 0) {
      if (session.mode.watching) {
        session.mode.watching = false;
        session.mode.watch_lost = true;
      }
      drop_lease(session);
    }
  }
  BackendLink* link = nullptr;
  if (kind == RouteKind::shared && !session.mode.pinned) {
    if (!session.known_light && !session.heavy && newcomers_.bytes() >= bulk_bytes_min) {
      become_heavy(session);  // what newcomers ask for is large: until it shows otherwise, so is this
      return link_for(session, kind, now);
    }
    link = pool_.shared(key, session.user, now);
    take_promise(session);
    if (owed_too_much(*link, session)) {
      ++stats_.reply_pauses;
      set_wait(session, Wait::replies);
      return nullptr;
    }
    if (link->backlog() > options_.limits.link_backlog_bytes_max) {
      ++stats_.backlog_pauses;
      set_wait(session, Wait::backlog);
      return nullptr;
    }
  }
  if (session.in_flight > 0 && (link == nullptr || session.link_in_use != link->id)) {
    set_wait(session, Wait::drain);
    return nullptr;
  }
  if (link != nullptr) return link;
  link = pool_.lease(key, session, now);
  if (link == nullptr) {
    ++stats_.lease_waits;
    set_wait(session, Wait::lease);
    return nullptr;
  }
  session.lease = link;
  session.mode.has_lease = true;
  if (session.mode.pinned) name_link(session);
  return link;
}

void Engine::end_lease_if_free(Session& session) {
  if (session.lease == nullptr || session.in_flight > 0 || session.held > 0) return;
  SessionMode& mode = session.mode;
  if (mode.subscribed && !session.has_subscriptions() && !session.resubscribe) mode.subscribed = false;
  const bool in_use =
      mode.in_multi || mode.watching || mode.subscribed || mode.tracking || mode.redirect_target;
  if (in_use || mode.raw || mode.pinned || mode.db_unknown) return;
  drop_lease(session);
}

void Engine::drop_lease(Session& session) {
  BackendLink* link = session.lease;
  if (link == nullptr) return;
  const SessionMode& mode = session.mode;
  session.lease = nullptr;
  session.mode.has_lease = false;
  const bool bound = mode.in_multi || mode.watching || mode.subscribed || mode.raw || mode.pinned;
  if (link->busy() || bound) link->unclean = true;
  // Closing it is what tells the server to stop waiting on behalf of a client that is gone.
  while (link->busy()) {
    Request* request = link->fifo.pop_front();
    FAIRLEAD_CHECK(request->session == nullptr);
    slab_.give_back(buffers_, request);
  }
  pool_.end_lease(*link);
  if (!lease_waiters_.empty()) wake(lease_waiters_.front(), Wait::lease);
}

/// The session's own link gets its client's name: for the server's lists and its slow log (pool-mode =
/// session), and for what a transaction asks the server.
void Engine::name_link(Session& session) {
  const SessionExtras* extras = session.extras_or_null();
  const std::string_view name = extras != nullptr ? std::string_view(extras->name) : std::string_view();
  if (session.lease == nullptr || session.lease->name == name) return;
  session.lease->name = name;
  Request* request = slab_.take();
  request->kind = RequestKind::swallow;
  std::string frame;  // text_ may hold the client's answer
  resp::append_command(frame, {"CLIENT", "SETNAME", name});
  session.lease->append(buffers_, request, frame);
  mark_dirty(*session.lease);
}

// --- Raw sessions

Engine::Handled Engine::dispatch_raw(Session& session, const resp::CommandResult& read, TimePoint now) {
  Handled handled = Handled::consumed;
  if (!may_dispatch(session, now, &handled)) return handled;
  if (!session.mode.raw && session.in_flight > 0) {
    set_wait(session, Wait::drain);
    return Handled::wait;
  }
  BackendLink* link = link_for(session, RouteKind::leased, now);
  if (link == nullptr) return Handled::wait;
  if (link->backlog() > options_.limits.link_backlog_bytes_max) {
    ++stats_.backlog_pauses;
    set_wait(session, Wait::backlog);
    return Handled::wait;
  }
  const std::uint64_t before = link->out.size();
  if (!session.mode.raw && session.mode.silent()) {
    // From now on the server decides which replies there are.
    text_.clear();
    resp::append_command(text_, {"CLIENT", "REPLY", session.mode.reply_off ? "OFF" : "SKIP"});
    link->out.append_copy(buffers_, text_);
  }
  session.mode.raw = true;
  const CommandId id = session.last_command != nullptr ? session.last_command->id : CommandId::other;
  if (id == CommandId::monitor) session.mode.monitor = true;
  const std::string_view name =
      session.last_command != nullptr ? session.last_command->name : std::string_view();
  if (name == "sync" || name == "psync") session.mode.replica = true;
  link->unclean = true;
  if (read.canonical) {
    link->out.append(buffers_, session.in.share(read.frame_bytes));
  } else {
    text_.clear();
    resp::append_command(text_, read.command);
    link->out.append_copy(buffers_, text_);
  }
  link->appended += link->out.size() - before;
  ++stats_.commands_leased;
  mark_dirty(*link);
  return Handled::consumed;
}

}  // namespace fairlead::engine
