#include "resp/writer.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

namespace fairlead::resp {

namespace {

template <typename Number>
void append_number(std::string& out, Number number) {
  std::array<char, std::numeric_limits<Number>::digits10 + 3> digits;
  const auto result = std::to_chars(digits.data(), digits.data() + digits.size(), number);
  out.append(digits.data(), result.ptr);
}

void append_header(std::string& out, char mark, std::size_t number) {
  out.push_back(mark);
  append_number(out, number);
  out.append("\r\n");
}

// One line of text: a CR or LF within would end the reply early and let its rest pass for another one.
void append_line(std::string& out, char mark, std::string_view text) {
  out.push_back(mark);
  const auto start = static_cast<std::ptrdiff_t>(out.size());
  out.append(text);
  std::replace_if(
      out.begin() + start, out.end(), [](char c) { return c == '\r' || c == '\n'; }, ' ');
  out.append("\r\n");
}

template <typename Args>
void append_args(std::string& out, const Args& args) {
  append_header(out, '*', args.size());
  for (const std::string_view arg : args) append_bulk(out, arg);
}

}  // namespace

void append_command(std::string& out, std::initializer_list<std::string_view> args) {
  append_args(out, args);
}

void append_command(std::string& out, std::span<const std::string> args) {
  append_args(out, args);
}

void append_command(std::string& out, const CommandView& command) {
  append_header(out, '*', command.size());
  for (std::uint32_t i = 0; i < command.size(); ++i) append_bulk(out, command[i]);
}

void append_simple(std::string& out, std::string_view text) {
  append_line(out, '+', text);
}

void append_error(std::string& out, std::string_view text) {
  append_line(out, '-', text);
}

void append_integer(std::string& out, std::int64_t number) {
  out.push_back(':');
  append_number(out, number);
  out.append("\r\n");
}

void append_bulk(std::string& out, std::string_view text) {
  append_header(out, '$', text.size());
  out.append(text);
  out.append("\r\n");
}

void append_null(std::string& out, Version version) {
  out.append(version == Version::resp3 ? "_\r\n" : "$-1\r\n");
}

void append_null_array(std::string& out, Version version) {
  out.append(version == Version::resp3 ? "_\r\n" : "*-1\r\n");
}

void append_array_header(std::string& out, std::size_t count) {
  append_header(out, '*', count);
}

void append_map_header(std::string& out, std::size_t pairs, Version version) {
  if (version == Version::resp3) {
    append_header(out, '%', pairs);
  } else {
    append_header(out, '*', 2 * pairs);
  }
}

void append_set_header(std::string& out, std::size_t count, Version version) {
  append_header(out, version == Version::resp3 ? '~' : '*', count);
}

void append_push_header(std::string& out, std::size_t count, Version version) {
  append_header(out, version == Version::resp3 ? '>' : '*', count);
}

void append_boolean(std::string& out, bool yes, Version version) {
  if (version == Version::resp3) {
    out.append(yes ? "#t\r\n" : "#f\r\n");
  } else {
    append_integer(out, yes ? 1 : 0);
  }
}

// Seventeen significant digits, as redis 7.0 writes a double (addReplyDouble, "%.17g"), in any locale.
void append_double(std::string& out, double number, Version version) {
  std::array<char, 32> digits;
  std::string_view text;
  if (std::isnan(number)) {
    text = "nan";
  } else if (std::isinf(number)) {
    text = number > 0 ? "inf" : "-inf";
  } else {
    const auto result =
        std::to_chars(digits.data(), digits.data() + digits.size(), number, std::chars_format::general, 17);
    text = std::string_view(digits.data(), static_cast<std::size_t>(result.ptr - digits.data()));
  }
  if (version == Version::resp3) {
    append_line(out, ',', text);
  } else {
    append_bulk(out, text);
  }
}

void append_verbatim(std::string& out, std::string_view text, Version version) {
  if (version == Version::resp2) {
    append_bulk(out, text);
    return;
  }
  constexpr std::string_view format = "txt:";
  append_header(out, '=', format.size() + text.size());
  out.append(format);
  out.append(text);
  out.append("\r\n");
}

}  // namespace fairlead::resp
