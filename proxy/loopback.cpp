#include "proxy/loopback.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

namespace fairlead::proxy {
namespace {

/// A TCP socket that is closed at the end of the scope; fd is -1 when the system gave none.
class Socket {
 public:
  Socket() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {}
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
};

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

/// Binds and listens as a server would; the port is free again when the socket goes.
bool listen_on(const Socket& socket, std::uint16_t port) {
  const int on = 1;
  const sockaddr_in address = loopback(port);
  // Like a server: connections of an earlier one that linger in TIME_WAIT do not make a port taken.
  return ::setsockopt(socket.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
         ::bind(socket.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
         ::listen(socket.fd(), 1) == 0;
}

/// The text of the first reply in `received`; nothing while it is not whole.
std::optional<std::string> first_reply(const std::string& received) {
  const std::size_t line_end = received.find("\r\n");
  if (line_end == std::string::npos) return std::nullopt;
  if (received.front() != '$') return received.substr(1, line_end - 1);
  std::size_t length = 0;
  const char* const last = received.data() + line_end;
  const auto [end, error] = std::from_chars(received.data() + 1, last, length);
  if (error != std::errc() || end != last) return received.substr(0, line_end);
  if (received.size() < line_end + 2 + length + 2) return std::nullopt;
  return received.substr(line_end + 2, length);
}

}  // namespace

std::uint16_t free_loopback_port() {
  const Socket socket;
  if (!listen_on(socket, 0)) return 0;
  sockaddr_in address{};
  socklen_t length = sizeof address;
  if (::getsockname(socket.fd(), reinterpret_cast<sockaddr*>(&address), &length) != 0) return 0;
  return ntohs(address.sin_port);
}

std::string why_not_free(std::uint16_t port) {
  const Socket socket;
  return listen_on(socket, port) ? std::string() : std::strerror(errno);
}

std::optional<std::string> ask_redis(std::uint16_t port, std::string_view command) {
  const Socket socket;
  const timeval patience{0, 500'000};
  ::setsockopt(socket.fd(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(socket.fd(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  const sockaddr_in address = loopback(port);
  if (::connect(socket.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return std::nullopt;
  const std::string line = std::string(command) + "\r\n";
  // One short line into an empty socket buffer: the kernel takes it whole or not at all.
  if (::send(socket.fd(), line.data(), line.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(line.size())) {
    return std::nullopt;
  }
  std::string received;
  std::array<char, 4096> buffer;
  while (true) {
    const ssize_t length = ::recv(socket.fd(), buffer.data(), buffer.size(), 0);
    if (length < 0 && errno == EINTR) continue;
    if (length <= 0) return std::nullopt;
    received.append(buffer.data(), static_cast<std::size_t>(length));
    if (auto reply = first_reply(received)) return reply;
  }
}

}  // namespace fairlead::proxy
