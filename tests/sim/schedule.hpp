// What will happen when, in one queue: the clock of a simulated world. Two things at the same instant happen
// in the order in which they were scheduled, so a seed always tells the same story. Owned by the World; one
// thread; nothing here reads a real clock.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "health/topology.hpp"

namespace fairlead::sim {

using health::TimePoint;

class Schedule {
 public:
  using Action = std::function<void()>;

  [[nodiscard]] TimePoint now() const { return now_; }

  void at(TimePoint when, Action action) {
    heap_.push_back({std::max(when, now_), ++sequence_, std::move(action)});
    std::push_heap(heap_.begin(), heap_.end(), later);
  }
  void after(health::Duration delay, Action action) { at(now_ + delay, std::move(action)); }

  /// Does what is due next, unless that is later than `until`. False when nothing was done.
  bool step(TimePoint until) {
    if (heap_.empty() || heap_.front().when > until) return false;
    std::pop_heap(heap_.begin(), heap_.end(), later);
    Entry entry = std::move(heap_.back());
    heap_.pop_back();
    now_ = entry.when;
    ++done_;
    entry.action();
    return true;
  }
  [[nodiscard]] std::uint64_t done() const { return done_; }

 private:
  struct Entry {
    TimePoint when;
    std::uint64_t sequence = 0;
    Action action;
  };
  static bool later(const Entry& a, const Entry& b) {
    return a.when != b.when ? a.when > b.when : a.sequence > b.sequence;
  }

  TimePoint now_{std::chrono::hours(1)};
  std::uint64_t sequence_ = 0;
  std::uint64_t done_ = 0;
  std::vector<Entry> heap_;
};

}  // namespace fairlead::sim
