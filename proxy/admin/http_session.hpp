// One HTTP connection: reads a request within its limits, has it answered, writes the reply, and again while
// it is kept alive. Callbacks only. Owned by its own pending operations (shared_ptr); lives on the thread of
// the io_context. Every wait has a deadline; nothing a client sends can throw or outlive its limits.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include "proxy/admin/http_types.hpp"

namespace fairlead::proxy {

class HttpSession;

/// What the sessions and listeners of one server share; kept alive by each of them.
struct HttpCore {
  HttpLimits limits;
  HttpHandler handler;
  HttpCounters counters;
  std::set<HttpSession*> sessions;
  bool stopped = false;
};

class HttpSession : public std::enable_shared_from_this<HttpSession> {
 public:
  using Socket = boost::asio::generic::stream_protocol::socket;

  HttpSession(Socket socket, std::shared_ptr<HttpCore> core);
  ~HttpSession();
  HttpSession(const HttpSession&) = delete;
  HttpSession& operator=(const HttpSession&) = delete;

  void start() { read_request(); }

  /// Closes the socket; pending operations end with an error and release the session.
  void close();

 private:
  using Error = boost::system::error_code;

  void wait_for_request();
  void read_request();
  void on_request(Error error);
  void on_bad_request(Error error);
  void send(HttpReply reply, unsigned version);
  void on_sent(Error error);
  void shut_down();
  void drain();
  void on_drained(Error error, std::size_t bytes);
  void count_timeout(Error error);

  std::shared_ptr<HttpCore> core_;
  std::string peer_;  // the address of who asks
  boost::beast::basic_stream<boost::asio::generic::stream_protocol> stream_;
  boost::beast::flat_buffer buffer_;
  std::optional<boost::beast::http::request_parser<boost::beast::http::string_body>> parser_;
  std::optional<boost::beast::http::response<boost::beast::http::string_body>> response_;
  std::optional<boost::beast::http::response_serializer<boost::beast::http::string_body>> serializer_;
  std::array<char, 1024> drained_{};
  std::uint32_t drained_bytes_ = 0;
};

}  // namespace fairlead::proxy
