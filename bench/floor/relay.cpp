// The floor of a proxy that gives each client a connection of its own to the server: bytes are copied both
// ways, and nobody looks at them.
//
//   fairlead_bench_relay PORT SERVER_PORT        (both on 127.0.0.1)
//
// One thread, one epoll, one buffer of 64 KiB for everybody. What a socket does not take is kept for it, and
// the other side is not read until it is gone. The end of one direction is passed on as the end of that
// direction, a reset as a reset. There are no limits, no timeouts, no health checks and no statistics: this
// is a floor to compare with, and not a proxy to use.
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <string_view>
#include <vector>

#include "bench/floor/sockets.hpp"

namespace fairlead::bench {
namespace {

constexpr std::size_t buffer_bytes = 64U << 10U;
// Then others have their turn, also when the peer sends faster than we can read.
constexpr int reads_per_turn_max = 8;

struct Pair;

/// One of the two connections of a pair.
struct Side {
  Pair* pair = nullptr;
  int descriptor = -1;
  bool readable = false;  // the socket may have bytes: epoll said so, and no read has come up short since
  bool hung_up = false;   // the peer's end is behind those bytes: reading goes on until it is seen
  bool ended = false;     // the end was seen, and passed on
  bool queued = false;    // among the unfinished
  Unsent unsent;          // for this side's peer
};

struct Pair {
  Side client;
  Side server;
  bool closed = false;

  Side& other(const Side& side) { return &side == &client ? server : client; }
};

enum class Ending : std::uint8_t { orderly, reset };

class Relay {
 public:
  explicit Relay(Ports ports)
      : server_port_(ports.server),
        epoll_(::epoll_create1(EPOLL_CLOEXEC)),
        listener_(listen_on(ports.listen)) {
    watch_listener(epoll_, listener_);
  }

  [[noreturn]] void run() {
    std::array<epoll_event, 512> events;
    for (;;) {
      const int timeout_ms = unfinished_.empty() ? -1 : 0;
      const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), timeout_ms);
      if (count < 0 && errno != EINTR) give_up("epoll_wait failed");
      for (int i = 0; i < count; ++i) {
        const epoll_event& event = events[static_cast<std::size_t>(i)];
        if (event.data.ptr == nullptr) {
          accept_clients();
        } else {
          on_event(*static_cast<Side*>(event.data.ptr), event.events);
        }
      }
      go_on();
      bury();
    }
  }

 private:
  void accept_clients() {
    for (int client = accept_from(listener_); client >= 0; client = accept_from(listener_)) {
      auto* pair = new Pair;  // deleted by bury()
      pair->client.pair = pair->server.pair = pair;
      pair->client.descriptor = client;
      pair->server.descriptor = connect_to(server_port_);
      watch(epoll_, pair->client.descriptor, &pair->client);
      watch(epoll_, pair->server.descriptor, &pair->server);
    }
  }

  void on_event(Side& side, std::uint32_t events) {
    if (side.pair->closed) return;  // by an event of the other side in this round
    if ((events & EPOLLERR) != 0) {
      close(*side.pair, Ending::reset);
      return;
    }
    if ((events & EPOLLRDHUP) != 0) side.hung_up = true;
    if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)) != 0) side.readable = true;
    Side& other = side.pair->other(side);
    // A side that can be written again lets the other one be read again.
    if ((events & EPOLLOUT) != 0 && !side.unsent.empty()) move(other, side);
    if (side.readable && !side.pair->closed) move(side, other);
  }

  /// Copies what can be read from one side and taken by the other.
  void move(Side& from, Side& to) {
    for (int reads = 0; reads < reads_per_turn_max; ++reads) {
      if (!to.unsent.empty()) {
        const Flushed flushed = to.unsent.flush(to.descriptor);
        if (flushed == Flushed::broken) close(*from.pair, Ending::reset);
        if (flushed != Flushed::all) return;  // there will be an event when there is room
      }
      if (!from.readable || from.ended) return;
      const Received received = receive(from.descriptor, buffer_);
      if (received.what != Got::data) {
        stop_reading(from, to, received.what);
        return;
      }
      const std::string_view data(buffer_.data(), received.size);
      const ssize_t sent = send_some(to.descriptor, data);
      if (sent < 0) {
        close(*from.pair, Ending::reset);
        return;
      }
      if (received.size < buffer_.size() && !from.hung_up) from.readable = false;
      to.unsent.append(data.substr(static_cast<std::size_t>(sent)));
      if (!to.unsent.empty()) return;
    }
    if (from.readable && !from.queued) {
      from.queued = true;
      unfinished_.push_back(&from);
    }
  }

  void stop_reading(Side& from, Side& to, Got why) {
    from.readable = false;
    if (why == Got::broken) {
      close(*from.pair, Ending::reset);
    } else if (why == Got::end) {
      from.ended = true;
      if (to.ended) {
        close(*from.pair, Ending::orderly);
      } else {
        static_cast<void>(::shutdown(to.descriptor, SHUT_WR));  // fails only where an event will tell why
      }
    }
  }

  /// Another turn for those that had read as much as they may in one.
  void go_on() {
    turn_.swap(unfinished_);
    for (Side* side : turn_) {
      side->queued = false;
      if (!side->pair->closed) move(*side, side->pair->other(*side));
    }
    turn_.clear();
  }

  void close(Pair& pair, Ending ending) {
    for (const int descriptor : {pair.client.descriptor, pair.server.descriptor}) {
      if (ending == Ending::reset) {
        close_with_reset(descriptor);
      } else {
        ::close(descriptor);
      }
    }
    pair.closed = true;
    closed_.push_back(&pair);
  }

  /// At the end of a round, when no event of it can name a closed pair any more.
  void bury() {
    if (closed_.empty()) return;
    std::erase_if(unfinished_, [](const Side* side) { return side->pair->closed; });
    for (Pair* pair : closed_) delete pair;
    closed_.clear();
  }

  std::uint16_t server_port_;
  int epoll_;
  int listener_;
  std::array<char, buffer_bytes> buffer_{};
  std::vector<Side*> unfinished_;
  std::vector<Side*> turn_;
  std::vector<Pair*> closed_;
};

}  // namespace
}  // namespace fairlead::bench

int main(int argc, char** argv) {
  static fairlead::bench::Relay relay(fairlead::bench::prepare(argc, argv));
  relay.run();
}
