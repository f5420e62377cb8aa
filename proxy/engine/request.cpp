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

void RequestSlab::grow() {
  Request* block = new Request[requests_per_block];
  blocks_.push_back(block);
  for (std::size_t i = 0; i < requests_per_block; ++i) {
    block[i].next_slot = free_;
    free_ = &block[i];
  }
}

}  // namespace fairlead::engine
