#include "proxy/engine/session.hpp"

#include "proxy/engine/subscription_hub.hpp"

namespace fairlead::engine {

void Session::answer(BufferPool& pool, RequestSlab& slab, std::string_view bytes) {
  if (slots.empty()) {
    queue_for_push().append_copy(pool, bytes);
    return;
  }
  Request* request = slab.take();
  request->session = this;
  request->kind = RequestKind::local;
  request->state = RequestState::answered;
  request->reply.append_copy(pool, bytes);
  slots.push_back(request);
}

void Session::flush_slots(BufferPool& pool, RequestSlab& slab) {
  while (!slots.empty() && slots.front()->state == RequestState::answered) {
    Request* request = slots.pop_front();
    WriteQueue& where =
        mode.raw ? queue_for_push() : out;  // raw: half of a reply in `out` is none of the slots'
    if (request->silent) {
      request->reply.clear(pool);  // CLIENT REPLY
    } else {
      where.splice(pool, request->reply);
    }
    if (mode.raw) {
      slab.give_back(pool, request);
      continue;
    }
    slab.give_back(pool, request);
    // Pushes that came in the middle of this reply go out before the next one begins.
    if (mid_reply && subscriber != nullptr) out.splice(pool, subscriber->parked);
    mid_reply = false;
  }
}

WriteQueue& Session::queue_for_push() {
  return mid_reply && subscriber != nullptr ? subscriber->parked : out;
}

SessionExtras& Session::extras() {
  if (!extras_) extras_ = std::make_unique<SessionExtras>();
  return *extras_;
}

}  // namespace fairlead::engine
