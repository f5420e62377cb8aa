// A fingerprint of a world's history: every packet with its time, its connection and its bytes, and what
// clients were told. Two builds that print the same number for the same seeds played the same stories, so the
// models can be made faster without a doubt. Owned by the World; one thread. It guards against accidents, not
// against anybody.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace fairlead::sim {

class Digest {
 public:
  void add(std::uint64_t number) {
    value_ = (value_ ^ number) * 0x9e3779b97f4a7c15ULL;
    value_ ^= value_ >> 29U;
  }
  void add(std::string_view bytes) {
    add(bytes.size());
    while (bytes.size() > word_bytes) {
      add(word(bytes.substr(0, word_bytes)));
      bytes.remove_prefix(word_bytes);
    }
    add(word(bytes));
  }
  [[nodiscard]] std::uint64_t value() const { return value_; }

 private:
  static constexpr std::size_t word_bytes = sizeof(std::uint64_t);
  /// The bytes as a number; what is missing is zero. `add(size)` before tells the two apart.
  static std::uint64_t word(std::string_view bytes) {
    std::uint64_t number = 0;
    std::memcpy(&number, bytes.data(), bytes.size());
    return number;
  }

  std::uint64_t value_ = 0x243f6a8885a308d3ULL;
};

}  // namespace fairlead::sim
