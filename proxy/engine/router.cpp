#include "proxy/engine/router.hpp"

#include "proxy/engine/subscriptions.hpp"

namespace fairlead::engine {

using resp::Affinity;
using resp::CommandId;
using resp::LeaseSpan;

namespace {

bool allowed_before_login(CommandId id) {
  return id == CommandId::auth || id == CommandId::hello || id == CommandId::quit || id == CommandId::reset;
}

bool about_channels(CommandId id) {
  return is_subscribe(id) || is_unsubscribe(id);
}

/// What Redis allows a RESP2 client that is subscribed.
bool allowed_while_subscribed(CommandId id) {
  return about_channels(id) || id == CommandId::ping || id == CommandId::quit || id == CommandId::reset;
}

/// Redis looks a command up and counts its arguments before it asks whether a subscriber may say it.
Routing refuse_subscriber(const resp::CommandSpec* spec, const resp::CommandView& command) {
  const bool unknown_subcommand = spec != nullptr && !spec->subcommands.empty() && command.size() > 1;
  if (spec == nullptr || unknown_subcommand) return {RouteKind::unknown_before_login};
  return {spec->arity_fits(command.size()) ? RouteKind::not_while_subscribed : RouteKind::wrong_arity};
}

/// The server then talks without being asked: it passes, without accounting of replies.
bool changes_the_wire(CommandId id) {
  return id == CommandId::monitor;
}

/// Client-side caching: the server must know this client by a link of its own.
bool about_tracking(CommandId id) {
  return id == CommandId::client_tracking || id == CommandId::client_caching ||
         id == CommandId::client_getredir || id == CommandId::client_trackinginfo;
}

/// SUBSCRIBE to the channel of invalidations, which the server sends to one connection and no other: it is
/// the target of somebody's CLIENT TRACKING ... REDIRECT.
bool asks_for_invalidations(CommandId id, const resp::CommandView& command) {
  if (id != CommandId::subscribe) return false;
  for (std::uint32_t i = 1; i < command.size(); ++i) {
    if (command[i] == "__redis__:invalidate") return true;
  }
  return false;
}

/// Kept here and nowhere on a link; inside MULTI the server would change its link with it instead.
bool changes_the_session(CommandId id) {
  return id == CommandId::client_reply || id == CommandId::client_no_evict ||
         id == CommandId::client_no_touch;
}

/// Commands about the clients of fairlead, which the server has never heard of.
bool about_clients(CommandId id) {
  switch (id) {
    case CommandId::client_info:
    case CommandId::client_list:
    case CommandId::client_kill:
    case CommandId::client_unblock:
    case CommandId::client_pause:
    case CommandId::client_unpause:
      return true;
    default:
      return false;
  }
}

/// The server refuses them with a wrong number of arguments, and then they neither open nor close anything.
/// EXEC is not among them: it ends the block all the same.
bool opens_or_closes_block(CommandId id) {
  return id == CommandId::multi || id == CommandId::discard || id == CommandId::watch ||
         id == CommandId::unwatch;
}

bool answered_here(CommandId id) {
  switch (id) {
    case CommandId::ping:
    case CommandId::echo:
    case CommandId::client_id:
    case CommandId::client_setname:
    case CommandId::client_getname:
    case CommandId::client_setinfo:
      return true;
    default:
      return changes_the_session(id) || about_clients(id);
  }
}

Routing route_login_command(CommandId id, const SessionMode& mode) {
  if (id == CommandId::quit || id == CommandId::reset) return {RouteKind::local};
  if (mode.in_multi) return {RouteKind::not_in_transaction};
  // A RESP2 subscriber may not say it: the server's own refusal is the answer.
  if (mode.subscribed && mode.version == resp::Version::resp2) return {RouteKind::leased};
  return {RouteKind::local};
}

Routing route_transaction(CommandId id, const SessionMode& mode) {
  if (about_channels(id) || changes_the_wire(id) || changes_the_session(id)) {
    return {RouteKind::not_in_transaction};
  }
  return {mode.transaction_lost ? RouteKind::discarded : RouteKind::leased};
}

Routing route_local(CommandId id, const SessionMode& mode) {
  if (about_tracking(id)) return {RouteKind::leased};
  // With one link for each client the server hears whether its client is there, and says that it is busy.
  if (mode.pinned && (id == CommandId::ping || id == CommandId::echo)) return {RouteKind::leased};
  if (id == CommandId::select) return {mode.has_lease || mode.pinned ? RouteKind::leased : RouteKind::select};
  if (about_clients(id)) return {RouteKind::clients};
  if (answered_here(id)) return {RouteKind::local};
  // In session mode the rest passes as on a wire: the server knows this client by its own link.
  if (mode.pinned) return {RouteKind::leased};
  // COMMAND and its subcommands read the server's table, CLIENT HELP its text, and subcommands of CLIENT that
  // the server does not know get its error: nothing changes on the link.
  const bool harmless = id == CommandId::command || id == CommandId::client || id == CommandId::client_help;
  if (harmless) return {mode.has_lease ? RouteKind::leased : RouteKind::shared};
  return {RouteKind::leased, LeaseSpan::one_unknown};
}

}  // namespace

Routing route(const resp::CommandSpec* spec, const resp::CommandView& command, const SessionMode& mode) {
  const CommandId id = spec != nullptr ? spec->id : CommandId::other;
  if (id == CommandId::post || id == CommandId::host) return {RouteKind::hang_up};
  if (!mode.authenticated && !allowed_before_login(id)) {
    if (spec == nullptr) return {RouteKind::unknown_before_login};
    return {spec->arity_fits(command.size()) ? RouteKind::unauthenticated : RouteKind::wrong_arity};
  }
  // What a raw session has in the hub it leaves there, too.
  const bool own_link =
      mode.pinned || mode.subscribed || (!mode.in_hub && asks_for_invalidations(id, command));
  const bool hub_command = about_channels(id) && !own_link && spec->arity_fits(command.size());
  if (mode.raw && mode.in_hub && hub_command) return {RouteKind::subscription};
  if (mode.raw) return {id == CommandId::quit || id == CommandId::reset ? RouteKind::local : RouteKind::raw};

  const resp::CallTraits traits = resp::traits_of_call(spec, command);
  if (traits.affinity == Affinity::refused) {
    return {spec->arity_fits(command.size()) ? RouteKind::refused : RouteKind::wrong_arity};
  }
  const bool resp2_in_hub = mode.in_hub && mode.version == resp::Version::resp2;
  if (resp2_in_hub && !allowed_while_subscribed(id)) return refuse_subscriber(spec, command);
  if (traits.affinity == Affinity::local) {
    const bool login = allowed_before_login(id);
    if ((login || answered_here(id)) && !spec->arity_fits(command.size())) return {RouteKind::wrong_arity};
    if (login) return route_login_command(id, mode);
  }
  if (opens_or_closes_block(id) && !spec->arity_fits(command.size())) return {RouteKind::wrong_arity};
  if (mode.in_multi) return route_transaction(id, mode);
  if (hub_command) return {RouteKind::subscription};
  if (about_channels(id) && !spec->arity_fits(command.size())) return {RouteKind::wrong_arity};
  if (changes_the_wire(id) || traits.lease == LeaseSpan::rest) return {RouteKind::raw, LeaseSpan::rest};
  if (traits.affinity == Affinity::local) {
    const bool resp2_subscriber = mode.subscribed && mode.version == resp::Version::resp2;
    return resp2_subscriber ? Routing{RouteKind::leased} : route_local(id, mode);
  }
  if (traits.affinity == Affinity::leased) return {RouteKind::leased, traits.lease};
  return {mode.has_lease || mode.pinned ? RouteKind::leased : RouteKind::shared};
}

}  // namespace fairlead::engine
