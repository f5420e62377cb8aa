// What one client asks about all others (CLIENT LIST, KILL, UNBLOCK, PAUSE), and its own CLIENT INFO.
//
//   asker's Engine: handle_clients --broadcast--> every other Engine: answer_query
//                        |                                   |
//                   answer_query                      on_query_answer
//                        `------------> finish_query <-------'   or expire_queries, after a second
//
// The asker's request keeps its place among the slots, and what the client says behind it waits: a command
// after KILL or PAUSE must find their work done.
#include <algorithm>

#include "proxy/engine/check.hpp"
#include "proxy/engine/client_command.hpp"
#include "proxy/engine/engine.hpp"
#include "resp/server_error.hpp"
#include "resp/writer.hpp"

namespace fairlead::engine {

using health::TimePoint;
using resp::CommandId;

namespace {

/// A worker that stands still must not stop those who ask: its clients are left out.
constexpr std::chrono::milliseconds answer_time_max{1000};

Request* asking_request(const Session& session) {
  for (Request* r = session.slots.front(); r != nullptr; r = r->next_slot) {
    if (r->state == RequestState::asking) return r;
  }
  return nullptr;
}

std::uint64_t argument_bytes(const resp::CommandView& command) {
  std::uint64_t bytes = 0;
  for (std::uint32_t i = 0; i < command.size(); ++i) bytes += command[i].size();
  return bytes;
}

std::int64_t seconds_between(TimePoint from, TimePoint to) {
  return std::max<std::int64_t>(0, std::chrono::duration_cast<std::chrono::seconds>(to - from).count());
}

std::string_view user_name(const Session& session) {
  const bool named = session.user != nullptr && !session.user->username.empty();
  return named ? std::string_view(session.user->username) : std::string_view("default");
}

ClientType type_of(const Session& session) {
  if (session.mode.replica) return ClientType::replica;
  return session.has_subscriptions() || session.mode.in_hub ? ClientType::pubsub : ClientType::normal;
}

}  // namespace

// --- The one who asks

Engine::Handled Engine::handle_clients(Session& session, const resp::CommandSpec& spec,
                                       const resp::CommandView& command, TimePoint now) {
  if (session.in_flight > 0) {
    set_wait(session, Wait::drain);  // what came before is executed before
    return Handled::wait;
  }
  if (spec.id == CommandId::client_info) {
    ++stats_.commands_local;
    ClientFacts facts = facts_of(session, now);
    facts.argument_bytes = argument_bytes(command);
    std::string line;
    append_client_line(line, facts);
    resp::append_verbatim(text_, line, session.mode.version);
    answer(session, text_);
    return Handled::consumed;
  }
  if (asking_request(session) != nullptr) {
    set_wait(session, Wait::query);
    return Handled::wait;
  }
  Handled handled = Handled::consumed;
  if (session.user != nullptr && !may_dispatch(session, now, &handled)) return handled;
  std::optional<ClientQuery> query = parse_client_query(spec.id, command, text_);
  ++stats_.commands_local;
  if (!query) {
    answer(session, text_);
    return Handled::consumed;
  }
  query->id = ++queries_asked_;
  query->asker = session.client_id;
  query->asker_argument_bytes = argument_bytes(command);
  Request* request = slab_.take();
  request->session = &session;
  request->kind = RequestKind::query;
  request->state = RequestState::asking;
  request->silent = session.mode.silent();
  session.slots.push_back(request);
  if (session.user != nullptr) return ask_permission(session, request, std::move(*query), now);
  ask_workers(session, std::move(*query), now);
  return Handled::consumed;
}

/// Redis' users have their ACLs in the server: it is asked whether this one may, on a link of the user's own.
Engine::Handled Engine::ask_permission(Session& session, Request* request, ClientQuery query, TimePoint now) {
  BackendLink* link = pool_.shared(key_of(session), session.user, now);
  request->traits.repeatable = true;
  link->append(buffers_, request, permission_probe(query));
  session.extras().pending_query = std::move(query);
  ++session.in_flight;
  session.link_in_use = link->id;
  set_wait(session, Wait::drain);
  mark_dirty(*link);
  return Handled::consumed;
}

/// The reply to such a question has come: true when the user may, and all workers are asked now.
bool Engine::ask_if_permitted(BackendLink& link, Session& session, Request* request, TimePoint now) {
  if (request->kind != RequestKind::query || session.extras_or_null() == nullptr) return false;
  if (!session.extras().pending_query) return false;
  ClientQuery query = std::move(*session.extras().pending_query);
  session.extras().pending_query.reset();
  if (!link.scanner.is_error()) return false;
  if (resp::parse_server_error(link.scanner.error_text()).kind == resp::ServerErrorKind::no_perm)
    return false;
  request->reply.clear(buffers_);
  request->state = RequestState::asking;
  --session.in_flight;
  session.wait = Wait::query;
  ask_workers(session, std::move(query), now);
  return true;
}

void Engine::ask_workers(Session& session, ClientQuery query, TimePoint now) {
  PendingQuery pending;
  pending.session = session.id;
  pending.deadline = now + answer_time_max;
  pending.awaited = io_.broadcast(query);
  pending.answer = answer_query(query, now);
  pending.query = std::move(query);
  if (pending.awaited == 0) {
    finish_query(std::move(pending), now);
  } else {
    queries_.push_back(std::move(pending));
    set_wait(session, Wait::query);
  }
}

void Engine::on_query_answer(std::uint64_t query_id, QueryAnswer answer, TimePoint now) {
  const auto found = std::find_if(queries_.begin(), queries_.end(),
                                  [query_id](const PendingQuery& p) { return p.query.id == query_id; });
  if (found == queries_.end()) return;
  found->answer.merge(std::move(answer));
  if (--found->awaited > 0) return;
  PendingQuery pending = std::move(*found);
  queries_.erase(found);
  finish_query(std::move(pending), now);
}

void Engine::expire_queries(TimePoint now) {
  while (!queries_.empty() && queries_.front().deadline <= now) {
    PendingQuery pending = std::move(queries_.front());
    queries_.erase(queries_.begin());
    finish_query(std::move(pending), now);
  }
}

void Engine::finish_query(PendingQuery pending, TimePoint now) {
  Session* session = sessions_.find(pending.session);
  if (session == nullptr) return;
  if (pending.query.kind == QueryKind::locate) {
    on_located(*session, pending);
    return;
  }
  Request* request = asking_request(*session);
  FAIRLEAD_CHECK(request != nullptr);
  if (finish_in_server(*session, request, pending, now)) return;
  text_.clear();
  append_query_reply(text_, pending.query, pending.answer, session->mode.version);
  answer_own(request, text_);
  if (session->ending == Ending::now) return;  // the list was longer than its output limit
  if (pending.answer.asker_is_hit) {
    session->in.clear();  // as in Redis: it hears the answer, and nothing of what it said behind is done
    stop_reading_and_end(*session);
  }
  wake(*session, Wait::query);
}

/// The reply to a request that no server has answered.
void Engine::answer_own(Request* request, std::string_view reply) {
  Session& session = *request->session;
  request->reply.clear(buffers_);
  request->link = nullptr;
  request->reply.append_copy(buffers_, reply);
  request->state = RequestState::answered;
  session.flush_slots(buffers_, slab_);
  mark_dirty(session);
  check_output(session);
}

/// What is the server's to finish, and its answer the asker's: it unblocks whose link is blocked there, and
/// ends a pause of its own, which a CLIENT PAUSE inside MULTI has begun.
bool Engine::finish_in_server(Session& session, Request* request, const PendingQuery& pending,
                              TimePoint now) {
  const ClientQuery& query = pending.query;
  const QueryAnswer& answer = pending.answer;
  // Another server may have given the same number to somebody else.
  const bool unblocks = query.kind == QueryKind::unblock && answer.link_server_id != 0 &&
                        answer.link_run_id == pool_.route().run_id;
  if (!gate_.open() || !(unblocks || query.kind == QueryKind::unpause)) return false;
  text_.clear();
  if (unblocks) {
    resp::append_command(text_, {"CLIENT", "UNBLOCK", std::to_string(answer.link_server_id),
                                 query.unblock_mode == UnblockMode::error ? "ERROR" : "TIMEOUT"});
  } else {
    resp::append_command(text_, {"CLIENT", "UNPAUSE"});
    request->id = CommandId::client_unpause;
  }
  LinkKey key = key_of(session);
  key.lane = admin_lane;
  BackendLink* link = pool_.shared(key, session.user, now);
  link->append(buffers_, request, text_);
  ++session.in_flight;
  session.link_in_use = link->id;
  set_wait(session, Wait::drain);
  mark_dirty(*link);
  return true;
}

/// Its link was lost: who was blocked there is so no more, nor is that server's pause any more ours to end.
/// True when `request` is such a one.
bool Engine::give_up_query(Request* request) {
  if (request->kind != RequestKind::query) return false;
  const SessionExtras* extras = request->session->extras_or_null();
  if (extras != nullptr && extras->pending_query) return false;  // only whether the user may: asked again
  request->reply.clear(buffers_);
  request->link = nullptr;
  request->reply.append_copy(buffers_, request->id == CommandId::client_unpause ? "+OK\r\n" : ":0\r\n");
  answered(*request->session, request);
  return true;
}

// --- Those who are asked

QueryAnswer Engine::answer_query(const ClientQuery& query, TimePoint now) {
  QueryAnswer answer;
  switch (query.kind) {
    case QueryKind::list:
      sessions_.for_each([&](const Session& session) {
        if (!matches(query.filter, session)) return;
        ClientFacts facts = facts_of(session, now);
        if (session.client_id == query.asker) facts.argument_bytes = query.asker_argument_bytes;
        ClientEntry entry{session.client_id, {}};
        append_client_line(entry.line, facts);
        answer.clients.push_back(std::move(entry));
      });
      break;
    case QueryKind::kill:
      sessions_.for_each([&](Session& session) {
        const bool asker = session.client_id == query.asker;
        if (query.filter.user == user_name(session)) answer.user_is_known = true;
        if (asker && query.skip_asker == SkipAsker::yes) return;
        if (!matches(query.filter, session)) return;
        ++answer.killed;
        if (asker) {
          answer.asker_is_hit = true;
        } else {
          close_session(session);
        }
      });
      break;
    case QueryKind::unblock:
      answer_unblock(query, answer);
      break;
    case QueryKind::learn_script:
    case QueryKind::forget_scripts:
      hear_of_script(query);
      break;
    case QueryKind::locate:
      answer_locate(query, answer, now);
      break;
    case QueryKind::pause:
      pause_.begin(query.pause_scope, query.pause_for, now);
      break;
    case QueryKind::unpause:
      pause_.end();
      release_paused();
      break;
  }
  return answer;
}

bool Engine::matches(const ClientFilter& filter, const Session& session) {
  if (!filter.ids.empty() && std::find(filter.ids.begin(), filter.ids.end(),
                                       static_cast<std::int64_t>(session.client_id)) == filter.ids.end()) {
    return false;
  }
  if (filter.type && *filter.type != type_of(session)) return false;
  if (filter.user && *filter.user != user_name(session)) return false;
  if (!filter.address && !filter.local_address) return true;
  const ConnectionNames names = io_.names(session.id);
  if (filter.address && *filter.address != names.address) return false;
  return !filter.local_address || *filter.local_address == names.local_address;
}

bool Engine::blocked_in_server(const Session& session) {
  if (session.lease == nullptr || session.slots.empty()) return false;
  const Request& front = *session.slots.front();
  return front.state == RequestState::in_link && front.traits.blocking &&
         session.lease->sent_state(front) == SentState::sent;
}

void Engine::answer_unblock(const ClientQuery& query, QueryAnswer& answer) {
  sessions_.for_each([&](const Session& session) {
    if (!matches(query.filter, session) || !blocked_in_server(session)) return;
    if (session.lease->route_serial != pool_.route_serial()) return;
    answer.link_server_id = session.lease->login.server_client_id();
    answer.link_run_id = pool_.route().run_id;
  });
}

ClientFacts Engine::facts_of(const Session& session, TimePoint now) {
  const SessionMode& mode = session.mode;
  ClientFacts facts;
  facts.id = session.client_id;
  facts.names = io_.names(session.id);
  facts.age_s = seconds_between(session.accepted_at, now);
  facts.idle_s = seconds_between(session.active_at, now);
  facts.db = session.db;
  if (const SessionExtras* extras = session.extras_or_null()) {
    facts.name = extras->name;
    facts.channels = extras->subscriptions.count(ChannelKind::channel);
    facts.patterns = extras->subscriptions.count(ChannelKind::pattern);
    facts.shard_channels = extras->subscriptions.count(ChannelKind::shard);
    facts.memory_bytes += sizeof(SessionExtras);
  }
  if (const Subscriber* subscriber = session.subscriber) {
    facts.channels = subscriber->counts[static_cast<std::size_t>(ChannelKind::channel)];
    facts.patterns = subscriber->counts[static_cast<std::size_t>(ChannelKind::pattern)];
    facts.shard_channels = subscriber->counts[static_cast<std::size_t>(ChannelKind::shard)];
  }
  if (mode.in_multi) facts.queued = mode.queued;
  facts.query_bytes = session.in.size();
  facts.query_bytes_free = session.in.room_left();
  facts.reply_bytes = session.out.size();
  facts.reply_pieces = session.out.segments();
  facts.memory_bytes += sizeof(Session) + session.slots.size() * sizeof(Request) + facts.query_bytes +
                        facts.query_bytes_free + facts.reply_bytes;
  if (session.last_command != nullptr) facts.command = session.last_command->name;
  facts.user = user_name(session);
  facts.version = mode.version;
  facts.replica = mode.replica;
  facts.monitor = mode.monitor;
  facts.in_multi = mode.in_multi;
  facts.blocked = session.on_hold || session.wait == Wait::pause || blocked_in_server(session);
  facts.tracking = mode.tracking;
  if (const SessionExtras* extras = session.extras_or_null())
    facts.redirect = extras->tracking.redirect_client;
  facts.watch_failed = mode.watch_lost;
  facts.closing = session.ending == Ending::after_replies;
  facts.no_evict = mode.no_evict;
  facts.reads = session.reading == Reading::on;
  facts.waits_to_write = session.write_blocked;
  return facts;
}

/// Specs belong to a table: those that sessions remember are looked up in the new one.
void Engine::adopt_table(std::shared_ptr<const resp::CommandTable> table) {
  const std::shared_ptr<const resp::CommandTable> old = std::exchange(table_, std::move(table));
  sessions_.for_each([this](Session& session) {
    if (session.last_command != nullptr) session.last_command = table_->find(session.last_command->name);
  });
}

}  // namespace fairlead::engine
