// What arrived for a model server, and the commands in it: bytes go in as the network brings them, whole
// commands come out as words that lie where they arrived. Owned by a connection of a model; one thread.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "resp/command_reader.hpp"

namespace fairlead::sim {

/// A command's words. Valid until the inbox they came from is asked for the next command, or given more
/// bytes.
using Words = std::span<const std::string_view>;

class CommandInbox {
 public:
  void add(std::string_view bytes) {
    bytes_.erase(0, taken_);
    taken_ = 0;
    bytes_ += bytes;
    // Nothing that is incomplete becomes complete without the end of a line.
    line_ended_ = line_ended_ || bytes.find('\n') != std::string_view::npos;
  }
  /// Takes one whole command off the front; empty when there is none. The proxy must send canonical commands
  /// only: at anything else broken() says what is wrong, and the rest is dropped.
  [[nodiscard]] Words next();
  [[nodiscard]] bool empty() const { return taken_ == bytes_.size(); }
  [[nodiscard]] const std::string& broken() const { return broken_; }

 private:
  std::string bytes_;
  std::size_t taken_ = 0;    // from the front of bytes_
  bool line_ended_ = false;  // since what is there was found to be incomplete
  resp::CommandScratch scratch_;
  std::vector<std::string_view> words_;
  std::string broken_;
};

}  // namespace fairlead::sim
