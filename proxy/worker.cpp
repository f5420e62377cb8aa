#include "proxy/worker.hpp"

#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <cerrno>
#include <cstring>

#include "proxy/socket_names.hpp"
#include "proxy/socket_options.hpp"

namespace fairlead::proxy {

namespace asio = boost::asio;
using boost::system::error_code;
using engine::ConnId;
using engine::Side;

namespace {

/// Handlers run before the turn ends: one round of the reactor reports at most 128 sockets.
constexpr int handlers_per_turn_max = 256;
/// An idle worker has a turn at least each pulse; when none came for standstill_min, it was not allowed to
/// run.
constexpr std::chrono::milliseconds pulse_interval{250};
constexpr std::chrono::milliseconds standstill_min{500};
/// Reads in a row from one socket that keeps filling the buffer, before others have their turn.
constexpr int reads_in_a_row_max = 4;

}  // namespace

Worker::Worker(const engine::EngineOptions& options, engine::WorkerName name, SharedCounts& shared,
               Hooks hooks)
    : work_(context_.get_executor()),
      resolver_(context_),
      tick_(context_),
      pulse_(context_),
      leave_timer_(context_),
      shared_(shared),
      hooks_(std::move(hooks)),
      engine_(*this, options, name, std::chrono::steady_clock::now()) {}

Worker::~Worker() {
  join();
  engine_.stop();
}

void Worker::add_listener(int descriptor, ListenKind kind) {
  listeners_.push_back(std::make_unique<Listener>(
      context_, descriptor, kind, [this](int client, ListenKind from) { on_accepted(client, from); }));
}

void Worker::set_peers(const std::vector<std::unique_ptr<Worker>>& workers) {
  for (const auto& worker : workers) {
    if (worker.get() != this) peers_.push_back(worker.get());
  }
}

void Worker::start() {
  for (auto& listener : listeners_) listener->start();
  thread_ = std::thread([this] { run(); });
}

void Worker::join() {
  if (thread_.joinable()) thread_.join();
}

// --- Turns

void Worker::run() {
  bool more = false;
  turn_ended_at_ = std::chrono::steady_clock::now();
  arm_pulse();
  while (!stopping_) {
    // Wait for the first event, then take what else is ready: a fuller turn makes fuller writes.
    if (!more) context_.run_one();
    for (int i = 0; i < handlers_per_turn_max && context_.poll_one() != 0; ++i) {
    }
    more = engine_.end_turn(now());
    turn_ended_at_ = now_;
    const auto took = std::chrono::steady_clock::now() - now_;
    turns_.add(static_cast<std::uint64_t>(took.count()));
    now_known_ = false;
    arm_tick();
    if (leave_.done) check_leaving();
    if (draining_ && engine_.drained() && hooks_.drained) {
      hooks_.drained();
      hooks_.drained = nullptr;
    }
  }
  // Closed sockets still have handlers outstanding; they run now and find that out.
  work_.reset();
  tick_.cancel();
  pulse_.cancel();
  leave_timer_.cancel();
  context_.poll();
}

health::TimePoint Worker::now() {
  if (!now_known_) {
    now_ = std::chrono::steady_clock::now();
    now_known_ = true;
    const auto gap = std::chrono::duration_cast<std::chrono::milliseconds>(now_ - turn_ended_at_);
    if (gap >= standstill_min) engine_.on_standstill(gap, now_);
  }
  return now_;
}

void Worker::arm_pulse() {
  pulse_.expires_after(pulse_interval);
  pulse_.async_wait([this](const error_code& error) {
    if (error != asio::error::operation_aborted) arm_pulse();  // the turn that follows is what it is for
  });
}

void Worker::arm_tick() {
  const auto deadline = engine_.next_deadline();
  if (!deadline || (tick_armed_ && tick_at_ <= *deadline)) return;
  tick_at_ = *deadline;
  tick_armed_ = true;
  tick_.expires_at(tick_at_);
  tick_.async_wait([this](const error_code& error) {
    if (error != asio::error::operation_aborted) tick_armed_ = false;  // the turn that follows does the work
  });
}

// --- Control

void Worker::publish(health::TopologyPtr topology) {
  engine_.on_topology(std::move(topology), now());
}

void Worker::pause() {
  engine_.pause(now());
}

void Worker::resume() {
  engine_.resume();
}

void Worker::reload(const engine::EngineOptions& options) {
  engine_.reload(options);
}

void Worker::drain() {
  draining_ = true;
  for (auto& listener : listeners_) listener->close();
  engine_.drain(now());
}

void Worker::stop_now() {
  for (auto& listener : listeners_) listener->close();
  resolver_.cancel();
  engine_.stop();
  stopping_ = true;
}

engine::TelemetrySnapshot Worker::telemetry() {
  engine::TelemetrySnapshot snapshot = engine_.telemetry(now());
  snapshot.turns = turns_;
  for (engine::ClientRow& row : snapshot.clients) {
    if (Stream* stream = find(row.conn))
      row.address = names_of_socket(stream->socket.native_handle()).address;
  }
  return snapshot;
}

void Worker::signal(const health::Signal& signal) {
  hooks_.signal(signal);
}

std::uint32_t Worker::broadcast(const engine::ClientQuery& query) {
  for (Worker* peer : peers_) {
    peer->post([this, peer, query] {
      post([this, id = query.id, answer = peer->engine_.answer_query(query, peer->now())]() mutable {
        engine_.on_query_answer(id, std::move(answer), now());
      });
    });
  }
  return static_cast<std::uint32_t>(peers_.size());
}

engine::ConnectionNames Worker::names(ConnId id) {
  Stream* stream = find(id);
  return stream != nullptr ? names_of_socket(stream->socket.native_handle()) : engine::ConnectionNames{};
}

// --- Streams

Stream& Worker::add_stream(ConnId id) {
  streams_.push_back(std::make_unique<Stream>(context_));
  Stream& stream = *streams_.back();
  stream.id = id;
  stream.slot = static_cast<std::uint32_t>(streams_.size() - 1);
  auto& table = id.side == Side::client ? clients_ : links_;
  if (table.size() <= id.index) table.resize(id.index + 1, nullptr);
  table[id.index] = &stream;
  return stream;
}

Stream* Worker::find(ConnId id) {
  const auto& table = id.side == Side::client ? clients_ : links_;
  if (id.index >= table.size() || table[id.index] == nullptr) return nullptr;
  return table[id.index]->id == id ? table[id.index] : nullptr;
}

void Worker::free_if_done(Stream& stream) {
  if (!stream.closed || stream.outstanding != 0) return;
  const std::uint32_t slot = stream.slot;
  if (slot + 1 != streams_.size()) {
    std::swap(streams_[slot], streams_.back());
    streams_[slot]->slot = slot;
  }
  streams_.pop_back();
}

void Worker::close(ConnId id) {
  Stream* stream = find(id);
  if (stream == nullptr) return;
  (id.side == Side::client ? clients_ : links_)[id.index] = nullptr;
  if (id.side == Side::client) shared_.clients.fetch_sub(1, std::memory_order_relaxed);
  stream->closed = true;
  if (stream->reset != ResetOnClose::no) prepare_reset(stream->socket.native_handle(), stream->reset);
  error_code ignored;
  stream->socket.close(ignored);
  free_if_done(*stream);
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
  Stream& stream = add_stream(id);
  error_code error;
  // The protocol of a generic socket matters for nothing but opening it, which was done.
  stream.socket.assign(asio::generic::stream_protocol(kind == ListenKind::tcp ? AF_INET : AF_UNIX, 0),
                       descriptor, error);
  if (error) {
    ::close(descriptor);
    engine_.on_error(id, error.message(), now());
    return;
  }
  arm_read(stream);
}

void Worker::set_reading(ConnId id, engine::Reading reading) {
  Stream* stream = find(id);
  if (stream == nullptr) return;
  stream->reading = reading;
  if (reading == engine::Reading::on) arm_read(*stream);
}

void Worker::arm_read(Stream& stream) {
  if (stream.read_armed || stream.closed || stream.reading == engine::Reading::off) return;
  stream.read_armed = true;
  ++stream.outstanding;
  stream.socket.async_wait(asio::socket_base::wait_read,
                           [this, s = &stream](const error_code& error) { on_readable(*s, error); });
}

void Worker::on_readable(Stream& stream, const error_code& error) {
  --stream.outstanding;
  stream.read_armed = false;
  if (stream.closed) {
    free_if_done(stream);
    return;
  }
  const ConnId id = stream.id;
  if (error) {
    engine_.on_error(id, error.message(), now());
    return;
  }
  std::size_t received = 0;
  for (int i = 0; i < reads_in_a_row_max; ++i) {
    // The Engine may have closed the stream, or stopped reading, because of what was just read.
    if (find(id) != &stream || stream.reading == engine::Reading::off) return;
    const engine::MutableBytes space = engine_.read_space(id);
    const ssize_t size = ::recv(stream.socket.native_handle(), space.data, space.size, MSG_DONTWAIT);
    if (size > 0) {
      engine_.on_bytes(id, static_cast<std::size_t>(size), now());
      received += static_cast<std::size_t>(size);
      const bool whole_frame = id.side == engine::Side::backend || space.size > engine::read_ahead_bytes;
      if (static_cast<std::size_t>(size) < space.size) break;
      if (!whole_frame && received >= engine::read_ahead_bytes) break;  // now others have their turn
    } else if (size == 0) {
      engine_.on_end_of_file(id, now());
      break;
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      break;
    } else if (errno != EINTR) {
      engine_.on_error(id, std::strerror(errno), now());
      return;
    }
  }
  if (find(id) == &stream) arm_read(stream);
}

engine::WriteResult Worker::write(ConnId id, std::span<const engine::ConstBytes> buffers) {
  Stream* stream = find(id);
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
    written = ::sendmsg(stream->socket.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (written < 0 && errno == EINTR);
  if (written < 0) {
    const bool full = errno == EAGAIN || errno == EWOULDBLOCK;
    return {full ? engine::WriteStatus::would_block : engine::WriteStatus::failed, 0};
  }
  const auto size = static_cast<std::size_t>(written);
  return {size == total ? engine::WriteStatus::done : engine::WriteStatus::would_block, size};
}

void Worker::wait_writable(ConnId id) {
  Stream* stream = find(id);
  if (stream == nullptr || stream->write_armed) return;
  stream->write_armed = true;
  ++stream->outstanding;
  stream->socket.async_wait(asio::socket_base::wait_write,
                            [this, stream](const error_code& error) { on_writable(*stream, error); });
}

void Worker::on_writable(Stream& stream, const error_code& error) {
  --stream.outstanding;
  stream.write_armed = false;
  if (stream.closed) {
    free_if_done(stream);
  } else if (error) {
    engine_.on_error(stream.id, error.message(), now());
  } else {
    engine_.on_writable(stream.id, now());
  }
}

// --- Connecting

void Worker::connect(ConnId id, const resp::Address& address) {
  Stream& stream = add_stream(id);
  if (address.is_unix) {
    if (address.host.size() >= sizeof(sockaddr_un::sun_path)) {
      connect_failed(id, "the path is too long for a unix socket");
      return;
    }
    connect_to(stream, asio::local::stream_protocol::endpoint(address.host));
    return;
  }
  error_code error;
  const auto numeric = asio::ip::make_address(address.host, error);
  if (error) {
    resolve(stream, address);
  } else {
    connect_to(stream, asio::ip::tcp::endpoint(numeric, address.port));
  }
}

void Worker::resolve(Stream& stream, const resp::Address& address) {
  ++stream.outstanding;
  resolver_.async_resolve(
      address.host, std::to_string(address.port), asio::ip::tcp::resolver::numeric_service,
      [this, s = &stream](const error_code& error, asio::ip::tcp::resolver::results_type found) {
        --s->outstanding;
        if (s->closed) {
          free_if_done(*s);
        } else if (error || found.empty()) {
          engine_.on_connect_failed(s->id, "the name has no address: " + error.message(), now());
        } else {
          connect_to(*s, found.begin()->endpoint());
        }
      });
}

void Worker::connect_to(Stream& stream, const asio::generic::stream_protocol::endpoint& endpoint) {
  error_code error;
  stream.socket.open(endpoint.protocol(), error);
  if (error) {
    connect_failed(stream.id, error.message());
    return;
  }
  if (endpoint.protocol().family() != AF_UNIX) prepare_backend_socket(stream.socket.native_handle());
  ++stream.outstanding;
  stream.socket.async_connect(endpoint,
                              [this, s = &stream](const error_code& result) { on_connected(*s, result); });
}

/// The Engine must not be called from inside connect(): tell it in a handler of its own.
void Worker::connect_failed(ConnId id, std::string why) {
  post([this, id, why = std::move(why)] { engine_.on_connect_failed(id, why, now()); });
}

void Worker::on_connected(Stream& stream, const error_code& error) {
  --stream.outstanding;
  if (stream.closed) {
    free_if_done(stream);
    return;
  }
  if (error) {
    engine_.on_connect_failed(stream.id, error.message(), now());
    return;
  }
  engine_.on_connected(stream.id, now());
  arm_read(stream);
}

}  // namespace fairlead::proxy
