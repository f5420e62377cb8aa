#include "bench/floor/sockets.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace fairlead::bench {
namespace {

constexpr int backlog = 4096;
// Larger memory is given back when it is empty, and sent bytes are removed from the front of a longer buffer.
constexpr std::size_t kept_bytes_max = 32U << 20U;

[[noreturn]] void give_up_with_errno(std::string_view what) {
  give_up(std::string(what) + ": " + std::strerror(errno));
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int stream_socket() {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) give_up_with_errno("socket");
  return descriptor;
}

void send_without_delay(int descriptor) {
  const int on = 1;
  // Fails only where the peer has already reset the connection, which the next call on it tells.
  static_cast<void>(::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
}

std::uint16_t read_port(const char* text) {
  std::uint16_t port = 0;
  const char* end = text + std::strlen(text);
  const auto [stopped, error] = std::from_chars(text, end, port);
  if (error != std::errc() || stopped != end || port == 0) give_up(std::string(text) + " is no port");
  return port;
}

}  // namespace

void give_up(std::string_view why) {
  std::fprintf(stderr, "%s: %.*s\n", program_invocation_short_name, static_cast<int>(why.size()), why.data());
  std::exit(1);
}

Ports prepare(int argc, char** argv) {
  if (argc != 3) give_up("two arguments are needed: the port to listen on, and that of the server");
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    static_cast<void>(::setrlimit(RLIMIT_NOFILE, &limit));
  }
  return {read_port(argv[1]), read_port(argv[2])};
}

int listen_on(std::uint16_t port) {
  const int listener = stream_socket();
  const int on = 1;
  const sockaddr_in address = loopback(port);
  if (::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
      ::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      ::listen(listener, backlog) != 0) {
    give_up_with_errno("cannot listen");
  }
  return listener;
}

int accept_from(int listener) {
  for (;;) {
    const int client = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client >= 0) {
      send_without_delay(client);
      return client;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) return -1;
    if (errno != EINTR && errno != ECONNABORTED) give_up_with_errno("accept");
  }
}

int connect_to(std::uint16_t port) {
  const int descriptor = stream_socket();
  send_without_delay(descriptor);
  const sockaddr_in address = loopback(port);
  if (::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 &&
      errno != EINPROGRESS) {
    give_up_with_errno("cannot connect to the server");
  }
  return descriptor;
}

void watch(int epoll, int descriptor, void* owner) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = owner;
  if (::epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) != 0) give_up_with_errno("epoll_ctl");
}

void watch_listener(int epoll, int listener) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;
  if (::epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) != 0) give_up_with_errno("epoll_ctl");
}

Received receive(int descriptor, std::span<char> buffer) {
  for (;;) {
    const ssize_t size = ::recv(descriptor, buffer.data(), buffer.size(), 0);
    if (size > 0) return {Got::data, static_cast<std::size_t>(size)};
    if (size == 0) return {Got::end, 0};
    if (errno == EAGAIN || errno == EWOULDBLOCK) return {Got::nothing, 0};
    if (errno != EINTR) return {Got::broken, 0};
  }
}

ssize_t send_some(int descriptor, std::string_view data) {
  for (;;) {
    const ssize_t sent = ::send(descriptor, data.data(), data.size(), MSG_NOSIGNAL);
    if (sent >= 0) return sent;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return 0;
    if (errno != EINTR) return -1;
  }
}

void close_with_reset(int descriptor) {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  static_cast<void>(::setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)));
  ::close(descriptor);
}

Flushed Unsent::flush(int descriptor) {
  const ssize_t sent = send_some(descriptor, std::string_view(bytes_).substr(begin_));
  if (sent < 0) return Flushed::broken;
  begin_ += static_cast<std::size_t>(sent);
  forget_sent();
  return empty() ? Flushed::all : Flushed::some;
}

void Unsent::forget_sent() {
  if (empty()) {
    begin_ = 0;
    if (bytes_.capacity() > kept_bytes_max) {
      std::string().swap(bytes_);
    } else {
      bytes_.clear();
    }
  } else if (begin_ > kept_bytes_max && begin_ > bytes_.size() / 2) {
    bytes_.erase(0, begin_);
    begin_ = 0;
  }
}

}  // namespace fairlead::bench
