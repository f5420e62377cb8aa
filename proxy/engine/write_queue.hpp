// Bytes waiting to be written to one connection, or parked until their turn: a list of segments that refer to
// chunks. Small pieces are copied behind each other into an open chunk, large ones are referenced where they
// lie. Owned by a Session, a Request or a BackendLink; all of one worker share a BufferPool.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/engine/chunk.hpp"
#include "proxy/engine/io.hpp"

namespace fairlead::engine {

/// Pieces of at least this size are shared by reference, smaller ones copied. A reference keeps its whole
/// chunk (64 KiB for what was received) alive, so that the memory held is at most four times the bytes
/// referred to.
constexpr std::size_t reference_bytes_min = 16384;

struct Segment {
  Segment* next = nullptr;
  ChunkRef chunk;
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
  bool open = false;  // this queue may append behind `end`
};

/// Chunks and segments of one worker. Must outlive every queue.
class BufferPool {
 public:
  BufferPool() = default;
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;
  ~BufferPool();

  [[nodiscard]] Segment* take_segment();
  void give_back(Segment* segment);

  ChunkPool chunks;

 private:
  Segment* free_ = nullptr;
  std::vector<Segment*> blocks_;
  std::size_t taken_ = 0;
};

class WriteQueue {
 public:
  WriteQueue() = default;
  WriteQueue(const WriteQueue&) = delete;
  WriteQueue& operator=(const WriteQueue&) = delete;
  ~WriteQueue();  // asserts emptiness: clear() needs the pool

  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  /// How many pieces it is in; walks through them.
  [[nodiscard]] std::size_t segments() const;

  /// Copies `bytes`, which will lie in one piece, and returns where.
  Bytes append_copy(BufferPool& pool, std::string_view bytes) {
    if (!fits(bytes.size())) [[unlikely]]
      open_segment(pool, bytes.size());
    const std::uint32_t offset = tail_->end;
    const auto size = static_cast<std::uint32_t>(bytes.size());
    std::memcpy(tail_->chunk->data() + offset, bytes.data(), bytes.size());
    tail_->end += size;
    tail_->chunk->used = tail_->end;
    size_ += size;
    return {tail_->chunk, offset, size};
  }
  /// Refers to `bytes`.
  void append_reference(BufferPool& pool, const Bytes& bytes);
  /// Copies or refers, by reference_bytes_min.
  void append(BufferPool& pool, const Bytes& bytes) {
    if (bytes.size >= reference_bytes_min) {
      append_reference(pool, bytes);
    } else if (bytes.size != 0) {
      append_copy(pool, bytes.view());
    }
  }
  /// Moves all of `other` behind this queue's bytes.
  void splice(BufferPool& pool, WriteQueue& other);

  /// All bytes in one piece: where they lie, or a copy in a chunk of its own. The queue keeps them.
  [[nodiscard]] Bytes whole(BufferPool& pool) const;
  /// Fills `buffers` from the front; returns how many were used.
  [[nodiscard]] std::size_t gather(std::span<ConstBytes> buffers) const;
  void consume(BufferPool& pool, std::uint64_t size);
  /// All of it in one piece; the queue is empty then.
  [[nodiscard]] std::string take_all(BufferPool& pool);
  void clear(BufferPool& pool) {
    while (head_ != nullptr) pop(pool);
    size_ = 0;
  }

 private:
  /// So many bytes can be copied behind the last ones.
  [[nodiscard]] bool fits(std::size_t size) const {
    return tail_ != nullptr && tail_->open && tail_->chunk->used == tail_->end &&
           tail_->chunk->capacity - tail_->end >= size;
  }
  void open_segment(BufferPool& pool, std::size_t size);
  void push(Segment* segment);
  void pop(BufferPool& pool);

  Segment* head_ = nullptr;
  Segment* tail_ = nullptr;
  std::uint64_t size_ = 0;
};

}  // namespace fairlead::engine
