// Which keys are asked for most, and which are large: two small tables of bounded memory. Owned by the
// Telemetry of one Engine; lives on its thread; allocates only when a key enters a table.
//
// Hot keys: the space-saving sketch (Metwally, Agrawal, El Abbadi: "Efficient Computation of Frequent and
// Top-k Elements in Data Streams", 2005) over a sample of all commands. A key that is not in the full table
// takes the place of the least counted one and inherits its count as its possible error.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "health/topology.hpp"

namespace fairlead::engine {

/// Longer keys are cut for the tables; two that begin alike count as one.
constexpr std::size_t key_bytes_shown_max = 96;

struct HotKey {
  std::string key;
  std::uint64_t count = 0;  // samples, at most `error` too many
  std::uint64_t error = 0;
};

class HotKeys {
 public:
  static constexpr std::size_t capacity = 64;

  void add(std::string_view key);
  /// Halves all counts: what was hot an hour ago makes room.
  void decay();
  [[nodiscard]] const std::vector<HotKey>& entries() const { return entries_; }
  [[nodiscard]] std::uint64_t samples() const { return samples_; }

 private:
  std::vector<HotKey> entries_;
  std::vector<std::size_t> hashes_;  // of the entries' keys, side by side: most samples are in none of them
  std::uint64_t samples_ = 0;        // halved with the counts
};

struct BigKey {
  std::string key;
  std::string command;      // that moved the most bytes
  std::uint64_t bytes = 0;  // of the largest command or reply
  health::TimePoint seen_at{};
};

class BigKeys {
 public:
  static constexpr std::size_t capacity = 32;

  void add(std::string_view key, std::string_view command, std::uint64_t bytes, health::TimePoint now);
  [[nodiscard]] const std::vector<BigKey>& entries() const { return entries_; }

 private:
  std::vector<BigKey> entries_;
};

}  // namespace fairlead::engine
