#include "proxy/config_value.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include <fmt/format.h>

namespace fairlead::proxy {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

// Largest first: the formatters take the first unit that divides the value.
constexpr std::array<Unit, 4> duration_units{{{"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}}};
constexpr std::array<Unit, 4> size_units{
    {{"gb", 1ULL << 30}, {"mb", 1ULL << 20}, {"kb", 1ULL << 10}, {"b", 1}}};

struct NumberAndUnit {
  std::uint64_t number = 0;
  std::string unit;
};

char to_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), to_lower);
  return result;
}

std::optional<NumberAndUnit> split_number(std::string_view text) {
  NumberAndUnit result;
  const char* const end = text.data() + text.size();
  const auto [rest, code] = std::from_chars(text.data(), end, result.number);
  if (code != std::errc{}) return std::nullopt;
  result.unit = lower({rest, static_cast<std::size_t>(end - rest)});
  return result;
}

/// nullopt when the unit is unknown or the product does not fit.
std::optional<std::uint64_t> scale(const NumberAndUnit& parts, const std::array<Unit, 4>& units) {
  const auto* const unit =
      std::find_if(units.begin(), units.end(), [&](const Unit& u) { return u.name == parts.unit; });
  if (unit == units.end()) return std::nullopt;
  if (parts.number > std::numeric_limits<std::uint64_t>::max() / unit->factor) return std::nullopt;
  return parts.number * unit->factor;
}

std::string format_with(std::uint64_t value, const std::array<Unit, 4>& units) {
  for (const Unit& unit : units) {
    if (value % unit.factor == 0) return fmt::format("{}{}", value / unit.factor, unit.name);
  }
  return fmt::format("{}", value);
}

std::string out_of_range(std::string_view text, const std::string& min, const std::string& max) {
  return fmt::format("'{}' is out of range; write {} to {}", text, min, max);
}

}  // namespace

Parsed<std::chrono::milliseconds> parse_duration(std::string_view text,
                                                 Range<std::chrono::milliseconds> range) {
  const auto parts = split_number(text);
  const std::string wrong =
      fmt::format("'{}' is not a duration; write for example 500ms, 10s, 5m or 1h", text);
  if (!parts) return {{}, wrong};
  std::uint64_t count = 0;
  if (!parts->unit.empty()) {
    const auto scaled = scale(*parts, duration_units);
    if (!scaled) return {{}, wrong};
    count = *scaled;
  } else if (parts->number != 0) {
    return {{}, fmt::format("'{0}' has no unit; write {0}ms, {0}s, {0}m or {0}h", text)};
  }
  if (count < static_cast<std::uint64_t>(range.min.count()) ||
      count > static_cast<std::uint64_t>(range.max.count())) {
    return {{}, out_of_range(text, format_duration(range.min), format_duration(range.max))};
  }
  return {std::chrono::milliseconds(count), {}};
}

Parsed<std::uint64_t> parse_size(std::string_view text, Range<std::uint64_t> range) {
  auto parts = split_number(text);
  if (parts && parts->unit.empty()) parts->unit = "b";
  const auto bytes = parts ? scale(*parts, size_units) : std::nullopt;
  if (!bytes)
    return {{}, fmt::format("'{}' is not a size; write for example 65536, 64kb, 10mb or 1gb", text)};
  if (*bytes < range.min || *bytes > range.max) {
    return {{}, out_of_range(text, format_size(range.min), format_size(range.max))};
  }
  return {*bytes, {}};
}

Parsed<std::uint64_t> parse_count(std::string_view text, Range<std::uint64_t> range) {
  const std::string min = std::to_string(range.min);
  const std::string max = std::to_string(range.max);
  std::uint64_t number = 0;
  const auto [rest, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = !text.empty() && rest == text.data() + text.size();
  if (whole && code == std::errc::result_out_of_range) return {{}, out_of_range(text, min, max)};
  if (!whole || code != std::errc{}) {
    return {{}, fmt::format("'{}' is not a whole number; write {} to {}", text, min, max)};
  }
  if (number < range.min || number > range.max) return {{}, out_of_range(text, min, max)};
  return {number, {}};
}

Parsed<bool> parse_toggle(std::string_view text) {
  const std::string word = lower(text);
  for (const std::string_view yes : {"true", "yes", "on", "1"}) {
    if (word == yes) return {true, {}};
  }
  for (const std::string_view no : {"false", "no", "off", "0"}) {
    if (word == no) return {false, {}};
  }
  return {{}, fmt::format("'{}' is neither true nor false", text)};
}

Parsed<resp::Address> parse_config_address(std::string_view text, std::uint16_t default_port,
                                           AddressUse use) {
  auto address = resp::parse_address(text, default_port);
  if (!address) {
    return {{}, fmt::format("'{}' is not an address; write host:port, [v6]:port or unix:/path", text)};
  }
  if (!address->is_unix && (address->host.empty() || address->host == "*")) {
    if (use == AddressUse::peer) return {{}, fmt::format("'{}' names no host; write host:port", text)};
    address->host = "0.0.0.0";
  }
  return {std::move(*address), {}};
}

bool is_loopback(const resp::Address& address) {
  if (address.is_unix || address.host == "::1" || address.host == "localhost") return true;
  // A name that only begins like an address (127.example.org) may be anywhere: digits and dots alone count.
  return address.host.starts_with("127.") &&
         address.host.find_first_not_of("0123456789.") == std::string::npos;
}

std::string format_duration(std::chrono::milliseconds duration) {
  const auto count = static_cast<std::uint64_t>(duration.count());
  return count == 0 ? "0" : format_with(count, duration_units);
}

std::string format_size(std::uint64_t bytes) {
  if (bytes == 0 || bytes % 1024 != 0) return std::to_string(bytes);
  return format_with(bytes, size_units);
}

std::string quote_toml(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      result += fmt::format("\\u{:04X}", static_cast<unsigned char>(c));
    } else {
      result += c;
    }
  }
  result += '"';
  return result;
}

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    std::string_view part = text.substr(0, comma);
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
    const std::size_t first = part.find_first_not_of(" \t");
    if (first == std::string_view::npos) continue;
    part = part.substr(first, part.find_last_not_of(" \t") - first + 1);
    parts.emplace_back(part);
  }
  return parts;
}

}  // namespace fairlead::proxy
