// Whether this node has the pair's address: keepalived's word (FIFO) and the kernel's (netlink) put together.
// Pure; owned by the control thread's Pair, which acts on the changes.
//
// The kernel's word decides, since packets follow it: keepalived can die and leave the address behind, or say
// MASTER before the address is there. keepalived's word says whether a loss is final. Never ask it for more
// than that: two nodes can both own the address for a while, so nothing may rely on being the only one.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "vrrp/notify_line.hpp"

namespace fairlead::vrrp {

using TimePoint = std::chrono::steady_clock::time_point;

enum class Presence : std::uint8_t { absent, present };

enum class ChangeKind : std::uint8_t {
  state,          // keepalived said another state
  gained,         // the address is here
  lost,           // the address is gone for good: its clients must be let go
  contradiction,  // keepalived and the kernel disagree for longer than a change takes
  gone,           // keepalived closed the FIFO: it ended or was killed
};

struct Change {
  ChangeKind kind{};
  std::string text;  // a sentence for a person

  friend bool operator==(const Change&, const Change&) = default;
};

class Ownership {
 public:
  /// The address vanished while keepalived still says MASTER: so long it may come back, or keepalived explain
  /// it.
  static constexpr std::chrono::milliseconds loss_delay{200};
  /// keepalived and the kernel disagree for longer than any change takes.
  static constexpr std::chrono::milliseconds contradiction_delay{1000};

  void on_state(State state, std::uint32_t priority, TimePoint now);
  void on_keepalived_gone(TimePoint now);
  void on_address(Presence presence, TimePoint now);
  /// Call it at next_deadline() or later.
  void on_time(TimePoint now);
  [[nodiscard]] std::optional<TimePoint> next_deadline() const;

  [[nodiscard]] std::vector<Change> take_changes();
  [[nodiscard]] bool holds() const { return holds_; }
  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] std::uint32_t priority() const { return priority_; }

 private:
  void lose(std::string why);
  void expect_agreement(TimePoint now);
  [[nodiscard]] bool contradicts() const;

  State state_ = State::unknown;
  std::uint32_t priority_ = 0;
  Presence presence_ = Presence::absent;
  bool holds_ = false;
  std::optional<TimePoint> loss_at_;
  std::optional<TimePoint> contradiction_at_;
  std::vector<Change> changes_;
};

}  // namespace fairlead::vrrp
