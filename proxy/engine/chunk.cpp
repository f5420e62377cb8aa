#include "proxy/engine/chunk.hpp"

#include <cstdlib>
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
  } else {
    void* memory = std::malloc(sizeof(Chunk) + capacity);
    if (memory == nullptr) throw std::bad_alloc();
    chunk = new (memory) Chunk;
    chunk->pool = this;
    chunk->capacity = static_cast<std::uint32_t>(capacity);
    chunk->size_class = size_class;
  }
  chunk->next_free = nullptr;
  chunk->references = 0;
  chunk->used = 0;
  bytes_in_use_ += chunk->capacity;
  return chunk;
}

void ChunkPool::give_back(Chunk* chunk) {
  FAIRLEAD_CHECK(chunk->references == 0 && bytes_in_use_ >= chunk->capacity);
  bytes_in_use_ -= chunk->capacity;
  if (chunk->size_class >= exact_class || bytes_retained_ + chunk->capacity > retained_bytes_max) {
    std::free(chunk);
    return;
  }
  bytes_retained_ += chunk->capacity;
  chunk->next_free = free_[chunk->size_class];
  free_[chunk->size_class] = chunk;
}

}  // namespace fairlead::engine
