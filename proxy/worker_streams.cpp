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
#include "proxy/worker.hpp"

namespace fairlead::proxy {

namespace asio = boost::asio;
using boost::system::error_code;
using engine::ConnId;
using engine::Side;

namespace {

/// What is received in a turn before streams that bring large values wait for the next one. With half of it
/// small commands beside them were no faster, and a GET of 512 KiB cost 20 % more: twice as many writes.
constexpr std::size_t bytes_per_turn = 256 * 1024;
/// From one of them, before the next one in line.
constexpr std::size_t bytes_in_a_row = 1024 * 1024;

}  // namespace

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
  if (stream->unread) read_later(*stream);
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
  if (stream->in_line) return done;
  const bool waits = stream->large && received_in_turn_ >= bytes_per_turn;
  if (waits || stream->reading == engine::Reading::off) {
    read_later(*stream);
    return done;
  }
  receive(ready.id);
  return true;
}

/// Its turn to be read comes; while the Engine does not want to read it, it is only noted.
void Worker::read_later(Stream& stream) {
  stream.unread = true;
  if (stream.in_line || stream.reading == engine::Reading::off) return;
  stream.in_line = true;
  if (unread_.full()) unread_.set_capacity(std::max<std::size_t>(16, 2 * unread_.capacity()));
  unread_.push_back(stream.id);
}

/// Large values take their turns in pieces: what is small and arrives meanwhile need not wait for them.
/// Of those that bring them whoever is first stays first for the length of a value or two: a piece of each in
/// turn would push the beginnings of all of them out of the caches.
std::size_t Worker::take_unread() {
  std::size_t count = 0;
  while (!unread_.empty() && received_in_turn_ < bytes_per_turn) {
    const ConnId id = unread_.front();
    unread_.pop_front();
    Stream* stream = find(id);
    if (stream == nullptr) continue;
    stream->in_line = false;
    if (stream->reading == engine::Reading::off) continue;
    stream->unread = false;
    receive(id);
    ++count;
    stream = find(id);
    if (stream == nullptr || !stream->in_line) continue;
    if (stream->large && stream->in_a_row < bytes_in_a_row) {
      unread_.pop_back();
      unread_.push_front(id);
    } else {
      stream->in_a_row = 0;
    }
  }
  return count;
}

/// Reads what fits at once. What is left has another turn.
void Worker::receive(ConnId id) {
  while (true) {
    const engine::MutableBytes space = engine_.read_space(id);
    const std::size_t wanted = std::min(space.size, bytes_per_turn);
    Stream* stream = find(id);
    const ssize_t size = ::recv(stream->descriptor, space.data, wanted, MSG_DONTWAIT);
    if (size > 0) {
      // A read that does not fill the space took all there was.
      const bool filled = static_cast<std::size_t>(size) == wanted;
      const bool more = filled || stream->ended;
      stream->large = filled && wanted > engine::read_ahead_bytes;
      stream->in_a_row = filled ? stream->in_a_row + wanted : 0;
      received_in_turn_ += static_cast<std::size_t>(size);
      engine_.on_bytes(id, static_cast<std::size_t>(size), now());
      stream = find(id);  // the Engine may have closed it because of what was just read
      if (more && stream != nullptr) read_later(*stream);
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
    written = ::sendmsg(stream->descriptor, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
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
