// A log-linear histogram of durations in nanoseconds: 64 buckets for each power of two, so that a bucket's
// middle differs by less than 0.8 % from every value in it. Values up to 2^40 ns (18 minutes) are told apart;
// longer ones count as that.
// Owned by whoever counts; lives on one thread; adding to it allocates nothing and costs one increment.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace fairlead::engine {

class Histogram {
 public:
  static constexpr unsigned sub_bucket_bits = 6;
  static constexpr std::uint64_t sub_buckets = 1ULL << sub_bucket_bits;
  static constexpr unsigned value_bits_max = 40;
  static constexpr std::size_t buckets = (value_bits_max - sub_bucket_bits + 1) * sub_buckets;

  /// `times` values that are all the same.
  void add(std::uint64_t nanoseconds, std::uint64_t times = 1) {
    counts_[bucket_of(nanoseconds)] += times;
    count_ += times;
    sum_ += nanoseconds * times;
    max_ = std::max(max_, nanoseconds);
  }

  void merge(const Histogram& other) {
    for (std::size_t i = 0; i < buckets; ++i) counts_[i] += other.counts_[i];
    count_ += other.count_;
    sum_ += other.sum_;
    max_ = std::max(max_, other.max_);
  }

  /// What was added since `earlier`, an older state of the same histogram. Its max() is that of all time.
  void subtract(const Histogram& earlier) {
    for (std::size_t i = 0; i < buckets; ++i) counts_[i] -= std::min(counts_[i], earlier.counts_[i]);
    count_ -= std::min(count_, earlier.count_);
    sum_ -= std::min(sum_, earlier.sum_);
  }

  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::uint64_t sum() const { return sum_; }
  [[nodiscard]] std::uint64_t max() const { return max_; }

  /// The value that `fraction` of all values do not exceed (0.99: the 99th percentile); 0 when there is none.
  [[nodiscard]] std::uint64_t quantile(double fraction) const;

  /// How many values are at most `nanoseconds`, exact at the borders of buckets.
  [[nodiscard]] std::uint64_t count_up_to(std::uint64_t nanoseconds) const;

  [[nodiscard]] static constexpr std::size_t bucket_of(std::uint64_t value) {
    if (value < sub_buckets) return static_cast<std::size_t>(value);
    const auto bits = static_cast<unsigned>(std::bit_width(value));
    if (bits > value_bits_max) return buckets - 1;
    const unsigned shift = bits - 1 - sub_bucket_bits;
    return static_cast<std::size_t>((shift + 1) * sub_buckets + ((value >> shift) - sub_buckets));
  }

  /// The middle of a bucket, which stands for all values in it.
  [[nodiscard]] static constexpr std::uint64_t value_of(std::size_t bucket) {
    if (bucket < 2 * sub_buckets) return bucket;
    const auto shift = static_cast<unsigned>(bucket / sub_buckets - 1);
    const std::uint64_t low = (sub_buckets + bucket % sub_buckets) << shift;
    return low + ((1ULL << shift) >> 1U);
  }

 private:
  std::array<std::uint64_t, buckets> counts_{};
  std::uint64_t count_ = 0;
  std::uint64_t sum_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace fairlead::engine
