#include "resp/reply_scanner.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

#include "resp/decimal.hpp"

namespace fairlead::resp {

namespace {

// Nested counts add up: their sum is kept below this, so that the counter of remaining elements cannot wrap.
constexpr std::uint64_t remaining_max = std::uint64_t{1} << 62;

// A position within a run of bytes, after memchr; `end` when there is none.
const char* find_byte(const char* at, const char* end, char byte) {
  const void* const found = std::memchr(at, byte, static_cast<std::size_t>(end - at));
  return found == nullptr ? end : static_cast<const char*>(found);
}

}  // namespace

ScanResult ReplyScanner::scan(std::string_view bytes) {
  if (state_ == State::malformed) return {ScanStatus::malformed, 0};
  if (bytes.empty()) return {ScanStatus::need_more, 0};
  if (remaining_ == 0) {
    begin_reply();
    const std::size_t size = scan_plain(bytes.data(), bytes.data() + bytes.size());
    if (size != 0) return {ScanStatus::complete, size};
  }

  const char* at = bytes.data();
  const char* const end = at + bytes.size();
  while (at != end) {
    at = step(at, end);
    if (at == nullptr) return {ScanStatus::malformed, 0};
    if (remaining_ == 0) return {ScanStatus::complete, static_cast<std::size_t>(at - bytes.data())};
  }
  return {ScanStatus::need_more, bytes.size()};
}

void ReplyScanner::begin_reply() {
  remaining_ = 1;
  attribute_floor_ = 0;
  element_count_ = -1;
  last_integer_ = 0;
  state_ = State::type;
  capture_ = Capture::none;
  type_ = 0;
  null_ = inside_ = head_taken_ = false;
  head_size_ = 0;
  error_size_ = 0;
}

// Nearly every reply, in one look and without the states that one in pieces needs: a bulk string that is
// there as a whole, null, a small integer, +OK. Its size; 0, having changed nothing, for all others.
std::size_t ReplyScanner::scan_plain(const char* at, const char* end) {
  const char* const begin = at;
  const char type = *at;
  std::uint32_t number = 0;
  if (type == '$') {
    if (end - at >= 5 && std::memcmp(at, "$-1\r\n", 5) == 0) {
      null_ = true;
      type_ = '$';
      remaining_ = 0;
      return 5;
    }
    at = read_plain_line(at + 1, end, number);
    if (at == nullptr || end - at < std::ptrdiff_t{number} + 2) return 0;
    const char* const payload = at;
    at += number;
    if (at[0] != '\r' || at[1] != '\n') return 0;
    // As many bytes as ever, where there are so many: a copy of fixed size needs no call.
    if (end - payload >= std::ptrdiff_t{head_bytes_max}) {
      std::memcpy(head_.data(), payload, head_bytes_max);
    } else {
      std::memcpy(head_.data(), payload, std::min<std::size_t>(number, head_bytes_max));
    }
    head_size_ = static_cast<std::uint8_t>(std::min<std::size_t>(number, head_bytes_max));
    at += 2;
  } else if (type == '+') {
    if (end - at < 5 || std::memcmp(at, "+OK\r\n", 5) != 0) return 0;
    std::memcpy(head_.data(), "OK", 2);
    head_size_ = 2;
    at += 5;
  } else if (type == ':') {
    at = read_plain_line(at + 1, end, number);
    if (at == nullptr) return 0;
    last_integer_ = number;
  } else {
    return 0;
  }
  type_ = type;
  remaining_ = 0;
  return static_cast<std::size_t>(at - begin);
}

// Goes on by one state. Every state but text_cr consumes at least one byte; nullptr when the bytes are not
// RESP.
const char* ReplyScanner::step(const char* at, const char* end) {
  switch (state_) {
    case State::type:
      return begin_element(at, end);
    case State::number:
      return read_number(at, end);
    case State::text:
      return read_text(at, end);
    case State::text_cr:
      return read_text_cr(at);
    case State::payload:
      return skip_payload(at, end);
    case State::boolean:
      if (*at != 't' && *at != 'f') return fail();
      state_ = State::want_cr;
      return at + 1;
    case State::want_cr:
      if (*at != '\r') return fail();
      state_ = State::want_lf;
      return at + 1;
    case State::want_lf:
      if (*at != '\n') return fail();
      end_element();
      return at + 1;
    case State::malformed:
      break;
  }
  return fail();
}

const char* ReplyScanner::begin_element(const char* at, const char* end) {
  element_type_ = *at++;
  number_size_ = 0;
  switch (element_type_) {
    case '$':
    case '!':
    case '=':
    case '*':
    case '~':
    case '>':
    case '%':
    case '|':
    case ':': {
      std::uint32_t number = 0;
      const char* const next = read_plain_line(at, end, number);
      if (next == nullptr) {
        state_ = State::number;
        return at;
      }
      return take_number(number) ? next : fail();
    }
    case '+':
    case '-':
    // Numbers of these types are passed on and never read, and a script may put any text into them
    // (`return {big_number = 'x'}`): a client's nonsense must not end the link that others share.
    case ',':
    case '(':
      note_element(element_type_);
      state_ = State::text;
      return at;
    case '_':
      if (at_top()) null_ = true;
      note_element('_');
      state_ = State::want_cr;
      return at;
    case '#':
      note_element('#');
      state_ = State::boolean;
      return at;
    // Streamed strings and aggregates (`$?`, `*?`, `;`, `.`) end up here or as bad numbers: no Redis server
    // sends them.
    default:
      return fail();
  }
}

// Gathers a header line that came in pieces or is no plain number. The line feed is seen here, too, so that
// the number is judged when the line is whole.
const char* ReplyScanner::read_number(const char* at, const char* end) {
  for (; at != end; ++at) {
    const bool after_cr = number_size_ != 0 && number_[number_size_ - 1U] == '\r';
    if (after_cr) {
      if (*at != '\n') return fail();
      const std::string_view text(number_.data(), number_size_ - 1U);
      const auto number = element_type_ == ':' ? parse_integer(text) : parse_decimal(text);
      return number && take_number(*number) ? at + 1 : fail();
    }
    const bool expected = (*at >= '0' && *at <= '9') || *at == '-' || *at == '+' || *at == '\r';
    if (!expected || number_size_ == number_.size()) return fail();
    number_[number_size_++] = *at;
  }
  return at;
}

const char* ReplyScanner::read_text(const char* at, const char* end) {
  const char* const cr = find_byte(at, end, '\r');
  capture(at, static_cast<std::size_t>(cr - at));
  if (cr == end) return end;
  state_ = State::text_cr;
  return cr + 1;
}

// Modules may put a lone CR into a status; like hiredis, only CR LF ends the line.
const char* ReplyScanner::read_text_cr(const char* at) {
  if (*at == '\n') {
    end_element();
    return at + 1;
  }
  capture("\r", 1);
  if (*at == '\r') return at + 1;
  state_ = State::text;
  return at;
}

const char* ReplyScanner::skip_payload(const char* at, const char* end) {
  const std::uint64_t size = std::min<std::uint64_t>(payload_left_, static_cast<std::uint64_t>(end - at));
  capture(at, static_cast<std::size_t>(size));
  payload_left_ -= size;
  at += size;
  if (payload_left_ != 0) return at;
  state_ = State::want_cr;
  if (end - at < 2 || at[0] != '\r' || at[1] != '\n') return at;
  end_element();
  return at + 2;
}

const char* ReplyScanner::fail() {
  state_ = State::malformed;
  remaining_ = std::numeric_limits<std::uint64_t>::max();  // never at a boundary again
  return nullptr;
}

// Remembers what routing asks of an element that is no attribute and no part of one.
void ReplyScanner::note_element(char type) {
  capture_ = Capture::none;
  if (in_attribute()) return;
  if (at_top()) {
    type_ = type;
    if (type == '-' || type == '!') capture_ = Capture::error_text;
  }
  if (!head_taken_ && (type == '+' || type == '$')) {
    head_taken_ = true;
    capture_ = Capture::head;
  }
}

// Acts on the number behind a type byte. False when it makes no sense there.
bool ReplyScanner::take_number(std::int64_t number) {
  switch (element_type_) {
    case ':':
      note_element(':');
      if (!in_attribute()) last_integer_ = number;
      end_element();
      return true;
    case '$':
    case '!':
    case '=':
      return take_bulk_length(number);
    default:
      return take_count(number);
  }
}

bool ReplyScanner::take_bulk_length(std::int64_t length) {
  if (length == -1 && element_type_ == '$') {
    if (at_top()) {
      type_ = '$';
      null_ = true;
    }
    end_element();
    return true;
  }
  const std::int64_t length_min = element_type_ == '=' ? 4 : 0;  // a verbatim string begins with `txt:`
  if (length < length_min || length > announced_max) return false;
  note_element(element_type_);
  payload_left_ = static_cast<std::uint64_t>(length);
  state_ = payload_left_ == 0 ? State::want_cr : State::payload;
  return true;
}

bool ReplyScanner::take_count(std::int64_t count) {
  const bool null_array = count == -1 && element_type_ == '*';
  if (!null_array && (count < 0 || count > announced_max)) return false;
  const bool in_pairs = element_type_ == '%' || element_type_ == '|';
  const std::uint64_t elements = null_array ? 0 : static_cast<std::uint64_t>(in_pairs ? 2 * count : count);
  if (elements > remaining_max - remaining_) return false;

  if (element_type_ == '|') {
    // An attribute is no element: it comes before the one it describes. Those within an attribute belong to
    // it.
    if (elements != 0 && !in_attribute()) attribute_floor_ = remaining_;
    remaining_ += elements;
    state_ = State::type;
    return true;
  }
  if (at_top()) {
    null_ = null_array;
    if (!null_array) element_count_ = static_cast<std::int64_t>(elements);
  }
  // A push within an aggregate counts as an element: that is how SUBSCRIBE within MULTI comes out of EXEC.
  note_element(element_type_);
  if (!in_attribute()) inside_ = true;
  remaining_ += elements;
  end_element();
  return true;
}

void ReplyScanner::end_element() {
  --remaining_;
  if (remaining_ == attribute_floor_) attribute_floor_ = 0;
  state_ = State::type;
}

void ReplyScanner::capture(const char* at, std::size_t size) {
  if (capture_ == Capture::head) {
    const std::size_t taken = std::min(size, head_.size() - head_size_);
    std::memcpy(head_.data() + head_size_, at, taken);
    head_size_ = static_cast<std::uint8_t>(head_size_ + taken);
  } else if (capture_ == Capture::error_text) {
    const std::size_t taken = std::min(size, error_.size() - error_size_);
    std::memcpy(error_.data() + error_size_, at, taken);
    error_size_ = static_cast<std::uint16_t>(error_size_ + taken);
  }
}

}  // namespace fairlead::resp
