#include "proxy/engine/read_buffer.hpp"

#include <algorithm>
#include <cstring>

#include "proxy/engine/check.hpp"

namespace fairlead::engine {

namespace {
constexpr std::size_t step_bytes_min = ChunkPool::medium_bytes;
constexpr std::size_t grow_factor = 4;  // a chunk has room for so many times what has arrived
}  // namespace

void ReadBuffer::adopt(const ChunkRef& shared, std::size_t size) {
  FAIRLEAD_CHECK(empty());
  chunk_ = shared;
  begin_ = 0;
  end_ = static_cast<std::uint32_t>(size);
  own_ = false;
}

MutableBytes ReadBuffer::room(ChunkPool& pool, std::uint64_t needed) {
  FAIRLEAD_CHECK(own_);
  const std::size_t unread = size();
  // A chunk that others refer to (a large frame was shared out of it) is left to them.
  const bool full = end_ == chunk_->capacity || !chunk_.sole_owner();
  if (full) {
    // Each step copies what is there: few large ones, as far as the bound allows.
    const std::size_t grown = std::max<std::size_t>(unread * grow_factor, step_bytes_min);
    const std::size_t wanted = needed > unread ? std::min<std::uint64_t>(grown, needed) : grown;
    move_to_own(pool, std::max<std::size_t>(wanted, unread + 512));
  }
  return {chunk_->data() + end_, chunk_->capacity - end_};
}

void ReadBuffer::received(std::size_t size) {
  end_ += static_cast<std::uint32_t>(size);
  chunk_->used = end_;
}

void ReadBuffer::consume(std::size_t size) {
  FAIRLEAD_CHECK(size <= this->size());
  begin_ += static_cast<std::uint32_t>(size);
}

Bytes ReadBuffer::share(std::size_t size) const {
  return {chunk_, begin_, static_cast<std::uint32_t>(size)};
}

void ReadBuffer::settle(ChunkPool& pool) {
  if (empty()) {
    clear();
  } else if (!own_) {
    move_to_own(pool, size());
  }
}

void ReadBuffer::clear() {
  chunk_ = ChunkRef();
  begin_ = end_ = 0;
  own_ = false;
}

void ReadBuffer::move_to_own(ChunkPool& pool, std::size_t capacity) {
  ChunkRef fresh(pool.take(capacity));
  const std::size_t unread = size();
  std::memcpy(fresh->data(), chunk_->data() + begin_, unread);
  fresh->used = static_cast<std::uint32_t>(unread);
  chunk_ = std::move(fresh);
  begin_ = 0;
  end_ = static_cast<std::uint32_t>(unread);
  own_ = true;
}

}  // namespace fairlead::engine
