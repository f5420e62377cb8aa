// Owns the sessions or the links of one Engine and names them: a slot's generation changes each time it is
// emptied, so that a name of the past finds nothing.
//
//   generations_   3 | - | 7 | ...             what find() compares with; -: the slot is empty
//   blocks_        [T | T | ...] [T | T | ...]  objects never move; emptied slots are used again
//
// An object's address follows from its name: with thousands of clients, a pointer to each would be a cache
// miss in front of the one that is needed. Blocks are kept for the Engine's life.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "proxy/engine/check.hpp"
#include "proxy/engine/io.hpp"
#include "proxy/engine/unused_memory.hpp"

namespace fairlead::engine {

/// Of nearly all processors that run this; what is wrong about it costs time only.
constexpr std::size_t cache_line_bytes = 64;

/// T keeps its name as its member `id`.
template <typename T>
class SlotArray {
 public:
  explicit SlotArray(Side side) : side_(side) {}
  SlotArray(const SlotArray&) = delete;
  SlotArray& operator=(const SlotArray&) = delete;
  ~SlotArray() {
    for_each([this](T& item) { release(item); });
    collect();
  }

  /// Constructs a T from its new name and `args`.
  template <typename... Args>
  T* create(Args&&... args) {
    if (free_.empty()) grow();
    const ConnId name = free_.back();
    Slot& slot = slot_at(name.index);
    mark_used(&slot, sizeof slot);
    T* item = ::new (&slot) T(name, std::forward<Args>(args)...);
    free_.pop_back();
    generations_[name.index] = name.generation;
    ++size_;
    return item;
  }

  [[nodiscard]] T* find(ConnId id) {
    const bool found =
        id.index < generations_.size() && generations_[id.index] == id.generation && id.side == side_;
    return found ? item_at(id.index) : nullptr;
  }

  /// Its name finds nothing from now on; the object lives until collect(), so that whoever is at work on it
  /// may come to an end.
  void release(T& item) {
    FAIRLEAD_CHECK(find(item.id) == &item);
    generations_[item.id.index] = no_generation;
    --size_;
    released_.push_back(item.id);
  }

  /// Destroys what was released.
  void collect() {
    for (const ConnId name : released_) {
      item_at(name.index)->~T();
      mark_unused(&slot_at(name.index), sizeof(Slot));
      const std::uint32_t next = name.generation + 1;
      free_.push_back({name.index, next == no_generation ? 1 : next, side_});
    }
    released_.clear();
  }

  [[nodiscard]] std::size_t size() const { return size_; }

  /// `visit` may release what it visits.
  template <typename Visit>
  void for_each(Visit&& visit) {
    for (std::uint32_t index = 0; index < generations_.size(); ++index) {
      if (generations_[index] != no_generation) visit(*item_at(index));
    }
  }

 private:
  static constexpr std::uint32_t per_block = 32;
  /// Of an empty slot; of no name, and not 0 either, which is the name of nothing.
  static constexpr std::uint32_t no_generation = UINT32_MAX;
  struct Slot {
    alignas(T) std::array<std::byte, sizeof(T)> bytes;
  };
  using Block = std::array<Slot, per_block>;

  [[nodiscard, gnu::always_inline]] Slot& slot_at(std::uint32_t index) {
    return (*blocks_[index / per_block])[index % per_block];
  }
  [[nodiscard, gnu::always_inline]] T* item_at(std::uint32_t index) {
    return std::launder(reinterpret_cast<T*>(&slot_at(index)));
  }

  void grow() {
    const auto first = static_cast<std::uint32_t>(generations_.size());
    // Not cleared: pages that nobody uses stay untouched.
    blocks_.push_back(std::unique_ptr<Block>(new Block));
    mark_unused(blocks_.back().get(), sizeof(Block));
    generations_.resize(first + per_block, no_generation);
    for (std::uint32_t i = per_block; i > 0; --i) free_.push_back({first + i - 1, 1, side_});
  }

  Side side_;
  std::vector<std::unique_ptr<Block>> blocks_;
  std::vector<std::uint32_t> generations_;
  std::vector<ConnId> free_;      // the next names of empty slots
  std::vector<ConnId> released_;  // in this turn
  std::size_t size_ = 0;
};

}  // namespace fairlead::engine
