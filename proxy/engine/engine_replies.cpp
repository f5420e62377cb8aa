// From a server's bytes to the client's answer.
#include <algorithm>
#include <utility>

#include "proxy/engine/check.hpp"
#include "proxy/engine/engine.hpp"
#include "resp/server_error.hpp"
#include "resp/writer.hpp"

namespace fairlead::engine {

using health::TimePoint;
using resp::CommandId;
using resp::ScanStatus;

namespace {

/// How soon a master without good replicas is asked again.
constexpr std::chrono::milliseconds replicas_retry{100};

bool is_message(std::string_view head) {
  return head == "message" || head == "pmessage" || head == "smessage";
}

bool is_confirmation(std::string_view head) {
  return head == "subscribe" || head == "psubscribe" || head == "ssubscribe" || head == "unsubscribe" ||
         head == "punsubscribe" || head == "sunsubscribe";
}

}  // namespace

void Engine::on_link_bytes(BackendLink& link, const Bytes& bytes, TimePoint now) {
  const char* const all = bytes.view().data();
  link.received += bytes.size;
  std::uint32_t position = 0;
  Row row;
  while (position < bytes.size && link.state != LinkState::closed) {
    if (link.owner != nullptr && link.owner->mode.raw && link.state == LinkState::ready) {
      const Bytes rest{bytes.chunk, position, bytes.size - position};
      link.owner->out.append(buffers_, rest);
      if (link.owner->subscriber != nullptr && !follow_raw(link, rest.view())) {
        on_unexpected(link, now);
        return;
      }
      mark_dirty(*link.owner);
      check_output(*link.owner);
      return;
    }
    const bool begins = link.scanner.at_boundary();
    const resp::ScanResult scan = link.scanner.scan({all + position, bytes.size - position});
    const auto size = static_cast<std::uint32_t>(scan.consumed);
    if (begins && scan.status == ScanStatus::complete && join_row(row, link, bytes, position, size, now)) {
      position += size;
      continue;
    }
    if (row.session != nullptr) end_row(row, link, bytes, now);
    const Bytes part{bytes.chunk, position, size};
    position += size;
    if (scan.status == ScanStatus::malformed) {
      on_unexpected(link, now);
      return;
    }
    if (link.state == LinkState::login) {
      if (scan.status == ScanStatus::complete) on_login_reply(link, now);
    } else if (link.hub != nullptr) {
      on_hub_frame(link, part, scan.status, now);
    } else if (link.owner != nullptr && link.owner->mode.subscribed) {
      on_subscriber_frame(link, part, scan.status, now);
    } else {
      on_reply_part(link, part, scan.status, now);
    }
  }
  if (row.session != nullptr) end_row(row, link, bytes, now);
  if (!reply_waiters_.empty() && !link.leased) wake_reply_waiters(link);
}

/// Of a reply that has arrived as a whole: when nothing is asked of it, and its client waits for it next, it
/// only counts, and leaves with its neighbours. What is done once for a row, or for a run of commands, is not
/// done for each command of a pipeline.
bool Engine::join_row(Row& row, BackendLink& link, const Bytes& bytes, std::uint32_t begin,
                      std::uint32_t size, TimePoint now) {
  if (link.scanner.is_error() || link.scanner.is_push() || size >= reference_bytes_min) return false;
  if (row.run == nullptr && !begin_run(row, link, bytes, begin, now)) return false;
  row.end += size;
  row.reply_bytes = size;
  link.weight.on_reply(size);
  if (++row.answered == row.run->commands) settle_run(row, link, now);
  return true;
}

bool Engine::begin_run(Row& row, BackendLink& link, const Bytes& bytes, std::uint32_t begin, TimePoint now) {
  Request* request = link.fifo.front();
  if (request == nullptr || !request->plain || link.leased || link.state != LinkState::ready) return false;
  Session* session = request->session;
  const bool ordinary = session != nullptr && session->slots.front() == request && session->held == 0 &&
                        session->subscriber == nullptr && !session->mode.raw && request->reply.empty();
  if (!ordinary) return false;
  if (row.session != session) {
    if (row.session != nullptr) end_row(row, link, bytes, now);
    row = {session, begin, begin};
  }
  row.run = request;
  row.answered = 0;
  return true;
}

/// What the replies of a run that have come so far mean for all but their bytes.
void Engine::settle_run(Row& row, BackendLink& link, TimePoint now) {
  Request& run = *std::exchange(row.run, nullptr);
  Session& session = *row.session;
  const std::uint32_t answered = row.answered;
  FAIRLEAD_CHECK(session.in_flight >= answered && run.commands >= answered);
  stats_.replies += answered;
  session.in_flight -= answered;
  session.reply_bytes = row.reply_bytes;
  telemetry_.end(run, session, ReplyKind::value, *table_, now, answered);
  if (run.commands == answered) {
    link.fifo.pop_front();
    session.slots.pop_front();
    slab_.give_back(buffers_, &run);
  } else {
    link.fifo.answered(answered);
    session.slots.answered(answered);
    run.commands -= answered;
    run.commands_done += answered;
  }
  note_weight(session, answered);
}

void Engine::end_row(Row& row, BackendLink& link, const Bytes& bytes, TimePoint now) {
  if (row.run != nullptr) settle_run(row, link, now);
  Session& session = *row.session;
  row.session = nullptr;
  session.out.append(buffers_, Bytes{bytes.chunk, row.begin, row.end - row.begin});
  session.held_since = {};
  if (!session.slots.empty()) session.flush_slots(buffers_, slab_);
  after_answer(session);
  if (link.busy() && link.fifo.front()->kind == RequestKind::synthesise) complete_synthesised(link);
}

void Engine::on_unexpected(BackendLink& link, TimePoint now) {
  ++stats_.desyncs;
  ++stats_.links_lost;
  // Nothing tells the hub to try again but itself: not as fast as it can.
  if (link.hub != nullptr) link.hub->not_before = now + hub_retry_pause;
  lose(link, now);
}

void Engine::on_reply_part(BackendLink& link, const Bytes& part, ScanStatus status, TimePoint now) {
  if (link.scanner.is_push()) {
    on_push_part(link, part, status);
    return;
  }
  Request* request = link.fifo.front();
  if (request == nullptr) {
    on_unexpected(link, now);
    return;
  }
  if (request->is_run()) single_out(*request);
  link.reply_bytes += part.size;
  if (status == ScanStatus::complete) {
    link.weight.on_reply(link.reply_bytes);
    link.reply_bytes = 0;
  } else {
    link.weight.at_least(link.reply_bytes);
  }
  Session* session = request->session;
  const bool error = link.scanner.is_error();
  const ReplyOverride override_reply = request->override_reply;
  const bool told =
      override_reply == ReplyOverride::none || (override_reply == ReplyOverride::hello && error);
  if (session != nullptr && told) {
    if (error || request->adds_info || request->names_redirect) {
      request->reply.append(buffers_, part);  // judged, or made longer, when it is whole
    } else {
      deliver(*session, request, part);
      if (link.state == LinkState::closed) return;
      session = request->session;  // gone when the client was closed at its output limit
    }
  }
  if (status != ScanStatus::complete) return;
  if (error && session != nullptr && request->kind == RequestKind::forward) {
    on_error_reply(link, request, now);
  } else {
    complete(link, request, now);
  }
}

void Engine::deliver(Session& session, Request* request, const Bytes& part) {
  if (request->silent) return;
  if (session.slots.front() != request) {
    request->reply.append(buffers_, part);
    return;
  }
  // What came while something before it was held.
  if (!request->reply.empty()) session.out.splice(buffers_, request->reply);
  session.out.append(buffers_, part);
  session.reply_bytes += part.size;
  if (!session.known_light) newcomers_.at_least(session.reply_bytes);
  session.mid_reply = true;
  mark_dirty(session);
  check_output(session);
}

void Engine::check_output(Session& session) {
  const std::uint64_t parked = session.subscriber == nullptr ? 0 : session.subscriber->parked.size();
  const Limits& limits = options_.limits;
  // What is written at the end of this turn is not unread.
  const bool stranger_does_not_read = !session.mode.authenticated && session.write_blocked;
  const std::uint64_t most =
      stranger_does_not_read ? limits.output_unauthenticated_max : limits.output_buffer_bytes_max;
  if (session.out.size() + parked > most) {
    ++stats_.output_buffer_closed;
    close_session(session);
  } else if (over_memory(session.out.size() + parked)) {
    ++stats_.memory_closed;
    close_session(session);
  }
}

// --- Subscribers: frames are judged whole, since messages come between the answers

void Engine::on_subscriber_frame(BackendLink& link, const Bytes& part, ScanStatus status, TimePoint now) {
  link.assembly.append(buffers_, part);
  if (status != ScanStatus::complete) {
    if (link.assembly.size() > options_.limits.output_buffer_bytes_max) {
      ++stats_.output_buffer_closed;
      close_session(*link.owner);
    }
    return;
  }
  Session& session = *link.owner;
  Request* request = link.fifo.front();
  const resp::ReplyScanner& reply = link.scanner;
  const bool resp2 = session.mode.version == resp::Version::resp2;
  const bool frame_of_channels = reply.is_push() || (resp2 && reply.type() == '*');
  const bool asked = request != nullptr && (is_subscribe(request->id) || is_unsubscribe(request->id)) &&
                     is_confirmation(reply.head());
  if (frame_of_channels && asked) {
    link.subscription_count = reply.last_integer();
    confirm(link, request, now);
  } else if (reply.is_push() ||
             (frame_of_channels && link.subscription_count > 0 && is_message(reply.head()))) {
    pass_assembly(link, session);
  } else if (request == nullptr) {
    on_unexpected(link, now);
  } else if (request->kind == RequestKind::swallow && !is_subscribe(request->id)) {
    link.assembly.clear(buffers_);
    complete(link, request, now);
  } else if (request->kind == RequestKind::swallow) {
    close_session(session);  // the subscriptions could not be made again: the client must hear of it
  } else if (request->session == nullptr) {
    link.assembly.clear(buffers_);
    complete(link, request, now);
  } else if (request->override_reply != ReplyOverride::none &&
             !(request->override_reply == ReplyOverride::hello && reply.is_error())) {
    link.assembly.clear(buffers_);  // the client is told something else
    complete(link, request, now);
  } else {
    request->reply.splice(buffers_, link.assembly);
    if (reply.is_error()) {
      on_error_reply(link, request, now);
    } else {
      complete(link, request, now);
    }
  }
}

void Engine::pass_assembly(BackendLink& link, Session& session) {
  session.out.splice(buffers_, link.assembly);
  mark_dirty(session);
  check_output(session);
}

void Engine::confirm(BackendLink& link, Request* request, TimePoint now) {
  Session& session = *link.owner;
  Subscriptions::Names& names = session.extras().subscriptions.of(channel_kind(request->id));
  if (request->frames_expected == 0) {
    request->frames_expected = std::max<std::uint32_t>(1, static_cast<std::uint32_t>(names.size()));
  }
  const bool last = --request->frames_expected == 0;
  if (request->kind == RequestKind::swallow) {
    link.assembly.clear(buffers_);
    if (last) complete(link, request, now);
    return;
  }
  if (last) {
    // The names stand in the frame that asked for them, which is kept until now.
    resp::CommandReader reader(options_.limits.command);
    const resp::CommandResult read =
        reader.read(request->frame.view(), command_scratch_, resp::LoginState::authenticated);
    FAIRLEAD_CHECK(read.status == resp::ReadStatus::command);
    for (std::uint32_t i = 1; i < read.command.size(); ++i) {
      if (is_subscribe(request->id)) {
        names.emplace(read.command[i]);
      } else if (const auto found = names.find(read.command[i]); found != names.end()) {
        names.erase(found);
      }
    }
    if (is_unsubscribe(request->id) && read.command.size() == 1) names.clear();
  }
  if (session.slots.front() == request) {
    pass_assembly(link, session);
    if (link.state == LinkState::closed) return;
  } else {
    request->reply.splice(buffers_, link.assembly);
  }
  if (last) complete(link, request, now);
}

// --- Errors and completion

void Engine::on_error_reply(BackendLink& link, Request* request, TimePoint now) {
  const std::string_view text = link.scanner.error_text();
  const resp::ServerErrorKind kind = resp::parse_server_error(text).kind;
  // CLIENT UNBLOCK ... ERROR has the same first word, and is meant for the client.
  const bool unblocked_by_client = kind == resp::ServerErrorKind::unblocked &&
                                   text.find("instance state changed") == std::string_view::npos &&
                                   !unblocked_by_us(link, text);
  const bool fresh = now - pool_.route().since < route_fresh_max && link.route_serial == pool_.route_serial();
  const RefusalOutcome outcome =
      on_refusal(kind, request->traits, fresh ? RouteAge::fresh : RouteAge::settled);
  const bool not_executed =
      outcome == RefusalOutcome::redispatch && !request->traits.script && !unblocked_by_client;
  if (not_executed && kind == resp::ServerErrorKind::no_replicas) {
    FAIRLEAD_CHECK(link.fifo.pop_front() == request);
    request->lacked_replicas = true;
    wait_for_replicas(request, now);
    return;
  }
  const bool refused = not_executed && request->refused_serial != pool_.route_serial();
  if (is_evidence(kind) && !unblocked_by_client && link.route_serial == pool_.route_serial()) {
    const auto signal = kind == resp::ServerErrorKind::read_only || kind == resp::ServerErrorKind::unblocked
                            ? health::SignalKind::read_only
                            : health::SignalKind::refused_loading;
    if (refused && now >= replies_believed_from_) {
      if (gate_.open()) closed_by_reply_ = true;
      close_gate(link, signal, text, now);
    } else if (gate_.open()) {
      send_signal(signal, link.address, text, now);
    }
  }
  if (refused && (!gate_.open() || link.route_serial != pool_.route_serial())) {
    FAIRLEAD_CHECK(link.fifo.pop_front() == request);
    request->refused_serial = link.route_serial;
    if (link.unblocking != Unblocking::no) ++stats_.blocked_moved;
    hold_request(request);  // its error is kept in request->reply, in case it must be told after all
    if (link.state == LinkState::draining && !link.busy()) lose(link, now);
    return;
  }
  ++stats_.error_replies;
  complete(link, request, now);
}

/// The master is the right one, so that nobody else waits; this client's write is said again until its
/// replicas are there, or until the route is no longer fresh: then the client is told. Nothing of it was
/// executed.
void Engine::wait_for_replicas(Request* request, TimePoint now) {
  Session& session = *request->session;
  ++stats_.replica_waits;
  hold_request(request);  // its error is kept, as that of all refused ones
  if (!gate_.open()) return;
  give_up_hold(session);
  session.held_since = {};  // a master has answered: this is another wait, and ends with route_fresh_max
  session.wait = Wait::replicas;
  wheel_.arm(session.timer, now + replicas_retry);
  update_reading(session);
}

void Engine::complete(BackendLink& link, Request* request, TimePoint now) {
  FAIRLEAD_CHECK(!request->is_run() && link.fifo.pop_front() == request);
  ++stats_.replies;
  if (link.unblocking != Unblocking::no) ++stats_.blocked_answered;
  request->link = nullptr;
  Session* session = request->session;
  if (session == nullptr) {
    const bool lost_for_good = request->id == CommandId::client_tracking && link.scanner.is_error();
    slab_.give_back(buffers_, request);
    // Tracking could not be begun again: the client must hear of it, or it would read its cache for ever.
    if (lost_for_good && link.owner != nullptr) close_session(*link.owner);
    if (link.state == LinkState::closed) return;
  } else if (!ask_if_permitted(link, *session, request, now)) {
    apply_answer(link, *session, *request);
    if (request->in_block()) {
      keep_queued(*session, *request, link.scanner.is_error() ? ReplyKind::error : ReplyKind::value);
    }
    if (session->held > 0 && held_before(*session, request)) {
      if (request->traits.repeatable && !link.scanner.is_error()) {
        // It read before what is held was executed: read again, in order. What it read is told after all when
        // a later write turns out to have been executed.
        if (session->wait == Wait::replicas) {
          wait_for_replicas(request, now);
        } else {
          hold_request(request);
        }
        session = nullptr;
      } else {
        answer_earlier_refusals(*session, request);
      }
    }
    if (session != nullptr) {
      const ReplyKind reply = link.scanner.is_error() ? ReplyKind::error : ReplyKind::value;
      telemetry_.end(*request, *session, reply, *table_, now);
      answered(*session, request);
    }
  }
  if (link.state == LinkState::ready) complete_synthesised(link);
  const bool has_done_its_work = link.state == LinkState::draining || link.key.lane == unblock_lane;
  if (has_done_its_work && link.state != LinkState::closed && !link.busy()) lose(link, now);
}

void Engine::apply_answer(BackendLink& link, Session& session, Request& request) {
  const resp::ReplyScanner& reply = link.scanner;
  if (request.id == CommandId::auth || request.id == CommandId::hello) {
    on_login_judged(link, session, request);
    return;
  }
  if (request.override_reply != ReplyOverride::none) {
    text_.clear();
    if (request.override_reply == ReplyOverride::null) {
      resp::append_null_array(text_, session.mode.version);
    } else {
      resp::append_error(text_, "EXECABORT Transaction discarded because of previous errors.");
    }
    request.reply.append_copy(buffers_, text_);
    return;
  }
  if (request.adds_info && !reply.is_error()) add_info(request);
  if (request.ends_tracking && !reply.is_error()) end_tracking(session);
  if (request.names_redirect && !reply.is_error()) name_redirect(session, request);
  if (request.id == CommandId::select && request.select_db >= 0 && !request.traits.in_transaction &&
      !reply.is_error()) {
    session.db = link.key.db = static_cast<std::uint32_t>(request.select_db);
    session.mode.db_kept = link.key.db_kept = false;
    session.mode.db_unknown = false;
  }
  const bool executed = request.traits.is_exec && !reply.is_error() && !reply.is_null();
  // Whether the database exists is said inside EXEC's reply. The link is in the right one either way: the
  // session keeps it.
  if (executed && request.select_db >= 0) session.mode.db_unknown = true;
  if (request.traits.is_exec && session.extras_or_null() != nullptr) {
    const std::optional<std::string> name = std::exchange(session.extras().exec_name, std::nullopt);
    if (executed && name) session.extras().name = *name;
  }
}

/// SELECT on a link that was not ready: answered when it reaches the front.
void Engine::complete_synthesised(BackendLink& link) {
  while (link.busy() && link.fifo.front()->kind == RequestKind::synthesise) {
    Request* request = link.fifo.pop_front();
    request->link = nullptr;
    Session* session = request->session;
    if (session == nullptr) {
      slab_.give_back(buffers_, request);
      continue;
    }
    session->db = static_cast<std::uint32_t>(request->select_db);
    session->mode.db_kept = false;
    request->reply.append_copy(buffers_, "+OK\r\n");
    answered(*session, request);
  }
}

void Engine::answered(Session& session, Request* request) {
  request->state = RequestState::answered;
  FAIRLEAD_CHECK(session.in_flight > 0);
  --session.in_flight;
  note_weight(session);
  session.held_since = {};
  if (session.slots.front() == request) session.flush_slots(buffers_, slab_);
  after_answer(session);
}

/// Once for all replies that came together.
void Engine::after_answer(Session& session) {
  mark_dirty(session);
  if (session.in_flight == 0) {
    if (session.lease != nullptr) end_lease_if_free(session);
    if (session.wait == Wait::drain) wake(session, Wait::drain);
  }
  if (session.wait == Wait::depth &&
      session.slots.size() <= std::min(options_.limits.pipeline_depth_max, session.window) / 2) {
    wake(session, Wait::depth);
  }
  check_output(session);
}

/// Learns from its answers, of which the last one has reply_bytes, how heavy the session's replies are. Its
/// window grows while they are small, as TCP's does; a session that moves large values goes over to the bulk
/// lane, so that small replies do not wait behind its own.
void Engine::note_weight(Session& session, std::uint32_t replies) {
  const bool large = session.reply_bytes >= bulk_bytes_min;
  if (!session.known_light) newcomers_.on_reply(session.reply_bytes);
  session.reply_bytes = 0;
  session.known_light = !large;
  if (large) {
    become_heavy(session);
    return;
  }
  const std::uint32_t window_max = std::max(options_.limits.pipeline_depth_max, window_min);
  for (std::uint32_t i = 0; i < replies && session.window < window_max; ++i) session.window *= 2;
  session.window = std::min(session.window, window_max);
  if (session.heavy && (session.light_replies += replies) >= light_again_replies) session.heavy = false;
}

void Engine::become_heavy(Session& session) {
  session.light_replies = 0;
  session.window = window_min;
  if (session.heavy) return;
  session.heavy = true;
  ++stats_.bulk_moves;
}

/// Of a newcomer or a mover of large values, when so many replies are due on the link that another would be
/// the one too many. Whoever gets small replies does not stand in that line, unless it asks for many at once.
bool Engine::owed_too_much(const BackendLink& link, const Session& session) {
  return !asks_for_few(link, session) && link.fifo.size() + link.promised >= link.weight.due_limit();
}

bool Engine::asks_for_few(const BackendLink& link, const Session& session) {
  return session.known_light && !session.heavy &&
         (session.in_flight < window_min || link.weight.bytes() < bulk_bytes_min);
}

/// All buffers together are over their limit, and this holder has a part in it. Small holders are never
/// closed for it.
bool Engine::over_memory(std::uint64_t held) const {
  return held > large_holding_bytes && memory_in_use() > options_.limits.memory_bytes_max;
}

bool Engine::held_before(const Session& session, const Request* request) {
  for (const Request* r = session.slots.front(); r != nullptr && r != request; r = r->next_slot) {
    if (r->state == RequestState::held) return true;
  }
  return false;
}

/// A later command of the session was executed: what was refused before it must not be executed any more.
void Engine::answer_earlier_refusals(Session& session, const Request* until) {
  for (Request* r = session.slots.front(); r != nullptr && r != until; r = r->next_slot) {
    if (r->state != RequestState::held) continue;
    FAIRLEAD_CHECK(!r->reply.empty() || r->silent);
    answer_held(session, *r, {});
    ++stats_.error_replies;
  }
  session.flush_slots(buffers_, slab_);
  if (session.held == 0) {
    give_up_hold(session);
    wake(session, Wait::replicas);
    make_runnable(session);
  }
}

}  // namespace fairlead::engine
