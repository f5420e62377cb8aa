#include "proxy/engine/request.hpp"

#include "proxy/engine/check.hpp"

namespace fairlead::engine {

namespace {
constexpr std::size_t requests_per_block = 128;
}

RequestSlab::~RequestSlab() {
  FAIRLEAD_CHECK(in_use_ == 0);
  for (Request* block : blocks_) delete[] block;
}

Request* RequestSlab::take() {
  if (free_ == nullptr) {
    Request* block = new Request[requests_per_block];
    blocks_.push_back(block);
    for (std::size_t i = 0; i < requests_per_block; ++i) {
      block[i].next_slot = free_;
      free_ = &block[i];
    }
  }
  Request* request = free_;
  free_ = request->next_slot;
  request->next_slot = nullptr;
  ++in_use_;
  return request;
}

void RequestSlab::give_back(BufferPool& pool, Request* request) {
  request->reply.clear(pool);
  request->frame = Bytes{};
  request->session = nullptr;
  request->link = nullptr;
  request->next_in_fifo = nullptr;
  request->end_position = 0;
  request->frames_expected = 1;
  request->kind = RequestKind::forward;
  request->state = RequestState::held;
  request->id = resp::CommandId::other;
  request->traits = RequestClass{};
  request->on_lease = false;
  request->silent = false;
  request->adds_info = request->adds_section = request->ends_watch = request->lacked_replicas = false;
  request->override_reply = ReplyOverride::none;
  request->refused_serial = 0;
  request->select_db = -1;
  request->meter = nullptr;
  request->next_slot = free_;
  free_ = request;
  --in_use_;
}

}  // namespace fairlead::engine
