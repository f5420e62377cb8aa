#include "bench/load/histogram.hpp"

#include <catch2/catch.hpp>
#include <random>

using fairlead::bench::Histogram;

TEST_CASE("histogram: nothing recorded") {
  const Histogram histogram;
  CHECK(histogram.count() == 0);
  CHECK(histogram.percentile(0.99) == 0);
}

TEST_CASE("histogram: small values are exact") {
  Histogram histogram;
  for (std::uint64_t value = 1; value <= 100; ++value) histogram.record(value);
  CHECK(histogram.percentile(0.5) == 50);
  CHECK(histogram.percentile(0.01) == 1);
  CHECK(histogram.percentile(1.0) == 100);
  CHECK(histogram.largest() == 100);
}

TEST_CASE("histogram: a percentile is never below the true one, and at most 1.6 % above it") {
  std::mt19937_64 random(7);
  std::vector<std::uint64_t> values;
  Histogram histogram;
  for (int i = 0; i < 100000; ++i) {
    values.push_back(random() >> (random() % 64));
    histogram.record(values.back());
  }
  std::sort(values.begin(), values.end());
  for (const double fraction : {0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 1.0}) {
    const auto rank = static_cast<std::size_t>(std::ceil(fraction * static_cast<double>(values.size())));
    const std::uint64_t expected = values[rank - 1];
    const std::uint64_t seen = histogram.percentile(fraction);
    CHECK(seen >= expected);
    CHECK(static_cast<double>(seen) <= static_cast<double>(expected) * 1.016 + 1);
  }
}

TEST_CASE("histogram: the largest number has its place") {
  Histogram histogram;
  histogram.record(UINT64_MAX);
  histogram.record(0);
  CHECK(histogram.percentile(0.5) == 0);
  CHECK(histogram.percentile(1.0) == UINT64_MAX);
}
