// Finds where one server reply ends and the next begins, in RESP2 and RESP3. Builds no tree, keeps no payload, never
// recurses: one counter of elements still to come is all that nesting needs.
//
// Incremental over any split: each byte is passed exactly once. What routing must know of a reply is captured in a few
// fixed fields: its type, the first line of an error, the first string of an aggregate, the last integer.
// Pure; owned by one BackendLink; lives on its worker's thread.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "resp/types.hpp"

namespace fairlead::resp {

enum class ScanStatus : std::uint8_t {
  need_more,  // all bytes were consumed, the reply is not complete
  complete,   // the reply ends after `consumed` bytes of this call
  malformed,  // not RESP: the link is out of step and must be closed
};

struct ScanResult {
  ScanStatus status = ScanStatus::need_more;
  std::size_t consumed = 0;
};

class ReplyScanner {
 public:
  /// Consumes `bytes` up to the end of the top-level reply at hand. After `complete` the accessors below describe that
  /// reply until the next call, which begins a new one.
  [[nodiscard]] ScanResult scan(std::string_view bytes);

  /// True between replies.
  [[nodiscard]] bool at_boundary() const;

  /// The type byte of the reply ('+', '-', ':', '$', '*', '_', '#', ',', '(', '!', '=', '%', '~', '>'), attributes skipped.
  /// 0 before it was seen.
  [[nodiscard]] char type() const { return type_; }
  [[nodiscard]] bool is_push() const { return type_ == '>'; }
  [[nodiscard]] bool is_error() const { return type_ == '-' || type_ == '!'; }
  /// Null in any spelling: `_`, `$-1`, `*-1`.
  [[nodiscard]] bool is_null() const { return null_; }

  /// is_error(): the error's text without '-' and CRLF, cut at error_text_max bytes.
  [[nodiscard]] std::string_view error_text() const;
  /// The announced number of elements of an aggregate reply (pairs count twice), -1 for others.
  [[nodiscard]] std::int64_t element_count() const { return element_count_; }
  /// The first string element of an aggregate (`subscribe`, `message`, `invalidate`), or the payload of a simple or
  /// bulk string reply; cut at head_bytes_max bytes.
  [[nodiscard]] std::string_view head() const;
  /// The last integer element seen in this reply (a subscription count, for one); 0 when there was none.
  [[nodiscard]] std::int64_t last_integer() const { return last_integer_; }

  static constexpr std::size_t error_text_max = 256;
  static constexpr std::size_t head_bytes_max = 32;

 private:
  // The implementer of reply_scanner.cpp chooses the members; type_, null_, element_count_, last_integer_ are named above.
  char type_ = 0;
  bool null_ = false;
  std::int64_t element_count_ = -1;
  std::int64_t last_integer_ = 0;
};

}  // namespace fairlead::resp
