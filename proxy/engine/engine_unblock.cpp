// Blocking commands when the route leaves a server that may still answer. What it has popped for one of them
// is nobody else's any more, since the pop may have been replicated; if the link were closed while the value
// is on its way, the value would be lost. So the server is asked to end the wait, and what it says decides:
//
//   CLIENT UNBLOCK id ERROR --> -UNBLOCKED            nothing was popped: waits on at the next master
//                           --> any other answer      is the client's
//                           --> the link ends, or     judged as every lost link (replay.cpp)
//                               unblock_wait is over
//
// ERROR and not TIMEOUT. Redis answers a TIMEOUT with the null of the command's own timeout, which may have
// elapsed just now, and WAIT with a number; and Redis 7.0 aborts when the client that is unblocked with it
// waits for the end of a CLIENT PAUSE, which a FAILOVER of its own makes of every write.
#include <chrono>

#include "proxy/engine/engine.hpp"
#include "resp/writer.hpp"

namespace fairlead::engine {

using health::TimePoint;
using resp::CommandId;

namespace {

/// To connect, log in and ask takes three round trips: milliseconds, and some tens of them on a machine that
/// is busy with the failover. Whoever waits for a server that is silent goes on so much later, which is
/// little beside the time in which that server was found to be lost.
constexpr std::chrono::milliseconds unblock_wait{250};

}  // namespace

/// `link` is of a route that was just revoked. True when it stays until its server has said what became of
/// the command that waits there, or has said the rest of an answer that has begun.
bool Engine::await_blocked(BackendLink& link, TimePoint now) {
  if (!may_be_unblocked(link)) return false;
  const bool answering = !link.scanner.at_boundary();
  // At the address of the route of now another process answers; there that number is somebody else's.
  const bool askable = link.login.server_client_id() != 0 && link.address != pool_.route().address;
  if (!answering && !askable) return false;
  link.state = LinkState::draining;
  link.unclean = true;
  if (answering) {
    wheel_.arm(link.timer, now + options_.limits.drain_grace);
    return true;
  }
  link.unblocking = Unblocking::asked;
  wheel_.arm(link.timer, now + unblock_wait);
  say_unblock(link, now);
  return true;
}

/// On a link of its own: the shared ones may have other users, subscriptions or long replies on them, and in
/// session mode there are none.
void Engine::say_unblock(const BackendLink& link, TimePoint now) {
  BackendLink* asking = pool_.find(unblocker_);
  if (asking == nullptr || asking->route_serial != link.route_serial) {
    LinkKey key;
    key.lane = unblock_lane;
    asking = pool_.open_past(key, link, now);
    unblocker_ = asking->id;
    wheel_.arm(asking->timer, now + unblock_wait);
  }
  Request* request = slab_.take();
  request->kind = RequestKind::swallow;
  text_.clear();
  resp::append_command(text_, {"CLIENT", "UNBLOCK", std::to_string(link.login.server_client_id()), "ERROR"});
  asking->append(buffers_, request, text_);
}

/// With something behind it on the link it may not: the server would execute that, as a master of the past.
/// WAIT is said again in any case: how many replicas of the old master have followed means nothing now. A
/// session that is bound to its link by more than the command loses that at once, as ever: its messages and
/// its watched keys are the new master's from now on.
bool Engine::may_be_unblocked(const BackendLink& link) {
  if (!link.leased || link.owner == nullptr || link.state != LinkState::ready) return false;
  if (link.fifo.size() != 1) return false;
  const Request& request = *link.fifo.front();
  const bool counts_replicas = request.id == CommandId::wait || request.id == CommandId::waitaof;
  const bool waits =
      request.session != nullptr && request.traits.blocking && link.sent_state(request) == SentState::sent;
  const SessionMode& mode = link.owner->mode;
  const bool bound =
      mode.in_multi || mode.watching || mode.subscribed || mode.tracking || mode.raw || mode.db_unknown;
  return waits && !counts_replicas && !bound;
}

/// Its server says that nothing came of the command, because of our word. In that instant it may have been
/// another client's that said the same; that one may say it again.
bool Engine::unblocked_by_us(const BackendLink& link, std::string_view error) {
  return link.unblocking != Unblocking::no &&
         error.find("unblocked via CLIENT UNBLOCK") != std::string_view::npos;
}

/// The time to answer is over. True when the answer has begun: once a value was seen in part it is the
/// client's, and its rest has the time that all replies have.
bool Engine::outlasts_unblocking(BackendLink& link, TimePoint now) {
  if (link.unblocking != Unblocking::asked) return false;
  if (link.scanner.at_boundary()) {
    ++stats_.blocked_unanswered;
    return false;
  }
  link.unblocking = Unblocking::answering;
  wheel_.arm(link.timer, now + options_.limits.drain_grace);
  return true;
}

}  // namespace fairlead::engine
