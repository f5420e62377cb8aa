// How large replies have been of late: the largest one, forgotten slowly. Two use it: a shared link, to bound
// what the server owes on it at once, and the Engine, to know what newcomers ask for. Owned by those; lives
// on one worker's thread; never an average, since one large reply among many small ones is what the small
// ones wait for.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace fairlead::engine {

class ReplyWeight {
 public:
  /// Replies due at once, at the largest size seen of late, fit in here. The server buffers them for us, and
  /// whoever is behind them waits for them.
  static constexpr std::uint64_t due_bytes_max = 4ULL << 20;
  static constexpr std::size_t due_min = 4;   // enough to keep server and proxy both busy
  static constexpr std::size_t due_max = 32;  // while nothing is known of those who asked

  /// A reply of `bytes` has come, or so much of one already.
  void at_least(std::uint64_t bytes) { bytes_ = std::max(bytes_, bytes); }
  void on_reply(std::uint64_t bytes) { bytes_ = std::max(bytes, bytes_ - bytes_ / 32); }

  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  /// How many replies may be due at once.
  [[nodiscard]] std::size_t due_limit() const {
    return std::clamp<std::size_t>(due_bytes_max / std::max<std::uint64_t>(bytes_, 1), due_min, due_max);
  }

 private:
  std::uint64_t bytes_ = 0;
};

}  // namespace fairlead::engine
