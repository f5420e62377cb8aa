// What the HTTP listener and the pages agree on: one request as it is handed to a handler, one reply, the
// limits. Plain data without Asio, so that routes are tested without a socket.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fairlead::proxy {

/// Valid during the call of the handler only.
struct HttpRequestView {
  std::string_view method;         // as sent: GET, HEAD, ...
  std::string_view target;         // as sent, with its query
  std::string_view authorization;  // the header's value; empty when there is none
  std::string_view body;
  std::string_view host;        // the Host header
  std::string_view origin;      // the Origin header; empty when there is none
  std::string_view csrf_token;  // the X-CSRF-Token header
  std::string_view peer = {};   // who asks, as an address; empty when it has none
};

struct HttpReply {
  unsigned status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;  // of a HEAD request too: its size is sent, its bytes are not
  std::vector<std::pair<std::string, std::string>> headers;
  /// When set, this is not the reply yet: the session calls it, and sends what it passes on later, once.
  std::function<void(std::function<void(HttpReply)>)> later = {};
};

/// Called on the thread of the io_context; must not block and must not throw.
using HttpHandler = std::function<HttpReply(const HttpRequestView&)>;

struct HttpLimits {
  std::uint32_t header_bytes_max = 8192;            // request line and headers; beyond: 431
  std::uint32_t body_bytes_max = 64U << 10;         // beyond: 413
  std::uint32_t connections_max = 256;              // beyond: accepted and closed at once
  std::chrono::milliseconds request_timeout{5000};  // from its first byte to its last; then closed
  std::chrono::milliseconds idle_timeout{30000};    // between two requests of a connection; then closed
  std::chrono::milliseconds reply_timeout{10000};   // for the client to take the reply; then closed
};

struct HttpCounters {
  std::uint64_t connections = 0;
  std::uint64_t connections_refused = 0;  // connections_max
  std::uint64_t requests = 0;             // well-formed ones
  std::uint64_t bad_requests = 0;         // answered 400, 413 or 431
  std::uint64_t timeouts = 0;             // request, idle or reply
};

/// The path alone: without query and fragment, and without scheme and host if the target is absolute (RFC
/// 9112, 3.2.2).
[[nodiscard]] std::string_view path_of(std::string_view target);

}  // namespace fairlead::proxy
