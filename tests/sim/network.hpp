// Machines, and the connections between them: delays, lost packets, cuts in one direction, machines that are
// stopped, die silently or lose a process. Bytes of one connection arrive in order and unchanged, in pieces;
// what is sent into a cut waits, as TCP does, until the cut is mended or somebody gives up.
//
// Owned by the World. Nobody is called back from inside a call: everything arrives as an event of its own.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sim/digest.hpp"
#include "tests/sim/random.hpp"
#include "tests/sim/schedule.hpp"

namespace fairlead::sim {

using HostId = std::size_t;
using ConnKey = std::uint32_t;

/// Which end of a connection: the one that connected, or the one that listened.
enum class End : std::uint8_t { connector = 0, acceptor = 1 };

enum class Ending : std::uint8_t { end_of_file, reset, timed_out, refused };

/// What one end wants to hear.
struct Handlers {
  std::function<void()> opened;
  std::function<void(std::string_view)> bytes;  // gone when the call ends
  std::function<void(Ending)> ended;            // last; also when connecting failed
};

/// Whether the kernel gives up on a peer that acknowledges nothing (TCP_USER_TIMEOUT, keepalive).
enum class Patience : std::uint8_t { endless, user_timeout };

struct NetworkOptions {
  Microseconds delay_min{50};
  Microseconds delay_max{500};
  std::size_t loss_percent = 0;      // such packets come a retransmission later
  std::size_t split_percent = 0;     // what is sent in one piece arrives in several
  std::size_t bytewise_percent = 0;  // ... byte by byte
};

class Network {
 public:
  Network(Schedule& schedule, Random random, const NetworkOptions& options)
      : schedule_(schedule), random_(random), options_(options) {}

  HostId add_host(std::string name);
  [[nodiscard]] const std::string& name(HostId host) const { return hosts_[host].name; }
  [[nodiscard]] std::size_t host_count() const { return hosts_.size(); }
  /// Who connects to `host` is handed over; without a listener connections are refused.
  void listen(HostId host, std::function<Handlers(ConnKey)> accept) {
    hosts_[host].accept = std::move(accept);
  }
  void stop_listening(HostId host) { hosts_[host].accept = nullptr; }

  ConnKey connect(HostId from, HostId to, Handlers handlers, Patience patience);
  void send(ConnKey key, End end, std::string bytes);
  /// Ends in good order: what was sent before still arrives. Nothing more is reported to this end.
  void close(ConnKey key, End end);
  /// Both ends hear that it is gone.
  void reset(ConnKey key);
  /// What the process of `host` had open ends with it.
  void end_process(HostId host);

  /// A message without a connection, for what servers and Sentinels say among themselves: in order for each
  /// pair, lost in a cut. `lost` is called when that happens, for those who would notice in the end.
  template <typename Call, typename Lost>
  void post(HostId from, HostId to, Call call, Lost lost) {
    schedule_.at(next_post(from, to), [this, from, to, call = std::move(call), lost]() mutable {
      if (!clear(from, to)) return lost();
      run_at(to, std::move(call));
    });
  }
  template <typename Call>
  void post(HostId from, HostId to, Call call) {
    post(from, to, std::move(call), [] {});
  }

  // What goes wrong.
  void cut(HostId from, HostId to) { change(from, to, 1); }
  void mend(HostId from, HostId to) { change(from, to, -1); }
  void stop(HostId host);
  void resume(HostId host);
  /// The machine is gone: its connections stay half open at the other ends.
  void kill_host(HostId host);
  void revive_host(HostId host);
  void set_slowness(int factor) { slowness_ = factor; }
  void mend_all();

  [[nodiscard]] bool stopped(HostId host) const { return hosts_[host].stopped; }
  [[nodiscard]] bool dead(HostId host) const { return hosts_[host].dead; }
  [[nodiscard]] bool blocked(HostId from, HostId to) const;
  [[nodiscard]] bool clear(HostId a, HostId b) const { return !blocked(a, b) && !blocked(b, a); }
  /// Since when packets pass between the two in both directions, and neither is stopped; nullopt: they do
  /// not.
  [[nodiscard]] std::optional<TimePoint> clear_since(HostId a, HostId b) const;
  /// True when for `time` at least nothing that `a` asked of `b` can have been both heard and answered.
  [[nodiscard]] bool mute_for(HostId a, HostId b, health::Duration time) const;
  [[nodiscard]] const NetworkOptions& options() const { return options_; }
  [[nodiscard]] int slowness() const { return slowness_; }
  [[nodiscard]] ConnKey any_connection(HostId a, HostId b);
  /// Of every packet that was sent and every end that was told.
  [[nodiscard]] Digest& digest() { return digest_; }
  [[nodiscard]] std::size_t connections_made() const { return connections_.size(); }

  static constexpr Milliseconds user_timeout{3000};
  static constexpr Milliseconds keepalive{8000};

 private:
  using ListenerPtr = std::shared_ptr<const Handlers>;
  struct Pipe {
    std::deque<std::string> packets;  // an empty one is the end of file
    TimePoint last{};                 // when the newest packet arrives at the earliest
    std::size_t stalled = 0;          // arrived at a cut
    std::optional<TimePoint> unacknowledged_since;
  };
  struct Connection {
    HostId host[2] = {0, 0};
    Pipe pipe[2];             // from that end
    ListenerPtr handlers[2];  // kept by who calls them, over the end of the connection
    bool open[2] = {true, false};
    bool vanished[2] = {false, false};  // its machine died without a word
    bool established = false;
    Patience patience = Patience::endless;
  };
  struct Host {
    std::string name;
    std::function<Handlers(ConnKey)> accept;
    bool stopped = false;
    bool dead = false;
    std::vector<Schedule::Action> backlog;  // while it is stopped
    TimePoint stopped_since{};              // means something while it is stopped
    TimePoint changed{};                    // the last time it was resumed, killed or revived
  };

  [[nodiscard]] Microseconds delay();
  void change(HostId from, HostId to, int by);
  [[nodiscard]] bool runs(HostId host) const {
    const Host& h = hosts_[host];
    return !h.dead && !h.stopped && h.backlog.empty();
  }
  /// Now, or when the machine runs again; never when it is dead.
  template <typename Call>
  void run_at(HostId host, Call call) {
    Host& h = hosts_[host];
    if (h.dead) return;
    if (h.stopped || !h.backlog.empty()) {
      h.backlog.emplace_back(std::move(call));
    } else {
      call();
    }
  }
  [[nodiscard]] TimePoint next_post(HostId from, HostId to);
  void arrive_syn(ConnKey key);
  void put_packet(ConnKey key, int end, std::string&& packet);
  void note(ConnKey key, int end);
  void deliver(ConnKey key, int end);
  void hand_over(ConnKey key, int receiver, std::string_view packet);
  void end(ConnKey key, int end, Ending why);
  void watch_user_timeout(ConnKey key, TimePoint since);
  void watch_keepalive(HostId a, HostId b);
  void acknowledge(Connection& connection, int end);
  void path_mended(HostId a, HostId b);
  void forget_if_done(ConnKey key);
  TimePoint& changed_at(HostId from, HostId to) { return path_changed_[from * hosts_max + to]; }

  static constexpr std::size_t hosts_max = 32;

  Schedule& schedule_;
  Random random_;
  const NetworkOptions options_;
  int slowness_ = 1;
  std::vector<Host> hosts_;
  std::vector<std::unique_ptr<Connection>> connections_;
  int cuts_[hosts_max][hosts_max] = {};
  TimePoint path_changed_[hosts_max * hosts_max] = {};
  TimePoint post_last_[hosts_max * hosts_max] = {};
  Digest digest_;
};

}  // namespace fairlead::sim
