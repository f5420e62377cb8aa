#include "health/control_link.hpp"

#include <hiredis/hiredis.h>

#include <array>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <utility>

namespace fairlead::health {

namespace asio = boost::asio;
using boost::system::error_code;
using Endpoint = asio::generic::stream_protocol::endpoint;

namespace {

struct ReaderDeleter {
  void operator()(redisReader* reader) const { redisReaderFree(reader); }
};
struct ReplyDeleter {
  void operator()(void* reply) const { freeReplyObject(reply); }
};

std::string text_of(const redisReply& reply) {
  return reply.str != nullptr ? std::string(reply.str, reply.len) : "";
}

resp::Value scalar_of(const redisReply& reply) {
  switch (reply.type) {
    case REDIS_REPLY_STATUS:
      return resp::make_simple(text_of(reply));
    case REDIS_REPLY_ERROR:
      return resp::make_error(text_of(reply));
    case REDIS_REPLY_INTEGER:
      return resp::make_integer(reply.integer);
    case REDIS_REPLY_STRING:
      return resp::make_bulk(text_of(reply));
    case REDIS_REPLY_ARRAY:
      return resp::make_array({});
    default:
      return {};
  }
}

// Walks the tree with a stack of its own: how deep a server nests is the server's choice.
resp::Value value_of(const redisReply& root) {
  struct Level {
    const redisReply* from;
    resp::Value value;
    std::size_t next;
  };
  std::vector<Level> stack;
  stack.push_back({&root, scalar_of(root), 0});
  for (;;) {
    Level& top = stack.back();
    if (top.from->type == REDIS_REPLY_ARRAY && top.next < top.from->elements) {
      const redisReply* child = top.from->element[top.next++];
      stack.push_back({child, scalar_of(*child), 0});
      continue;
    }
    resp::Value done = std::move(top.value);
    stack.pop_back();
    if (stack.empty()) return done;
    stack.back().value.items.push_back(std::move(done));
  }
}

}  // namespace

class ControlLink::Impl : public std::enable_shared_from_this<ControlLink::Impl> {
 public:
  Impl(asio::io_context& context, resp::Address address, Callbacks callbacks)
      : address_(std::move(address)),
        callbacks_(std::move(callbacks)),
        resolver_(context),
        socket_(context) {}

  void connect();
  void send(const std::vector<std::string>& command);
  void close();

 private:
  // Handlers of an earlier attempt find another number here and do nothing.
  using Attempt = std::uint64_t;

  void resolve(Attempt attempt);
  void try_next(Attempt attempt);
  void on_open(Attempt attempt, const error_code& error);
  void read(Attempt attempt);
  void on_bytes(Attempt attempt, const error_code& error, std::size_t size);
  void take_replies(Attempt attempt);
  void write(Attempt attempt);
  void fail(LinkFailure failure, std::string text);

  resp::Address address_;
  Callbacks callbacks_;
  asio::ip::tcp::resolver resolver_;
  asio::generic::stream_protocol::socket socket_;
  std::vector<Endpoint> endpoints_;
  std::size_t next_endpoint_ = 0;
  std::unique_ptr<redisReader, ReaderDeleter> reader_;
  std::array<char, 16384> input_{};
  std::size_t reply_bytes_ = 0;  // fed since the last whole reply
  std::string output_;           // waits while writing_ is under way
  std::string writing_;
  bool open_ = false;
  Attempt attempt_ = 0;
};

void ControlLink::Impl::connect() {
  close();
  const Attempt attempt = attempt_;
  if (address_.is_unix) {
    // The path of a socket address has room for about 100 bytes; Asio throws for more.
    try {
      endpoints_ = {Endpoint(asio::local::stream_protocol::endpoint(address_.host))};
    } catch (const boost::system::system_error& error) {
      asio::post(socket_.get_executor(),
                 [self = shared_from_this(), attempt, code = error.code()] { self->on_open(attempt, code); });
      return;
    }
    return try_next(attempt);
  }
  error_code error;
  const auto ip = asio::ip::make_address(address_.host, error);
  if (error) return resolve(attempt);
  endpoints_ = {Endpoint(asio::ip::tcp::endpoint(ip, address_.port))};
  try_next(attempt);
}

void ControlLink::Impl::resolve(Attempt attempt) {
  const auto flags = asio::ip::resolver_base::numeric_service;
  resolver_.async_resolve(address_.host, std::to_string(address_.port), flags,
                          [self = shared_from_this(), attempt](
                              const error_code& error, const asio::ip::tcp::resolver::results_type& found) {
                            if (attempt != self->attempt_) return;
                            if (error)
                              return self->fail(LinkFailure::connect_failed,
                                                "name not found: " + error.message());
                            for (const auto& entry : found) self->endpoints_.emplace_back(entry.endpoint());
                            if (self->endpoints_.empty())
                              return self->fail(LinkFailure::connect_failed, "the name has no address");
                            self->try_next(attempt);
                          });
}

// Not asio::async_connect: it would go on with its list on a socket that was closed and opened again
// meanwhile.
void ControlLink::Impl::try_next(Attempt attempt) {
  error_code ignored;
  socket_.close(ignored);
  const Endpoint endpoint = endpoints_[next_endpoint_++];
  socket_.async_connect(endpoint, [self = shared_from_this(), attempt](const error_code& error) {
    self->on_open(attempt, error);
  });
}

void ControlLink::Impl::on_open(Attempt attempt, const error_code& error) {
  if (attempt != attempt_) return;
  if (error && next_endpoint_ < endpoints_.size()) return try_next(attempt);
  if (error) return fail(LinkFailure::connect_failed, error.message());
  if (!address_.is_unix) {
    error_code ignored;
    socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
    socket_.set_option(asio::socket_base::keep_alive(true), ignored);
  }
  reader_.reset(redisReaderCreate());
  reply_bytes_ = 0;
  open_ = true;
  read(attempt);
  callbacks_.connected();
}

void ControlLink::Impl::read(Attempt attempt) {
  socket_.async_read_some(asio::buffer(input_),
                          [self = shared_from_this(), attempt](const error_code& error, std::size_t size) {
                            self->on_bytes(attempt, error, size);
                          });
}

void ControlLink::Impl::on_bytes(Attempt attempt, const error_code& error, std::size_t size) {
  if (attempt != attempt_) return;
  if (error) {
    const bool end = error == asio::error::eof;
    return fail(LinkFailure::lost, end ? "connection closed by the server" : error.message());
  }
  reply_bytes_ += size;
  if (!reader_ || redisReaderFeed(reader_.get(), input_.data(), size) != REDIS_OK) {
    return fail(LinkFailure::protocol, "out of memory for a reply");
  }
  take_replies(attempt);
  if (attempt != attempt_) return;  // a reply made the owner close or reconnect
  if (reply_bytes_ > reply_bytes_max) return fail(LinkFailure::protocol, "a reply is larger than 16 MiB");
  read(attempt);
}

void ControlLink::Impl::take_replies(Attempt attempt) {
  while (attempt == attempt_) {
    void* raw = nullptr;
    if (redisReaderGetReply(reader_.get(), &raw) != REDIS_OK) {
      return fail(LinkFailure::protocol, std::string("no RESP: ") + reader_->errstr);
    }
    if (raw == nullptr) return;
    const std::unique_ptr<void, ReplyDeleter> owned(raw);
    reply_bytes_ = 0;
    callbacks_.reply(value_of(*static_cast<const redisReply*>(raw)));
  }
}

void ControlLink::Impl::send(const std::vector<std::string>& command) {
  if (!open_ || command.empty()) return;
  std::vector<const char*> arguments;
  std::vector<std::size_t> sizes;
  for (const auto& argument : command) {
    arguments.push_back(argument.data());
    sizes.push_back(argument.size());
  }
  char* formatted = nullptr;
  const auto count = static_cast<int>(command.size());
  const auto size = redisFormatCommandArgv(&formatted, count, arguments.data(), sizes.data());
  if (size >= 0) output_.append(formatted, static_cast<std::size_t>(size));
  if (formatted != nullptr) redisFreeCommand(formatted);
  if (size < 0 || output_.size() > output_bytes_max) {
    // The peer does not read, or memory is out. Shutting down makes the read end, which tells the owner in
    // its own time.
    error_code ignored;
    socket_.shutdown(asio::socket_base::shutdown_both, ignored);
    return;
  }
  if (writing_.empty()) write(attempt_);
}

void ControlLink::Impl::write(Attempt attempt) {
  writing_.swap(output_);
  asio::async_write(socket_, asio::buffer(writing_),
                    [self = shared_from_this(), attempt](const error_code& error, std::size_t) {
                      if (attempt != self->attempt_) return;
                      self->writing_.clear();
                      // The read side reports a broken connection, with what the server said last.
                      if (!error && !self->output_.empty()) self->write(attempt);
                    });
}

void ControlLink::Impl::fail(LinkFailure failure, std::string text) {
  close();
  callbacks_.failed(failure, std::move(text));
}

void ControlLink::Impl::close() {
  ++attempt_;
  open_ = false;
  resolver_.cancel();
  error_code ignored;
  socket_.close(ignored);
  endpoints_.clear();
  next_endpoint_ = 0;
  output_.clear();
  writing_.clear();
}

ControlLink::ControlLink(asio::io_context& context, resp::Address address, Callbacks callbacks)
    : impl_(std::make_shared<Impl>(context, std::move(address), std::move(callbacks))) {}

ControlLink::~ControlLink() {
  impl_->close();
}

void ControlLink::connect() {
  impl_->connect();
}

void ControlLink::send(const std::vector<std::string>& command) {
  impl_->send(command);
}

void ControlLink::close() {
  impl_->close();
}

void perform(const LinkActions& actions, ControlLink& link) {
  for (const auto& action : actions) {
    switch (action.kind) {
      case LinkAction::Kind::connect:
        link.connect();
        break;
      case LinkAction::Kind::send:
        link.send(action.command);
        break;
      case LinkAction::Kind::close:
        link.close();
        break;
    }
  }
}

}  // namespace fairlead::health
