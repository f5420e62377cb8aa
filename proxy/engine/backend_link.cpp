#include "proxy/engine/backend_link.hpp"

namespace fairlead::engine {

void BackendLink::append(BufferPool& pool, Request* request, const Bytes& frame) {
  if (frame.size < reference_bytes_min) {
    append(pool, request, frame.view());
    return;
  }
  request->frame = frame;
  out.append_reference(pool, frame);
  enter(request, frame.size);
}

void BackendLink::append(Request* request) {
  enter(request, 0);
}

SentState BackendLink::sent_state(const Request& request) const {
  if (request.kind == RequestKind::synthesise) return SentState::unsent;
  if (written >= request.end_position) return SentState::sent;
  const std::uint64_t begin = request.end_position - request.frame.size;
  return written > begin ? SentState::partial : SentState::unsent;
}

}  // namespace fairlead::engine
