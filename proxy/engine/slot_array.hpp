// Owns the sessions or the links of one Engine and names them: a slot's generation changes each time it is
// emptied, so that a name of the past finds nothing.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "proxy/engine/check.hpp"
#include "proxy/engine/io.hpp"

namespace fairlead::engine {

template <typename T>
class SlotArray {
 public:
  explicit SlotArray(Side side) : side_(side) {}

  /// Constructs a T from its new name and `args`.
  template <typename... Args>
  T* create(Args&&... args) {
    std::uint32_t index = 0;
    if (free_.empty()) {
      index = static_cast<std::uint32_t>(slots_.size());
      slots_.emplace_back();
    } else {
      index = free_.back();
      free_.pop_back();
    }
    Slot& slot = slots_[index];
    slot.item = std::make_unique<T>(ConnId{index, slot.generation, side_}, std::forward<Args>(args)...);
    ++size_;
    return slot.item.get();
  }

  [[nodiscard]] T* find(ConnId id) const {
    if (id.index >= slots_.size() || id.side != side_) return nullptr;
    const Slot& slot = slots_[id.index];
    return slot.generation == id.generation ? slot.item.get() : nullptr;
  }

  /// Empties the slot; the object itself is handed to the caller.
  [[nodiscard]] std::unique_ptr<T> release(ConnId id) {
    FAIRLEAD_CHECK(find(id) != nullptr);
    Slot& slot = slots_[id.index];
    if (++slot.generation == 0) slot.generation = 1;
    free_.push_back(id.index);
    --size_;
    return std::move(slot.item);
  }

  [[nodiscard]] std::size_t size() const { return size_; }

  template <typename Visit>
  void for_each(Visit&& visit) {
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      if (slots_[i].item) visit(*slots_[i].item);
    }
  }

 private:
  struct Slot {
    std::uint32_t generation = 1;
    std::unique_ptr<T> item;
  };

  Side side_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
  std::size_t size_ = 0;
};

}  // namespace fairlead::engine
