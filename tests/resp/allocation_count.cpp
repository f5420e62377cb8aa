#include "tests/resp/allocation_count.hpp"

#include <algorithm>
#include <cstdlib>
#include <new>

namespace {

std::size_t made = 0;
std::size_t freed = 0;
std::size_t largest = 0;

void* take(std::size_t size) noexcept {
  ++made;
  largest = std::max(largest, size);
  return std::malloc(std::max<std::size_t>(size, 1));
}

void release(void* memory) noexcept {
  if (memory == nullptr) return;
  ++freed;
  std::free(memory);
}

}  // namespace

namespace fairlead::resp::testing {

std::size_t allocations_made() {
  return made;
}
std::size_t allocations_live() {
  return made - freed;
}
std::size_t largest_allocation() {
  return largest;
}
void forget_largest_allocation() {
  largest = 0;
}

}  // namespace fairlead::resp::testing

// All forms that this binary uses are replaced together: memory must go back to where it came from.
void* operator new(std::size_t size) {
  void* const memory = take(size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

void* operator new[](std::size_t size) {
  return operator new(size);
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return take(size);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return take(size);
}
void operator delete(void* memory) noexcept {
  release(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  release(memory);
}
void operator delete(void* memory, const std::nothrow_t&) noexcept {
  release(memory);
}
void operator delete[](void* memory) noexcept {
  release(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  release(memory);
}
void operator delete[](void* memory, const std::nothrow_t&) noexcept {
  release(memory);
}
