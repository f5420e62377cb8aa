#include "proxy/engine/histogram.hpp"

#include <cmath>

namespace fairlead::engine {

std::uint64_t Histogram::quantile(double fraction) const {
  if (count_ == 0) return 0;
  const auto rank = static_cast<std::uint64_t>(std::ceil(fraction * static_cast<double>(count_)));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < buckets; ++i) {
    seen += counts_[i];
    if (seen >= std::max<std::uint64_t>(rank, 1)) return value_of(i);
  }
  return max_;
}

std::uint64_t Histogram::count_up_to(std::uint64_t nanoseconds) const {
  std::uint64_t seen = 0;
  const std::size_t last = bucket_of(nanoseconds);
  for (std::size_t i = 0; i <= last; ++i) seen += counts_[i];
  return seen;
}

}  // namespace fairlead::engine
