#include "proxy/engine/script_cache.hpp"

#include <algorithm>
#include <array>
#include <functional>

#include <boost/uuid/detail/sha1.hpp>

namespace fairlead::engine {

namespace {

constexpr std::size_t digest_digits = 40;
/// What a script costs beside its text.
constexpr std::uint64_t overhead_bytes = 256;

std::string digest_of(std::string_view source) {
  boost::uuids::detail::sha1 sha1;
  sha1.process_bytes(source.data(), source.size());
  boost::uuids::detail::sha1::digest_type words;
  sha1.get_digest(words);
  constexpr char digits[] = "0123456789abcdef";
  std::string digest;
  digest.reserve(digest_digits);
  for (const unsigned int word : words) {
    for (int shift = 28; shift >= 0; shift -= 4)
      digest += digits[(word >> static_cast<unsigned>(shift)) & 15U];
  }
  return digest;
}

}  // namespace

ScriptCache::Script* ScriptCache::add(std::string_view source, bool& is_new) {
  is_new = false;
  const std::size_t hash = std::hash<std::string_view>{}(source);
  if (const auto known = by_hash_.find(hash); known != by_hash_.end()) {
    if (known->second->source == source) return &*known->second;
  }
  const std::uint64_t cost = source.size() + overhead_bytes;
  if (cost > bytes_max_) return nullptr;
  const std::string digest = digest_of(source);
  if (const auto known = by_digest_.find(digest); known != by_digest_.end()) return &*known->second;
  while (bytes_ + cost > bytes_max_) evict_oldest();
  is_new = true;
  bytes_ += cost;
  scripts_.push_back({std::string(source), digest, hash, 0});
  const Place place = std::prev(scripts_.end());
  by_digest_.emplace(place->digest, place);
  by_hash_.insert_or_assign(hash, place);
  return &*place;
}

ScriptCache::Script* ScriptCache::find(std::string_view digest) {
  if (digest.size() != digest_digits) return nullptr;
  std::array<char, digest_digits> lower;
  std::transform(digest.begin(), digest.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  const auto found = by_digest_.find(std::string_view(lower.data(), lower.size()));
  return found == by_digest_.end() ? nullptr : &*found->second;
}

void ScriptCache::clear() {
  by_digest_.clear();
  by_hash_.clear();
  scripts_.clear();
  bytes_ = 0;
}

void ScriptCache::evict_oldest() {
  const Place oldest = scripts_.begin();
  by_digest_.erase(oldest->digest);
  if (const auto found = by_hash_.find(oldest->hash); found != by_hash_.end() && found->second == oldest) {
    by_hash_.erase(found);
  }
  bytes_ -= oldest->source.size() + overhead_bytes;
  scripts_.erase(oldest);
  ++evicted_;
}

}  // namespace fairlead::engine
