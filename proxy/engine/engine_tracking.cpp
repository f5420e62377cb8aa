// CLIENT TRACKING: a session that caches what it read has a link of its own until it stops, since the server
// remembers reads by connection. Invalidations come as pushes between that link's replies.
//
// REDIRECT names a client by fairlead's id. All workers are asked which of the server's connections that one
// has for itself (a subscriber of __redis__:invalidate has one), and the server is told that number.
#include <algorithm>
#include <charconv>
#include <limits>
#include <vector>

#include "proxy/engine/check.hpp"
#include "proxy/engine/client_command.hpp"
#include "proxy/engine/engine.hpp"
#include "resp/writer.hpp"

namespace fairlead::engine {

using health::TimePoint;
using resp::CommandId;
using resp::CommandView;

namespace {

/// The server answers it with its own words for a client that does not exist.
constexpr std::uint64_t no_such_link = std::numeric_limits<std::int64_t>::max();
/// CLIENT TRACKING ... BCAST adds prefixes with each call. Who made more calls is closed when its link is
/// lost.
constexpr std::size_t remembered_max = 32;

struct Redirect {
  std::uint32_t position = 0;  // of the id among the arguments; 0: there is none to translate
  std::int64_t client = 0;
};

Redirect redirect_of(const CommandView& command) {
  for (std::uint32_t i = 3; i + 1 < command.size(); ++i) {
    if (!same_word(command[i], "redirect")) continue;
    const std::string_view text = command[i + 1];
    Redirect redirect{i + 1};
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), redirect.client);
    const bool number = parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() && !text.empty();
    return number && redirect.client > 0 ? redirect : Redirect{};
  }
  return {};
}

bool switches_off(const CommandView& command) {
  return command.size() > 2 && parse_switch(command[2]) == Switch::off;
}

}  // namespace

/// True when the command can be dispatched: it redirects to nobody, or all workers have answered.
bool Engine::locate_redirect(Session& session, const resp::CommandSpec* spec, const CommandView& command,
                             TimePoint now) {
  if (spec == nullptr || spec->id != CommandId::client_tracking) return true;
  const Redirect redirect = redirect_of(command);
  if (redirect.position == 0) return true;
  const auto wanted = static_cast<std::uint64_t>(redirect.client);
  if (session.extras().tracking.asked_client == wanted) return true;
  session.extras().tracking.asked_client = wanted;
  ClientQuery query;
  query.kind = QueryKind::locate;
  query.id = ++queries_asked_;
  query.asker = session.client_id;
  query.filter.ids = {redirect.client};
  ask_workers(session, std::move(query), now);
  return session.wait != Wait::query;
}

void Engine::on_located(Session& session, const PendingQuery& pending) {
  const QueryAnswer& answer = pending.answer;
  // Another server may have given the same number to somebody else.
  const bool found = answer.link_server_id != 0 && answer.link_run_id == pool_.route().run_id;
  session.extras().tracking.located_server = found ? answer.link_server_id : no_such_link;
  if (!found && answer.link_pending && gate_.open()) {
    session.extras().tracking.asked_client = 0;
    session.extras().tracking.ask_again = true;
    set_wait(session, Wait::query);
    wheel_.arm(session.timer, now_ + TimerWheel::tick);
    return;
  }
  wake(session, Wait::query);
}

/// The client may have no link of its own yet: it gets one, and keeps it.
void Engine::answer_locate(const ClientQuery& query, QueryAnswer& answer, TimePoint now) {
  sessions_.for_each([&](Session& session) {
    if (!matches(query.filter, session) || session.ending != Ending::none || session.mode.raw) return;
    const bool quiet = session.in_flight == 0 && session.held == 0 && session.wait == Wait::none;
    if (session.lease == nullptr && quiet && gate_.open()) {
      (void)link_for(session, RouteKind::leased, now);
      // All leases may be taken: nothing of this client waits for one.
      if (session.wait == Wait::lease) {
        session.wait = Wait::none;
        session.wait_hook.unlink();
      }
    }
    const BackendLink* lease = session.lease;
    if (lease == nullptr) {
      answer.link_pending = !quiet;
      return;
    }
    if (lease->route_serial != pool_.route_serial()) {
      answer.link_pending = true;  // as soon as its former server has said what became of its command
      return;
    }
    session.mode.redirect_target = true;
    if (lease->state != LinkState::ready) {
      answer.link_pending = lease->state == LinkState::connecting || lease->state == LinkState::login;
      return;
    }
    answer.link_server_id = lease->login.server_client_id();
    answer.link_run_id = pool_.route().run_id;
  });
}

/// CLIENT TRACKING goes out with the server's name for the other client. False when it goes as it came.
bool Engine::append_tracking(Session& session, BackendLink& link, Request* request,
                             const CommandView& command) {
  Tracking& tracking = session.extras().tracking;
  request->ends_tracking = switches_off(command) && !session.mode.in_multi;
  if (switches_off(command)) return false;
  session.mode.tracking = true;
  link.unclean = true;
  std::vector<std::string> words;
  for (std::uint32_t i = 0; i < command.size(); ++i) words.emplace_back(command[i]);
  const Redirect redirect = redirect_of(command);
  if (redirect.position != 0) {
    tracking.redirect_client = redirect.client;
    tracking.redirect_server = tracking.located_server;
    tracking.asked_client = 0;
    words[redirect.position] = std::to_string(tracking.located_server);
  }
  text_.clear();
  resp::append_command(text_, words);
  const bool known =
      std::find(tracking.commands.begin(), tracking.commands.end(), text_) != tracking.commands.end();
  if (!known && tracking.commands.size() <= remembered_max) tracking.commands.push_back(text_);
  link.append(buffers_, request, text_);
  return true;
}

/// CLIENT TRACKING OFF was accepted. When more is in flight, that may begin it anew: the lease stays.
void Engine::end_tracking(Session& session) {
  if (session.in_flight > 1) return;
  session.mode.tracking = false;
  session.extras().tracking = {};
}

/// An invalidation, between the replies of a session's own link.
void Engine::on_push_part(BackendLink& link, const Bytes& part, resp::ScanStatus status) {
  if (link.owner == nullptr) {
    if (status == resp::ScanStatus::complete) ++stats_.pushes_dropped;  // nobody asks for them there
    return;
  }
  Session& session = *link.owner;
  link.assembly.append(buffers_, part);
  if (status == resp::ScanStatus::complete) {
    // Behind the replies that the server gave before it, also those that still wait for their turn.
    Request* before = nullptr;
    for (Request* r = session.slots.front(); r != nullptr; r = r->next_slot) {
      if (r->state == RequestState::answered && !r->silent) before = r;
    }
    (before != nullptr ? before->reply : session.out).splice(buffers_, link.assembly);
    mark_dirty(session);
    check_output(session);
  } else if (link.assembly.size() > options_.limits.output_buffer_bytes_max) {
    ++stats_.output_buffer_closed;
    close_session(session);
  }
}

/// CLIENT GETREDIR and TRACKINGINFO speak of a client of the server's: it becomes fairlead's.
void Engine::name_redirect(const Session& session, Request& request) {
  const SessionExtras* extras = session.extras_or_null();
  std::string reply = request.reply.take_all(buffers_);
  // Only flags, which are fixed words, stand before the redirection in TRACKINGINFO's reply.
  constexpr std::string_view label = "$8\r\nredirect\r\n:";
  std::size_t number = std::string::npos;
  if (request.id == CommandId::client_getredir) {
    number = 1;
  } else if (const std::size_t at = reply.find(label); at != std::string::npos) {
    number = at + label.size();
  }
  const std::size_t end = number == std::string::npos ? number : reply.find('\r', number);
  if (extras != nullptr && end != std::string::npos &&
      reply.compare(number, end - number, std::to_string(extras->tracking.redirect_server)) == 0 &&
      extras->tracking.redirect_client != 0) {
    reply.replace(number, end - number, std::to_string(extras->tracking.redirect_client));
  }
  request.reply.append_copy(buffers_, reply);
}

/// The link that knew what this session has read is lost. False when nothing can bring that back: then the
/// session must end. Else the client drops its cache, and tracks again on the next link.
bool Engine::lose_tracking(Session& session) {
  const Tracking& tracking = session.extras().tracking;
  const bool here = session.mode.version == resp::Version::resp3 && tracking.redirect_client == 0 &&
                    tracking.commands.size() <= remembered_max;
  if (!here) return false;
  session.out.append_copy(buffers_, ">2\r\n$10\r\ninvalidate\r\n_\r\n");
  mark_dirty(session);
  return true;
}

/// Before anything else is said on a new link.
void Engine::track_again(Session& session, BackendLink& link) {
  if (!session.mode.tracking) return;
  for (const std::string& command : session.extras().tracking.commands) {
    Request* request = slab_.take();
    request->kind = RequestKind::swallow;
    request->id = CommandId::client_tracking;
    link.append(buffers_, request, command);
  }
  link.unclean = true;
}

}  // namespace fairlead::engine
