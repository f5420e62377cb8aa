// The guard: a small process that keeps the ready-file true when this one no longer can. It holds one end of
// a socket pair; this process sends it the verdict ten times a second. End of file (a crash, kill -9) or a
// second without a heartbeat (a hang) makes the guard write the fault, at once and without anybody's
// interval.
//
// Only the guard writes the file while it lives, so that no two writers can race. Owned by the Pair; lives on
// the control thread. The guard process runs nothing but system calls: it is forked from a process with
// threads.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>

namespace fairlead::vrrp {

enum class Fitness : std::uint8_t { fit, unfit };

/// Without a heartbeat for so long the process hangs.
constexpr std::chrono::milliseconds heartbeat_silence_max{1000};
/// A guard that has not answered for so long is replaced.
constexpr std::chrono::milliseconds guard_silence_max{3000};

class Guard {
 public:
  /// An absolute path: the guard has no working directory.
  explicit Guard(std::string ready_file);
  /// Ends as stop() does.
  ~Guard();
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

  /// Sends the verdict; starts the guard when there is none, and again when it has died or does not answer.
  /// Returns a sentence about what is wrong now, empty when all is well.
  [[nodiscard]] std::string tell(Fitness fitness, std::chrono::steady_clock::time_point now);
  /// Lets the guard go: it writes the fault and ends. Waits for that, a quarter of a second at most.
  void stop();

  [[nodiscard]] bool up() const { return pid_ > 0 && answered_; }
  [[nodiscard]] pid_t pid() const { return pid_; }
  /// Starts after the first.
  [[nodiscard]] std::uint64_t restarts() const { return starts_ > 0 ? starts_ - 1 : 0; }

 private:
  [[nodiscard]] std::string start(Fitness fitness);
  void read_answers(std::chrono::steady_clock::time_point now);
  void forget();

  std::string ready_file_;
  pid_t pid_ = -1;
  int socket_ = -1;
  bool answered_ = false;  // since it was started
  int error_ = 0;          // errno of the guard's last attempt to write
  std::uint64_t starts_ = 0;
  std::chrono::steady_clock::time_point heard_{};
};

}  // namespace fairlead::vrrp
