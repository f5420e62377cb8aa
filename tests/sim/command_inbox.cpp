#include "tests/sim/command_inbox.hpp"

namespace fairlead::sim {

Words CommandInbox::next() {
  static const resp::CommandLimits limits;
  if (empty() || !line_ended_) return {};
  const std::string_view rest = std::string_view(bytes_).substr(taken_);
  resp::CommandReader reader(limits);
  const auto read = reader.read(rest, scratch_, resp::LoginState::authenticated);
  if (read.status == resp::ReadStatus::need_more) {
    line_ended_ = false;
    return {};
  }
  if (read.status != resp::ReadStatus::command || !read.canonical) {
    broken_ = "a server receives what is no canonical command: " + std::string(rest.substr(0, 100));
    taken_ = bytes_.size();
    return {};
  }
  words_.clear();
  for (std::uint32_t i = 0; i < read.command.size(); ++i) words_.push_back(read.command[i]);
  taken_ += read.frame_bytes;
  return words_;
}

}  // namespace fairlead::sim
