#include "proxy/engine/read_buffer.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "proxy/engine/check.hpp"

namespace fairlead::engine {

namespace {
constexpr std::size_t head_bytes = ChunkPool::medium_bytes;
// A chunk has room for so many times what has arrived, once that is more than the head of a frame, and for
// the head besides: a value of a power of two is not copied once more for its last bytes.
constexpr std::size_t grow_factor = 8;
}  // namespace

void ReadBuffer::adopt(ChunkRef shared, std::size_t size) {
  FAIRLEAD_CHECK(empty());
  chunk_ = std::move(shared);
  begin_ = 0;
  end_ = static_cast<std::uint32_t>(size);
  own_ = false;
}

void ReadBuffer::take_over(ChunkRef chunk, std::size_t size) {
  FAIRLEAD_CHECK(chunk.sole_owner());
  adopt(std::move(chunk), 0);
  own_ = true;
  received(size);
}

MutableBytes ReadBuffer::room(ChunkPool& pool, std::uint64_t needed) {
  FAIRLEAD_CHECK(own_);
  const std::size_t unread = size();
  // A chunk that others refer to (a large frame was shared out of it) is left to them.
  const bool full = end_ == chunk_->capacity || !chunk_.sole_owner();
  if (full) {
    move_to_own(pool, std::max<std::size_t>(grown(needed > unread ? needed : UINT64_MAX), unread + 512));
  }
  return {chunk_->data() + end_, chunk_->capacity - end_};
}

/// Of a chunk of its own, for what has arrived.
std::size_t ReadBuffer::capacity_max() const {
  return size() < head_bytes ? head_bytes : size() * grow_factor + head_bytes;
}

/// Each step copies what is there: few large ones, as far as the bound allows.
std::size_t ReadBuffer::grown(std::uint64_t needed) const {
  return static_cast<std::size_t>(std::min<std::uint64_t>(capacity_max(), needed));
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

void ReadBuffer::settle(ChunkPool& pool, std::uint64_t needed) {
  if (empty()) return clear();
  // Pooled sizes are rounded up, and may stay.
  const bool too_large = chunk_->capacity > ChunkPool::large_bytes && chunk_->capacity > capacity_max();
  if (!own_ || too_large) move_to_own(pool, std::max(grown(needed), size()));
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
