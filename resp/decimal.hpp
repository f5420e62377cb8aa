// Decimal numbers as Redis writes and reads them in protocol headers: no sign but '-', no leading zeros, 64
// bits. Shared by the readers of this layer; no state, safe on any thread.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <system_error>

namespace fairlead::resp {

/// No 64-bit decimal has more characters (`-9223372036854775808`); a longer header holds no number.
constexpr std::size_t decimal_chars_max = 20;

/// The largest length or element count taken from a server: more than an address space holds (48 bits), and
/// far enough from 64 bits that sums of a few need no thought.
constexpr std::int64_t announced_max = std::int64_t{1} << 48;

/// The whole of `text` as a number, by the rules of redis' string2ll (util.c): `0`, or an optional '-' and
/// digits that do not begin with 0. nullopt for all else, "-0" and numbers beyond 64 bits included.
[[nodiscard]] inline std::optional<std::int64_t> parse_decimal(std::string_view text) {
  if (text == "0") return 0;
  const std::string_view digits = text.substr(text.starts_with('-') ? 1 : 0);
  if (digits.empty() || digits.front() < '1' || digits.front() > '9') return std::nullopt;
  std::int64_t number = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (status != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// An integer reply's number. The specification allows a '+' that redis never writes.
[[nodiscard]] inline std::optional<std::int64_t> parse_integer(std::string_view text) {
  if (text.starts_with("+-")) return std::nullopt;
  return parse_decimal(text.starts_with('+') ? text.substr(1) : text);
}

/// The fast path of every header: at most nine plain digits and CRLF, all of it within [first, last). Returns
/// the byte behind the line feed, or nullptr when the line is incomplete or in any way unusual: the slow path
/// judges it then.
[[nodiscard, gnu::always_inline]] inline const char* read_plain_line(const char* first, const char* last,
                                                                     std::uint32_t& value) {
  constexpr std::ptrdiff_t digits_max = 9;
  if (last - first < 3) return nullptr;
  std::uint32_t number = static_cast<unsigned char>(*first) - std::uint32_t{'0'};
  if (number > 9) return nullptr;
  // One digit and two are nearly all headers: a third of the instructions that the loop takes.
  if (first[1] == '\r') {
    value = number;
    return first[2] == '\n' ? first + 3 : nullptr;
  }
  if (last - first >= 4 && first[2] == '\r' && first[3] == '\n') {
    const std::uint32_t second = static_cast<unsigned char>(first[1]) - std::uint32_t{'0'};
    value = number * 10 + second;
    return number != 0 && second <= 9 ? first + 4 : nullptr;
  }
  const char* const stop = last - first < digits_max ? last : first + digits_max;
  ++first;
  while (number != 0 && first != stop) {
    const std::uint32_t digit = static_cast<unsigned char>(*first) - std::uint32_t{'0'};
    if (digit > 9) break;
    number = number * 10 + digit;
    ++first;
  }
  if (last - first < 2 || first[0] != '\r' || first[1] != '\n') return nullptr;
  value = number;
  return first + 2;
}

}  // namespace fairlead::resp
