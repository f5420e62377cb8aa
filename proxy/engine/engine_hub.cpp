// The hubs of an Engine: who belongs to which, their upstream links, and what becomes of subscriptions when a
// link is lost or refused.
#include "proxy/engine/check.hpp"
#include "proxy/engine/engine.hpp"

namespace fairlead::engine {

using health::TimePoint;

// --- Sessions

/// A session stays in the hub it is in until it has left every name: what it hears is decided by whom it was
/// when it subscribed first, as a change of the user ends no subscription in Redis either.
UserHub& Engine::hub_of(const Session& session) {
  UserHub* hub = session.subscriber == nullptr ? nullptr : session.subscriber->home;
  if (hub == nullptr) {
    std::unique_ptr<UserHub>& found = hubs_[session.user.get()];
    if (!found) found = std::make_unique<UserHub>(session.user);
    hub = found.get();
  }
  mark_dirty(*hub);  // looked at when the turn ends, and forgotten if it was made for nothing
  return *hub;
}

void Engine::hold_subscribes(UserHub& hub) {
  while (const PendingSubscribe* command = hub.names.first_pending()) {
    Request* request = command->request;
    Session& session = *request->session;
    hub.names.abandon(session.subscriber->pending.front());
    leave_hub_if_idle(session);
    hold_request(request);
  }
}

void Engine::leave_hub(Session& session) {
  if (session.subscriber == nullptr) return;
  UserHub& hub = *session.subscriber->home;
  session.subscriber->parked.clear(buffers_);
  hub.names.remove(session.subscriber);
  mark_dirty(hub);
  session.subscriber = nullptr;
  session.mode.in_hub = false;
}

/// A session without subscriptions owns nothing in the hub.
void Engine::leave_hub_if_idle(Session& session) {
  const Subscriber* subscriber = session.subscriber;
  if (subscriber == nullptr) return;
  session.mode.in_hub = subscriber->subscribed();
  if (!subscriber->subscribed() && subscriber->pending.empty() && subscriber->parked.empty()) {
    leave_hub(session);
  }
}

// --- The upstream link

void Engine::mark_dirty(UserHub& hub) {
  hub.tend_hook.unlink();
  dirty_hubs_.push_back(hub);
}

/// Once a turn, and only for hubs that have something to do.
void Engine::tend_hubs(TimePoint now) {
  dirty_hubs_.splice(dirty_hubs_.end(), linkless_hubs_);
  HookedList<UserHub, &UserHub::tend_hook> due;
  due.swap(dirty_hubs_);
  while (!due.empty()) {
    UserHub& hub = due.front();
    hub.tend_hook.unlink();
    tend(hub, now);
  }
}

/// Opens the link when somebody wants it, and sends what became due in this turn.
void Engine::tend(UserHub& hub, TimePoint now) {
  complete_subscriptions(hub);
  std::string& orders = hub.names.orders();
  if (hub.link == nullptr) {
    if (!gate_.open()) {
      hold_subscribes(hub);
    } else if (hub.names.wants_upstream() && now >= hub.not_before) {
      hub.link = pool_.shared({hub.version, 0, false, hub_lane, hub.user.get()}, hub.user, now);
      hub.link->hub = &hub;
    }
  } else if (!orders.empty()) {
    hub.link->out.append_copy(buffers_, orders);
    hub.link->appended += orders.size();
    orders.clear();
    mark_dirty(*hub.link);
  }
  stats_.subscribers_now += hub.names.subscribers() - hub.subscribers_counted;
  stats_.hub_subscriptions_now += hub.names.confirmed() - hub.names_counted;
  hub.subscribers_counted = hub.names.subscribers();
  hub.names_counted = hub.names.confirmed();
  if (hub.link == nullptr && hub.names.wants_upstream() && !hub.tend_hook.is_linked()) {
    linkless_hubs_.push_back(hub);
  }
  forget_if_unused(hub);
}

/// Users come and go; fairlead's own link stays.
void Engine::forget_if_unused(UserHub& hub) {
  if (!hub.names.unused() || (hub.user == nullptr && hub.link != nullptr)) return;
  if (hub.link != nullptr) pool_.close(*hub.link);
  hubs_.erase(hub.user.get());
}

void Engine::on_hub_ready(UserHub& hub) {
  stats_.resubscribed += hub.names.subscribers();  // on the first link there is none yet
  hub.names.on_up();
  mark_dirty(hub);
}

void Engine::on_hub_lost(UserHub& hub) {
  hub.link = nullptr;
  hub.skips = false;
  hub.names.on_down();
  hold_subscribes(hub);
  mark_dirty(hub);
}

/// The server refuses the login of the link: so it refuses who waits. A user's subscribers cannot keep what
/// they have, and hear of it; with fairlead's own login it is the operator who must mend it, and they wait.
void Engine::refuse_hub(UserHub& hub, const std::string& error) {
  hub.names.refuse_pending(error);
  complete_subscriptions(hub);
  hub.not_before = now_ + hub_retry_pause;
  while (Session* session = hub.user ? hub.names.any_session() : nullptr) {
    ++stats_.subscriptions_lost;
    close_session(*session);
  }
}

}  // namespace fairlead::engine
