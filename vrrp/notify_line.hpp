// What keepalived writes into its notify FIFO: one line per change of state, such as
//   INSTANCE "fairlead" MASTER 250
// Pure; used on the control thread. It never trusts a line: whatever it cannot read is garbage to be counted.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fairlead::vrrp {

/// keepalived's word for this node. `unknown` until it has said one, and after it has gone.
enum class State : std::uint8_t { unknown, backup, master, fault, stopped };

[[nodiscard]] const char* to_string(State state);

struct NotifyLine {
  std::string kind;  // INSTANCE, or GROUP for a sync group
  std::string name;
  State state = State::unknown;
  std::uint32_t priority = 0;

  friend bool operator==(const NotifyLine&, const NotifyLine&) = default;
};

/// A line without its newline. nullopt: garbage. Lines about a priority alone (MASTER_PRIORITY and its like,
/// which keepalived writes when it is asked to) are valid and have State::unknown.
[[nodiscard]] std::optional<NotifyLine> parse_notify_line(std::string_view line);

/// Cuts a stream of bytes into lines, however the reads cut it. A line longer than line_bytes_max is dropped
/// whole and counted: memory grows with a sane line, never with what somebody writes into the FIFO.
class LineCutter {
 public:
  static constexpr std::size_t line_bytes_max = 512;

  /// The lines that these bytes complete.
  [[nodiscard]] std::vector<std::string> feed(std::string_view bytes);
  /// The writer is gone: half a line will never be completed.
  void reset();
  [[nodiscard]] std::uint64_t overlong() const { return overlong_; }

 private:
  std::string line_;
  bool skipping_ = false;
  std::uint64_t overlong_ = 0;
};

}  // namespace fairlead::vrrp
