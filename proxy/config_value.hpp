// The values an operator writes: durations, sizes, whole numbers, yes or no, addresses. Pure text functions
// without state, used by the list of options on the main thread at start and at reload. They never throw; an
// error is a sentence that says what was wrong and what to write instead.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "resp/address.hpp"

namespace fairlead::proxy {

/// Either a value or the sentence that says why there is none.
template <class T>
struct Parsed {
  std::optional<T> value;
  std::string error;
};

/// What is allowed, both ends included.
template <class T>
struct Range {
  T min{};
  T max{};
};

/// Who an address is for: a listener may leave the host out (all IPv4 addresses), a peer may not.
enum class AddressUse : std::uint8_t { listener, peer };

/// `500ms`, `10s`, `5m`, `1h` and a plain `0`; any other number needs a unit.
[[nodiscard]] Parsed<std::chrono::milliseconds> parse_duration(std::string_view text,
                                                               Range<std::chrono::milliseconds> range);

/// `65536` (bytes), `64kb`, `10mb`, `1gb`: powers of 1024, in either case of letters.
[[nodiscard]] Parsed<std::uint64_t> parse_size(std::string_view text, Range<std::uint64_t> range);

[[nodiscard]] Parsed<std::uint64_t> parse_count(std::string_view text, Range<std::uint64_t> range);

/// `true`, `yes`, `on`, `1` and their opposites.
[[nodiscard]] Parsed<bool> parse_toggle(std::string_view text);

/// The forms of resp::parse_address; `default_port` is used when the text names none. For a listener `:port`
/// and
/// `*:port` mean every IPv4 address, as in HAProxy's `bind`.
[[nodiscard]] Parsed<resp::Address> parse_config_address(std::string_view text, std::uint16_t default_port,
                                                         AddressUse use);

/// 127.0.0.0/8, ::1, localhost and unix sockets: nobody beyond this machine can connect.
[[nodiscard]] bool is_loopback(const resp::Address& address);

/// The shortest form that parse_duration and parse_size read back to the same value.
[[nodiscard]] std::string format_duration(std::chrono::milliseconds duration);
[[nodiscard]] std::string format_size(std::uint64_t bytes);

/// A TOML basic string with its quotes.
[[nodiscard]] std::string quote_toml(std::string_view text);

/// Splits at commas and drops the spaces around each part and empty parts.
[[nodiscard]] std::vector<std::string> split_list(std::string_view text);

}  // namespace fairlead::proxy
