// One worker's whole proxy logic, without I/O: bytes, connection events, topologies and the time go in;
// bytes, connect and close orders and signals come out through Io. The same object runs in production and in
// the simulator.
//
// Owned by a Worker (or a test); lives on one thread; never reads a clock, a socket or a file, never logs.
//
// A turn: the shell delivers any number of on_* events, then calls end_turn() once. Nothing is written before
// that; so what all clients said in one turn leaves in one write per link, and what a link answered in one
// write per client.
//
//   engine.cpp           connections, turns, flushing
//   engine_commands.cpp  from a client's bytes to a dispatched request
//   engine_replies.cpp   from a server's bytes to the client's answer
//   engine_login.cpp     AUTH and HELLO AUTH that a server judges
//   engine_failover.cpp  topologies, lost links, holding and dispatching again
//   engine_telemetry.cpp what is told about clients and commands
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "proxy/engine/backend_pool.hpp"
#include "proxy/engine/io.hpp"
#include "proxy/engine/limits.hpp"
#include "proxy/engine/request.hpp"
#include "proxy/engine/router.hpp"
#include "proxy/engine/session.hpp"
#include "proxy/engine/stats.hpp"
#include "proxy/engine/telemetry.hpp"
#include "proxy/engine/timer_wheel.hpp"
#include "proxy/engine/write_gate.hpp"

namespace fairlead::engine {

/// CLIENT ID is unique in the process: worker `first` of `step` counts first, first + step, ...
struct ClientIds {
  std::uint64_t first = 1;
  std::uint64_t step = 1;
};

/// A frame or reply of this size makes its session heavy: it moves to the bulk lane.
constexpr std::uint64_t bulk_bytes_min = 64 * 1024;
/// Small replies in a row after which a heavy session moves back.
constexpr std::uint32_t light_again_replies = 64;
/// Commands in flight of a session whose replies are large.
constexpr std::uint32_t window_min = 8;
/// Who holds less than this in buffers is never closed because all buffers together are over
/// memory_bytes_max.
constexpr std::uint64_t large_holding_bytes = 64 * 1024;

class Engine {
 public:
  Engine(Io& io, const EngineOptions& options, ClientIds ids, health::TimePoint now);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // --- Clients
  /// A client connected. No name when clients_max are there: the shell then sends refusal() and closes.
  [[nodiscard]] ConnId on_accept(health::TimePoint now);
  [[nodiscard]] static std::string_view refusal();
  /// A client that the shell turned away itself, over the process' limit.
  void count_refused() { ++stats_.clients_refused; }

  // --- Links
  void on_connected(ConnId id, health::TimePoint now);
  void on_connect_failed(ConnId id, std::string_view why, health::TimePoint now);

  // --- Both
  /// Where to receive the next bytes of `id`; valid until the next call into the Engine. Empty for a name of
  /// the past.
  [[nodiscard]] MutableBytes read_space(ConnId id);
  /// `size` bytes were received into read_space(id).
  void on_bytes(ConnId id, std::size_t size, health::TimePoint now);
  /// The peer will send nothing more.
  void on_end_of_file(ConnId id, health::TimePoint now);
  /// The connection is dead.
  void on_error(ConnId id, std::string_view why, health::TimePoint now);
  void on_writable(ConnId id, health::TimePoint now);

  // --- Control
  void on_topology(health::TopologyPtr topology, health::TimePoint now);
  /// Ends every session as soon as it is owed nothing; drained() tells when all are gone.
  void drain(health::TimePoint now);
  [[nodiscard]] bool drained() const { return sessions_.size() == 0; }
  /// Closes everything at once. The Engine takes no events afterwards.
  void stop();

  // --- Turns and time
  /// Handles what is due, then writes. True when there is more to do at once.
  [[nodiscard]] bool end_turn(health::TimePoint now);
  /// When the shell must call end_turn() although nothing happened; nullopt: never.
  [[nodiscard]] std::optional<health::TimePoint> next_deadline() const;

  [[nodiscard]] const Stats& stats() const { return stats_; }
  /// A copy of all that was measured, and of the clients that have the most to do.
  [[nodiscard]] TelemetrySnapshot telemetry(health::TimePoint now);
  [[nodiscard]] std::uint64_t buffer_bytes() const { return buffers_.chunks.bytes_in_use(); }

 private:
  enum class Handled : std::uint8_t { consumed, wait };
  enum class CloseReason : std::uint8_t { peer, finished, limit };

  template <typename T, ListHook T::*Hook>
  using HookedList = boost::intrusive::list<T, boost::intrusive::member_hook<T, ListHook, Hook>,
                                            boost::intrusive::constant_time_size<false>>;

  // engine.cpp
  void close_session(Session& session);
  void finish_if_done(Session& session);
  void make_runnable(Session& session);
  void mark_dirty(Session& session);
  void mark_dirty(BackendLink& link);
  void flush(Session& session);
  void flush(BackendLink& link, health::TimePoint now);
  void after_flush(Session& session);
  void update_reading(Session& session);
  void release_held();
  void set_wait(Session& session, Wait wait);
  void wake(Session& session, Wait reason);
  void wake_lease_waiters();
  void stop_reading_and_end(Session& session);

  // engine_commands.cpp
  void run(Session& session, health::TimePoint now);
  void pump(Session& session, health::TimePoint now);
  Handled handle(Session& session, const resp::CommandResult& read, health::TimePoint now);
  Handled handle_local(Session& session, const resp::CommandSpec& spec, const resp::CommandView& command,
                       health::TimePoint now);
  Handled handle_select(Session& session, const resp::CommandView& command, health::TimePoint now);
  Handled handle_discarded(Session& session, resp::CommandId id);
  Handled dispatch(Session& session, const resp::CommandSpec* spec, const resp::CommandResult& read,
                   Routing routing, health::TimePoint now);
  Handled dispatch_raw(Session& session, const resp::CommandResult& read, health::TimePoint now);
  bool may_dispatch(Session& session, health::TimePoint now, Handled* handled);
  BackendLink* link_for(Session& session, RouteKind kind, health::TimePoint now);
  void prime_offset(BackendLink& link);
  void describe(Request& request, const Session& session, const resp::CommandSpec* spec,
                const resp::CommandView& command, Routing routing);
  void note_mode(Session& session, const Request& request, Routing routing);
  void append_frame(Session& session, BackendLink& link, Request* request, const resp::CommandResult& read);
  void answer(Session& session, std::string_view reply);
  void reset_session(Session& session);
  void drop_lease(Session& session);
  void end_lease_if_free(Session& session);
  [[nodiscard]] LinkKey key_of(const Session& session) const;
  void hold(Session& session);
  void give_up_hold(Session& session);
  [[nodiscard]] bool held_too_long(const Session& session) const;

  // engine_login.cpp
  Handled ask_server_to_log_in(Session& session, const resp::CommandSpec& spec,
                               const resp::CommandView& command, health::TimePoint now);
  void on_login_judged(BackendLink& link, Session& session, Request& request);
  [[nodiscard]] UserPtr intern(health::Login login);
  [[nodiscard]] bool authenticated_at_first() const;
  void apply_policy();

  // engine_replies.cpp
  void on_link_bytes(BackendLink& link, const Bytes& bytes, health::TimePoint now);
  void on_login_reply(BackendLink& link, health::TimePoint now);
  void on_ready(BackendLink& link);
  void on_reply_part(BackendLink& link, const Bytes& part, resp::ScanStatus status, health::TimePoint now);
  void on_subscriber_frame(BackendLink& link, const Bytes& part, resp::ScanStatus status,
                           health::TimePoint now);
  void on_error_reply(BackendLink& link, Request* request, health::TimePoint now);
  void complete(BackendLink& link, Request* request, health::TimePoint now);
  void on_unexpected(BackendLink& link, health::TimePoint now);
  void confirm(BackendLink& link, Request* request, health::TimePoint now);
  void deliver(Session& session, Request* request, const Bytes& part);
  void pass_assembly(BackendLink& link, Session& session);
  void answered(Session& session, Request* request);
  void apply_answer(BackendLink& link, Session& session, Request& request);
  void complete_synthesised(BackendLink& link);
  [[nodiscard]] static bool held_before(const Session& session, const Request* request);
  void answer_earlier_refusals(Session& session, const Request* until);
  void check_output(Session& session);

  // engine_failover.cpp
  void close_gate(BackendLink& link, health::SignalKind kind, std::string_view detail, health::TimePoint now);
  void send_signal(health::SignalKind kind, const resp::Address& server, std::string_view detail,
                   health::TimePoint now);
  void retire(BackendLink& link, health::TimePoint now);
  void take_back_unsent(BackendLink& link);
  void lose(BackendLink& link, health::TimePoint now);
  void lose_request(BackendLink& link, Request* request);
  void lose_owner(Session& session);
  void hold_request(Request* request);
  void answer_request(Request* request, std::string_view reply);
  void refuse_all(BackendLink& link, const std::string& error);
  bool dispatch_held(Session& session, health::TimePoint now);
  bool select_again(Session& session, Request* request, health::TimePoint now);
  [[nodiscard]] static bool is_pending_login(Session& session, const Request& request);
  bool log_in_again(Session& session, Request* request, health::TimePoint now);
  bool subscribe_again(Session& session, health::TimePoint now);
  void expire_hold();
  void fail_held(Session& session);
  void on_timer(Timer& timer, health::TimePoint now);
  void on_session_timer(Session& session, health::TimePoint now);
  void watch_time(Session& session, health::TimePoint now);
  void note_weight(Session& session);
  void become_heavy(Session& session);
  [[nodiscard]] bool over_memory(std::uint64_t held) const;
  void on_link_timer(BackendLink& link, health::TimePoint now);
  [[nodiscard]] std::string master_down_text() const;

  Io& io_;
  EngineOptions options_;
  Stats stats_;
  Telemetry telemetry_;
  BufferPool buffers_;
  RequestSlab slab_;
  TimerWheel wheel_;
  BackendPool pool_;
  WriteGate gate_;
  health::TopologyPtr topology_;
  std::shared_ptr<const resp::CommandTable> table_;      // with the operator's list of refused commands
  std::shared_ptr<const resp::CommandTable> policy_of_;  // the table it was made from
  std::vector<std::string> denied_by_default_;
  boost::unordered_flat_map<std::string, std::weak_ptr<const health::Login>>
      users_;  // by name, NUL, password

  SlotArray<Session> sessions_{Side::client};
  std::vector<std::unique_ptr<Session>> closed_sessions_;  // freed at the end of the turn
  ClientIds ids_;
  bool draining_ = false;

  HookedList<Session, &Session::wait_hook> held_sessions_;
  HookedList<Session, &Session::wait_hook> subscribers_in_line_;  // hold time over, to subscribe again later
  HookedList<Session, &Session::wait_hook> lease_waiters_;
  HookedList<Session, &Session::wait_hook> backlog_waiters_;
  HookedList<Session, &Session::run_hook> runnable_;
  HookedList<Session, &Session::dirty_hook> dirty_sessions_;
  HookedList<BackendLink, &BackendLink::dirty_hook> dirty_links_;
  std::uint64_t held_bytes_ = 0;

  ChunkRef receive_chunk_;  // what everybody without unread bytes receives into
  resp::CommandScratch command_scratch_;
  std::string text_;       // replies and frames made here
  health::TimePoint now_;  // of the last event
  health::TimePoint last_signal_{};
  bool closed_by_reply_ = false;  // the gate was closed because of an error reply
  health::TimePoint
      replies_believed_from_{};  // after a false alarm, error replies close the gate only from then on
};

}  // namespace fairlead::engine
