// For tests: a command as one writes it down, and the view of it that the code under test gets.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "resp/command_reader.hpp"

namespace fairlead::resp::testing {

/// Owns the bytes that view() points to; words are separated by single spaces, and `''` stands for an empty
/// one.
class CommandWords {
 public:
  explicit CommandWords(std::string_view line) {
    for (std::size_t from = 0; from <= line.size();) {
      const std::size_t to = std::min(line.find(' ', from), line.size());
      const std::string_view word = line.substr(from, to - from);
      add(word == "''" ? std::string_view() : word);
      from = to + 1;
    }
  }

  void add(std::string_view word) {
    args_.push_back({static_cast<std::uint32_t>(bytes_.size()), static_cast<std::uint32_t>(word.size())});
    bytes_ += word;
  }

  [[nodiscard]] CommandView view() const {
    return {bytes_.data(), args_.data(), static_cast<std::uint32_t>(args_.size())};
  }

 private:
  std::string bytes_;
  std::vector<Slice> args_;
};

}  // namespace fairlead::resp::testing
