// Sockets as the proxy needs them: binding with a reason when it fails, and the options of accepted and of
// connecting sockets. System calls only; thread-safe.
#pragma once

#include <string>
#include <vector>

#include "proxy/stream.hpp"
#include "resp/address.hpp"

namespace fairlead::proxy {

/// A bound and listening, non-blocking descriptor; the caller closes it.
struct ListenResult {
  std::vector<int> descriptors;  // one per worker; empty when it failed
  resp::Address address;         // with the port that the system chose
  std::string error;             // a sentence with address and remedy; empty when all is well
};

enum class Freebind : bool { off, on };

/// Listens `count` times on `address`: TCP with SO_REUSEPORT, so that the kernel spreads clients over the
/// workers; a unix socket once, with duplicated descriptors. A port that another process has is an error,
/// although SO_REUSEPORT would let us share it.
[[nodiscard]] ListenResult listen_on(const resp::Address& address, unsigned count, Freebind freebind);

/// TCP_NODELAY and keepalive at Redis' own pace (tcp-keepalive 300). No effect on unix sockets.
void prepare_client_socket(int descriptor);
/// Makes the close that follows a reset. When the address is gone the kernel sends it only from a process
/// with CAP_NET_RAW or CAP_NET_ADMIN; without, the peer learns by its own next packet.
void prepare_reset(int descriptor, ResetOnClose reset);
/// The local address of a connection, without port; empty for unix sockets and when it is closed.
[[nodiscard]] std::string local_host_of(int descriptor);
/// TCP_NODELAY, TCP_USER_TIMEOUT 3 s, keepalive 5/1/3 s: a dead host is noticed within seconds.
void prepare_backend_socket(int descriptor);

}  // namespace fairlead::proxy
