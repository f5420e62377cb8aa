// Splits an inline command into its arguments, quotes and escapes taken away. Part of the command reader,
// which alone includes it; no state beyond one line, never throws on what a client sent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "resp/command_reader.hpp"

namespace fairlead::resp {

namespace inline_text {

// The C locale's isspace, which redis uses: high bytes are never spaces.
inline bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

inline int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

inline char unescape(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'b':
      return '\b';
    case 'a':
      return '\a';
    default:
      return c;
  }
}

}  // namespace inline_text

/// Splits one line, without its line end, into scratch.args and scratch.inline_text, by the rules of redis'
/// sdssplitargs (sds.c). There the line ends with a NUL; here peek() answers NUL behind the end, and the line
/// itself holds none.
class InlineSplitter {
 public:
  InlineSplitter(std::string_view line, CommandScratch& scratch) : line_(line), scratch_(scratch) {}

  // False: unbalanced quotes, or a closing quote with text right behind it.
  bool split() {
    for (;;) {
      while (inline_text::is_space(peek())) ++at_;
      if (at_ == line_.size()) return true;
      const std::size_t start = scratch_.inline_text.size();
      if (!take_token()) return false;
      scratch_.args.push_back({static_cast<std::uint32_t>(start),
                               static_cast<std::uint32_t>(scratch_.inline_text.size() - start)});
    }
  }

 private:
  char peek(std::size_t ahead = 0) const { return at_ + ahead < line_.size() ? line_[at_ + ahead] : '\0'; }

  bool take_token() {
    for (;;) {
      switch (const char c = peek()) {
        // Vertical tab and form feed part arguments only where one begins: sdssplitargs does it like this.
        case ' ':
        case '\n':
        case '\r':
        case '\t':
        case '\0':
          return true;
        case '"':
        case '\'':
          ++at_;
          return c == '"' ? take_double_quoted() : take_single_quoted();
        default:
          scratch_.inline_text.push_back(c);
          ++at_;
      }
    }
  }

  bool take_double_quoted() {
    while (at_ < line_.size()) {
      const char c = line_[at_];
      if (c == '"') return close_quote();
      if (c == '\\' && peek(1) == 'x' && inline_text::hex_digit(peek(2)) >= 0 &&
          inline_text::hex_digit(peek(3)) >= 0) {
        scratch_.inline_text.push_back(
            static_cast<char>(inline_text::hex_digit(peek(2)) * 16 + inline_text::hex_digit(peek(3))));
        at_ += 4;
      } else if (c == '\\' && at_ + 1 < line_.size()) {
        scratch_.inline_text.push_back(inline_text::unescape(line_[at_ + 1]));
        at_ += 2;
      } else {
        scratch_.inline_text.push_back(c);
        ++at_;
      }
    }
    return false;
  }

  bool take_single_quoted() {
    while (at_ < line_.size()) {
      const char c = line_[at_];
      if (c == '\'') return close_quote();
      const std::size_t width = c == '\\' && peek(1) == '\'' ? 2 : 1;
      scratch_.inline_text.push_back(width == 2 ? '\'' : c);
      at_ += width;
    }
    return false;
  }

  // A closing quote ends its argument: only a space or the end of the line may follow.
  bool close_quote() {
    ++at_;
    return at_ == line_.size() || inline_text::is_space(line_[at_]);
  }

  std::string_view line_;
  CommandScratch& scratch_;
  std::size_t at_ = 0;
};

}  // namespace fairlead::resp
