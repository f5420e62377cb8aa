// The sockets of a worker: accepted, connected, read, written and closed as the Engine orders. A part of
// Worker.
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <cerrno>
#include <cstring>
#include <utility>

#include "proxy/socket_options.hpp"
#include "proxy/system_call.hpp"
#include "proxy/worker.hpp"

namespace fairlead::proxy {

namespace asio = boost::asio;
using boost::system::error_code;
using engine::ConnId;
using engine::Side;

/// The reference holds until the next stream is added.
Stream& Worker::add_stream(ConnId id, int descriptor) {
  auto& table = id.side == Side::client ? clients_ : links_;
  if (table.size() <= id.index) table.resize(id.index + 1);
  Stream& stream = table[id.index];
  stream = {};
  stream.id = id;
  stream.descriptor = descriptor;
  return stream;
}

Stream* Worker::find(ConnId id) {
  auto& table = id.side == Side::client ? clients_ : links_;
  if (!id.valid() || id.index >= table.size()) return nullptr;
  return table[id.index].id == id ? &table[id.index] : nullptr;
}

/// 0, or the number of the error.
int Worker::wait_for(Stream& stream, Poller::Interest wanted) {
  return poller_.change(stream.descriptor, stream.id, stream.waited_for, wanted);
}

void Worker::close(ConnId id) {
  Stream* stream = find(id);
  if (stream == nullptr) return;
  if (id.side == Side::client) shared_.clients.fetch_sub(1, std::memory_order_relaxed);
  if (stream->descriptor >= 0) {
    if (stream->reset != ResetOnClose::no) prepare_reset(stream->descriptor, stream->reset);
    // Closing alone would leave it in the set while a child process between fork and exec still has it.
    (void)wait_for(*stream, Poller::Interest::none);
    ::close(stream->descriptor);
  }
  *stream = {};
}

void Worker::on_accepted(int descriptor, ListenKind kind) {
  const bool fits = shared_.clients.fetch_add(1, std::memory_order_relaxed) <
                    shared_.clients_max.load(std::memory_order_relaxed);
  const ConnId id = fits && !draining_ ? engine_.on_accept(now()) : ConnId{};
  if (!id.valid()) {
    shared_.clients.fetch_sub(1, std::memory_order_relaxed);
    if (!fits) engine_.count_refused();
    const std::string_view refusal = engine::Engine::refusal();
    // Best effort, as Redis does it: a fresh socket has room for one line.
    [[maybe_unused]] const ssize_t sent =
        ::send(descriptor, refusal.data(), refusal.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    ::close(descriptor);
    return;
  }
  if (kind == ListenKind::tcp) prepare_client_socket(descriptor);
  const int error = wait_for(add_stream(id, descriptor), Poller::Interest::read);
  if (error != 0) engine_.on_error(id, std::strerror(error), now());
}

void Worker::set_reading(ConnId id, engine::Reading reading) {
  Stream* stream = find(id);
  if (stream == nullptr) return;
  stream->reading = reading;
  if (stream->unread) read_turns_.stand_in_line(*stream);
}

void Worker::wait_writable(ConnId id) {
  Stream* stream = find(id);
  if (stream == nullptr) return;
  stream->wants_to_write = true;
  (void)wait_for(*stream, Poller::Interest::read_and_write);  // it is in the set, so there is room for it
}

/// Whether there was something to do.
bool Worker::on_stream_ready(const Poller::Ready& ready) {
  Stream* stream = find(ready.id);
  if (stream == nullptr) return false;  // closed in this round
  if (stream->connecting) {
    on_connect_ready(*stream);
    return true;
  }
  bool done = false;
  if (ready.writable && stream->wants_to_write) {
    stream->wants_to_write = false;
    engine_.on_writable(ready.id, now());
    done = true;
    stream = find(ready.id);
    if (stream == nullptr) return true;
    if (!stream->wants_to_write) (void)wait_for(*stream, Poller::Interest::read);
  }
  if (!ready.readable) return done;
  stream->ended = stream->ended || ready.ended;
  if (!read_turns_.may_read(*stream)) return done;
  receive(ready.id);
  return true;
}

/// Reads what fits at once. What is left has another turn.
void Worker::receive(ConnId id) {
  while (true) {
    const engine::MutableBytes space = engine_.read_space(id);
    const std::size_t wanted = std::min(space.size, ReadTurns::bytes_per_turn);
    Stream* stream = find(id);
    const ssize_t size = receive_now(stream->descriptor, space.data, wanted);
    if (size > 0) {
      const bool filled = read_turns_.received(*stream, static_cast<std::size_t>(size), wanted);
      const bool more = filled || stream->ended;
      engine_.on_bytes(id, static_cast<std::size_t>(size), now());
      stream = find(id);  // the Engine may have closed it because of what was just read
      if (more && stream != nullptr) read_turns_.stand_in_line(*stream);
      return;
    }
    if (size == 0) return engine_.on_end_of_file(id, now());
    if (errno == EAGAIN || errno == EWOULDBLOCK) return;
    if (errno != EINTR) return engine_.on_error(id, std::strerror(errno), now());
  }
}

engine::WriteResult Worker::write(ConnId id, std::span<const engine::ConstBytes> buffers) {
  const Stream* stream = find(id);
  if (stream == nullptr) return {engine::WriteStatus::failed, 0};
  iovec vectors[engine::gather_max];
  std::size_t total = 0;
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    vectors[i] = {const_cast<char*>(buffers[i].data), buffers[i].size};
    total += buffers[i].size;
  }
  msghdr message{};
  message.msg_iov = vectors;
  message.msg_iovlen = buffers.size();
  ssize_t written = 0;
  do {
    written = send_now(stream->descriptor, message);
  } while (written < 0 && errno == EINTR);
  if (written < 0) {
    const bool full = errno == EAGAIN || errno == EWOULDBLOCK;
    return {full ? engine::WriteStatus::would_block : engine::WriteStatus::failed, 0};
  }
  const auto size = static_cast<std::size_t>(written);
  return {size == total ? engine::WriteStatus::done : engine::WriteStatus::would_block, size};
}

// --- Connecting

void Worker::connect(ConnId id, const resp::Address& address) {
  add_stream(id, -1);
  if (address.is_unix) {
    if (address.host.size() >= sizeof(sockaddr_un::sun_path)) {
      connect_failed(id, "the path is too long for a unix socket");
      return;
    }
    connect_to(id, asio::local::stream_protocol::endpoint(address.host));
    return;
  }
  error_code error;
  const auto numeric = asio::ip::make_address(address.host, error);
  if (error) {
    resolve(id, address);
  } else {
    connect_to(id, asio::ip::tcp::endpoint(numeric, address.port));
  }
}

void Worker::resolve(ConnId id, const resp::Address& address) {
  resolver_.async_resolve(
      address.host, std::to_string(address.port), asio::ip::tcp::resolver::numeric_service,
      [this, id](const error_code& error, asio::ip::tcp::resolver::results_type found) {
        if (find(id) == nullptr) return;
        if (error || found.empty()) {
          engine_.on_connect_failed(id, "the name has no address: " + error.message(), now());
        } else {
          connect_to(id, found.begin()->endpoint());
        }
      });
}

void Worker::connect_to(ConnId id, const asio::generic::stream_protocol::endpoint& endpoint) {
  const auto protocol = endpoint.protocol();
  const int descriptor =
      ::socket(protocol.family(), protocol.type() | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol.protocol());
  if (descriptor < 0) return connect_failed(id, std::strerror(errno));
  if (protocol.family() != AF_UNIX) prepare_backend_socket(descriptor);
  Stream& stream = *find(id);
  stream.descriptor = descriptor;
  stream.connecting = true;
  int error =
      ::connect(descriptor, endpoint.data(), static_cast<socklen_t>(endpoint.size())) == 0 ? 0 : errno;
  if (error == 0 || error == EINPROGRESS || error == EINTR)
    error = wait_for(stream, Poller::Interest::write);  // which it is when it has succeeded or failed
  if (error != 0) connect_failed(id, std::strerror(error));
}

/// The Engine must not be called from inside connect(): tell it in a handler of its own.
void Worker::connect_failed(ConnId id, std::string why) {
  post([this, id, why = std::move(why)] { engine_.on_connect_failed(id, why, now()); });
}

void Worker::on_connect_ready(Stream& stream) {
  const ConnId id = stream.id;
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(stream.descriptor, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  stream.connecting = false;
  if (error == 0) error = wait_for(stream, Poller::Interest::read);
  if (error != 0) {
    engine_.on_connect_failed(id, std::strerror(error), now());
  } else {
    engine_.on_connected(id, now());
  }
}

}  // namespace fairlead::proxy
