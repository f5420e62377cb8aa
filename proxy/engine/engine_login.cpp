// AUTH and HELLO that a server answers. When fairlead has no password of its own for clients, Redis' users
// and their ACLs hold: the question travels on a link that carries nothing but such questions, and afterwards
// the session uses links that are logged in as its user. HELLO of a session with a link of its own goes
// there.
#include <string>
#include <vector>

#include "proxy/engine/check.hpp"
#include "proxy/engine/engine.hpp"
#include "proxy/engine/local_reply.hpp"
#include "resp/writer.hpp"

namespace fairlead::engine {

using health::TimePoint;
using resp::CommandId;
using resp::CommandView;

namespace {
/// Logins remembered before those that nobody uses any more are forgotten.
constexpr std::size_t users_sweep_size = 256;
}  // namespace

bool Engine::authenticated_at_first() const {
  return options_.client_password.empty() && options_.client_login == ClientLogin::open;
}

/// The operator's list of refused commands, applied to the table of now.
void Engine::reload(const EngineOptions& options) {
  options_.limits = options.limits;
  options_.blocking_replay = options.blocking_replay;
  options_.server_login = options.server_login;
  options_.client_password = options.client_password;
  options_.client_login = options.client_login;
  options_.deny = options.deny;
  gate_.set_hold_max(options_.limits.hold_max);
  policy_of_.reset();
  apply_policy();
}

void Engine::apply_policy() {
  const std::shared_ptr<const resp::CommandTable> learnt =
      topology_ ? topology_->commands : resp::CommandTable::built_in();
  if (learnt == policy_of_) return;
  policy_of_ = learnt;
  telemetry_.forget_specs();
  if (options_.deny == std::vector<std::string>{"default"}) {
    adopt_table(learnt);
    return;
  }
  std::vector<std::string> names;
  for (const std::string& name : options_.deny) {
    if (name == "default") {
      names.insert(names.end(), denied_by_default_.begin(), denied_by_default_.end());
    } else {
      names.push_back(name);
    }
  }
  adopt_table(learnt->with_denied(names));
}

UserPtr Engine::intern(health::Login login) {
  const std::string key = login.username + '\0' + login.password;
  if (users_.size() >= users_sweep_size) {
    boost::unordered::erase_if(users_, [](const auto& entry) { return entry.second.expired(); });
  }
  std::weak_ptr<const health::Login>& known = users_[key];
  if (UserPtr user = known.lock()) return user;
  UserPtr user = std::make_shared<const health::Login>(std::move(login));
  known = user;
  return user;
}

/// HELLO on a link of one's own: what fairlead itself has to say against it; empty when the link may switch.
std::string Engine::own_objection(const Session& session, const HelloArguments& hello) {
  std::string out;
  if (!hello.error.empty()) {
    resp::append_error(out, hello.error);
  } else if (!options_.client_password.empty()) {
    if (hello.has_login && !login_fits(hello.username, hello.password, options_)) {
      ++stats_.login_failures;
      append_wrong_password(out);
    } else if (!hello.has_login && !session.mode.authenticated) {
      append_hello_needs_login(out);
    }
  }
  return out;
}

Engine::Handled Engine::ask_server_to_log_in(Session& session, const resp::CommandSpec& spec,
                                             const CommandView& command, TimePoint now) {
  PendingLogin pending;
  health::Login login;
  bool names_user = true;
  if (spec.id == CommandId::hello) {
    const HelloArguments hello = read_hello(command);
    const std::string objection = own_objection(session, hello);
    if (!objection.empty()) {
      answer(session, objection);
      return Handled::consumed;
    }
    pending.is_hello = true;
    pending.version = hello.version;
    if (hello.name) pending.name.emplace(*hello.name);
    // A password of fairlead's own was judged above; the server is asked for the protocol alone.
    names_user = hello.has_login && options_.client_password.empty();
    if (names_user) login = {std::string(hello.username), std::string(hello.password)};
  } else if (command.size() == 2) {
    login = {"", std::string(command[1])};
  } else {
    login = {std::string(command[1]), std::string(command[2])};
  }
  Handled handled = Handled::consumed;
  if (!may_dispatch(session, now, &handled)) return handled;
  if (session.in_flight > 0) {
    set_wait(session, Wait::drain);  // what came before is executed as the user of before
    return Handled::wait;
  }
  // A session with a link of its own logs in there, as on a wire: what the link knows stays.
  const bool own_link = session.lease != nullptr;
  BackendLink* link = own_link ? link_for(session, RouteKind::leased, now) : login_link(now);
  if (link == nullptr) return Handled::wait;
  std::vector<std::string> words;
  if (own_link && pending.is_hello) {
    const bool resp3 =
        pending.version == 0 ? session.mode.version == resp::Version::resp3 : pending.version == 3;
    words = {"HELLO", resp3 ? "3" : "2"};
  }
  if (names_user) {
    words.emplace_back("AUTH");
    // HELLO's AUTH always has a name.
    if (!login.username.empty() || words.size() > 1) words.push_back(login.username);
    words.push_back(login.password);
  }
  text_.clear();
  resp::append_command(text_, words);
  Request* request = slab_.take();
  request->session = &session;
  request->id = spec.id;
  request->on_lease = own_link;
  request->silent = session.mode.silent();
  request->traits.repeatable = true;
  if (pending.is_hello) request->override_reply = ReplyOverride::hello;
  link->append(buffers_, request, text_);
  session.slots.push_back(request);
  ++session.in_flight;
  session.link_in_use = link->id;
  pending.user = names_user ? intern(std::move(login)) : session.user;
  session.extras().pending_login = std::move(pending);
  mark_dirty(*link);
  set_wait(session, Wait::drain);  // who the session is decides about all that follows
  return Handled::consumed;
}

BackendLink* Engine::login_link(TimePoint now) {
  LinkKey key;
  key.lane = login_lane;
  return pool_.shared(key, nullptr, now);
}

bool Engine::is_pending_login(Session& session, const Request& request) {
  const bool login = request.id == CommandId::auth || request.id == CommandId::hello;
  return login && session.extras_or_null() != nullptr && session.extras().pending_login.has_value();
}

/// A question whose link was lost. It must not travel on a link for commands, which it would make another
/// user's; it is always the last of its session's slots.
bool Engine::log_in_again(Session& session, Request* request, TimePoint now) {
  set_wait(session, Wait::drain);
  if (session.in_flight > 0) return false;
  BackendLink* link = request->on_lease ? link_for(session, RouteKind::leased, now) : login_link(now);
  if (link == nullptr) return false;
  request->reply.clear(buffers_);
  link->append(buffers_, request, request->frame);
  leave_hold(session, *link);
  ++stats_.redispatched;
  mark_dirty(*link);
  return false;
}

void Engine::on_login_judged(BackendLink& link, Session& session, Request& request) {
  if (session.extras_or_null() == nullptr || !session.extras().pending_login) return;
  const PendingLogin pending = std::move(*session.extras().pending_login);
  session.extras().pending_login.reset();
  if (link.scanner.is_error()) {
    ++stats_.login_failures;
    return;
  }
  const bool other_user = session.user != pending.user;
  session.user = pending.user;
  session.mode.authenticated = true;
  if (pending.version != 0) {
    session.mode.version = pending.version == 3 ? resp::Version::resp3 : resp::Version::resp2;
  }
  if (other_user && session.db != 0) session.mode.db_kept = true;
  if (request.on_lease) {
    link.user = session.user;
    link.key = key_of(session);
    link.key.lane = 0;
  }
  if (!pending.is_hello) return;
  if (pending.name) {
    session.extras().name = *pending.name;
    if (session.mode.pinned) name_link(session);
  }
  text_.clear();
  append_hello(text_, session, {options_, pool_.route().redis_version});
  request.reply.append_copy(buffers_, text_);
}

}  // namespace fairlead::engine
