// The end of leases: when a session is done with a link of its own, and who gets one next.
#include "proxy/engine/check.hpp"
#include "proxy/engine/engine.hpp"

namespace fairlead::engine {

void Engine::end_lease_if_free(Session& session) {
  if (session.lease == nullptr || session.in_flight > 0 || session.held > 0) return;
  SessionMode& mode = session.mode;
  if (mode.subscribed && !session.has_subscriptions() && !session.resubscribe) mode.subscribed = false;
  if (mode.in_multi || mode.watching || mode.subscribed || mode.raw || mode.pinned || mode.db_unknown) return;
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

}  // namespace fairlead::engine
