// Where a peer listens: host and port, or the path of a unix socket. Compared as text; resolving is the
// shell's work.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fairlead::resp {

struct Address {
  std::string host;        // a name, an IPv4 or a bare IPv6 address; or the path when port == 0 and is_unix
  std::uint16_t port = 0;  // 0 for unix sockets
  bool is_unix = false;

  friend bool operator==(const Address&, const Address&) = default;
  friend auto operator<=>(const Address&, const Address&) = default;
};

/// Reads `host:port`, `[v6]:port`, `:port` (host empty), `host` (default_port), `unix:/path` and `/path`.
/// nullopt when the port is no number in 1..65535, or the text is empty or has spaces. A bare IPv6 address
/// without brackets and port is taken with default_port. default_port 0 means that a port is required.
[[nodiscard]] std::optional<Address> parse_address(std::string_view text, std::uint16_t default_port = 0);

/// The same text form that parse_address reads: `host:port`, `[v6]:port` or `unix:/path`.
[[nodiscard]] std::string to_string(const Address& address);

}  // namespace fairlead::resp
