// From a client's bytes to a dispatched request.
#include <algorithm>
#include <charconv>
#include <climits>

#include "proxy/engine/engine.hpp"
#include "proxy/engine/local_reply.hpp"
#include "resp/writer.hpp"

namespace fairlead::engine {

using health::TimePoint;
using resp::CommandId;
using resp::CommandView;
using resp::ReadStatus;

namespace {

/// A SUBSCRIBE or UNSUBSCRIBE is not answered yet: nobody knows whether the session will be a subscriber.
bool awaits_confirmation(const Session& session) {
  if (!session.mode.subscribed || session.mode.raw || session.in_flight == 0) return false;
  for (const Request* r = session.slots.front(); r != nullptr; r = r->next_slot) {
    const bool open = r->state == RequestState::in_link;
    if (open && (is_subscribe(r->id) || is_unsubscribe(r->id))) return true;
  }
  return false;
}

/// An EXEC is under way that may give the session another name.
bool awaits_name(const Session& session) {
  const SessionExtras* extras = session.extras_or_null();
  return extras != nullptr && extras->exec_name && session.in_flight > 0;
}

}  // namespace

void Engine::run(Session& session, TimePoint now) {
  if (session.wait == Wait::none) {
    if (take_up(session, now)) {
      pump(session, now);
    } else {
      update_reading(session);
    }
  }
  take_promise(session);
}

/// What the session had and said before comes before what it says now. False when that must wait.
bool Engine::take_up(Session& session, TimePoint now) {
  if (session.resubscribe && !subscribe_again(session, now)) return false;
  if (session.held == 0) return true;
  if (!stopped_by_pause(session) && dispatch_held(session, now)) return true;
  if (session.wait == Wait::none) set_wait(session, Wait::pause);
  return false;
}

void Engine::pump(Session& session, TimePoint now) {
  const Limits& limits = options_.limits;
  while (session.wait == Wait::none && session.ending != Ending::now && !session.in.empty()) {
    if (session.slots.size() >= std::min(limits.pipeline_depth_max, session.window)) {
      ++stats_.pipeline_pauses;
      set_wait(session, Wait::depth);
      break;
    }
    if (session.out.size() > limits.output_pause_bytes) {
      ++stats_.output_pauses;
      set_wait(session, Wait::output);
      break;
    }
    if (pump_run(session, now)) continue;
    const auto login =
        session.mode.authenticated ? resp::LoginState::authenticated : resp::LoginState::required;
    const resp::CommandResult read = session.reader.read(session.in.unread(), command_scratch_, login);
    if (read.status == ReadStatus::need_more) {
      if (session.in.size() > limits.query_buffer_bytes_max) {
        ++stats_.query_buffer_closed;
        close_session(session);
        return;
      }
      if (over_memory(session.in.size())) {
        ++stats_.memory_closed;
        close_session(session);
        return;
      }
      break;
    }
    if (read.status == ReadStatus::nothing) {
      session.in.consume(read.frame_bytes);
      session.mode.end_command();
      continue;
    }
    if (read.status == ReadStatus::error) {
      ++stats_.protocol_errors;
      text_.clear();
      resp::append_error(text_, "ERR " + read.error);
      answer(session, text_);
      session.in.clear();
      stop_reading_and_end(session);
      return;
    }
    if (handle(session, read, now) == Handled::wait) break;
    if (session.ending == Ending::now) return;
    ++stats_.commands;
    session.said_in_this_read = true;
    session.mode.end_command();
    // QUIT has thrown away what came behind it.
    if (!session.in.empty()) session.in.consume(read.frame_bytes);
  }
  if (session.ending == Ending::now) return;
  session.in.settle(buffers_.chunks, session.reader.bytes_needed());
  if (!session.in.empty() && session.wait == Wait::none) watch_time(session, now);
  update_reading(session);
  if (session.ending == Ending::after_replies) mark_dirty(session);
}

Engine::Handled Engine::handle(Session& session, const resp::CommandResult& read, TimePoint now) {
  const CommandView& command = read.command;
  const resp::CommandSpec* spec = table_->find(command, session.last_command);
  if (spec != nullptr && is_plainly_shared(*spec, session.mode) && session.subscriber == nullptr &&
      !pause_.active()) {
    session.last_command = spec;
    return dispatch(session, spec, read, {RouteKind::shared}, now);
  }
  const CommandId id = spec != nullptr ? spec->id : CommandId::other;
  const bool depends = id == CommandId::multi || (spec != nullptr && spec->affinity == resp::Affinity::local);
  const bool hub_decides = session.subscriber != nullptr && !session.subscriber->pending.empty();
  if ((hub_decides && !is_subscribe(id)) ||
      (depends && (awaits_confirmation(session) || awaits_name(session)))) {
    // Whether the session is a subscriber then decides who answers this, and whether it is refused; or what
    // it says.
    set_wait(session, Wait::drain);
    return Handled::wait;
  }
  const Routing routing = route(spec, command, session.mode);
  session.last_command = spec;
  text_.clear();
  const bool accepted = is_executed(routing.kind) && (spec == nullptr || spec->arity_fits(command.size()));
  if (pause_.active() && accepted && pause_.stops(spec, command, session.mode)) {
    set_wait(session, Wait::pause);
    return Handled::wait;
  }
  switch (routing.kind) {
    case RouteKind::local:
      return handle_local(session, *spec, command, now);
    case RouteKind::clients:
      return handle_clients(session, *spec, command, now);
    case RouteKind::select:
      return handle_select(session, command, now);
    case RouteKind::shared:
    case RouteKind::leased:
      if (spec != nullptr && spec->id == CommandId::info && answer_info(session, command)) {
        return Handled::consumed;
      }
      return dispatch(session, spec, read, routing, now);
    case RouteKind::raw:
      return dispatch_raw(session, read, now);
    case RouteKind::subscription:
      return handle_subscription(session, *spec, read, now);
    case RouteKind::discarded:
      return handle_discarded(session, spec != nullptr ? spec->id : CommandId::other);
    case RouteKind::hang_up:
      // Without an answer of its own, when what came before is executed: who is blocked is not ended by it.
      // Redis has answered what it read before, and throws away with the client what it read together with
      // this.
      if (session.in_flight > 0) {
        set_wait(session, Wait::drain);
        return Handled::wait;
      }
      if (session.said_in_this_read) {
        close_session(session);
      } else {
        session.in.clear();
        stop_reading_and_end(session);
      }
      return Handled::consumed;
    case RouteKind::unknown_before_login:
      if (spec == nullptr) {
        append_unknown_command(text_, command);
      } else {
        append_unknown_subcommand(text_, *spec, command[1]);
      }
      break;
    case RouteKind::not_while_subscribed:
      append_not_while_subscribed(text_, *spec);
      break;
    case RouteKind::unauthenticated:
      if (!spec->subcommands.empty() && command.size() >= 2) {
        append_unknown_subcommand(text_, *spec, command[1]);
      } else {
        // Redis refuses EXEC in words of its own, whatever the reason.
        resp::append_error(text_,
                           id == CommandId::exec
                               ? "EXECABORT Transaction discarded because of: NOAUTH Authentication required."
                               : "NOAUTH Authentication required.");
      }
      break;
    case RouteKind::wrong_arity:
      append_wrong_arity(text_, *spec);
      break;
    case RouteKind::refused:
      append_no_permission(text_, *spec);
      break;
    case RouteKind::not_in_transaction:
      resp::append_error(text_, "ERR Command not allowed inside a transaction");
      break;
  }
  if (session.mode.in_multi) session.mode.transaction_refused = true;
  ++stats_.commands_refused;
  answer(session, text_);
  return Handled::consumed;
}

// --- Answered here

void Engine::answer(Session& session, std::string_view reply) {
  if (reply.empty() || session.mode.silent()) return;
  session.answer(buffers_, slab_, reply);
  mark_dirty(session);
  check_output(session);
}

Engine::Handled Engine::handle_local(Session& session, const resp::CommandSpec& spec,
                                     const CommandView& command, TimePoint now) {
  if ((spec.id == CommandId::reset || spec.id == CommandId::hello) && session.in_flight > 0) {
    // What came before RESET is executed before it; what came before HELLO is answered in the protocol of
    // before, also when it has to be dispatched again.
    set_wait(session, Wait::drain);
    return Handled::wait;
  }
  const bool version_known = pool_.route_serial() != 0;
  if (spec.id == CommandId::hello && !version_known) {
    // HELLO names the server's version, which nobody has seen yet.
    Handled handled = Handled::consumed;
    if (!may_dispatch(session, now, &handled)) return handled;
  }
  const bool own_link = spec.id == CommandId::hello && session.lease != nullptr;
  const bool to_be_judged = options_.client_password.empty() && names_a_user(spec.id, command);
  if (own_link || to_be_judged) return ask_server_to_log_in(session, spec, command, now);
  const LocalContext context{options_, pool_.route().redis_version};
  const LocalAction action = local_reply(session, spec, command, context, text_);
  ++stats_.commands_local;
  telemetry_.count(&spec);
  if (action == LocalAction::login_failed) ++stats_.login_failures;
  if (action == LocalAction::reset) reset_session(session);
  if (spec.id == CommandId::client_setname && session.mode.pinned) name_link(session);
  answer(session, text_);
  if (action == LocalAction::close && session.ending != Ending::now) {
    session.in.clear();
    stop_reading_and_end(session);
  }
  return Handled::consumed;
}

void Engine::reset_session(Session& session) {
  drop_lease(session);
  leave_hub(session);
  forget_kept(session);
  session.forget_extras();
  session.db = 0;
  session.resubscribe = false;
  const SessionMode before = session.mode;
  session.mode = SessionMode{};
  session.mode.pinned = before.pinned;
  session.mode.no_evict = before.no_evict;
  session.mode.reply_skip = before.reply_skip;
  session.mode.authenticated = authenticated_at_first();
  session.user = nullptr;
}

Engine::Handled Engine::handle_select(Session& session, const CommandView& command, TimePoint now) {
  std::int64_t db = 0;
  text_.clear();
  if (command.size() != 2) {
    append_wrong_arity(text_, *table_->find("select"));
  } else {
    const std::string_view text = command[1];
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), db);
    const bool number = parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() && !text.empty();
    if (!number || db > INT_MAX || db < INT_MIN) {
      resp::append_error(text_, "ERR value is not an integer or out of range");
    } else if (db < 0) {
      resp::append_error(text_, "ERR DB index is out of range");
    }
  }
  if (text_.empty() && static_cast<std::uint32_t>(db) == session.db) resp::append_simple(text_, "OK");
  if (!text_.empty()) {
    ++stats_.commands_local;
    answer(session, text_);
    return Handled::consumed;
  }
  Handled handled = Handled::consumed;
  if (!may_dispatch(session, now, &handled)) return handled;
  if (session.in_flight > 0) {
    set_wait(session, Wait::drain);
    return Handled::wait;
  }
  // Only the server knows how many databases it has: the answer is that of the login on the new link.
  LinkKey key = key_of(session);
  key.db = static_cast<std::uint32_t>(db);
  key.db_kept = false;
  BackendLink* link = pool_.shared(key, session.user, now);
  ++stats_.commands_local;
  if (link->state == LinkState::ready) {
    session.db = key.db;
    session.mode.db_kept = false;
    resp::append_simple(text_, "OK");
    answer(session, text_);
    return Handled::consumed;
  }
  Request* request = slab_.take();
  request->session = &session;
  request->kind = RequestKind::synthesise;
  request->id = CommandId::select;
  request->select_db = db;
  request->silent = session.mode.silent();
  session.slots.push_back(request);
  link->append(request);
  ++session.in_flight;
  session.link_in_use = link->id;
  set_wait(session, Wait::drain);
  return Handled::consumed;
}

Engine::Handled Engine::handle_discarded(Session& session, CommandId id) {
  switch (id) {
    case CommandId::exec:
      resp::append_error(text_, "EXECABORT Transaction discarded because of previous errors.");
      break;
    case CommandId::discard:
      resp::append_simple(text_, "OK");
      break;
    case CommandId::multi:
      resp::append_error(text_, "ERR MULTI calls can not be nested");
      break;
    case CommandId::watch:
      resp::append_error(text_, "ERR WATCH inside MULTI is not allowed");
      break;
    default:
      resp::append_error(text_,
                         "ERR fairlead: the connection to the master was lost inside this transaction");
      break;
  }
  if (id == CommandId::exec || id == CommandId::discard) {
    session.mode.in_multi = session.mode.transaction_lost = session.mode.transaction_refused = false;
    session.mode.watch_lost = false;
    forget_kept(session);
  }
  ++stats_.commands_local;
  answer(session, text_);
  return Handled::consumed;
}

}  // namespace fairlead::engine
