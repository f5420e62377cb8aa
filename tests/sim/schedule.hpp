// What will happen when, in one queue: the clock of a simulated world. Two things at the same instant happen
// in the order in which they were scheduled, so a seed always tells the same story. Owned by the World; one
// thread; nothing here reads a real clock.
//
// A radix heap: time never goes back, so an entry only needs to be sorted as far as it differs from the
// present.
//
//   buckets_[b]  entries whose time differs from base_ in bit b - 1, and in none above: in order of
//   scheduling buckets_[0]  entries of base_ itself: what is due next
//
// When bucket 0 is empty, base_ becomes the earliest time of the next bucket, whose entries move to lower
// ones. Each moves down a few times in its life and is never compared with others. An act stays where it was
// put: an event allocates nothing.
#pragma once

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
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
    buckets_[0].erase(buckets_[0].begin(), buckets_[0].begin() + static_cast<std::ptrdiff_t>(next_due_));
    for (const auto& bucket : buckets_) {
      for (const Entry& entry : bucket) entry.act->drop(*entry.act);
    }
  }

  [[nodiscard]] TimePoint now() const { return now_; }

  template <typename Call>
  void at(TimePoint when, Call call) {
    Act* const act = take_act();
    act->put(std::move(call));
    add({std::max(when, now_), act});
  }
  template <typename Call>
  void after(health::Duration delay, Call call) {
    at(now_ + delay, std::move(call));
  }

  /// Does what is due next, unless that is later than `until`. False when nothing was done.
  bool step(TimePoint until) {
    std::vector<Entry>& due = buckets_[0];
    if (next_due_ == due.size() && !find_due(until)) return false;
    if (base_ > until) return false;
    Act* const act = due[next_due_++].act;
    if (next_due_ == due.size()) {
      due.clear();
      next_due_ = 0;
    }
    now_ = base_;
    ++done_;
    act->run(*act, *this);
    return true;
  }
  [[nodiscard]] std::uint64_t done() const { return done_; }

 private:
  /// One thing to be done, in place.
  struct Act {
    static constexpr std::size_t room_bytes = 136;
    alignas(std::max_align_t) std::byte room[room_bytes];
    void (*run)(Act& act, Schedule& schedule) = nullptr;
    void (*drop)(Act& act) = nullptr;

    template <typename Call>
    void put(Call call) {
      if constexpr (sizeof(Call) > room_bytes) {
        put([kept = std::make_unique<Call>(std::move(call))] { (*kept)(); });
      } else {
        ::new (static_cast<void*>(room)) Call(std::move(call));
        // The act is free before the call: what it schedules may be put there.
        run = [](Act& act, Schedule& schedule) {
          Call* const stored = act.template stored<Call>();
          Call taken(std::move(*stored));
          stored->~Call();
          schedule.free_.push_back(&act);
          taken();
        };
        drop = [](Act& act) { act.template stored<Call>()->~Call(); };
      }
    }
    template <typename Call>
    Call* stored() {
      return std::launder(reinterpret_cast<Call*>(room));
    }
  };
  struct Entry {
    TimePoint when;
    Act* act = nullptr;
  };
  static constexpr std::size_t acts_in_block = 64;

  [[nodiscard]] std::size_t bucket_of(TimePoint when) const {
    const auto differs = when.time_since_epoch().count() ^ base_.time_since_epoch().count();
    return static_cast<std::size_t>(std::bit_width(static_cast<std::uint64_t>(differs)));
  }
  void add(const Entry& entry) {
    const std::size_t bucket = bucket_of(entry.when);
    buckets_[bucket].push_back(entry);
    occupied_ |= std::uint64_t{1} << bucket;
  }
  /// Fills bucket 0 with what comes next. False when that is later than `until`, or nothing comes.
  bool find_due(TimePoint until) {
    occupied_ &= ~std::uint64_t{1};
    if (occupied_ == 0) return false;
    const auto lowest = static_cast<std::size_t>(std::countr_zero(occupied_));
    std::vector<Entry>& bucket = buckets_[lowest];
    TimePoint earliest = bucket.front().when;
    for (const Entry& entry : bucket) earliest = std::min(earliest, entry.when);
    if (earliest > until) return false;
    base_ = earliest;
    occupied_ &= ~(std::uint64_t{1} << lowest);
    // All of them go to lower buckets, in the order in which they are here.
    for (const Entry& entry : bucket) add(entry);
    bucket.clear();
    return true;
  }
  Act* take_act() {
    if (free_.empty()) {
      blocks_.push_back(std::make_unique_for_overwrite<Act[]>(acts_in_block));
      for (std::size_t i = 0; i < acts_in_block; ++i) free_.push_back(&blocks_.back()[i]);
    }
    Act* const act = free_.back();
    free_.pop_back();
    return act;
  }

  TimePoint now_{std::chrono::hours(1)};
  TimePoint base_ = now_;
  std::uint64_t done_ = 0;
  std::size_t next_due_ = 0;    // in bucket 0
  std::uint64_t occupied_ = 0;  // bit b: bucket b is not empty
  std::vector<Entry> buckets_[64];
  std::vector<std::unique_ptr<Act[]>> blocks_;
  std::vector<Act*> free_;
};

}  // namespace fairlead::sim
