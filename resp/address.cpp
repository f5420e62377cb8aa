#include "resp/address.hpp"

#include <algorithm>
#include <limits>

#include "resp/decimal.hpp"

namespace fairlead::resp {

namespace {

constexpr std::string_view unix_prefix = "unix:";

bool is_space_or_control(char c) {
  return (c >= '\0' && c <= ' ') || c == '\x7f';
}

bool is_ipv6_char(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':' || c == '.';
}

// Tells an address from a typing error such as `host:1:2`; whether it is a good one is for the resolver to
// say. A zone
// (`fe80::1%eth0`) may have any characters.
bool looks_like_ipv6(std::string_view host) {
  const std::string_view digits = host.substr(0, host.find('%'));
  return std::count(digits.begin(), digits.end(), ':') >= 2 &&
         std::all_of(digits.begin(), digits.end(), is_ipv6_char);
}

std::optional<Address> with_port(std::string_view host, std::string_view port_text) {
  const auto port = parse_decimal(port_text);
  if (!port || *port < 1 || *port > std::numeric_limits<std::uint16_t>::max()) return std::nullopt;
  return Address{std::string(host), static_cast<std::uint16_t>(*port), false};
}

std::optional<Address> with_default(std::string_view host, std::uint16_t default_port) {
  if (default_port == 0) return std::nullopt;
  return Address{std::string(host), default_port, false};
}

// `[v6]` or `[v6]:port`
std::optional<Address> parse_bracketed(std::string_view text, std::uint16_t default_port) {
  const std::size_t close = text.find(']');
  if (close == std::string_view::npos) return std::nullopt;
  const std::string_view host = text.substr(1, close - 1);
  const std::string_view rest = text.substr(close + 1);
  if (!looks_like_ipv6(host)) return std::nullopt;
  if (rest.empty()) return with_default(host, default_port);
  if (rest.front() != ':') return std::nullopt;
  return with_port(host, rest.substr(1));
}

}  // namespace

std::optional<Address> parse_address(std::string_view text, std::uint16_t default_port) {
  if (text.empty() || std::any_of(text.begin(), text.end(), is_space_or_control)) return std::nullopt;
  if (text.front() == '/') return Address{std::string(text), 0, true};
  if (text.starts_with(unix_prefix) && text.substr(unix_prefix.size()).starts_with('/')) {
    return Address{std::string(text.substr(unix_prefix.size())), 0, true};
  }
  if (text.front() == '[') return parse_bracketed(text, default_port);
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return with_default(text, default_port);
  if (text.find(':', colon + 1) == std::string_view::npos) {
    return with_port(text.substr(0, colon), text.substr(colon + 1));
  }
  return looks_like_ipv6(text) ? with_default(text, default_port) : std::nullopt;
}

std::string to_string(const Address& address) {
  if (address.is_unix) return std::string(unix_prefix) + address.host;
  const std::string port = ':' + std::to_string(address.port);
  const bool is_ipv6 = address.host.find(':') != std::string::npos;
  return is_ipv6 ? '[' + address.host + ']' + port : address.host + port;
}

}  // namespace fairlead::resp
