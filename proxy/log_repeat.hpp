// Keeps one condition that is found again and again from filling the log: the first event of a kind about a
// subject is told at once, those that follow within a second are counted, and the count is told when the
// second is over. Pure; owned by the log and guarded by its lock.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace fairlead::proxy {

class RepeatFilter {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  /// Events that were counted instead of told, and the last of them.
  struct Summary {
    std::string key;
    std::string last_text;
    std::uint64_t count = 0;
  };

  enum class Verdict : std::uint8_t { tell, counted };

  /// `key` is the kind and the subject.
  [[nodiscard]] Verdict admit(const std::string& key, const std::string& text, TimePoint now);

  /// Takes out what was counted in windows that are over. To be called before admit, or the order of lines
  /// suffers.
  [[nodiscard]] std::vector<Summary> take_finished(TimePoint now);

  /// Takes out everything that was counted, for the end of the program.
  [[nodiscard]] std::vector<Summary> take_all();

  static constexpr std::chrono::milliseconds window{1000};

 private:
  struct Entry {
    TimePoint until;
    std::string last_text;
    std::uint64_t counted = 0;
  };

  std::map<std::string, Entry>
      entries_;  // only windows that are not over: bounded by the events of one second
};

}  // namespace fairlead::proxy
