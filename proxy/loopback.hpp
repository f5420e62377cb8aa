// Small blocking steps on loopback ports for the demo: which port is free, and what does a server of ours
// say. Functions without state, callable on any thread but never on a worker: they block for up to half a
// second.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fairlead::proxy {

/// A port of 127.0.0.1 that nothing listens on at this moment; 0 when the system has none.
[[nodiscard]] std::uint16_t free_loopback_port();

/// Why nobody can listen on 127.0.0.1:`port` now ("Address already in use"); empty when one can.
[[nodiscard]] std::string why_not_free(std::uint16_t port);

/// Sends one inline command to 127.0.0.1:`port` and returns the reply's text: the status or error line
/// without its end, or the contents of a bulk string. Nothing when no whole reply came in time.
[[nodiscard]] std::optional<std::string> ask_redis(std::uint16_t port, std::string_view command);

}  // namespace fairlead::proxy
