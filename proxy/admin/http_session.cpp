#include "proxy/admin/http_session.hpp"

#include <netdb.h>
#include <sys/socket.h>

#include <chrono>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/error.hpp>

namespace fairlead::proxy {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;

// After a bad request: how much more of it is read, and how long, so that closing does not reset the
// connection before the client has read the reply.
constexpr std::uint32_t drain_bytes_max = 64U << 10;
constexpr std::chrono::seconds drain_timeout{1};

constexpr std::size_t read_bytes = 1024;

template <class View>
std::string_view to_std(const View& text) {
  return {text.data(), text.size()};
}

/// 0: the connection failed, and there is nobody to answer.
unsigned status_of(const boost::system::error_code& error) {
  if (error == http::error::end_of_stream || error == http::error::partial_message) return 0;
  if (error == http::error::header_limit || error == http::error::buffer_overflow) return 431;
  if (error == http::error::body_limit) return 413;
  return error.category() == http::make_error_code(http::error::bad_method).category() ? 400 : 0;
}

HttpReply bad_request_reply(unsigned status, const boost::system::error_code& error) {
  HttpReply reply;
  reply.status = status;
  switch (status) {
    case 431:
      reply.body = "the request's headers are too large\n";
      break;
    case 413:
      reply.body = "the request's body is too large\n";
      break;
    default:
      reply.body = "bad request: " + error.message() + "\n";
      break;
  }
  return reply;
}

/// Without its port, which names nobody; `unix` for a unix socket.
std::string host_of_peer(const HttpSession::Socket& socket) {
  boost::system::error_code error;
  const auto end = socket.remote_endpoint(error);
  if (error) return {};
  if (end.data()->sa_family == AF_UNIX) return "unix";
  char host[NI_MAXHOST] = {};
  const auto size = static_cast<socklen_t>(end.size());
  const bool named = ::getnameinfo(end.data(), size, host, sizeof host, nullptr, 0, NI_NUMERICHOST) == 0;
  return named ? std::string(host) : std::string();
}

}  // namespace

HttpSession::HttpSession(Socket socket, std::shared_ptr<HttpCore> core)
    : core_(std::move(core)),
      stream_(std::move(socket)),
      buffer_(std::size_t{core_->limits.header_bytes_max} * 2 + read_bytes) {
  core_->sessions.insert(this);
  peer_ = host_of_peer(stream_.socket());
}

HttpSession::~HttpSession() {
  core_->sessions.erase(this);
}

void HttpSession::close() {
  stream_.close();
}

/// Between two requests there is more time than within one.
void HttpSession::wait_for_request() {
  stream_.expires_after(core_->limits.idle_timeout);
  stream_.async_read_some(buffer_.prepare(read_bytes),
                          [self = shared_from_this()](Error error, std::size_t bytes) {
                            if (error) {
                              self->count_timeout(error);
                              return;
                            }
                            self->buffer_.commit(bytes);
                            self->read_request();
                          });
}

void HttpSession::read_request() {
  parser_.emplace();
  parser_->header_limit(core_->limits.header_bytes_max);
  parser_->body_limit(core_->limits.body_bytes_max);
  stream_.expires_after(core_->limits.request_timeout);
  http::async_read(stream_, buffer_, *parser_,
                   [self = shared_from_this()](Error error, std::size_t) { self->on_request(error); });
}

void HttpSession::on_request(Error error) {
  if (core_->stopped) return;
  if (error) {
    on_bad_request(error);
    return;
  }
  ++core_->counters.requests;
  const auto& request = parser_->get();
  const HttpRequestView view{to_std(request.method_string()),
                             to_std(request.target()),
                             to_std(request[http::field::authorization]),
                             request.body(),
                             to_std(request[http::field::host]),
                             to_std(request[http::field::origin]),
                             to_std(request["X-CSRF-Token"]),
                             peer_};
  HttpReply reply = core_->handler(view);
  if (!reply.later) {
    send(std::move(reply), request.version());
    return;
  }
  // Nothing of the connection is read meanwhile.
  reply.later([self = shared_from_this(), version = request.version()](HttpReply done) {
    if (!self->core_->stopped) self->send(std::move(done), version);
  });
}

void HttpSession::on_bad_request(Error error) {
  const unsigned status = status_of(error);
  if (status == 0) {
    count_timeout(error);
    if (error == http::error::end_of_stream) shut_down();
    return;
  }
  ++core_->counters.bad_requests;
  parser_.reset();
  send(bad_request_reply(status, error), 11);
}

/// Without a parser the request was bad, and the reply is the connection's last.
void HttpSession::send(HttpReply reply, unsigned version) {
  response_.emplace(http::int_to_status(reply.status), version);
  response_->result(reply.status);
  response_->set(http::field::server, "fairlead");
  response_->set(http::field::content_type, reply.content_type);
  response_->set(http::field::cache_control, "no-store");
  response_->set("X-Content-Type-Options", "nosniff");
  for (const auto& [name, value] : reply.headers) response_->set(name, value);
  response_->keep_alive(parser_ && parser_->get().keep_alive());
  response_->body() = std::move(reply.body);
  response_->content_length(response_->body().size());
  serializer_.emplace(*response_);
  stream_.expires_after(core_->limits.reply_timeout);
  const auto done = [self = shared_from_this()](Error error, std::size_t) { self->on_sent(error); };
  if (parser_ && parser_->get().method() == http::verb::head) {
    http::async_write_header(stream_, *serializer_, done);
  } else {
    http::async_write(stream_, *serializer_, done);
  }
}

void HttpSession::on_sent(Error error) {
  if (error) {
    count_timeout(error);
    return;
  }
  if (core_->stopped) return;
  if (!response_->keep_alive()) {
    shut_down();
  } else if (buffer_.size() > 0) {
    read_request();  // the next one was sent without waiting
  } else {
    wait_for_request();
  }
}

void HttpSession::shut_down() {
  Error ignored;
  stream_.socket().shutdown(boost::asio::socket_base::shutdown_send, ignored);
  if (ignored) return;
  stream_.expires_after(drain_timeout);
  drain();
}

void HttpSession::drain() {
  stream_.async_read_some(
      boost::asio::buffer(drained_),
      [self = shared_from_this()](Error error, std::size_t bytes) { self->on_drained(error, bytes); });
}

void HttpSession::on_drained(Error error, std::size_t bytes) {
  drained_bytes_ += static_cast<std::uint32_t>(bytes);
  if (!error && drained_bytes_ < drain_bytes_max) drain();
}

void HttpSession::count_timeout(Error error) {
  if (error == beast::error::timeout) ++core_->counters.timeouts;
}

}  // namespace fairlead::proxy
