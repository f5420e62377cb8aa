// Feeds a CommandReader with an input in pieces and writes down all it says, so that tests and fuzz targets
// can compare one way of cutting with another. Checks on the way what must hold for every result.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "resp/command_reader.hpp"
#include "resp/writer.hpp"

namespace fairlead::resp::testing {

struct CommandEvent {
  ReadStatus status = ReadStatus::need_more;
  std::vector<std::string> args;
  std::size_t frame_bytes = 0;
  bool canonical = false;
  std::string error;
  friend bool operator==(const CommandEvent&, const CommandEvent&) = default;
};

struct CommandTranscript {
  std::vector<CommandEvent> events;  // command, nothing and error, in their order
  std::size_t unread = 0;            // bytes of the unfinished frame behind them
  std::string violation;             // not empty: what was broken that must hold for every input
  friend bool operator==(const CommandTranscript&, const CommandTranscript&) = default;
};

inline std::string check_frame(const CommandResult& result, std::string_view unread) {
  if (result.frame_bytes == 0 || result.frame_bytes > unread.size())
    return "a frame without progress or beyond the input";
  if (result.status == ReadStatus::nothing) return result.command.empty() ? "" : "arguments of nothing";
  if (result.command.empty()) return "a command without arguments";
  const std::string_view frame = unread.substr(0, result.frame_bytes);
  for (std::uint32_t i = 0; frame.front() == '*' && i < result.command.size(); ++i) {
    const std::string_view arg = result.command[i];
    if (arg.data() < frame.data() || arg.data() + arg.size() + 2 > frame.data() + frame.size())
      return "an argument outside its frame";
  }
  std::string encoded;
  append_command(encoded, result.command);
  const bool same = encoded == frame;
  return same == result.canonical ? "" : "canonical does not say whether encoding gives the same bytes";
}

/// `next_end(end)` says how many bytes of the input have arrived at the next call, given how many had before;
/// it must grow. The first call is made with next_end(0).
template <typename NextEnd>
CommandTranscript read_commands(std::string_view input, LoginState login, const CommandLimits& limits,
                                NextEnd next_end) {
  CommandTranscript transcript;
  CommandReader reader(limits);
  CommandScratch scratch;
  std::size_t begin = 0;
  std::size_t end = 0;
  while (end < input.size() && transcript.violation.empty()) {
    end = std::min<std::size_t>(next_end(end), input.size());
    while (transcript.violation.empty()) {
      const std::string_view unread = input.substr(begin, end - begin);
      const CommandResult result = reader.read(unread, scratch, login);
      if (result.status == ReadStatus::need_more) {
        if (reader.bytes_needed() <= unread.size()) transcript.violation = "needs no more than is there";
        if (reader.at_frame_start() != unread.empty()) transcript.violation = "at_frame_start() is wrong";
        break;
      }
      CommandEvent event{result.status, {}, result.frame_bytes, result.canonical, result.error};
      if (result.status == ReadStatus::error) {
        transcript.events.push_back(std::move(event));
        return transcript;
      }
      transcript.violation = check_frame(result, unread);
      for (std::uint32_t i = 0; i < result.command.size(); ++i) event.args.emplace_back(result.command[i]);
      transcript.events.push_back(std::move(event));
      begin += result.frame_bytes;
    }
  }
  transcript.unread = input.size() - begin;
  return transcript;
}

inline CommandTranscript read_whole(std::string_view input, LoginState login, const CommandLimits& limits) {
  return read_commands(input, login, limits, [&](std::size_t) { return input.size(); });
}

inline CommandTranscript read_bytewise(std::string_view input, LoginState login,
                                       const CommandLimits& limits) {
  return read_commands(input, login, limits, [](std::size_t end) { return end + 1; });
}

/// In two pieces, the first of `cut` bytes.
inline CommandTranscript read_cut(std::string_view input, LoginState login, const CommandLimits& limits,
                                  std::size_t cut) {
  return read_commands(input, login, limits, [&](std::size_t end) { return end < cut ? cut : input.size(); });
}

}  // namespace fairlead::resp::testing
