#include "proxy/engine/chunk.hpp"

#include <cstdlib>
#include <iterator>
#include <new>

#include "proxy/engine/check.hpp"

namespace fairlead::engine {

ChunkPool::~ChunkPool() {
  FAIRLEAD_CHECK(bytes_in_use_ == 0);
  for (Chunk* head : free_) {
    while (head != nullptr) {
      Chunk* next = head->next_free;
      std::free(head);
      head = next;
    }
  }
  for (Chunk* chunk : free_large_) std::free(chunk);
}

Chunk* ChunkPool::take(std::size_t capacity) {
  std::uint32_t size_class = 0;
  while (size_class < exact_class && class_bytes[size_class] < capacity) ++size_class;
  if (size_class < exact_class) capacity = class_bytes[size_class];
  FAIRLEAD_CHECK(capacity <= UINT32_MAX);

  Chunk* chunk = nullptr;
  if (size_class < exact_class && free_[size_class] != nullptr) {
    chunk = free_[size_class];
    free_[size_class] = chunk->next_free;
    bytes_retained_ -= capacity;
  } else if (size_class == exact_class) {
    chunk = take_large(capacity);
  }
  if (chunk == nullptr) {
    void* memory = std::malloc(sizeof(Chunk) + capacity);
    if (memory == nullptr) throw std::bad_alloc();
    chunk = new (memory) Chunk;
    chunk->pool = this;
    chunk->capacity = static_cast<std::uint32_t>(capacity);
    chunk->size_class = size_class;
  }
  return put_to_use(chunk);
}

Chunk* ChunkPool::take_kept(std::size_t capacity) {
  Chunk* const chunk = capacity > large_bytes ? take_large(capacity) : nullptr;
  return chunk != nullptr ? put_to_use(chunk) : nullptr;
}

Chunk* ChunkPool::put_to_use(Chunk* chunk) {
  chunk->next_free = nullptr;
  chunk->references = 0;
  chunk->used = 0;
  bytes_in_use_ += chunk->capacity;
  return chunk;
}

void ChunkPool::give_back(Chunk* chunk) {
  FAIRLEAD_CHECK(chunk->references == 0 && bytes_in_use_ >= chunk->capacity);
  bytes_in_use_ -= chunk->capacity;
  const bool large = chunk->size_class == exact_class;
  if (large && chunk->capacity <= retained_bytes_max) make_room_for(*chunk);
  if (bytes_retained_ + chunk->capacity > retained_bytes_max) {
    std::free(chunk);
    return;
  }
  bytes_retained_ += chunk->capacity;
  if (large) {
    free_large_.push_back(chunk);
    return;
  }
  chunk->next_free = free_[chunk->size_class];
  free_[chunk->size_class] = chunk;
}

/// The one given back last that is used for at least two thirds of its capacity: its bytes are the likeliest
/// to be in a cache still.
Chunk* ChunkPool::take_large(std::size_t capacity) {
  for (auto at = free_large_.rbegin(); at != free_large_.rend(); ++at) {
    Chunk* const chunk = *at;
    if (chunk->capacity < capacity || chunk->capacity > capacity + capacity / 2) continue;
    free_large_.erase(std::next(at).base());
    bytes_retained_ -= chunk->capacity;
    return chunk;
  }
  return nullptr;
}

/// Sizes that nobody asks for any more give way to those of now.
void ChunkPool::make_room_for(const Chunk& large) {
  while (!free_large_.empty() &&
         (free_large_.size() >= large_kept_max || bytes_retained_ + large.capacity > retained_bytes_max)) {
    Chunk* const oldest = free_large_.front();
    free_large_.erase(free_large_.begin());
    bytes_retained_ -= oldest->capacity;
    std::free(oldest);
  }
}

}  // namespace fairlead::engine
