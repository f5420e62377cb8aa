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
//   engine_commands.cpp  from a client's bytes to a routed command
//   engine_dispatch.cpp  from a routed command to a request on a link
//   engine_runs.cpp      the same for runs of plain commands, as pipelines are
//   engine_replies.cpp   from a server's bytes to the client's answer
//   engine_login.cpp     AUTH and HELLO AUTH that a server judges
//   engine_subscriptions.cpp  SUBSCRIBE and its like, and the messages
//   engine_hub.cpp       the upstream links of subscriptions
//   engine_failover.cpp  topologies and lost links
//   engine_hold.cpp      what waits for a master: held, dispatched again, answered when its time is over
//   engine_unblock.cpp   blocking commands when the route leaves their server
//   engine_lease.cpp     which link a session sends to; leases; raw sessions
//   engine_tracking.cpp  CLIENT TRACKING: invalidations and who gets them
//   engine_scripts.cpp   scripts that a new master lacks
//   engine_clients.cpp   what one client asks about all others
//   engine_info.cpp      INFO's section, CLIENT PAUSE
//   engine_telemetry.cpp what is told about clients and commands
//   engine_warm.cpp      links that are open before anybody needs them
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/engine/backend_pool.hpp"
#include "proxy/engine/client_line.hpp"
#include "proxy/engine/client_pause.hpp"
#include "proxy/engine/client_query.hpp"
#include "proxy/engine/io.hpp"
#include "proxy/engine/limits.hpp"
#include "proxy/engine/request.hpp"
#include "proxy/engine/router.hpp"
#include "proxy/engine/script_cache.hpp"
#include "proxy/engine/session.hpp"
#include "proxy/engine/stats.hpp"
#include "proxy/engine/telemetry.hpp"
#include "proxy/engine/timer_wheel.hpp"
#include "proxy/engine/user_hub.hpp"
#include "proxy/engine/write_gate.hpp"

namespace fairlead::engine {

/// Which worker of how many an Engine serves, as INFO tells; the first is 1.
struct WorkerName {
  std::uint32_t number = 1;
  std::uint32_t count = 1;
};

/// A frame or reply of this size makes its session heavy: it moves to the bulk lane.
constexpr std::uint64_t bulk_bytes_min = 64 * 1024;
/// Read from a client at once, unless more is missing of a frame or it moves large values: as Redis does
/// (PROTO_IOBUF_LEN). Others have their turn before the rest of a deep pipeline.
constexpr std::size_t read_ahead_bytes = 16 * 1024;
/// Small replies in a row after which a heavy session moves back.
constexpr std::uint32_t light_again_replies = 64;
/// Commands in flight of a session whose replies are large.
constexpr std::uint32_t window_min = 8;
/// Who holds less than this in buffers is never closed because all buffers together are over
/// memory_bytes_max.
constexpr std::uint64_t large_holding_bytes = 64 * 1024;
/// A session that was released for so long had a route, and not only a gate that opened and closed again.
constexpr std::chrono::seconds route_lasted_min{2};

/// How soon the upstream link of subscriptions is tried again when nothing but itself speaks against it.
constexpr std::chrono::seconds hub_retry_pause{1};
/// How soon a shared link that was lost without a new route is opened again when no client asks for it.
constexpr std::chrono::seconds warm_retry_pause{1};

struct HelloArguments;

class Engine {
 public:
  Engine(Io& io, const EngineOptions& options, WorkerName worker, health::TimePoint now);
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
  /// The process did not run for a while, stopped or starved. To be called before anything else of that turn.
  void on_standstill(std::chrono::milliseconds gap, health::TimePoint now);
  void on_topology(health::TopologyPtr topology, health::TimePoint now);
  /// The operator's hand on the gate: commands are held as if there were no master, for hold_max at most.
  void pause(health::TimePoint now);
  void resume();
  /// Limits, the hold time, passwords and refused commands of now on. What a session has begun under the old
  /// ones is not looked at again; the pool mode and the number of links stay.
  void reload(const EngineOptions& options);
  /// Ends every session as soon as it is owed nothing; drained() tells when all are gone.
  void drain(health::TimePoint now);
  [[nodiscard]] bool drained() const { return sessions_.size() == 0; }
  /// Closes everything at once. The Engine takes no events afterwards.
  void stop();

  // --- Other workers
  /// Another worker asks about the clients of this one.
  [[nodiscard]] QueryAnswer answer_query(const ClientQuery& query, health::TimePoint now);
  /// One worker's answer to what this Engine had broadcast. Answers that come too late are dropped.
  void on_query_answer(std::uint64_t query_id, QueryAnswer answer, health::TimePoint now);

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

  /// A client that waits for other workers' answers.
  struct PendingQuery {
    ClientQuery query;
    ConnId session;
    std::uint32_t awaited = 0;  // workers that have not answered
    health::TimePoint deadline{};
    QueryAnswer answer;
  };

  // engine.cpp
  void close_session(Session& session);
  void finish_if_done(Session& session);
  void make_runnable(Session& session);
  void mark_dirty(Session& session);
  void mark_dirty(BackendLink& link);
  void flush(Session& session);
  void flush(BackendLink& link, health::TimePoint now);
  void update_reading(Session& session);
  void release_held();
  void set_wait(Session& session, Wait wait);
  void wake(Session& session, Wait reason);
  void wake_lease_waiters();
  void wake_reply_waiters(BackendLink& link);
  void take_promise(Session& session);
  void stop_reading_and_end(Session& session);

  // engine_commands.cpp
  void run(Session& session, health::TimePoint now);
  bool take_up(Session& session, health::TimePoint now);
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
  [[nodiscard]] BackendLink* usual_link(const Session& session) const;
  BackendLink* link_for(Session& session, RouteKind kind, health::TimePoint now);
  void enter_flight(Session& session, BackendLink& link, Request* request);
  void prime_offset(BackendLink& link);
  void describe(Request& request, const Session& session, const resp::CommandSpec* spec,
                const resp::CommandView& command, Routing routing);
  static void describe_plain(Request& request, const resp::CommandSpec& spec);
  void note_mode(Session& session, const Request& request, Routing routing);
  void append_frame(Session& session, BackendLink& link, Request* request, const resp::CommandResult& read);
  void answer(Session& session, std::string_view reply);
  void reset_session(Session& session);
  void drop_lease(Session& session);
  void end_lease_if_free(Session& session);
  void name_link(Session& session);
  [[nodiscard]] LinkKey key_of(const Session& session) const;
  void hold(Session& session);
  void give_up_hold(Session& session);
  [[nodiscard]] bool held_too_long(const Session& session) const;
  [[nodiscard]] bool had_a_route(const Session& session) const;

  // engine_runs.cpp
  bool pump_run(Session& session, health::TimePoint now);
  void single_out(Request& run);
  void split_runs(BackendLink& link);

  // engine_tracking.cpp
  bool locate_redirect(Session& session, const resp::CommandSpec* spec, const resp::CommandView& command,
                       health::TimePoint now);
  void on_located(Session& session, const PendingQuery& pending);
  bool lose_tracking(Session& session);
  void end_tracking(Session& session);
  bool append_tracking(Session& session, BackendLink& link, Request* request,
                       const resp::CommandView& command);
  void on_push_part(BackendLink& link, const Bytes& part, resp::ScanStatus status);
  void name_redirect(const Session& session, Request& request);
  void track_again(Session& session, BackendLink& link);

  // engine_scripts.cpp
  void note_script(const Session& session, BackendLink& link, resp::CommandId id,
                   const resp::CommandView& command);
  void load_script_again(BackendLink& link, const Request& request);
  std::size_t load_script_of(BackendLink& link, std::string_view frames);
  void learn_script(const Session& session, std::string_view source);
  void load_script(BackendLink& link, std::string_view digest);
  [[nodiscard]] ClientQuery script_query(QueryKind kind, std::string source);
  void hear_of_script(const ClientQuery& query);

  // engine_transactions.cpp
  void keep_queued(Session& session, const Request& request, ReplyKind reply);
  void forget_kept(Session& session);
  [[nodiscard]] const Request* judge_blocks(const BackendLink& link);
  void begin_block_again(Session& session, BackendLink& link);
  void give_up_block(Session& session);
  void abandon_block(Session& session);
  [[nodiscard]] static bool carries_block(const BackendLink& link);

  // engine_login.cpp
  [[nodiscard]] std::string own_objection(const Session& session, const HelloArguments& hello);
  Handled ask_server_to_log_in(Session& session, const resp::CommandSpec& spec,
                               const resp::CommandView& command, health::TimePoint now);
  BackendLink* login_link(health::TimePoint now);
  void on_login_judged(BackendLink& link, Session& session, Request& request);
  [[nodiscard]] UserPtr intern(health::Login login);
  [[nodiscard]] bool authenticated_at_first() const;
  void apply_policy();

  /// Replies that stand in a row in what a link received, whole and ordinary, for one session.
  struct Row {
    Session* session = nullptr;
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    // The front request of the link while some of its replies are counted here and nowhere else.
    Request* run = nullptr;
    std::uint32_t answered = 0;     // of the run
    std::uint32_t reply_bytes = 0;  // of the last one
  };

  // engine_replies.cpp
  void on_link_bytes(BackendLink& link, const Bytes& bytes, health::TimePoint now);
  bool join_row(Row& row, BackendLink& link, const Bytes& bytes, std::uint32_t begin, std::uint32_t size,
                health::TimePoint now);
  bool begin_run(Row& row, BackendLink& link, const Bytes& bytes, std::uint32_t begin, health::TimePoint now);
  void settle_run(Row& row, BackendLink& link, health::TimePoint now);
  void end_row(Row& row, BackendLink& link, const Bytes& bytes, health::TimePoint now);
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
  void after_answer(Session& session);
  void apply_answer(BackendLink& link, Session& session, Request& request);
  void complete_synthesised(BackendLink& link);
  [[nodiscard]] static bool held_before(const Session& session, const Request* request);
  void wait_for_replicas(Request* request, health::TimePoint now);
  void answer_earlier_refusals(Session& session, const Request* until);
  void check_output(Session& session);

  // engine_subscriptions.cpp
  Handled handle_subscription(Session& session, const resp::CommandSpec& spec,
                              const resp::CommandResult& read, health::TimePoint now);
  void submit(Session& session, Request* request, const resp::CommandView& command);
  void submit_again(Session& session, Request* request);
  void complete_subscriptions(UserHub& hub);
  void on_hub_frame(BackendLink& link, const Bytes& part, resp::ScanStatus status, health::TimePoint now);
  [[nodiscard]] bool judge_hub_frame(UserHub& hub, const Bytes& frame, const resp::ReplyScanner& reply);
  [[nodiscard]] bool refuse_overlong(BackendLink& link);
  void fan_out(HubChannel& channel, const Bytes& frame);
  void pass_moved(UserHub& hub, HubChannel& channel);
  void push(Session& session, const Bytes& frame);
  [[nodiscard]] bool follow_raw(BackendLink& link, std::string_view bytes);

  // engine_hub.cpp
  [[nodiscard]] UserHub& hub_of(const Session& session);
  void leave_hub(Session& session);
  void leave_hub_if_idle(Session& session);
  void hold_subscribes(UserHub& hub);
  void mark_dirty(UserHub& hub);
  void tend_hubs(health::TimePoint now);
  void tend(UserHub& hub, health::TimePoint now);
  void forget_if_unused(UserHub& hub);
  void on_hub_ready(UserHub& hub);
  void on_hub_lost(UserHub& hub);
  void refuse_hub(UserHub& hub, const std::string& error);

  // engine_warm.cpp
  void want_warm_links(health::TimePoint from);
  [[nodiscard]] std::optional<health::TimePoint> warm_due() const;
  void open_warm_links(health::TimePoint now);

  // engine_unblock.cpp
  bool await_blocked(BackendLink& link, health::TimePoint now);
  void say_unblock(const BackendLink& link, health::TimePoint now);
  [[nodiscard]] static bool may_be_unblocked(const BackendLink& link);
  [[nodiscard]] static bool unblocked_by_us(const BackendLink& link, std::string_view error);
  bool outlasts_unblocking(BackendLink& link, health::TimePoint now);

  // engine_failover.cpp
  void close_gate(BackendLink& link, health::SignalKind kind, std::string_view detail, health::TimePoint now);
  void send_signal(health::SignalKind kind, const resp::Address& server, std::string_view detail,
                   health::TimePoint now);
  void retire(BackendLink& link, health::TimePoint now);
  void take_back_unsent(BackendLink& link);
  [[nodiscard]] static bool owes_write(const BackendLink& link);
  [[nodiscard]] static bool mid_reply(const BackendLink& link);
  void lose(BackendLink& link, health::TimePoint now);
  void lose_request(BackendLink& link, Request* request, BlockReplay block);
  void lose_owner(Session& session);
  void hold_request(Request* request);
  void answer_request(Request* request, std::string_view reply);
  void refuse_all(BackendLink& link, const std::string& error);
  static void leave_hold(Session& session, const BackendLink& link);
  [[nodiscard]] static bool awaits_later_answers(const Session& session);
  bool dispatch_held(Session& session, health::TimePoint now);
  void append_again(BackendLink& link, Request* request, health::TimePoint now);
  bool select_again(Session& session, Request* request, health::TimePoint now);
  [[nodiscard]] static bool is_pending_login(Session& session, const Request& request);
  bool log_in_again(Session& session, Request* request, health::TimePoint now);
  bool subscribe_again(Session& session, health::TimePoint now);
  void expire_hold();
  void fail_held(Session& session);
  void answer_held(Session& session, Request& request, std::string_view error);
  void on_timer(Timer& timer, health::TimePoint now);
  void on_session_timer(Session& session, health::TimePoint now);
  void watch_time(Session& session, health::TimePoint now);
  void note_weight(Session& session, std::uint32_t replies = 1);
  void become_heavy(Session& session);
  [[nodiscard]] static bool owed_too_much(const BackendLink& link, const Session& session);
  [[nodiscard]] static bool asks_for_few(const BackendLink& link, const Session& session);
  [[nodiscard]] bool over_memory(std::uint64_t held) const;
  /// Buffers, and what is kept of open blocks.
  [[nodiscard]] std::uint64_t memory_in_use() const {
    return buffers_.chunks.bytes_in_use() + stats_.transaction_bytes_now;
  }
  void on_link_timer(BackendLink& link, health::TimePoint now);
  [[nodiscard]] std::string master_down_text() const;

  // engine_clients.cpp
  Handled handle_clients(Session& session, const resp::CommandSpec& spec, const resp::CommandView& command,
                         health::TimePoint now);
  Handled ask_permission(Session& session, Request* request, ClientQuery query, health::TimePoint now);
  bool ask_if_permitted(BackendLink& link, Session& session, Request* request, health::TimePoint now);
  void ask_workers(Session& session, ClientQuery query, health::TimePoint now);
  void finish_query(PendingQuery pending, health::TimePoint now);
  void expire_queries(health::TimePoint now);
  bool finish_in_server(Session& session, Request* request, const PendingQuery& pending,
                        health::TimePoint now);
  bool give_up_query(Request* request);
  void answer_own(Request* request, std::string_view reply);
  [[nodiscard]] ClientFacts facts_of(const Session& session, health::TimePoint now);
  [[nodiscard]] bool matches(const ClientFilter& filter, const Session& session);
  [[nodiscard]] static bool blocked_in_server(const Session& session);
  void answer_locate(const ClientQuery& query, QueryAnswer& answer, health::TimePoint now);
  void answer_unblock(const ClientQuery& query, QueryAnswer& answer);
  [[nodiscard]] bool stopped_by_pause(const Session& session) const;
  void release_paused();
  void adopt_table(std::shared_ptr<const resp::CommandTable> table);
  bool answer_info(Session& session, const resp::CommandView& command);
  [[nodiscard]] std::string info_section() const;
  void add_info(Request& request);

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
  const WorkerName worker_;
  bool draining_ = false;

  HookedList<Session, &Session::wait_hook> held_sessions_;
  HookedList<Session, &Session::wait_hook> subscribers_in_line_;  // hold time over, to subscribe again later
  HookedList<Session, &Session::wait_hook> lease_waiters_;
  HookedList<Session, &Session::wait_hook> backlog_waiters_;
  HookedList<Session, &Session::wait_hook> reply_waiters_;
  ReplyWeight newcomers_;  // what clients get for their first commands
  HookedList<Session, &Session::run_hook> runnable_;
  HookedList<Session, &Session::dirty_hook> dirty_sessions_;
  HookedList<BackendLink, &BackendLink::dirty_hook> dirty_links_;
  std::uint64_t held_bytes_ = 0;

  boost::unordered_flat_map<const health::Login*, std::unique_ptr<UserHub>> hubs_;
  HookedList<UserHub, &UserHub::tend_hook> dirty_hubs_;     // something changed
  HookedList<UserHub, &UserHub::tend_hook> linkless_hubs_;  // wait for a route, or to try again
  std::vector<PendingQuery> queries_;                       // in the order of their deadlines
  std::uint64_t queries_asked_ = 0;
  ClientPause pause_;
  ScriptCache scripts_;
  ConnId unblocker_;                                   // asks the server of the route before this one
  std::optional<health::TimePoint> warm_wanted_from_;  // links may be missing, to be opened then

  ChunkRef receive_chunk_;  // what everybody without unread bytes receives into
  // Instead, for who sends large frames: of the size of the last one, when one of that size is kept. A frame
  // that comes in it whole is not copied. Lent from read_space() to on_bytes(), or to the next read_space()
  // of a client.
  ChunkRef large_receive_chunk_;
  resp::CommandScratch command_scratch_;
  std::array<ConstBytes, gather_max> gathered_;  // here, so that it is not zeroed for each write
  std::string text_;                             // replies and frames made here
  health::TimePoint now_;                        // of the last event
  health::TimePoint last_signal_{};
  bool closed_by_reply_ = false;  // the gate was closed because of an error reply
  health::TimePoint
      replies_believed_from_{};  // after a false alarm, error replies close the gate only from then on
};

}  // namespace fairlead::engine
