// Finds where one server reply ends and the next begins, in RESP2 and RESP3. Builds no tree, keeps no
// payload, never recurses: one counter of elements still to come is all that nesting needs.
//
// Incremental over any split: each byte is passed exactly once. What routing must know of a reply is captured
// in a few fixed fields: its type, the first line of an error, the first string of an aggregate, the last
// integer. Pure; owned by one BackendLink; lives on its worker's thread.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "resp/types.hpp"

namespace fairlead::resp {

enum class ScanStatus : std::uint8_t {
  need_more,  // all bytes were consumed, the reply is not complete
  complete,   // the reply ends after `consumed` bytes of this call
  malformed,  // not RESP: the link is out of step and must be closed; every later call says so again
};

struct ScanResult {
  ScanStatus status = ScanStatus::need_more;
  std::size_t consumed = 0;
};

class ReplyScanner {
 public:
  /// Consumes `bytes` up to the end of the top-level reply at hand. After `complete` the accessors below
  /// describe that reply until the next call, which begins a new one.
  [[nodiscard]] ScanResult scan(std::string_view bytes);

  /// True between replies.
  [[nodiscard]] bool at_boundary() const { return remaining_ == 0; }

  /// The type byte of the reply ('+', '-', ':', '$', '*', '_', '#', ',', '(', '!', '=', '%', '~', '>'),
  /// attributes skipped. 0 before it was seen.
  [[nodiscard]] char type() const { return type_; }
  [[nodiscard]] bool is_push() const { return type_ == '>'; }
  [[nodiscard]] bool is_error() const { return type_ == '-' || type_ == '!'; }
  /// Null in any spelling: `_`, `$-1`, `*-1`.
  [[nodiscard]] bool is_null() const { return null_; }

  /// is_error(): the error's text without '-' and CRLF, cut at error_text_max bytes.
  [[nodiscard]] std::string_view error_text() const { return {error_.data(), error_size_}; }
  /// The announced number of elements of an aggregate reply (pairs count twice), -1 for others.
  [[nodiscard]] std::int64_t element_count() const { return element_count_; }
  /// The first string element of an aggregate (`subscribe`, `message`, `invalidate`), or the payload of a
  /// simple or bulk string reply; cut at head_bytes_max bytes. Verbatim strings are not captured.
  [[nodiscard]] std::string_view head() const { return {head_.data(), head_size_}; }
  /// The last integer element seen in this reply (a subscription count, for one); 0 when there was none.
  [[nodiscard]] std::int64_t last_integer() const { return last_integer_; }

  static constexpr std::size_t error_text_max = 256;
  static constexpr std::size_t head_bytes_max = 32;

 private:
  enum class State : std::uint8_t {
    type,       // an element's type byte comes next
    number,     // digits of a length, a count or an integer, up to CR
    text,       // a simple string or an error, up to CR LF; a CR or LF alone is part of the text
    text_cr,    // behind a CR of such a line
    boolean,    // `t` or `f`
    payload,    // payload_left_ bytes to skip
    want_cr,    // CR LF and nothing else
    want_lf,    // LF and nothing else
    malformed,  // for good
  };
  enum class Capture : std::uint8_t { none, head, error_text };

  void begin_reply();
  [[nodiscard]] std::size_t scan_plain(const char* at, const char* end);
  const char* step(const char* at, const char* end);
  const char* begin_element(const char* at, const char* end);
  const char* read_number(const char* at, const char* end);
  const char* read_text(const char* at, const char* end);
  const char* read_text_cr(const char* at);
  const char* skip_payload(const char* at, const char* end);
  const char* fail();
  void note_element(char type);
  bool take_number(std::int64_t number);
  bool take_bulk_length(std::int64_t length);
  bool take_count(std::int64_t count);
  void end_element();
  void capture(const char* at, std::size_t size);
  [[nodiscard]] bool in_attribute() const { return attribute_floor_ != 0; }
  [[nodiscard]] bool at_top() const { return remaining_ == 1 && !in_attribute() && !inside_; }

  std::uint64_t remaining_ = 0;        // elements still to come, at all depths; 0 between replies
  std::uint64_t attribute_floor_ = 0;  // not 0: what remaining_ will be when the attribute at hand is over
  std::uint64_t payload_left_ = 0;
  std::int64_t element_count_ = -1;
  std::int64_t last_integer_ = 0;
  State state_ = State::type;
  Capture capture_ = Capture::none;
  char type_ = 0;
  char element_type_ = 0;
  bool null_ = false;
  bool inside_ = false;  // within a top-level aggregate, where remaining_ may be 1 again
  bool head_taken_ = false;
  std::uint8_t head_size_ = 0;
  std::uint8_t number_size_ = 0;
  std::uint16_t error_size_ = 0;
  std::array<char, 24> number_;  // a header line that came in pieces
  std::array<char, head_bytes_max> head_;
  std::array<char, error_text_max> error_;
};

}  // namespace fairlead::resp
