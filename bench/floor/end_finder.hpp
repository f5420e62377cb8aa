// Finds where a command (a RESP multibulk) or a reply (RESP2) ends, in bytes that come in pieces, and nothing
// else. It keeps no byte and looks at none twice; payloads are skipped. Owned by one direction of a
// connection.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace fairlead::bench {

class EndFinder {
 public:
  enum class Kind : std::uint8_t { commands, replies };
  enum class State : std::uint8_t { more, whole, broken };
  struct Step {
    State state = State::more;
    std::size_t size = 0;  // bytes of the given data that belong to the present value
  };

  explicit EndFinder(Kind kind) : kind_(kind) {}

  /// Goes to the end of the present value, or to that of the data; after `whole` the next value begins.
  [[nodiscard]] Step consume(std::string_view data) {
    std::size_t at = 0;
    while (at < data.size()) {
      if (skip_ > 0) {
        const std::size_t part = std::min(skip_, data.size() - at);
        skip_ -= part;
        at += part;
        if (skip_ > 0) break;
        --values_left_;
      } else {
        at += read_line(data.substr(at));
        if (broken_) return {State::broken, at};
      }
      if (values_left_ == 0) {
        values_left_ = 1;
        outermost_ = true;
        return {State::whole, at};
      }
    }
    return {State::more, at};
  }

 private:
  static constexpr std::size_t number_max = 1U << 30U;

  /// Reads on in a header line; returns how many bytes it took.
  std::size_t read_line(std::string_view data) {
    std::size_t at = 0;
    if (type_ == '\0') {
      type_ = data[at++];
      number_ = 0;
      negative_ = false;
    }
    if (type_ == '+' || type_ == '-') {
      const void* end = std::memchr(data.data() + at, '\n', data.size() - at);
      if (end == nullptr) return data.size();
      at = static_cast<std::size_t>(static_cast<const char*>(end) - data.data()) + 1;
      end_line();
      return at;
    }
    while (at < data.size()) {
      const char byte = data[at++];
      if (byte >= '0' && byte <= '9') {
        // An integer reply may be longer than this, but its value is of no interest.
        if (number_ <= number_max) number_ = number_ * 10 + static_cast<std::size_t>(byte - '0');
      } else if (byte == '-') {
        negative_ = true;
      } else if (byte == '\n') {
        end_line();
        break;
      } else if (byte != '\r') {
        broken_ = true;
        break;
      }
    }
    return at;
  }

  void end_line() {
    const char type = type_;
    type_ = '\0';
    const bool counts = type == '*' || type == '$';
    broken_ = (counts && number_ > number_max) || !permitted(type);
    outermost_ = false;
    if (type == '$' && !negative_) {
      skip_ = number_ + 2;
      return;
    }
    // An aggregate is replaced by its elements, however deep it is: their number is all that has to be known.
    if (type == '*' && !negative_) values_left_ += number_;
    --values_left_;
  }

  [[nodiscard]] bool permitted(char type) const {
    if (kind_ == Kind::replies) return std::memchr("+-:$*", type, 5) != nullptr;
    // A command without arguments has no reply, so it would be the one that is answered to somebody else.
    return !negative_ && (outermost_ ? type == '*' && number_ > 0 : type == '$');
  }

  Kind kind_;
  char type_ = '\0';  // of the header line that is being read
  bool negative_ = false;
  bool outermost_ = true;
  bool broken_ = false;
  std::size_t number_ = 0;
  std::size_t skip_ = 0;         // bytes of the payload, with its line end, that are still to come
  std::size_t values_left_ = 1;  // until the end
};

}  // namespace fairlead::bench
