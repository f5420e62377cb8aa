// Latencies in nanoseconds, counted in buckets whose width grows with the value: 64 for each power of two, so
// that a percentile read from it is at most 1.6 % above the true one. Owned by whoever measures; one thread;
// never allocates after its construction.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace fairlead::bench {

class Histogram {
 public:
  void record(std::uint64_t nanoseconds) {
    ++counts_[bucket_of(nanoseconds)];
    ++total_;
    largest_ = std::max(largest_, nanoseconds);
  }

  [[nodiscard]] std::uint64_t count() const { return total_; }
  [[nodiscard]] std::uint64_t largest() const { return largest_; }

  /// The value that `fraction` of all recorded ones do not exceed; 0 when nothing was recorded.
  [[nodiscard]] std::uint64_t percentile(double fraction) const {
    const auto wanted = static_cast<std::uint64_t>(std::ceil(fraction * static_cast<double>(total_)));
    std::uint64_t seen = 0;
    for (std::size_t bucket = 0; bucket < counts_.size(); ++bucket) {
      seen += counts_[bucket];
      if (seen >= wanted && seen > 0) return std::min(upper_end(bucket), largest_);
    }
    return largest_;
  }

 private:
  static constexpr unsigned steps_bits = 6;
  static constexpr std::uint64_t steps = 1ULL << steps_bits;
  static constexpr std::size_t buckets = (64 - steps_bits + 1) * steps;

  static std::size_t bucket_of(std::uint64_t value) {
    if (value < steps) return static_cast<std::size_t>(value);
    const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - steps_bits - 1;
    return static_cast<std::size_t>((shift + 1) * steps + (value >> shift) - steps);
  }
  static std::uint64_t upper_end(std::size_t bucket) {
    if (bucket < steps) return bucket;
    const unsigned shift = static_cast<unsigned>(bucket >> steps_bits) - 1;
    return (((bucket & (steps - 1)) + steps + 1) << shift) - 1;
  }

  std::vector<std::uint64_t> counts_ = std::vector<std::uint64_t>(buckets);
  std::uint64_t total_ = 0;
  std::uint64_t largest_ = 0;
};

}  // namespace fairlead::bench
