// One address of the HTTP server: binds it and accepts. Owned by HttpServer and by its own pending
// operations; lives on the thread of the io_context. Never blocks but for resolving a name, once, at the
// start.
#pragma once

#include <memory>
#include <string>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "proxy/admin/http_session.hpp"
#include "resp/address.hpp"

namespace fairlead::proxy {

class HttpListener : public std::enable_shared_from_this<HttpListener> {
 public:
  HttpListener(boost::asio::io_context& io, resp::Address address, std::shared_ptr<HttpCore> core);

  /// Binds and begins to accept. Returns the sentence that says why it cannot, or nothing.
  [[nodiscard]] std::string open();

  /// Accepts no more and removes the unix socket that open() made.
  void close();

  /// With the port that the system chose, when it was to choose.
  [[nodiscard]] const resp::Address& address() const { return address_; }

 private:
  using Protocol = boost::asio::generic::stream_protocol;
  using Error = boost::system::error_code;

  [[nodiscard]] Error bind_tcp();
  [[nodiscard]] Error bind_unix();
  [[nodiscard]] Error bind(const Protocol::endpoint& endpoint);
  void accept();
  void on_accepted(Error error, Protocol::socket socket);

  std::shared_ptr<HttpCore> core_;
  boost::asio::io_context& io_;
  resp::Address address_;
  boost::asio::basic_socket_acceptor<Protocol> acceptor_;
  boost::asio::steady_timer retry_;
  bool bound_ = false;
};

}  // namespace fairlead::proxy
