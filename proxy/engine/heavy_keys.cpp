#include "proxy/engine/heavy_keys.hpp"

#include <algorithm>
#include <functional>

namespace fairlead::engine {

void HotKeys::add(std::string_view key) {
  key = key.substr(0, key_bytes_shown_max);
  ++samples_;
  const std::size_t hash = std::hash<std::string_view>{}(key);
  for (std::size_t i = 0; i < hashes_.size(); ++i) {
    if (hashes_[i] == hash && entries_[i].key == key) {
      ++entries_[i].count;
      return;
    }
  }
  if (entries_.size() < capacity) {
    entries_.push_back({std::string(key), 1, 0});
    hashes_.push_back(hash);
    return;
  }
  const auto least = std::min_element(entries_.begin(), entries_.end(),
                                      [](const HotKey& a, const HotKey& b) { return a.count < b.count; });
  hashes_[static_cast<std::size_t>(least - entries_.begin())] = hash;
  least->key.assign(key);
  least->error = least->count;
  ++least->count;
}

void HotKeys::decay() {
  samples_ /= 2;
  for (HotKey& entry : entries_) {
    entry.count /= 2;
    entry.error /= 2;
  }
  std::erase_if(entries_, [](const HotKey& entry) { return entry.count == 0; });
  hashes_.clear();
  for (const HotKey& entry : entries_) hashes_.push_back(std::hash<std::string_view>{}(entry.key));
}

void BigKeys::add(std::string_view key, std::string_view command, std::uint64_t bytes,
                  health::TimePoint now) {
  key = key.substr(0, key_bytes_shown_max);
  BigKey* place = nullptr;
  for (BigKey& entry : entries_) {
    if (entry.key == key) {
      entry.seen_at = now;
      if (bytes <= entry.bytes) return;
      place = &entry;
      break;
    }
  }
  if (place == nullptr && entries_.size() < capacity) place = &entries_.emplace_back();
  if (place == nullptr) {
    place = &*std::min_element(entries_.begin(), entries_.end(),
                               [](const BigKey& a, const BigKey& b) { return a.bytes < b.bytes; });
    if (place->bytes >= bytes) return;
  }
  place->key.assign(key);
  place->command.assign(command);
  place->bytes = bytes;
  place->seen_at = now;
}

}  // namespace fairlead::engine
