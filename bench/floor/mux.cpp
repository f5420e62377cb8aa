// The floor of a proxy whose clients share one connection to the server: commands and replies are framed, and
// nothing else is done with them.
//
//   fairlead_bench_mux PORT SERVER_PORT          (both on 127.0.0.1)
//
// One thread, one epoll. A round of it reads what has come, appends whole commands of all clients to one
// output buffer, copies replies to their clients' output buffers, and then writes once to each connection
// that has something to send. Replies come in the order of the commands, so a queue of clients tells whose
// each of them is.
//
// This is a floor to compare with, and not a proxy to use. It has no health checks, no failover, no limits
// (buffers grow as they must), no timeouts and no statistics; it ends when the server's connection does. It
// knows no command: what changes or occupies a connection (SELECT, MULTI, SUBSCRIBE, BLPOP, HELLO, inline
// commands) does not work.
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "bench/floor/end_finder.hpp"
#include "bench/floor/sockets.hpp"

namespace fairlead::bench {
namespace {

constexpr std::size_t buffer_bytes = 64U << 10U;
constexpr std::size_t kept_partial_bytes_max = 4U << 20U;
// The server's connection serves everybody, so it may be read more often in one round than a client's.
constexpr int server_reads_per_round_max = 4;

struct Connection {
  explicit Connection(EndFinder::Kind kind) : finder(kind) {}

  int descriptor = -1;
  bool readable = false;  // the socket may have bytes: epoll said so, and no read has come up short since
  bool hung_up = false;   // the peer's end is behind those bytes
  bool full = false;      // did not take all that was sent last, and will become writable
  bool dirty = false;     // among those that are written to at the end of this round
  EndFinder finder;
  Unsent unsent;

  void note(std::uint32_t events) {
    if ((events & EPOLLRDHUP) != 0) hung_up = true;
    if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)) != 0) readable = true;
    if ((events & EPOLLOUT) != 0) full = false;
  }
};

struct Client : Connection {
  Client() : Connection(EndFinder::Kind::commands) {}

  bool ended = false;      // sends nothing more, and is closed when it has all its replies
  bool queued = false;     // among the unfinished
  std::string partial;     // a command whose end has not come
  std::size_t awaits = 0;  // replies
};

/// So many consecutive replies are this client's, who may have gone.
struct Due {
  Client* client;
  std::size_t replies;
};

class Mux {
 public:
  explicit Mux(Ports ports)
      : epoll_(::epoll_create1(EPOLL_CLOEXEC)),
        listener_(listen_on(ports.listen)),
        server_(EndFinder::Kind::replies) {
    server_.descriptor = connect_to(ports.server);
    server_.full = true;  // until it is connected
    watch(epoll_, server_.descriptor, &server_);
    watch_listener(epoll_, listener_);
  }

  [[noreturn]] void run() {
    std::array<epoll_event, 512> events;
    for (;;) {
      const int timeout_ms = unfinished_.empty() && !server_.readable ? -1 : 0;
      const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), timeout_ms);
      if (count < 0 && errno != EINTR) give_up("epoll_wait failed");
      for (int i = 0; i < count; ++i) on_event(events[static_cast<std::size_t>(i)]);
      if (server_.readable) read_server();
      go_on();
      flush_dirty();
      bury();
    }
  }

 private:
  void on_event(const epoll_event& event) {
    if (event.data.ptr == nullptr) {
      accept_clients();
    } else if (event.data.ptr == &server_) {
      if ((event.events & EPOLLERR) != 0) give_up("the server's connection broke");
      server_.note(event.events);
    } else {
      auto& client = *static_cast<Client*>(event.data.ptr);
      client.note(event.events);
      if ((event.events & EPOLLERR) != 0) {
        close(client);
      } else {
        if (!client.unsent.empty() && !client.full) mark(client);
        if (client.readable) read_client(client);
      }
    }
  }

  void accept_clients() {
    for (int descriptor = accept_from(listener_); descriptor >= 0; descriptor = accept_from(listener_)) {
      auto* client = new Client;  // deleted by bury()
      client->descriptor = descriptor;
      watch(epoll_, descriptor, client);
    }
  }

  void read_client(Client& client) {
    const Received received = receive(client.descriptor, buffer_);
    if (received.what == Got::data) {
      if (received.size < buffer_.size() && !client.hung_up) client.readable = false;
      if (!take(client, std::string_view(buffer_.data(), received.size))) {
        close(client);
      } else if (client.readable && !client.queued) {
        client.queued = true;
        unfinished_.push_back(&client);
      }
      return;
    }
    client.readable = false;
    if (received.what == Got::broken) close(client);
    if (received.what == Got::end) {
      client.ended = true;
      mark(client);
    }
  }

  /// Passes whole commands on and keeps the rest; false when this is no command.
  bool take(Client& client, std::string_view data) {
    std::size_t at = 0;
    std::size_t whole = 0;
    std::size_t commands = 0;
    while (at < data.size()) {
      const EndFinder::Step step = client.finder.consume(data.substr(at));
      if (step.state == EndFinder::State::broken) return false;
      at += step.size;
      if (step.state == EndFinder::State::whole) {
        whole = at;
        ++commands;
      }
    }
    if (commands > 0) {
      server_.unsent.append(client.partial);
      server_.unsent.append(data.substr(0, whole));
      client.partial.clear();
      if (client.partial.capacity() > kept_partial_bytes_max) client.partial.shrink_to_fit();
      client.awaits += commands;
      if (!due_.empty() && due_.back().client == &client) {
        due_.back().replies += commands;
      } else {
        due_.push_back({&client, commands});
      }
    }
    client.partial.append(data.substr(whole));
    return true;
  }

  void read_server() {
    for (int reads = 0; reads < server_reads_per_round_max && server_.readable; ++reads) {
      const Received received = receive(server_.descriptor, buffer_);
      if (received.what == Got::end || received.what == Got::broken)
        give_up("the server closed its connection");
      if (received.size < buffer_.size() && !server_.hung_up) server_.readable = false;
      if (received.what == Got::data) give_out(std::string_view(buffer_.data(), received.size));
    }
  }

  /// Copies each reply, or the part of it that is here, to the client that awaits it; neighbours at once.
  void give_out(std::string_view data) {
    std::size_t at = 0;
    while (at < data.size()) {
      if (due_.empty()) give_up("a reply that nobody asked for");
      Due& due = due_.front();
      Client& client = *due.client;
      const std::size_t begin = at;
      while (at < data.size() && due.replies > 0) {
        const EndFinder::Step step = server_.finder.consume(data.substr(at));
        if (step.state == EndFinder::State::broken) give_up("the server sent no reply of RESP2");
        at += step.size;
        if (step.state == EndFinder::State::whole) {
          --due.replies;
          --client.awaits;
        }
      }
      if (due.replies == 0) due_.pop_front();
      if (client.descriptor >= 0) {
        client.unsent.append(data.substr(begin, at - begin));
        mark(client);
      } else if (client.awaits == 0) {
        gone_.push_back(&client);
      }
    }
  }

  /// Another turn for those that had sent more than one read can take.
  void go_on() {
    turn_.swap(unfinished_);
    for (Client* client : turn_) {
      client->queued = false;
      if (client->readable && client->descriptor >= 0) read_client(*client);
    }
    turn_.clear();
  }

  void mark(Client& client) {
    if (client.dirty) return;
    client.dirty = true;
    dirty_.push_back(&client);
  }

  void flush_dirty() {
    if (!flush(server_)) give_up("the server's connection broke");
    for (Client* client : dirty_) {
      client->dirty = false;
      if (client->descriptor < 0) continue;
      const bool done = client->ended && client->awaits == 0;
      if (!flush(*client) || (done && client->unsent.empty())) close(*client);
    }
    dirty_.clear();
  }

  static bool flush(Connection& connection) {
    if (connection.full || connection.unsent.empty()) return true;
    const Flushed flushed = connection.unsent.flush(connection.descriptor);
    connection.full = flushed == Flushed::some;
    return flushed != Flushed::broken;
  }

  /// The replies that it still awaits will come, and are thrown away.
  void close(Client& client) {
    ::close(client.descriptor);
    client.descriptor = -1;
    if (client.awaits == 0) gone_.push_back(&client);
  }

  /// At the end of a round, when nothing names those that have gone any more.
  void bury() {
    if (gone_.empty()) return;
    std::erase_if(unfinished_, [](const Client* client) { return client->descriptor < 0; });
    for (Client* client : gone_) delete client;
    gone_.clear();
  }

  int epoll_;
  int listener_;
  std::array<char, buffer_bytes> buffer_{};
  Connection server_;
  std::deque<Due> due_;
  std::vector<Client*> dirty_;
  std::vector<Client*> unfinished_;
  std::vector<Client*> turn_;
  std::vector<Client*> gone_;
};

}  // namespace
}  // namespace fairlead::bench

int main(int argc, char** argv) {
  static fairlead::bench::Mux mux(fairlead::bench::prepare(argc, argv));
  mux.run();
}
