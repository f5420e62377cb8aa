#include "proxy/admin/http_listener.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <utility>

#include <fmt/format.h>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>

namespace fairlead::proxy {
namespace {

namespace asio = boost::asio;
using Error = boost::system::error_code;

// Without file descriptors an accept fails at once, again and again: give the process time to close some.
constexpr std::chrono::milliseconds accept_retry{100};

std::string remedy(const Error& error, const resp::Address& address) {
  if (error == asio::error::address_in_use) {
    return "taken by another process; stop it, or choose another address with --stats or 'listen' in [stats]";
  }
  if (error == asio::error::access_denied) {
    return address.is_unix ? "the directory must be writable for fairlead"
                           : "ports below 1024 need the capability CAP_NET_BIND_SERVICE; choose a higher one";
  }
  if (error == boost::system::errc::address_not_available) {
    return "no interface of this machine has this address; choose another with --stats or 'listen' in "
           "[stats]";
  }
  return "choose another address with --stats or 'listen' in [stats]";
}

/// A socket file that nobody listens on is what a killed process leaves. Only such a file is removed.
bool remove_stale_socket(asio::io_context& io, const std::string& path) {
  struct stat status {};
  if (lstat(path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return false;
  asio::local::stream_protocol::socket probe(io);
  Error error;
  probe.connect(asio::local::stream_protocol::endpoint(path), error);
  return error == asio::error::connection_refused && unlink(path.c_str()) == 0;
}

}  // namespace

HttpListener::HttpListener(asio::io_context& io, resp::Address address, std::shared_ptr<HttpCore> core)
    : core_(std::move(core)), io_(io), address_(std::move(address)), acceptor_(io), retry_(io) {}

std::string HttpListener::open() {
  const Error error = address_.is_unix ? bind_unix() : bind_tcp();
  if (error) {
    return fmt::format("cannot listen on {} for HTTP: {}; {}", resp::to_string(address_), error.message(),
                       remedy(error, address_));
  }
  bound_ = true;
  accept();
  return {};
}

HttpListener::Error HttpListener::bind_tcp() {
  Error error;
  asio::ip::tcp::resolver resolver(io_);
  const auto found =
      resolver.resolve(address_.host, std::to_string(address_.port),
                       asio::ip::resolver_base::passive | asio::ip::resolver_base::numeric_service, error);
  if (error) return error;
  for (const auto& entry : found) {
    error = bind(entry.endpoint());
    if (error) continue;
    const auto local = acceptor_.local_endpoint(error);
    asio::ip::tcp::endpoint bound;
    bound.resize(local.size());
    std::copy_n(reinterpret_cast<const char*>(local.data()), local.size(),
                reinterpret_cast<char*>(bound.data()));
    address_.port = bound.port();
    return error;
  }
  return error;
}

HttpListener::Error HttpListener::bind_unix() {
  // sun_path of unix(7), with its terminating zero.
  if (address_.host.empty() || address_.host.size() > 107) return asio::error::name_too_long;
  const asio::local::stream_protocol::endpoint endpoint(address_.host);
  Error error = bind(endpoint);
  if (error == asio::error::address_in_use && remove_stale_socket(io_, address_.host)) error = bind(endpoint);
  return error;
}

HttpListener::Error HttpListener::bind(const Protocol::endpoint& endpoint) {
  Error error;
  Error ignored;
  acceptor_.close(ignored);
  const int family = endpoint.protocol().family();
  acceptor_.open(Protocol(family, 0), error);
  if (!error && family != AF_UNIX) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (error) acceptor_.close(ignored);
  return error;
}

void HttpListener::close() {
  Error ignored;
  acceptor_.close(ignored);
  retry_.cancel();
  if (bound_ && address_.is_unix) unlink(address_.host.c_str());
  bound_ = false;
}

void HttpListener::accept() {
  acceptor_.async_accept([self = shared_from_this()](Error error, Protocol::socket socket) {
    self->on_accepted(error, std::move(socket));
  });
}

void HttpListener::on_accepted(Error error, Protocol::socket socket) {
  if (core_->stopped) return;
  if (error) {
    retry_.expires_after(accept_retry);
    retry_.async_wait([self = shared_from_this()](Error cancelled) {
      if (!cancelled && !self->core_->stopped) self->accept();
    });
    return;
  }
  if (core_->sessions.size() >= core_->limits.connections_max) {
    ++core_->counters.connections_refused;
    Error ignored;
    socket.close(ignored);
  } else {
    ++core_->counters.connections;
    std::make_shared<HttpSession>(std::move(socket), core_)->start();
  }
  accept();
}

}  // namespace fairlead::proxy
