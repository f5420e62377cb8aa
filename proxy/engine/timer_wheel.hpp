// A hashed timing wheel (Varghese and Lauck, 1987): arming and cancelling cost O(1) and no system call.
// Resolution is one tick; a timer never fires early. Pure: time comes in with advance(). One per Engine.
#pragma once

#include <algorithm>
#include <array>
#include <boost/intrusive/list.hpp>
#include <chrono>
#include <cstdint>
#include <optional>

#include "health/topology.hpp"
#include "proxy/engine/io.hpp"

namespace fairlead::engine {

/// Embedded in what it belongs to; leaves the wheel when destroyed. `owner` and `kind` are the Engine's.
struct Timer : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
  health::TimePoint deadline{};
  void* owner = nullptr;
  Side side = Side::backend;  // what the owner is: a Session or a BackendLink

  [[nodiscard]] bool armed() const { return is_linked(); }
  void cancel() {
    if (is_linked()) unlink();
  }
};

class TimerWheel {
 public:
  static constexpr std::chrono::milliseconds tick{10};

  explicit TimerWheel(health::TimePoint now) : origin_(now) {}

  void arm(Timer& timer, health::TimePoint deadline) {
    timer.cancel();
    timer.deadline = deadline;
    // Rounded up, and never into a slot that advance() has already passed.
    std::uint64_t at = ticks_until(deadline) + 1;
    if (at <= current_) at = current_ + 1;
    slots_[at % slots_.size()].push_back(timer);
    if (!next_ || deadline < *next_) next_ = deadline;
  }

  /// Calls `fire(Timer&)` for every timer whose deadline has come; it is disarmed before.
  template <typename Fire>
  void advance(health::TimePoint now, Fire&& fire) {
    const std::uint64_t target = ticks_until(now);
    if (target <= current_) return;
    List due;
    const std::uint64_t steps = std::min<std::uint64_t>(target - current_, slots_.size());
    for (std::uint64_t i = 1; i <= steps; ++i) {
      List& slot = slots_[(current_ + i) % slots_.size()];
      for (auto it = slot.begin(); it != slot.end();) {
        Timer& timer = *it++;
        if (timer.deadline > now) continue;  // a later turn of the wheel
        timer.unlink();
        due.push_back(timer);
      }
    }
    current_ = target;
    next_.reset();
    while (!due.empty()) {
      Timer& timer = due.front();
      timer.unlink();
      fire(timer);
    }
    for (List& slot : slots_) {
      for (Timer& timer : slot) {
        if (!next_ || timer.deadline < *next_) next_ = timer.deadline;
      }
    }
  }

  /// When advance() has something to do next; may be early after a cancel.
  [[nodiscard]] std::optional<health::TimePoint> next_deadline() const {
    if (!next_) return std::nullopt;
    return *next_ + tick;
  }

 private:
  using List = boost::intrusive::list<Timer, boost::intrusive::constant_time_size<false>>;

  [[nodiscard]] std::uint64_t ticks_until(health::TimePoint t) const {
    return t <= origin_ ? 0 : static_cast<std::uint64_t>((t - origin_) / tick);
  }

  health::TimePoint origin_;
  std::uint64_t current_ = 0;
  std::array<List, 512> slots_{};
  std::optional<health::TimePoint> next_;
};

}  // namespace fairlead::engine
