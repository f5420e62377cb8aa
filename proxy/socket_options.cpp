#include "proxy/socket_options.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

namespace fairlead::proxy {

namespace {

constexpr int backlog_max = 4096;

void set_option(int descriptor, int level, int name, int value) {
  ::setsockopt(descriptor, level, name, &value, sizeof(value));
}

void set_keepalive(int descriptor, int idle_s, int interval_s, int count) {
  set_option(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, idle_s);
  set_option(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, interval_s);
  set_option(descriptor, IPPROTO_TCP, TCP_KEEPCNT, count);
}

std::string explain(const resp::Address& address, int error) {
  const std::string where = "cannot listen on " + resp::to_string(address) + ": ";
  switch (error) {
    case EADDRINUSE:
      if (address.is_unix)
        return where + "another process listens there; stop it or choose another path with --listen";
      return where + "the port is taken by another process; stop it (`ss -ltnp 'sport = :" +
             std::to_string(address.port) + "'` names it) or choose another address with --listen";
    case EADDRNOTAVAIL:
      return where +
             "this host has no such address; correct --listen, or set `freebind = true` to listen before it "
             "arrives";
    case EACCES:
      return where +
             "permission denied; ports below 1024 need CAP_NET_BIND_SERVICE, a unix socket a writable folder";
    case ENAMETOOLONG:
      return where + "the path is too long for a unix socket (107 bytes)";
    default:
      return where + std::strerror(error);
  }
}

int open_tcp(const addrinfo& where, Freebind freebind, bool share_port) {
  const int descriptor = ::socket(where.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) return -errno;
  set_option(descriptor, SOL_SOCKET, SO_REUSEADDR, 1);
  if (share_port) set_option(descriptor, SOL_SOCKET, SO_REUSEPORT, 1);
  if (where.ai_family == AF_INET6) set_option(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  if (freebind == Freebind::on) {
    set_option(descriptor, IPPROTO_IP, IP_FREEBIND, 1);
  }
  if (::bind(descriptor, where.ai_addr, where.ai_addrlen) != 0 || ::listen(descriptor, backlog_max) != 0) {
    const int error = errno;
    ::close(descriptor);
    return -error;
  }
  return descriptor;
}

std::uint16_t port_of(int descriptor) {
  sockaddr_storage name{};
  socklen_t size = sizeof(name);
  if (::getsockname(descriptor, reinterpret_cast<sockaddr*>(&name), &size) != 0) return 0;
  if (name.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6*>(&name)->sin6_port);
  return ntohs(reinterpret_cast<const sockaddr_in*>(&name)->sin_port);
}

void set_port(addrinfo& where, std::uint16_t port) {
  if (where.ai_family == AF_INET6) {
    reinterpret_cast<sockaddr_in6*>(where.ai_addr)->sin6_port = htons(port);
  } else {
    reinterpret_cast<sockaddr_in*>(where.ai_addr)->sin_port = htons(port);
  }
}

ListenResult listen_tcp(const resp::Address& address, unsigned count, Freebind freebind) {
  ListenResult result{{}, address, {}};
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(address.port);
  const int failure =
      ::getaddrinfo(address.host.empty() ? nullptr : address.host.c_str(), port.c_str(), &hints, &found);
  if (failure != 0) {
    result.error = "cannot listen on " + resp::to_string(address) + ": the name '" + address.host +
                   "' has no address (" + ::gai_strerror(failure) + "); correct --listen";
    return result;
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, ::freeaddrinfo);
  // Alone first: SO_REUSEPORT would silently share the port with another instance of the same user.
  const int alone = open_tcp(*found, freebind, false);
  if (alone < 0) {
    result.error = explain(address, -alone);
    return result;
  }
  result.address.port = port_of(alone);
  ::close(alone);
  set_port(*found, result.address.port);
  for (unsigned i = 0; i < count; ++i) {
    const int descriptor = open_tcp(*found, freebind, true);
    if (descriptor < 0) {
      for (const int open : result.descriptors) ::close(open);
      result.descriptors.clear();
      result.error = explain(address, -descriptor);
      return result;
    }
    result.descriptors.push_back(descriptor);
  }
  return result;
}

/// A socket file that nobody listens on is left over from a crash.
bool is_stale(const sockaddr_un& name) {
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return false;
  const bool refused =
      ::connect(probe, reinterpret_cast<const sockaddr*>(&name), sizeof(name)) != 0 && errno == ECONNREFUSED;
  ::close(probe);
  return refused;
}

ListenResult listen_unix(const resp::Address& address, unsigned count) {
  ListenResult result{{}, address, {}};
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  if (address.host.size() >= sizeof(name.sun_path)) {
    result.error = explain(address, ENAMETOOLONG);
    return result;
  }
  std::memcpy(name.sun_path, address.host.c_str(), address.host.size() + 1);
  const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) {
    result.error = explain(address, errno);
    return result;
  }
  const auto bind_once = [&] {
    return ::bind(descriptor, reinterpret_cast<const sockaddr*>(&name), sizeof(name));
  };
  int failed = bind_once();
  if (failed != 0 && errno == EADDRINUSE && is_stale(name)) {
    ::unlink(address.host.c_str());
    failed = bind_once();
  }
  if (failed != 0 || ::listen(descriptor, backlog_max) != 0) {
    result.error = explain(address, errno);
    ::close(descriptor);
    return result;
  }
  result.descriptors.push_back(descriptor);
  while (result.descriptors.size() < count) {
    result.descriptors.push_back(::fcntl(descriptor, F_DUPFD_CLOEXEC, 0));
  }
  return result;
}

}  // namespace

ListenResult listen_on(const resp::Address& address, unsigned count, Freebind freebind) {
  return address.is_unix ? listen_unix(address, count) : listen_tcp(address, count, freebind);
}

void prepare_client_socket(int descriptor) {
  set_option(descriptor, IPPROTO_TCP, TCP_NODELAY, 1);
  set_keepalive(descriptor, 300, 100, 3);
}

void prepare_reset(int descriptor, ResetOnClose reset) {
  int unacknowledged = 0;
  if (reset == ResetOnClose::when_acknowledged &&
      (::ioctl(descriptor, SIOCOUTQ, &unacknowledged) != 0 || unacknowledged != 0)) {
    return;
  }
  // The route of a packet is looked up by its source too, which must be local unless the socket is
  // transparent.
  if (reset == ResetOnClose::always) set_option(descriptor, IPPROTO_IP, IP_TRANSPARENT, 1);
  const linger at_once{1, 0};
  ::setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

std::string local_host_of(int descriptor) {
  sockaddr_storage name{};
  socklen_t size = sizeof(name);
  if (::getsockname(descriptor, reinterpret_cast<sockaddr*>(&name), &size) != 0) return {};
  const void* address = nullptr;
  if (name.ss_family == AF_INET) address = &reinterpret_cast<const sockaddr_in*>(&name)->sin_addr;
  if (name.ss_family == AF_INET6) address = &reinterpret_cast<const sockaddr_in6*>(&name)->sin6_addr;
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address == nullptr || ::inet_ntop(name.ss_family, address, text.data(), text.size()) == nullptr)
    return {};
  return text.data();
}

void prepare_backend_socket(int descriptor) {
  set_option(descriptor, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, 3000);
  set_keepalive(descriptor, 5, 1, 3);
}

}  // namespace fairlead::proxy
