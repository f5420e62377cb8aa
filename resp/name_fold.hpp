// Command names without regard to case: hashed and compared eight bytes at a time, in registers, since this
// runs for every command of every client. Only ASCII letters are folded, as in Redis. Pure; safe on any
// thread; never allocates.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace fairlead::resp {

template <typename Word>
std::uint64_t load_little(const char* bytes) {
  Word word = 0;
  std::memcpy(&word, bytes, sizeof word);
  if constexpr (std::endian::native == std::endian::big) {
    word = sizeof(Word) == 8 ? static_cast<Word>(__builtin_bswap64(word))
                             : static_cast<Word>(__builtin_bswap32(static_cast<std::uint32_t>(word)));
  }
  return word;
}

/// 1 to 8 bytes as a little-endian number, without reading past them: loads overlap instead, and bytes that
/// are read twice land on the same place.
inline std::uint64_t load_up_to_8(const char* bytes, std::size_t size) {
  if (size == 8) return load_little<std::uint64_t>(bytes);
  if (size >= 4) {
    return load_little<std::uint32_t>(bytes) | load_little<std::uint32_t>(bytes + size - 4)
                                                   << (8 * (size - 4));
  }
  const auto byte = [bytes](std::size_t at) {
    return std::uint64_t{static_cast<unsigned char>(bytes[at])} << (8 * at);
  };
  return byte(0) | byte(size / 2) | byte(size - 1);
}

/// ASCII A-Z to a-z in all eight bytes at once; bytes above 127 stay as they are, as in Redis.
inline std::uint64_t fold(std::uint64_t word) {
  constexpr std::uint64_t every_byte = 0x0101010101010101;
  const std::uint64_t low7 = word & (0x7f * every_byte);
  const std::uint64_t from_a = low7 + (0x80 - 'A') * every_byte;      // top bit set: byte >= 'A'
  const std::uint64_t past_z = low7 + (0x80 - 'Z' - 1) * every_byte;  // top bit set: byte > 'Z'
  const std::uint64_t upper = (from_a ^ past_z) & ~word & (0x80 * every_byte);
  return word | upper >> 2;  // 0x80 >> 2 is the bit between 'A' and 'a'
}

/// Names of up to this size differ if and only if their size or their hash (of one seed) does: they are one
/// word, and each step of the hash can be undone.
constexpr std::size_t exact_hash_bytes_max = 8;

/// `name` must not be empty. Another seed gives another hash of the same name.
inline std::uint64_t hash_folded(std::uint64_t seed, std::string_view name) {
  constexpr std::uint64_t multiplier = 0x9e3779b97f4a7c15;  // 2^64 / golden ratio (Fibonacci hashing)
  std::uint64_t hash = seed + name.size();
  const auto mix = [&hash](std::uint64_t word) {
    hash = (hash ^ word) * multiplier;
    hash ^= hash >> 32;
  };
  const char* at = name.data();
  std::size_t left = name.size();
  for (; left > 8; at += 8, left -= 8) mix(fold(load_little<std::uint64_t>(at)));
  mix(fold(load_up_to_8(at, left)));
  return hash;
}

/// Neither is empty; `known` is lower case, and both have the same hash_folded() of one seed.
inline bool equals_folded(std::string_view known, std::string_view name) {
  if (known.size() != name.size()) return false;
  if (known.size() <= exact_hash_bytes_max) return true;
  std::size_t at = 0;
  for (; known.size() - at > 8; at += 8) {
    if (load_little<std::uint64_t>(known.data() + at) != fold(load_little<std::uint64_t>(name.data() + at))) {
      return false;
    }
  }
  const std::size_t left = known.size() - at;
  return load_up_to_8(known.data() + at, left) == fold(load_up_to_8(name.data() + at, left));
}

}  // namespace fairlead::resp
