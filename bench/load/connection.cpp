#include "bench/load/connection.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace fairlead::bench {

Connection::~Connection() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Progress Connection::fail(std::string why) {
  error_ = std::move(why);
  return Progress::broken;
}

bool Connection::open(std::uint16_t port) {
  descriptor_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int on = 1;
  if (descriptor_ < 0 ||
      ::connect(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      ::setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
      ::fcntl(descriptor_, F_SETFL, O_NONBLOCK) != 0) {
    error_ = std::strerror(errno);
    return false;
  }
  return true;
}

Progress Connection::send(std::uint64_t intended) {
  due_.push_back(intended);
  unsent_.append(command_);
  return flush();
}

Progress Connection::flush() {
  while (wants_write()) {
    const ssize_t sent = ::send(descriptor_, unsent_.data() + unsent_begin_, unsent_.size() - unsent_begin_,
                                MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return Progress::fine;
    if (sent < 0) return fail(std::strerror(errno));
    unsent_begin_ += static_cast<std::size_t>(sent);
  }
  unsent_.clear();
  unsent_begin_ = 0;
  return Progress::fine;
}

Progress Connection::receive(const std::function<void(std::uint64_t intended)>& answered) {
  std::array<char, 65536> buffer;
  for (;;) {
    const ssize_t size = ::recv(descriptor_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return Progress::fine;
    if (size < 0) return fail(std::strerror(errno));
    if (size == 0) return fail("closed by the peer");
    std::string_view rest(buffer.data(), static_cast<std::size_t>(size));
    while (!rest.empty()) {
      if (due_.empty()) return fail("a reply that nobody asked for");
      const std::size_t part = std::min(rest.size(), reply_.size() - reply_position_);
      if (rest.substr(0, part) != reply_.substr(reply_position_, part)) {
        return fail("a wrong reply: " + std::string(rest.substr(0, 80)));
      }
      rest.remove_prefix(part);
      reply_position_ += part;
      if (reply_position_ < reply_.size()) break;
      reply_position_ = 0;
      answered(due_.front());
      due_.pop_front();
    }
    if (static_cast<std::size_t>(size) < buffer.size()) return Progress::fine;
  }
}

}  // namespace fairlead::bench
