#include "proxy/admin/console_server.hpp"

#include <unistd.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/write.hpp>
#include <set>
#include <utility>

#include "proxy/socket_names.hpp"
#include "proxy/socket_options.hpp"
#include "resp/writer.hpp"

namespace fairlead::proxy {

namespace asio = boost::asio;
using boost::system::error_code;

/// What the connections share; kept alive by each of them.
struct ConsoleServer::Shared {
  ConsoleProvider provider;
  std::set<Connection*> connections;
  bool stopped = false;
};

/// Owned by its pending operation.
class ConsoleServer::Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Socket = asio::generic::stream_protocol::socket;

  Connection(Socket socket, std::shared_ptr<Shared> shared, std::string peer)
      : shared_(std::move(shared)),
        socket_(std::move(socket)),
        dialog_(shared_->provider, std::move(peer)),
        reader_(limits()) {
    shared_->connections.insert(this);
  }
  ~Connection() { shared_->connections.erase(this); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void read() {
    socket_.async_read_some(asio::buffer(received_),
                            [self = shared_from_this()](const error_code& error, std::size_t size) {
                              if (error || self->shared_->stopped) return;
                              self->unread_.append(self->received_.data(), size);
                              self->answer();
                            });
  }
  void close() {
    error_code ignored;
    socket_.close(ignored);
  }

 private:
  /// Nothing that an operator says is longer.
  static constexpr std::size_t command_bytes_max = 16 * 1024;

  static const resp::CommandLimits& limits() {
    static const resp::CommandLimits small{command_bytes_max, command_bytes_max, 10, command_bytes_max};
    return small;
  }

  void answer();
  void go_on(std::string answer);
  void write(ConsoleDialog::Next next);

  std::shared_ptr<Shared> shared_;
  Socket socket_;
  ConsoleDialog dialog_;
  resp::CommandReader reader_;
  resp::CommandScratch scratch_;
  std::array<char, 4096> received_{};
  std::string unread_;
  std::string out_;
};

void ConsoleServer::Connection::answer() {
  auto next = ConsoleDialog::Next::go_on;
  std::size_t handled = 0;
  while (next == ConsoleDialog::Next::go_on && handled < unread_.size()) {
    const auto login = dialog_.authenticated() ? resp::LoginState::authenticated : resp::LoginState::required;
    const resp::CommandResult read = reader_.read(std::string_view(unread_).substr(handled), scratch_, login);
    if (read.status == resp::ReadStatus::need_more) break;
    if (read.status == resp::ReadStatus::error) {
      resp::append_error(out_, "ERR " + read.error);
      next = ConsoleDialog::Next::close;
      break;
    }
    if (read.status == resp::ReadStatus::command) {
      next = dialog_.answer(read.command, out_,
                            [self = shared_from_this()](std::string text) { self->go_on(std::move(text)); });
    }
    handled += read.frame_bytes;
  }
  unread_.erase(0, handled);
  if (unread_.size() > command_bytes_max) {
    resp::append_error(out_, "ERR the command is too long for the console");
    next = ConsoleDialog::Next::close;
  }
  if (next == ConsoleDialog::Next::wait) return;
  if (out_.empty()) {
    read();
  } else {
    write(next);
  }
}

/// The answer to an order that took its time; what was said behind it is heard now.
void ConsoleServer::Connection::go_on(std::string answer) {
  if (shared_->stopped) return;
  out_ += answer;
  this->answer();
}

/// Nothing more is read until the answer was taken: who does not read is not heard either.
void ConsoleServer::Connection::write(ConsoleDialog::Next next) {
  asio::async_write(socket_, asio::buffer(out_),
                    [self = shared_from_this(), next](const error_code& error, std::size_t) {
                      if (error || self->shared_->stopped || next == ConsoleDialog::Next::close) return;
                      self->out_.clear();
                      self->read();
                    });
}

ConsoleServer::ConsoleServer(asio::io_context& io, ConsoleProvider provider)
    : io_(io), shared_(std::make_shared<Shared>()) {
  shared_->provider = std::move(provider);
}

ConsoleServer::~ConsoleServer() {
  stop();
}

std::string ConsoleServer::open(const resp::Address& address) {
  const ListenResult result = listen_on(address, 1, Freebind::off);
  if (!result.error.empty()) return result.error;
  addresses_.push_back(result.address);
  const auto kind = address.is_unix ? ListenKind::unix_socket : ListenKind::tcp;
  listeners_.push_back(
      std::make_unique<Listener>(io_, result.descriptors.front(), kind,
                                 [this](int descriptor, ListenKind from) { accept(descriptor, from); }));
  listeners_.back()->start();
  return {};
}

void ConsoleServer::accept(int descriptor, ListenKind kind) {
  if (shared_->stopped || shared_->connections.size() >= connections_max) {
    ::close(descriptor);
    return;
  }
  Connection::Socket socket(io_);
  error_code error;
  socket.assign(asio::generic::stream_protocol(kind == ListenKind::tcp ? AF_INET : AF_UNIX, 0), descriptor,
                error);
  if (error) {
    ::close(descriptor);
    return;
  }
  std::make_shared<Connection>(std::move(socket), shared_, names_of_socket(descriptor).address)->read();
}

void ConsoleServer::stop() {
  if (std::exchange(shared_->stopped, true)) return;
  for (auto& listener : listeners_) listener->close();
  for (Connection* connection : std::set<Connection*>(shared_->connections)) connection->close();
}

}  // namespace fairlead::proxy
