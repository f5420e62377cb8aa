// From a routed command to a request on a link: the gate, holding, what the replay table must know, modes.
#include <charconv>
#include <climits>
#include <utility>

#include "proxy/engine/engine.hpp"
#include "proxy/engine/info_section.hpp"
#include "proxy/engine/local_reply.hpp"
#include "resp/writer.hpp"

namespace fairlead::engine {

using health::TimePoint;
using resp::CommandId;
using resp::CommandView;
using resp::LeaseSpan;

namespace {

/// Queued in a transaction, these change the link and not the session that they are meant for.
bool marks_the_link(CommandId id) {
  return id == CommandId::client || id == CommandId::client_setname || id == CommandId::client_setinfo;
}

bool is_about_scripts(CommandId id) {
  return id == CommandId::eval || id == CommandId::evalsha || id == CommandId::script_load ||
         id == CommandId::script_flush;
}

bool has_name_of_script(const resp::CommandSpec& spec) {
  return spec.name.starts_with("eval") || spec.name.starts_with("fcall");
}

/// Its errors are in the words of the script's author.
inline bool is_script(const resp::CommandSpec& spec) {
  constexpr std::uint32_t of_scripts =
      resp::command_flag::no_mandatory_keys | resp::command_flag::movable_keys;
  return (spec.flags & of_scripts) == of_scripts && has_name_of_script(spec);
}

/// What the server has in its queue since MULTI, as far as CLIENT LIST and CLIENT PAUSE want to know.
void note_queued(SessionMode& mode, const resp::CommandSpec* spec, const CommandView& command) {
  const CommandId id = spec != nullptr ? spec->id : CommandId::other;
  if (id == CommandId::multi || id == CommandId::watch) return;
  ++mode.queued;
  mode.transaction_writes = mode.transaction_writes || may_write(spec, command);
}

}  // namespace

LinkKey Engine::key_of(const Session& session) const {
  const std::uint32_t lane = session.heavy ? bulk_lane : session.id.index % options_.links_per_server;
  return {session.mode.version, session.db, session.mode.db_kept, lane, session.user.get()};
}

bool Engine::may_dispatch(Session& session, TimePoint now, Handled* handled) {
  const GateVerdict verdict = gate_.verdict(now);
  if (verdict == GateVerdict::dispatch) return true;
  const bool fits = held_bytes_ + session.in.size() <= options_.limits.hold_bytes_max;
  if (verdict == GateVerdict::hold && fits && !held_too_long(session)) {
    hold(session);
    *handled = Handled::wait;
    return false;
  }
  if (verdict == GateVerdict::hold && !fits) ++stats_.hold_overflows;
  ++stats_.master_down;
  text_.clear();
  resp::append_error(text_, master_down_text());
  if (session.mode.in_multi) session.mode.transaction_refused = true;
  answer(session, text_);
  *handled = Handled::consumed;
  return false;
}

void Engine::hold(Session& session) {
  ++stats_.held;
  if (session.held_since == TimePoint{} || had_a_route(session)) session.held_since = now_;
  held_bytes_ -= session.held_bytes;
  session.held_bytes = session.in.size();
  held_bytes_ += session.held_bytes;
  session.wait = Wait::gate;
  if (!session.on_hold) {
    session.on_hold = true;
    session.wait_hook.unlink();
    held_sessions_.push_back(session);
    ++stats_.held_now;
  }
}

/// The gate may open and close again without anything of this session being answered: its wait counts as one.
bool Engine::held_too_long(const Session& session) const {
  return session.held_since != TimePoint{} && !had_a_route(session) &&
         now_ - session.held_since >= options_.limits.hold_max;
}

/// A blocking command is not answered for hours, through several failovers: each of them is a wait of its
/// own.
bool Engine::had_a_route(const Session& session) const {
  return !session.on_hold && now_ - session.released_at >= route_lasted_min;
}

void Engine::give_up_hold(Session& session) {
  held_bytes_ -= session.held_bytes;
  session.held_bytes = 0;
  if (session.wait == Wait::gate) session.wait = Wait::none;
  if (session.on_hold) {
    session.on_hold = false;
    session.released_at = now_;
    session.wait_hook.unlink();
    --stats_.held_now;
  }
}

Engine::Handled Engine::dispatch(Session& session, const resp::CommandSpec* spec,
                                 const resp::CommandResult& read, Routing routing, TimePoint now) {
  Handled handled = Handled::consumed;
  if (gate_.verdict(now) != GateVerdict::dispatch && !may_dispatch(session, now, &handled)) [[unlikely]] {
    const bool ends_block =
        spec != nullptr && (spec->id == CommandId::exec || spec->id == CommandId::discard);
    if (handled == Handled::consumed && ends_block && session.mode.in_multi) {
      // It was answered, so for its client the block is over; on the link it is still open, and what comes
      // next would be queued there.
      if (session.lease != nullptr) lose(*session.lease, now);
      if (session.ending == Ending::now) return handled;
      abandon_block(session);
      session.mode.in_multi = session.mode.transaction_lost = session.mode.transaction_refused = false;
      session.mode.watch_lost = false;
    }
    return handled;
  }
  if (read.frame_bytes >= bulk_bytes_min) {
    become_heavy(session);
    session.large_frame_bytes = static_cast<std::uint32_t>(read.frame_bytes);
  }
  const CommandId id = spec != nullptr ? spec->id : CommandId::other;
  if (id == CommandId::client_tracking && !locate_redirect(session, spec, read.command, now)) {
    return Handled::wait;
  }
  BackendLink* link = routing.kind == RouteKind::shared ? usual_link(session) : nullptr;
  if (link == nullptr) link = link_for(session, routing.kind, now);
  if (link == nullptr) return Handled::wait;
  if (session.mode.block_lost) begin_block_again(session, *link);

  const bool waits_for_replicas = id == CommandId::wait || id == CommandId::waitaof;
  // In a block it would be queued with the rest; there WAIT does not wait, and EXEC answers it.
  if (waits_for_replicas && link->leased && !session.mode.in_multi) prime_offset(*link);
  Request* request = slab_.take();
  request->session = &session;
  request->on_lease = link->leased;
  describe(*request, session, spec, read.command, routing);
  if (request->traits.blocking) request->dispatched_at = now;
  telemetry_.begin(*request, session, spec, read.command, now);
  if (request->plain) {
    if (read.canonical && read.frame_bytes < reference_bytes_min) {
      link->append(buffers_, request, session.in.unread().substr(0, read.frame_bytes));
    } else {
      append_frame(session, *link, request, read);
    }
    enter_flight(session, *link, request);
    ++stats_.commands_shared;
    return Handled::consumed;
  }
  if (request->traits.is_exec && session.extras_or_null() != nullptr) {
    // Taken along now: the next block may have a SELECT of its own before this one is answered.
    request->select_db = std::exchange(session.extras().transaction_db, -1);
    session.extras().exec_name = std::exchange(session.extras().transaction_name, std::nullopt);
  }
  if (spec != nullptr && is_about_scripts(spec->id)) note_script(session, *link, spec->id, read.command);
  if (request->id == CommandId::multi && !session.mode.in_multi) name_link(session);
  if (request->id != CommandId::client_tracking || !append_tracking(session, *link, request, read.command)) {
    append_frame(session, *link, request, read);
  }
  enter_flight(session, *link, request);
  note_mode(session, *request, routing);
  if (session.mode.in_multi && request->id == CommandId::client_setname && is_client_name(read.command[2])) {
    session.extras().transaction_name = read.command[2];
    link->name.reset();
  }
  if (session.mode.in_multi) note_queued(session.mode, spec, read.command);
  if (spec == nullptr) link->unclean = true;  // nobody knows what it does to the connection
  if (link->leased) {
    ++stats_.commands_leased;
  } else {
    ++stats_.commands_shared;
  }
  return Handled::consumed;
}

void Engine::enter_flight(Session& session, BackendLink& link, Request* request) {
  session.slots.push_back(request);
  session.in_flight += request->commands;
  session.link_in_use = link.id;
  mark_dirty(link);
}

/// WAIT compares with the replication offset after the last command of its own connection, which is 0 on a
/// fresh one: it would answer at once. Any command before it makes it right; the session's writes were
/// answered before the lease.
void Engine::prime_offset(BackendLink& link) {
  Request* ping = slab_.take();
  ping->kind = RequestKind::swallow;
  text_.clear();
  resp::append_command(text_, {"PING"});
  link.append(buffers_, ping, text_);
}

void Engine::describe(Request& request, const Session& session, const resp::CommandSpec* spec,
                      const CommandView& command, Routing routing) {
  request.silent = session.mode.silent();
  if (spec == nullptr) {
    request.traits.in_transaction = session.mode.in_multi;
    return;
  }
  const CommandId id = spec->id;
  request.id = id;
  RequestClass& traits = request.traits;
  // Without a lease there is no block either.
  if (id == CommandId::other && routing.kind == RouteKind::shared) {
    describe_plain(request, *spec);
    request.plain = !request.silent;
    return;
  }
  traits.repeatable = resp::is_repeatable(spec);
  traits.blocking =
      routing.lease == LeaseSpan::one_reply &&
      (spec->is(resp::command_flag::blocking) || id == CommandId::wait || id == CommandId::waitaof);
  traits.script = is_script(*spec);
  traits.is_exec = id == CommandId::exec && session.mode.in_multi;
  traits.in_transaction = session.mode.in_multi && !traits.is_exec;
  request.ends_watch = traits.is_exec && session.mode.watching;
  switch (id) {
    case CommandId::multi:
      traits.in_transaction = true;
      break;
    case CommandId::watch:
    case CommandId::unwatch:
      traits.repeatable = true;
      break;
    case CommandId::select: {
      std::int64_t db = -1;
      if (command.size() == 2) {
        const std::string_view text = command[1];
        if (std::from_chars(text.data(), text.data() + text.size(), db).ptr == text.data() + text.size() &&
            db >= 0 && db <= INT_MAX) {
          request.select_db = db;
        }
      }
      traits.repeatable = true;
      break;
    }
    case CommandId::client_getredir:
    case CommandId::client_trackinginfo:
      request.names_redirect = !session.mode.in_multi;
      break;
    case CommandId::info:
      if (session.mode.in_multi) break;
      request.adds_section = info_need(command) != InfoNeed::server;
      request.adds_info = request.adds_section || pause_.active();
      break;
    default:
      break;
  }
  if (is_subscribe(id) || is_unsubscribe(id)) {
    traits.repeatable = true;
    // 0: a bare UNSUBSCRIBE is confirmed once per channel, and how many there are is known when its turn has
    // come.
    request.frames_expected = command.size() - 1;
    if (is_subscribe(id) && command.size() < 2) request.frames_expected = 1;
    // Confirmations are pushes, which CLIENT REPLY does not stop.
    if (is_unsubscribe(id) || command.size() >= 2) request.silent = false;
  }
}

void Engine::describe_plain(Request& request, const resp::CommandSpec& spec) {
  request.traits.repeatable = spec.is_repeatable;
  request.traits.script = is_script(spec);
  request.plain = true;
}

void Engine::append_frame(Session& session, BackendLink& link, Request* request,
                          const resp::CommandResult& read) {
  SessionMode& mode = session.mode;
  // With too many words the server aborts the block itself, in words of its own.
  const bool aborts_itself = read.command.size() > 1;
  if (request->traits.is_exec && !aborts_itself && (mode.watch_lost || mode.transaction_refused)) {
    request->override_reply = mode.transaction_refused ? ReplyOverride::exec_abort : ReplyOverride::null;
    text_.clear();
    resp::append_command(text_, {"DISCARD"});
    link.append(buffers_, request, text_);
  } else if (read.canonical) {
    link.append(buffers_, request, session.in.share(read.frame_bytes));
  } else {
    text_.clear();
    resp::append_command(text_, read.command);
    link.append(buffers_, request, text_);
  }
}

void Engine::note_mode(Session& session, const Request& request, Routing routing) {
  SessionMode& mode = session.mode;
  if (routing.lease == LeaseSpan::one_unknown) session.lease->unclean = true;
  switch (request.id) {
    case CommandId::multi:
      if (!mode.in_multi) {
        mode.queued = 0;
        mode.transaction_writes = false;
      }
      // A RESP2 subscriber may not say it, and hears so from the server.
      // An earlier block may have ended without a word about its SELECT.
      if (!mode.in_multi && session.extras_or_null() != nullptr) session.extras().forget_block();
      mode.in_multi = mode.in_multi || !mode.subscribed || mode.version != resp::Version::resp2;
      break;
    case CommandId::exec:
    case CommandId::discard:
      if (mode.in_multi) {
        mode.in_multi = mode.watching = mode.watch_lost = mode.transaction_refused = false;
      }
      break;
    case CommandId::watch:
      mode.watching = mode.watching || !mode.in_multi;
      break;
    case CommandId::unwatch:
      if (!mode.in_multi) mode.watching = mode.watch_lost = false;
      break;
    case CommandId::select:
      if (mode.in_multi) {
        session.lease->unclean = true;
        session.extras().transaction_db = request.select_db;
      }
      break;
    default:
      if (is_subscribe(request.id) || is_unsubscribe(request.id)) mode.subscribed = true;
      if (mode.in_multi && marks_the_link(request.id)) session.lease->unclean = true;
      break;
  }
}

}  // namespace fairlead::engine
