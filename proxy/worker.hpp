// One worker: a thread with its own io_context, its sockets and its Engine. The Asio shell around the pure
// Engine: it does what the Engine orders and tells it what happened, and decides nothing.
//
// Everything here runs on the worker's thread, but for the constructor, start(), post() and join(). Workers
// share nothing but immutable topologies, and one counter of clients that is touched when a client comes or
// goes.
#pragma once

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "proxy/engine/engine.hpp"
#include "proxy/listener.hpp"
#include "proxy/poller.hpp"
#include "proxy/read_turns.hpp"
#include "proxy/stream.hpp"

namespace fairlead::proxy {

/// Whether packets can still leave from it.
enum class AddressNow : std::uint8_t { here, gone };

/// The clients of a local address are to go.
struct LeaveOrder {
  std::string address;
  AddressNow now = AddressNow::here;
  std::chrono::milliseconds grace{0};               // for what is in flight; then they are reset
  std::function<void(std::uint32_t clients)> done;  // once, on the worker's thread
};

/// What all workers of the process share.
struct SharedCounts {
  std::atomic<std::uint32_t> clients_max{0};  // a reload may change it
  std::atomic<std::uint32_t> clients{0};
  std::atomic<std::uint64_t> last_client_id{0};
};

class Worker final : private engine::Io {
 public:
  /// Called on the worker's thread.
  struct Hooks {
    std::function<void(const health::Signal&)> signal;
    std::function<void()> drained;  // once, after drain()
  };

  Worker(const engine::EngineOptions& options, engine::WorkerName name, SharedCounts& shared, Hooks hooks);
  ~Worker() override;

  /// Takes over the descriptors; accepts from start() on.
  void add_listener(int descriptor, ListenKind kind);
  /// Whom to ask about other clients: all workers of the process. Before start(); they outlive every thread.
  void set_peers(const std::vector<std::unique_ptr<Worker>>& workers);
  void start();
  /// Runs `task` on the worker's thread, inside a turn.
  template <typename Task>
  void post(Task&& task) {
    boost::asio::post(context_, std::forward<Task>(task));
  }
  /// After post(stop_now): waits for the thread.
  void join();

  // On the worker's thread only, by post().
  void publish(health::TopologyPtr topology);
  void pause();
  void resume();
  void reload(const engine::EngineOptions& options);
  void drain();
  void stop_now();
  void let_go(LeaveOrder order);
  [[nodiscard]] std::uint32_t listeners_open() const;
  [[nodiscard]] const engine::Stats& stats() const { return engine_.stats(); }
  /// What the Engine measured, with the addresses of the clients it names.
  [[nodiscard]] engine::TelemetrySnapshot telemetry();
  /// Closes a client; one that has gone meanwhile is no error.
  void kill(engine::ConnId id) { engine_.on_error(id, "closed by the operator", now()); }
  [[nodiscard]] std::uint64_t buffer_bytes() const { return engine_.buffer_bytes(); }

 private:
  // engine::Io
  engine::WriteResult write(engine::ConnId id, std::span<const engine::ConstBytes> buffers) override;
  void wait_writable(engine::ConnId id) override;
  void set_reading(engine::ConnId id, engine::Reading reading) override;
  void connect(engine::ConnId id, const resp::Address& address) override;
  void close(engine::ConnId id) override;
  void signal(const health::Signal& signal) override;
  std::uint64_t next_client_id() override { return ++shared_.last_client_id; }
  std::uint32_t broadcast(const engine::ClientQuery& query) override;
  engine::ConnectionNames names(engine::ConnId id) override;

  void run();
  void take_events();
  std::size_t take_streams();
  void arm_tick();
  void arm_pulse();
  health::TimePoint now();

  void on_accepted(int descriptor, ListenKind kind);
  Stream& add_stream(engine::ConnId id, int descriptor);
  Stream* find(engine::ConnId id);
  [[nodiscard]] int wait_for(Stream& stream, Poller::Interest wanted);
  bool on_stream_ready(const Poller::Ready& ready);
  void receive(engine::ConnId id);
  void resolve(engine::ConnId id, const resp::Address& address);
  void connect_to(engine::ConnId id, const boost::asio::generic::stream_protocol::endpoint& endpoint);
  void connect_failed(engine::ConnId id, std::string why);
  void on_connect_ready(Stream& stream);
  void check_leaving();
  void finish_leaving();

  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  boost::asio::ip::tcp::resolver resolver_;
  boost::asio::steady_timer tick_;
  boost::asio::steady_timer pulse_;  // so that a turn never comes late because nothing happened
  boost::asio::steady_timer leave_timer_;
  Poller poller_;
  int stream_turns_ = 0;       // in a row, without a look at the io_context
  bool streams_busy_ = false;  // several were ready at once
  bool engine_has_more_ = false;
  ReadTurns read_turns_;
  LeaveOrder leave_;                     // while leave_.done is set
  std::vector<engine::ConnId> leaving_;  // that are not closed yet
  std::uint32_t leaving_count_ = 0;
  health::TimePoint tick_at_{};
  bool tick_armed_ = false;
  SharedCounts& shared_;
  Hooks hooks_;
  std::vector<Worker*> peers_;
  health::TimePoint now_{};
  health::TimePoint turn_ended_at_{};
  engine::Histogram turns_;  // how long they took, without the waiting for the first event
  bool now_known_ = false;
  bool draining_ = false;
  bool stopping_ = false;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::vector<Stream> clients_;  // by ConnId::index
  std::vector<Stream> links_;
  engine::Engine engine_;
  std::thread thread_;
};

}  // namespace fairlead::proxy
