// What will happen when, in one queue: the clock of a simulated world. Two things at the same instant happen
// in the order in which they were scheduled, so a seed always tells the same story. Owned by the World; one
// thread; nothing here reads a real clock.
//
//   heap_ (when, order, slot) ---> acts_[slot] (what is to be done)
//
// The heap moves small entries only, and an act stays where it was put: an event allocates nothing.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "health/topology.hpp"

namespace fairlead::sim {

using health::TimePoint;

class Schedule {
 public:
  using Action = std::function<void()>;

  Schedule() = default;
  Schedule(const Schedule&) = delete;
  Schedule& operator=(const Schedule&) = delete;
  ~Schedule() {
    for (const Entry& entry : heap_) acts_[entry.slot].drop(acts_[entry.slot].room);
  }

  [[nodiscard]] TimePoint now() const { return now_; }

  template <typename Call>
  void at(TimePoint when, Call call) {
    const std::uint32_t slot = take_slot();
    acts_[slot].put(std::move(call));
    heap_.push_back({std::max(when, now_), ++sequence_, slot});
    std::push_heap(heap_.begin(), heap_.end(), later);
  }
  template <typename Call>
  void after(health::Duration delay, Call call) {
    at(now_ + delay, std::move(call));
  }

  /// Does what is due next, unless that is later than `until`. False when nothing was done.
  bool step(TimePoint until) {
    if (heap_.empty() || heap_.front().when > until) return false;
    std::pop_heap(heap_.begin(), heap_.end(), later);
    const Entry entry = heap_.back();
    heap_.pop_back();
    now_ = entry.when;
    ++done_;
    acts_[entry.slot].perform(*this, entry.slot);
    return true;
  }
  [[nodiscard]] std::uint64_t done() const { return done_; }

 private:
  struct Entry {
    TimePoint when;
    std::uint64_t sequence = 0;
    std::uint32_t slot = 0;
  };
  /// One thing to be done, in place.
  struct Act {
    static constexpr std::size_t room_bytes = 136;
    alignas(std::max_align_t) std::byte room[room_bytes];
    void (*run)(void* room, Schedule& schedule, std::uint32_t slot) = nullptr;
    void (*drop)(void* room) = nullptr;

    template <typename Call>
    void put(Call call) {
      if constexpr (sizeof(Call) > room_bytes) {
        put([kept = std::make_unique<Call>(std::move(call))] { (*kept)(); });
      } else {
        ::new (static_cast<void*>(room)) Call(std::move(call));
        // The slot is free before the call: what it schedules may be put there.
        run = [](void* at, Schedule& schedule, std::uint32_t slot) {
          Call* const stored = static_cast<Call*>(at);
          Call taken(std::move(*stored));
          stored->~Call();
          schedule.free_.push_back(slot);
          taken();
        };
        drop = [](void* at) { static_cast<Call*>(at)->~Call(); };
      }
    }
    void perform(Schedule& schedule, std::uint32_t slot) { run(room, schedule, slot); }
  };
  static bool later(const Entry& a, const Entry& b) {
    return a.when != b.when ? a.when > b.when : a.sequence > b.sequence;
  }
  std::uint32_t take_slot() {
    if (free_.empty()) {
      acts_.emplace_back();
      return static_cast<std::uint32_t>(acts_.size() - 1);
    }
    const std::uint32_t slot = free_.back();
    free_.pop_back();
    return slot;
  }

  TimePoint now_{std::chrono::hours(1)};
  std::uint64_t sequence_ = 0;
  std::uint64_t done_ = 0;
  std::vector<Entry> heap_;
  std::deque<Act> acts_;  // never moved
  std::vector<std::uint32_t> free_;
};

}  // namespace fairlead::sim
