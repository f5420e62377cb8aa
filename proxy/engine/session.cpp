#include "proxy/engine/session.hpp"

namespace fairlead::engine {

void Session::answer(BufferPool& pool, RequestSlab& slab, std::string_view bytes) {
  if (slots.empty()) {
    out.append_copy(pool, bytes);
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
    if (request->silent) {
      request->reply.clear(pool);  // CLIENT REPLY
    } else {
      out.splice(pool, request->reply);
    }
    slab.give_back(pool, request);
    mid_reply = false;
  }
}

SessionExtras& Session::extras() {
  if (!extras_) extras_ = std::make_unique<SessionExtras>();
  return *extras_;
}

}  // namespace fairlead::engine
