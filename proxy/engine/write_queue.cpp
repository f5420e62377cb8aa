#include "proxy/engine/write_queue.hpp"

#include <cstring>

#include "proxy/engine/check.hpp"

namespace fairlead::engine {

namespace {
constexpr std::size_t segments_per_block = 256;
}

BufferPool::~BufferPool() {
  FAIRLEAD_CHECK(taken_ == 0);
  for (Segment* block : blocks_) delete[] block;
}

Segment* BufferPool::take_segment() {
  if (free_ == nullptr) {
    Segment* block = new Segment[segments_per_block];
    blocks_.push_back(block);
    for (std::size_t i = 0; i < segments_per_block; ++i) {
      block[i].next = free_;
      free_ = &block[i];
    }
  }
  Segment* segment = free_;
  free_ = segment->next;
  segment->next = nullptr;
  ++taken_;
  return segment;
}

void BufferPool::give_back(Segment* segment) {
  segment->chunk = ChunkRef();
  segment->next = free_;
  free_ = segment;
  --taken_;
}

WriteQueue::~WriteQueue() {
  FAIRLEAD_CHECK(head_ == nullptr);
}

void WriteQueue::open_segment(BufferPool& pool, std::size_t size) {
  // The first chunk of a queue is small, since most queues hold one short reply; the next ones are larger.
  const std::size_t room = size_ == 0 ? ChunkPool::small_bytes : ChunkPool::medium_bytes;
  Segment* segment = pool.take_segment();
  segment->chunk = ChunkRef(pool.chunks.take(size > room ? size : room));
  segment->begin = segment->end = 0;
  segment->open = true;
  push(segment);
}

void WriteQueue::append_reference(BufferPool& pool, const Bytes& bytes) {
  if (bytes.size == 0) return;
  size_ += bytes.size;
  if (tail_ != nullptr && !tail_->open && tail_->chunk.get() == bytes.chunk.get() &&
      tail_->end == bytes.offset) {
    tail_->end += bytes.size;
    return;
  }
  Segment* segment = pool.take_segment();
  segment->chunk = bytes.chunk;
  segment->begin = bytes.offset;
  segment->end = bytes.offset + bytes.size;
  segment->open = false;
  push(segment);
}

void WriteQueue::splice(BufferPool& pool, WriteQueue& other) {
  if (other.head_ == nullptr) return;
  // A single small piece is cheaper to copy than to carry as a segment of its own.
  if (other.head_ == other.tail_ && other.size_ < reference_bytes_min) {
    append_copy(pool, {other.head_->chunk->data() + other.head_->begin, other.size_});
    other.clear(pool);
    return;
  }
  if (tail_ == nullptr) {
    head_ = other.head_;
  } else {
    tail_->next = other.head_;
  }
  tail_ = other.tail_;
  size_ += other.size_;
  other.head_ = other.tail_ = nullptr;
  other.size_ = 0;
}

Bytes WriteQueue::whole(BufferPool& pool) const {
  if (head_ == nullptr) return {};
  if (head_ == tail_) return {head_->chunk, head_->begin, head_->end - head_->begin};
  ChunkRef chunk(pool.chunks.take(size_));
  for (const Segment* s = head_; s != nullptr; s = s->next) {
    const std::uint32_t size = s->end - s->begin;
    std::memcpy(chunk->data() + chunk->used, s->chunk->data() + s->begin, size);
    chunk->used += size;
  }
  return {chunk, 0, static_cast<std::uint32_t>(size_)};
}

std::size_t WriteQueue::gather(std::span<ConstBytes> buffers) const {
  std::size_t count = 0;
  for (const Segment* s = head_; s != nullptr && count < buffers.size(); s = s->next) {
    if (s->end == s->begin) continue;
    buffers[count++] = {s->chunk->data() + s->begin, s->end - s->begin};
  }
  return count;
}

std::size_t WriteQueue::segments() const {
  std::size_t count = 0;
  for (const Segment* s = head_; s != nullptr; s = s->next) ++count;
  return count;
}

std::string WriteQueue::take_all(BufferPool& pool) {
  std::string all;
  all.reserve(size_);
  for (const Segment* s = head_; s != nullptr; s = s->next) {
    all.append(s->chunk->data() + s->begin, s->end - s->begin);
  }
  clear(pool);
  return all;
}

void WriteQueue::consume(BufferPool& pool, std::uint64_t size) {
  FAIRLEAD_CHECK(size <= size_);
  size_ -= size;
  while (size > 0) {
    const std::uint64_t here = head_->end - head_->begin;
    if (size < here) {
      head_->begin += static_cast<std::uint32_t>(size);
      return;
    }
    size -= here;
    pop(pool);
  }
  if (size_ == 0) clear(pool);
}

void WriteQueue::push(Segment* segment) {
  if (tail_ == nullptr) {
    head_ = segment;
  } else {
    tail_->next = segment;
  }
  tail_ = segment;
}

void WriteQueue::pop(BufferPool& pool) {
  Segment* segment = head_;
  head_ = segment->next;
  if (head_ == nullptr) tail_ = nullptr;
  pool.give_back(segment);
}

}  // namespace fairlead::engine
