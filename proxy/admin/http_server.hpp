// A small HTTP/1.1 server for people, probes and Prometheus: some listeners, a handler, limits. Owned by the
// control thread's server and used on the thread that runs the io_context, nowhere else. It knows no path,
// and never blocks but for resolving names in start().
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "proxy/admin/http_types.hpp"
#include "resp/address.hpp"

namespace fairlead::proxy {

class HttpListener;
struct HttpCore;

class HttpServer {
 public:
  HttpServer(boost::asio::io_context& io, const std::vector<resp::Address>& listen, HttpLimits limits,
             HttpHandler handler);
  /// Stops; operations still pending in the io_context touch nothing of the server afterwards.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// Binds all addresses and begins to accept. Returns one sentence, with address and remedy, for each that
  /// could not be bound; the others serve.
  [[nodiscard]] std::vector<std::string> start();

  /// Closes listeners and connections at once. The handler is not called any more.
  void stop();

  /// Where it listens, with the ports that the system chose for port 0.
  [[nodiscard]] std::vector<resp::Address> addresses() const;

  [[nodiscard]] const HttpCounters& counters() const;
  [[nodiscard]] std::size_t connection_count() const;

 private:
  std::shared_ptr<HttpCore> core_;
  std::vector<std::shared_ptr<HttpListener>> listeners_;
};

}  // namespace fairlead::proxy
