#include "proxy/engine/engine.hpp"

#include <algorithm>
#include <array>

#include "proxy/engine/check.hpp"

namespace fairlead::engine {

using health::TimePoint;

namespace {

/// A session that waits for a reply is read on so far, to notice a client that goes away meanwhile.
constexpr std::size_t read_ahead_bytes_max = 64 * 1024;
/// Held sessions released in one turn: a thundering herd on the new master is spread over turns.
constexpr int release_per_turn_max = 256;
/// How long the Monitor may stay silent about a signal before it is told again.
constexpr std::chrono::milliseconds signal_repeat{1000};

/// How much may still leave when the gate is closed: the rest of a frame that began to leave in time, and
/// none of what waits behind it.
std::uint64_t rest_of_frame(const BackendLink& link) {
  const Request* request = link.fifo.front();
  while (request != nullptr && link.sent_state(*request) == SentState::sent) request = request->next_in_fifo;
  const bool begun = request != nullptr && link.sent_state(*request) == SentState::partial;
  return begun ? request->end_position - link.written : 0;
}

/// Cuts what was gathered to `allowed` bytes; returns how many buffers are left.
std::size_t cut(std::span<ConstBytes> buffers, std::uint64_t allowed) {
  std::size_t count = 0;
  for (ConstBytes& buffer : buffers) {
    if (allowed == 0) break;
    buffer.size = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size, allowed));
    allowed -= buffer.size;
    ++count;
  }
  return count;
}

}  // namespace

Engine::Engine(Io& io, const EngineOptions& options, WorkerName worker, TimePoint now)
    : io_(io),
      options_(options),
      telemetry_(options.slow_min, now),
      wheel_(now),
      pool_(io, options_, buffers_, wheel_, stats_),
      gate_(options.limits.hold_max, now),
      table_(resp::CommandTable::built_in()),
      denied_by_default_(resp::denied_by_default()),
      worker_(worker),
      scripts_(options_.limits.script_bytes_max),
      now_(now) {
  apply_policy();
}

Engine::~Engine() {
  stop();
}

ConnId Engine::on_accept(TimePoint now) {
  if (sessions_.size() >= options_.limits.clients_max) {
    ++stats_.clients_refused;
    return {};
  }
  Session* session = sessions_.create(io_.next_client_id(), options_.limits.command);
  session->mode.authenticated = authenticated_at_first();
  session->last_bytes_at = now;
  if (options_.limits.idle_max.count() > 0) watch_time(*session, now);
  session->accepted_at = session->active_at = now;
  session->mode.pinned = options_.pool_mode == PoolMode::session;
  if (draining_) {
    session->ending = Ending::after_replies;
    mark_dirty(*session);  // the flush finds out that nothing is owed
  }
  ++stats_.clients_accepted;
  ++stats_.clients_now;
  return session->id;
}

std::string_view Engine::refusal() {
  return "-ERR max number of clients reached\r\n";
}

MutableBytes Engine::read_space(ConnId id) {
  std::size_t limit = ChunkPool::large_bytes;
  if (id.side == Side::client) {
    Session* session = sessions_.find(id);
    if (session == nullptr) return {};
    const std::uint64_t needed = session->reader.bytes_needed();
    if (session->in.owns_chunk()) {
      MutableBytes space = session->in.room(buffers_.chunks, needed);
      space.size = std::min<std::size_t>(space.size, std::max<std::uint64_t>(needed, read_ahead_bytes));
      return space;
    }
    large_receive_chunk_ = ChunkRef();
    if (session->heavy) {
      large_receive_chunk_ = ChunkRef(buffers_.chunks.take_kept(session->large_frame_bytes));
      if (large_receive_chunk_) return {large_receive_chunk_->data(), session->large_frame_bytes};
    } else {
      limit = read_ahead_bytes;
    }
  } else if (pool_.find(id) == nullptr) {
    return {};
  }
  // Frames and replies that are referenced where they were received keep the chunk; then the next one is
  // taken.
  if (!receive_chunk_.sole_owner()) receive_chunk_ = ChunkRef(buffers_.chunks.take(ChunkPool::large_bytes));
  return {receive_chunk_->data(), std::min<std::size_t>(receive_chunk_->capacity, limit)};
}

void Engine::on_bytes(ConnId id, std::size_t size, TimePoint now) {
  now_ = now;
  if (id.side == Side::backend) {
    BackendLink* link = pool_.find(id);
    if (link == nullptr) return;
    stats_.backend_bytes_in += size;
    on_link_bytes(*link, Bytes{receive_chunk_, 0, static_cast<std::uint32_t>(size)}, now);
    return;
  }
  Session* session = sessions_.find(id);
  if (session == nullptr) return;
  stats_.client_bytes_in += size;
  session->last_bytes_at = session->active_at = now;
  session->said_in_this_read = false;
  // MASTERDOWN was an answer too: what is said now has waited for nothing yet.
  if (session->idle()) session->held_since = {};
  if (session->ending != Ending::none) return;  // what follows QUIT or a protocol error is not read
  if (session->in.owns_chunk()) {
    session->in.received(size);
  } else if (large_receive_chunk_) {
    session->in.take_over(std::move(large_receive_chunk_), size);
  } else {
    session->in.adopt(receive_chunk_, size);
  }
  // A session that was woken in this turn has not run yet. When it must wait again, pump() only stores the
  // bytes.
  if (session->wait == Wait::none) (void)take_up(*session, now);
  pump(*session, now);
}

void Engine::on_end_of_file(ConnId id, TimePoint now) {
  if (id.side == Side::backend) {
    on_error(id, "closed by the server", now);
    return;
  }
  Session* session = sessions_.find(id);
  if (session == nullptr) return;
  // Redis stops blocked and subscribed clients at once; so must we, or a value is popped for nobody.
  const bool waits_in_server =
      session->subscriber != nullptr ||
      (session->lease != nullptr && (session->mode.subscribed || session->mode.raw ||
                                     (!session->slots.empty() && session->slots.front()->traits.blocking)));
  if (waits_in_server || session->idle()) {
    close_session(*session);
    return;
  }
  stop_reading_and_end(*session);
}

void Engine::on_error(ConnId id, std::string_view why, TimePoint now) {
  now_ = now;
  if (id.side == Side::client) {
    if (Session* session = sessions_.find(id)) close_session(*session);
    return;
  }
  BackendLink* link = pool_.find(id);
  if (link == nullptr) return;
  if (link->state == LinkState::connecting || link->state == LinkState::login) {
    on_connect_failed(id, why, now);
    return;
  }
  ++stats_.links_lost;
  if (link->state == LinkState::ready && !link->leased) {
    close_gate(*link, health::SignalKind::link_lost, why, now);
  } else if (link->state == LinkState::ready && link->route_serial == pool_.route_serial() &&
             link->owner != nullptr) {
    // One client's link may be lost by what that client did; it is worth a look, but stops nobody else.
    send_signal(health::SignalKind::link_lost, link->address, why, now);
  }
  lose(*link, now);
}

void Engine::on_writable(ConnId id, TimePoint now) {
  if (id.side == Side::client) {
    if (Session* session = sessions_.find(id)) {
      session->write_blocked = false;
      flush(*session);
    }
    return;
  }
  if (BackendLink* link = pool_.find(id)) {
    link->write_blocked = false;
    flush(*link, now);
  }
}

void Engine::drain(TimePoint) {
  draining_ = true;
  sessions_.for_each([this](Session& session) {
    if (session.ending == Ending::none) stop_reading_and_end(session);
  });
}

void Engine::stop() {
  sessions_.for_each([this](Session& session) { close_session(session); });
  while (!pool_.all().empty()) {
    BackendLink& link = pool_.all().front();
    while (link.busy()) slab_.give_back(buffers_, link.fifo.pop_front());
    pool_.close(link);
  }
  hubs_.clear();
  pool_.collect();
  sessions_.collect();
  receive_chunk_ = ChunkRef();
  large_receive_chunk_ = ChunkRef();
}

// --- Time

void Engine::on_timer(Timer& timer, TimePoint now) {
  if (timer.side == Side::client) {
    on_session_timer(*static_cast<Session*>(timer.owner), now);
  } else {
    on_link_timer(*static_cast<BackendLink*>(timer.owner), now);
  }
}

/// Arms the session's timer for the next limit that can be hit: an unfinished command, or idleness.
void Engine::watch_time(Session& session, TimePoint now) {
  const Limits& limits = options_.limits;
  const bool partial =
      session.wait == Wait::none && !session.in.empty() && limits.partial_command_max.count() > 0;
  if (partial) {
    wheel_.arm(session.timer, now + limits.partial_command_max);
  } else if (limits.idle_max.count() > 0 && !session.timer.armed()) {
    wheel_.arm(session.timer, now + limits.idle_max);
  }
}

void Engine::on_session_timer(Session& session, TimePoint now) {
  if (session.wait == Wait::replicas) {
    wake(session, Wait::replicas);
    return;
  }
  if (session.wait == Wait::query && session.extras_or_null() != nullptr &&
      std::exchange(session.extras().tracking.ask_again, false)) {
    wake(session, Wait::query);
    return;
  }
  const Limits& limits = options_.limits;
  const auto silent = now - session.last_bytes_at;
  const bool partial =
      session.wait == Wait::none && !session.in.empty() && limits.partial_command_max.count() > 0;
  if (partial && silent >= limits.partial_command_max) {
    ++stats_.partial_closed;
    close_session(session);
    return;
  }
  // As in Redis, who waits in a blocking command or for messages is not idle.
  const bool waits = !session.slots.empty() || session.wait == Wait::pause || session.mode.subscribed ||
                     session.mode.in_hub || session.mode.raw;
  if (limits.idle_max.count() > 0 && !waits && silent >= limits.idle_max) {
    ++stats_.idle_closed;
    close_session(session);
    return;
  }
  if (!partial && limits.idle_max.count() == 0) return;
  const auto limit = partial ? limits.partial_command_max : limits.idle_max;
  wheel_.arm(session.timer, std::max(session.last_bytes_at + limit, now + TimerWheel::tick));
}

// --- Turns

bool Engine::end_turn(TimePoint now) {
  now_ = now;
  wheel_.advance(now, [this, now](Timer& timer) { on_timer(timer, now); });
  gate_.look_at_lease(now);
  if (gate_.open()) {
    release_held();
  } else {
    if (now >= gate_.hold_deadline()) expire_hold();
    if (gate_.doubted() && now - last_signal_ >= signal_repeat) {
      send_signal(health::SignalKind::link_lost, pool_.route().address, "the route is still in doubt", now);
    }
  }
  if (pause_.expire(now)) release_paused();
  if (!queries_.empty()) expire_queries(now);
  wake_lease_waiters();
  // Only those that are runnable now: who becomes so meanwhile has its turn after the flush.
  for (std::size_t left = runnable_.size(); left > 0 && !runnable_.empty(); --left) {
    Session& session = runnable_.front();
    session.run_hook.unlink();
    run(session, now);
  }
  tend_hubs(now);
  if (const auto due = warm_due(); due && *due <= now) open_warm_links(now);
  while (!dirty_links_.empty()) {
    BackendLink& link = dirty_links_.front();
    link.dirty_hook.unlink();
    flush(link, now);
  }
  while (!dirty_sessions_.empty()) {
    Session& session = dirty_sessions_.front();
    session.dirty_hook.unlink();
    flush(session);
  }
  pool_.collect();
  sessions_.collect();
  const bool releasing = gate_.open() && !(held_sessions_.empty() && subscribers_in_line_.empty());
  const bool leasing = !lease_waiters_.empty() && stats_.leases_now < options_.limits.leased_links_max;
  const bool expiring = !gate_.open() && !held_sessions_.empty() && now >= gate_.hold_deadline();
  return !runnable_.empty() || !dirty_links_.empty() || !dirty_hubs_.empty() || releasing || leasing ||
         expiring;
}

std::optional<TimePoint> Engine::next_deadline() const {
  std::optional<TimePoint> next = wheel_.next_deadline();
  const auto earliest = [&next](TimePoint t) {
    if (!next || t < *next) next = t;
  };
  if (!gate_.open()) {
    if (!held_sessions_.empty()) earliest(gate_.hold_deadline());
    if (gate_.doubted()) earliest(last_signal_ + signal_repeat);
  } else {
    for (const UserHub& hub : linkless_hubs_) earliest(hub.not_before);
    if (const auto due = warm_due()) earliest(*due);
  }
  if (pause_.active()) earliest(pause_.until());
  if (!queries_.empty()) earliest(queries_.front().deadline);
  return next;
}

void Engine::release_held() {
  for (int i = 0; i < release_per_turn_max && !held_sessions_.empty(); ++i) {
    Session& session = held_sessions_.front();
    give_up_hold(session);
    make_runnable(session);
  }
  for (int i = 0; i < release_per_turn_max && !subscribers_in_line_.empty(); ++i) {
    Session& session = subscribers_in_line_.front();
    session.wait_hook.unlink();
    // It stood in this line and so in no other: nobody else would wake it.
    if (session.wait == Wait::lease || session.wait == Wait::backlog || session.wait == Wait::replies) {
      session.wait = Wait::none;
    }
    make_runnable(session);
  }
}

void Engine::flush(BackendLink& link, TimePoint now) {
  if (link.write_blocked) return;
  const bool login = link.state == LinkState::login;
  if (!login && link.state != LinkState::ready) return;
  WriteQueue& queue = login ? link.greeting : link.out;
  while (!queue.empty()) {
    std::size_t count = queue.gather(gathered_);
    if (!login && !gate_.open() && link.hub == nullptr && link.key.lane != unblock_lane) {
      // Appended when the gate was open, or while the link logged in: as little dispatched as what is held.
      split_runs(link);
      count = cut(std::span(gathered_.data(), count), rest_of_frame(link));
      if (count == 0) {
        if (!link.timer.armed())
          wheel_.arm(link.timer, std::max(gate_.hold_deadline(), now + TimerWheel::tick));
        break;
      }
    }
    const WriteResult result = io_.write(link.id, std::span(gathered_.data(), count));
    queue.consume(buffers_, result.written);
    if (!login) link.written += result.written;
    stats_.backend_bytes_out += result.written;
    if (result.status == WriteStatus::failed) {
      on_error(link.id, "the connection broke while writing", now);
      return;
    }
    if (result.status == WriteStatus::would_block) {
      link.write_blocked = true;
      io_.wait_writable(link.id);
      break;
    }
  }
  if (!backlog_waiters_.empty() && link.backlog() <= options_.limits.link_backlog_bytes_max / 2) {
    // Whoever waits for another link finds that out and waits again.
    while (!backlog_waiters_.empty()) wake(backlog_waiters_.front(), Wait::backlog);
  }
}

void Engine::flush(Session& session) {
  if (session.write_blocked) return;
  if (!session.out.empty()) session.active_at = now_;
  while (!session.out.empty()) {
    const std::size_t count = session.out.gather(gathered_);
    const WriteResult result = io_.write(session.id, std::span(gathered_.data(), count));
    session.out.consume(buffers_, result.written);
    stats_.client_bytes_out += result.written;
    if (result.status == WriteStatus::failed) {
      close_session(session);
      return;
    }
    if (result.status == WriteStatus::would_block) {
      session.write_blocked = true;
      io_.wait_writable(session.id);
      break;
    }
  }
  if (session.wait == Wait::output && session.out.size() <= options_.limits.output_pause_bytes / 2) {
    wake(session, Wait::output);
  }
  finish_if_done(session);
}

void Engine::finish_if_done(Session& session) {
  const bool done = session.ending == Ending::after_replies && session.slots.empty() && session.out.empty() &&
                    session.wait == Wait::none && !session.run_hook.is_linked();
  if (done) close_session(session);
}

// --- Sessions

void Engine::close_session(Session& session) {
  if (sessions_.find(session.id) == nullptr) return;  // closed before, in this turn
  give_up_hold(session);
  take_promise(session);
  forget_kept(session);
  session.wait_hook.unlink();
  session.run_hook.unlink();
  session.dirty_hook.unlink();
  session.timer.cancel();
  while (!session.slots.empty()) {
    Request* request = session.slots.pop_front();
    if (request->state == RequestState::in_link) {
      request->session = nullptr;  // abandoned: its reply is still to come
      request->reply.clear(buffers_);
    } else {
      slab_.give_back(buffers_, request);
    }
  }
  drop_lease(session);
  leave_hub(session);
  session.in.clear();
  session.out.clear(buffers_);
  session.ending = Ending::now;
  io_.close(session.id);
  --stats_.clients_now;
  sessions_.release(session);  // freed at the end of the turn
}

void Engine::stop_reading_and_end(Session& session) {
  session.ending = Ending::after_replies;
  update_reading(session);
  mark_dirty(session);  // the flush finds out whether it is done already
}

void Engine::make_runnable(Session& session) {
  if (session.ending != Ending::now && !session.run_hook.is_linked()) runnable_.push_back(session);
}

void Engine::mark_dirty(Session& session) {
  if (session.ending != Ending::now && !session.dirty_hook.is_linked()) dirty_sessions_.push_back(session);
}

void Engine::mark_dirty(BackendLink& link) {
  if (!link.dirty_hook.is_linked()) dirty_links_.push_back(link);
}

void Engine::set_wait(Session& session, Wait wait) {
  session.wait = wait;
  if (wait == Wait::lease && !session.wait_hook.is_linked()) lease_waiters_.push_back(session);
  if (wait == Wait::backlog && !session.wait_hook.is_linked()) backlog_waiters_.push_back(session);
  if (wait == Wait::replies && !session.wait_hook.is_linked()) reply_waiters_.push_back(session);
}

void Engine::wake(Session& session, Wait reason) {
  if (session.wait != reason) return;
  session.wait = Wait::none;
  session.wait_hook.unlink();
  make_runnable(session);
}

/// As many as there are leases to be had. Whoever was woken when a lease ended may have gone away without it.
void Engine::wake_lease_waiters() {
  const std::uint64_t leases_max = options_.limits.leased_links_max;
  for (std::uint64_t taken = stats_.leases_now; taken < leases_max && !lease_waiters_.empty(); ++taken) {
    wake(lease_waiters_.front(), Wait::lease);
  }
}

/// As many as the link has room for, which is kept for them: who comes meanwhile does not overtake them.
/// Whoever waits for another link finds that out and stands at the end again; a link that anybody waits for
/// is busy, so that more of them are woken when its next replies come.
void Engine::wake_reply_waiters(BackendLink& link) {
  const std::size_t limit = link.weight.due_limit();
  while (link.fifo.size() + link.promised < limit && !reply_waiters_.empty()) {
    Session& session = reply_waiters_.front();
    session.wait_hook.unlink();
    session.promised_by = link.id;
    ++link.promised;
    wake(session, Wait::replies);
  }
}

/// The place that a link has kept for it is taken, or given up.
void Engine::take_promise(Session& session) {
  if (!session.promised_by.valid()) return;
  BackendLink* link = pool_.find(session.promised_by);
  if (link != nullptr) --link->promised;
  session.promised_by = {};
}

void Engine::update_reading(Session& session) {
  Reading wanted = Reading::on;
  if (session.ending != Ending::none) {
    wanted = Reading::off;
  } else if (session.wait == Wait::drain || session.wait == Wait::pause || session.wait == Wait::query ||
             session.wait == Wait::replies) {
    wanted = session.in.size() < read_ahead_bytes_max ? Reading::on : Reading::off;
  } else if (session.wait != Wait::none) {
    wanted = Reading::off;
  }
  if (wanted == session.reading) return;
  session.reading = wanted;
  io_.set_reading(session.id, wanted);
}

}  // namespace fairlead::engine
