#include "proxy/socket_names.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>

namespace fairlead::proxy {

namespace {

constexpr const char* no_name = "?:0";

std::string v6_name(const sockaddr_in6& address) {
  char text[INET6_ADDRSTRLEN] = {};
  // A client of IPv4 on a socket of both looks like IPv6; people know it by its IPv4 address.
  if (IN6_IS_ADDR_V4MAPPED(&address.sin6_addr)) {
    ::inet_ntop(AF_INET, &address.sin6_addr.s6_addr[12], text, sizeof(text));
    return std::string(text) + ":" + std::to_string(ntohs(address.sin6_port));
  }
  ::inet_ntop(AF_INET6, &address.sin6_addr, text, sizeof(text));
  return "[" + std::string(text) + "]:" + std::to_string(ntohs(address.sin6_port));
}

std::string name_of(const sockaddr_storage& storage, socklen_t size) {
  if (storage.ss_family == AF_INET) {
    sockaddr_in address{};
    std::memcpy(&address, &storage, sizeof(address));
    char text[INET_ADDRSTRLEN] = {};
    ::inet_ntop(AF_INET, &address.sin_addr, text, sizeof(text));
    return std::string(text) + ":" + std::to_string(ntohs(address.sin_port));
  }
  if (storage.ss_family == AF_INET6) {
    sockaddr_in6 address{};
    std::memcpy(&address, &storage, sizeof(address));
    return v6_name(address);
  }
  if (storage.ss_family == AF_UNIX && size > offsetof(sockaddr_un, sun_path)) {
    sockaddr_un address{};
    std::memcpy(&address, &storage, std::min<std::size_t>(size, sizeof(address)));
    const std::size_t room = std::min<std::size_t>(size, sizeof(address)) - offsetof(sockaddr_un, sun_path);
    return std::string(address.sun_path, ::strnlen(address.sun_path, room)) + ":0";
  }
  return no_name;
}

}  // namespace

engine::ConnectionNames names_of_socket(int descriptor) {
  engine::ConnectionNames names;
  names.descriptor = descriptor;
  names.address = names.local_address = no_name;
  sockaddr_storage storage{};
  socklen_t size = sizeof(storage);
  auto* const generic = reinterpret_cast<sockaddr*>(&storage);
  if (::getsockname(descriptor, generic, &size) == 0) {
    names.local_address = name_of(storage, size);
    names.is_unix = storage.ss_family == AF_UNIX;
  }
  if (names.is_unix) {
    names.address = names.local_address;  // the client's end has no name; Redis tells the path for both
    return names;
  }
  size = sizeof(storage);
  if (::getpeername(descriptor, generic, &size) == 0) names.address = name_of(storage, size);
  return names;
}

}  // namespace fairlead::proxy
