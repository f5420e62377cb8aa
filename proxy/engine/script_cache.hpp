// Scripts that clients have shown, so that EVALSHA finds them on a new master: Redis replicates what scripts
// do, and not the scripts.
//
// Owned by the Engine, on its thread. Bounded in bytes; the oldest go first. Never computes a digest twice
// for the same text.
#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <string_view>

#include <boost/unordered/unordered_flat_map.hpp>

namespace fairlead::engine {

class ScriptCache {
 public:
  struct Script {
    std::string source;
    std::string digest;        // SHA-1 of the source, 40 digits in lower case, as SCRIPT LOAD answers
    std::size_t hash = 0;      // of the source
    std::uint64_t loaded = 0;  // the route whose server has it
  };

  explicit ScriptCache(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}

  /// The script with this text; `is_new` tells whether it was unknown. Null when it alone is over the limit.
  Script* add(std::string_view source, bool& is_new);
  /// By digest in any case; null when it is unknown.
  [[nodiscard]] Script* find(std::string_view digest);
  /// SCRIPT FLUSH.
  void clear();

  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  [[nodiscard]] std::uint64_t evicted() const { return evicted_; }
  [[nodiscard]] bool empty() const { return scripts_.empty(); }

 private:
  void evict_oldest();

  using Place = std::list<Script>::iterator;
  std::uint64_t bytes_max_;
  std::uint64_t bytes_ = 0;
  std::uint64_t evicted_ = 0;
  std::list<Script> scripts_;                                     // in the order of their arrival
  boost::unordered_flat_map<std::string_view, Place> by_digest_;  // views of the digests in scripts_
  boost::unordered_flat_map<std::size_t, Place> by_hash_;
};

}  // namespace fairlead::engine
