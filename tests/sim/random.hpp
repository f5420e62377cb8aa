// The only source of chance in a simulated world: the same seed gives the same world. Owned by the World, or
// by whoever must not disturb the others' draws; one thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace fairlead::sim {

using Milliseconds = std::chrono::milliseconds;
using Microseconds = std::chrono::microseconds;

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  /// SplitMix64 (Steele, Lea, Flood 2014): every seed is good, also 0, 1, 2 ...
  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15ULL;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31U);
  }
  /// 0 ... count - 1; 0 when count is 0.
  std::size_t below(std::size_t count) { return count == 0 ? 0 : static_cast<std::size_t>(next() % count); }
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(below(static_cast<std::size_t>(high - low + 1)));
  }
  Microseconds between(Microseconds low, Microseconds high) {
    return Microseconds(between(low.count(), high.count()));
  }
  bool percent(std::size_t chance) { return below(100) < chance; }
  /// A generator of its own, so that one part's draws do not move another part's.
  Random fork() { return Random(next()); }

 private:
  std::uint64_t state_;
};

}  // namespace fairlead::sim
