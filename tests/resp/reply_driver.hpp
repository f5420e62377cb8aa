// Feeds a ReplyScanner with an input in pieces and writes down all it says, so that tests and fuzz targets
// can compare one way of cutting with another.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "resp/reply_scanner.hpp"

namespace fairlead::resp::testing {

struct ReplyEvent {
  std::size_t size = 0;  // bytes of the reply
  char type = 0;
  bool null = false;
  std::string error_text;
  std::string head;
  std::int64_t element_count = -1;
  std::int64_t last_integer = 0;
  friend bool operator==(const ReplyEvent&, const ReplyEvent&) = default;
};

struct ReplyTranscript {
  std::vector<ReplyEvent> replies;
  bool malformed = false;
  std::size_t unread = 0;  // bytes of the unfinished reply, when not malformed
  std::string violation;   // not empty: what was broken that must hold for every input
  friend bool operator==(const ReplyTranscript&, const ReplyTranscript&) = default;
};

/// `next_end` as for read_commands. Every byte is passed to the scanner once.
template <typename NextEnd>
ReplyTranscript scan_replies(std::string_view input, NextEnd next_end) {
  ReplyTranscript transcript;
  ReplyScanner scanner;
  std::size_t reply_begin = 0;
  std::size_t at = 0;
  std::size_t end = 0;
  while (end < input.size()) {
    end = std::min<std::size_t>(next_end(end), input.size());
    while (at < end) {
      const ScanResult result = scanner.scan(input.substr(at, end - at));
      if (result.status == ScanStatus::malformed) {
        transcript.malformed = true;
        if (scanner.at_boundary()) transcript.violation = "malformed, and at a boundary";
        return transcript;
      }
      const bool complete = result.status == ScanStatus::complete;
      if (result.consumed == 0 || result.consumed > end - at)
        transcript.violation = "no progress, or beyond the input";
      if (!complete && result.consumed != end - at) transcript.violation = "needs more, and left bytes";
      if (scanner.at_boundary() != complete) transcript.violation = "at_boundary() is wrong";
      if (!transcript.violation.empty()) return transcript;
      at += result.consumed;
      if (!complete) continue;
      transcript.replies.push_back({at - reply_begin, scanner.type(), scanner.is_null(),
                                    std::string(scanner.error_text()), std::string(scanner.head()),
                                    scanner.element_count(), scanner.last_integer()});
      reply_begin = at;
    }
  }
  transcript.unread = input.size() - reply_begin;
  return transcript;
}

inline ReplyTranscript scan_whole(std::string_view input) {
  return scan_replies(input, [&](std::size_t) { return input.size(); });
}

inline ReplyTranscript scan_bytewise(std::string_view input) {
  return scan_replies(input, [](std::size_t end) { return end + 1; });
}

inline ReplyTranscript scan_cut(std::string_view input, std::size_t cut) {
  return scan_replies(input, [&](std::size_t end) { return end < cut ? cut : input.size(); });
}

}  // namespace fairlead::resp::testing
