// Chunks: reference-counted blocks of bytes, and the pool that recycles them. Whatever an Engine receives,
// queues or parks lies in chunks; small pieces are copied into an open chunk, large ones are shared by
// reference.
//
// Reference counts are not atomic: a chunk never leaves its worker. The pool outlives all of its chunks.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace fairlead::engine {

class ChunkPool;

/// The header of a block; its bytes follow it directly in memory.
struct Chunk {
  ChunkPool* pool = nullptr;
  Chunk* next_free = nullptr;
  std::uint32_t references = 0;
  std::uint32_t used = 0;  // bytes written so far; only the owner of the open end writes behind it
  std::uint32_t capacity = 0;
  std::uint32_t size_class = 0;

  [[nodiscard]] char* data() { return reinterpret_cast<char*>(this + 1); }
  [[nodiscard]] const char* data() const { return reinterpret_cast<const char*>(this + 1); }
};

/// Allocates chunks of three pooled sizes, and larger ones exactly. Keeps at most retained_bytes_max for
/// reuse. Large ones, too: what malloc gives for each large value anew are pages that the kernel has to
/// clear, one fault for each 4 KiB, and that costs more than to receive the value.
class ChunkPool {
 public:
  ChunkPool() = default;
  ChunkPool(const ChunkPool&) = delete;
  ChunkPool& operator=(const ChunkPool&) = delete;
  ~ChunkPool();

  /// A fresh chunk with references == 0 and at least `capacity` bytes of room.
  [[nodiscard]] Chunk* take(std::size_t capacity);
  /// The same, of more than large_bytes, when one that fits is kept for reuse: costs no memory. Else nullptr.
  [[nodiscard]] Chunk* take_kept(std::size_t capacity);
  void give_back(Chunk* chunk);

  /// Bytes in chunks that somebody holds.
  [[nodiscard]] std::uint64_t bytes_in_use() const { return bytes_in_use_; }
  [[nodiscard]] std::uint64_t bytes_retained() const { return bytes_retained_; }

  static constexpr std::size_t small_bytes = 2048 - sizeof(Chunk);
  static constexpr std::size_t medium_bytes = 16384 - sizeof(Chunk);
  static constexpr std::size_t large_bytes = 65536 - sizeof(Chunk);
  static constexpr std::uint64_t retained_bytes_max = 16ULL << 20;
  /// Large chunks kept at most, whatever their sizes: a search among them stays short.
  static constexpr std::size_t large_kept_max = 64;

 private:
  static constexpr std::array<std::size_t, 3> class_bytes{small_bytes, medium_bytes, large_bytes};
  static constexpr std::uint32_t exact_class = 3;

  [[nodiscard]] Chunk* take_large(std::size_t capacity);
  [[nodiscard]] Chunk* put_to_use(Chunk* chunk);
  void make_room_for(const Chunk& large);

  std::array<Chunk*, 3> free_{};
  std::vector<Chunk*> free_large_;  // oldest first
  std::uint64_t bytes_in_use_ = 0;
  std::uint64_t bytes_retained_ = 0;
};

/// A counted reference to a chunk.
class ChunkRef {
 public:
  ChunkRef() = default;
  explicit ChunkRef(Chunk* chunk) : chunk_(chunk) {
    if (chunk_ != nullptr) ++chunk_->references;
  }
  ChunkRef(const ChunkRef& other) : ChunkRef(other.chunk_) {}
  ChunkRef(ChunkRef&& other) noexcept : chunk_(std::exchange(other.chunk_, nullptr)) {}
  ChunkRef& operator=(ChunkRef other) noexcept {
    std::swap(chunk_, other.chunk_);
    return *this;
  }
  /// Mostly of an empty reference, or not the last one: a call for that costs more than what it does.
  [[gnu::always_inline]] ~ChunkRef() {
    if (chunk_ != nullptr && --chunk_->references == 0) chunk_->pool->give_back(chunk_);
  }

  [[nodiscard]] Chunk* get() const { return chunk_; }
  Chunk* operator->() const { return chunk_; }
  explicit operator bool() const { return chunk_ != nullptr; }
  [[nodiscard]] bool sole_owner() const { return chunk_ != nullptr && chunk_->references == 1; }

 private:
  Chunk* chunk_ = nullptr;
};

/// A run of bytes inside a chunk, kept alive by it.
struct Bytes {
  ChunkRef chunk;
  std::uint32_t offset = 0;
  std::uint32_t size = 0;

  [[nodiscard]] std::string_view view() const {
    return chunk ? std::string_view{chunk->data() + offset, size} : std::string_view{};
  }
};

}  // namespace fairlead::engine
