#include "proxy/worker.hpp"

#include <unistd.h>

#include <utility>

#include "proxy/socket_names.hpp"

namespace fairlead::proxy {

namespace asio = boost::asio;
using boost::system::error_code;
using engine::ConnId;

namespace {

/// Streams, and Asio's handlers, that are heard before the turn ends.
constexpr std::size_t streams_per_turn_max = 256;
constexpr int handlers_per_turn_max = 256;
/// Turns of streams alone, under load, before timers, messages and new clients are looked for: far less than
/// a millisecond.
constexpr int stream_turns_max = 8;
/// An idle worker has a turn at least each pulse; when none came for standstill_min, it was not allowed to
/// run.
constexpr std::chrono::milliseconds pulse_interval{250};
constexpr std::chrono::milliseconds standstill_min{500};

}  // namespace

Worker::Worker(const engine::EngineOptions& options, engine::WorkerName name, SharedCounts& shared,
               Hooks hooks)
    : work_(context_.get_executor()),
      resolver_(context_),
      tick_(context_),
      pulse_(context_),
      leave_timer_(context_),
      poller_(context_),
      shared_(shared),
      hooks_(std::move(hooks)),
      engine_(*this, options, name, std::chrono::steady_clock::now()) {}

Worker::~Worker() {
  join();
  engine_.stop();
  for (const auto* table : {&clients_, &links_}) {
    for (const Stream& stream : *table) {
      if (stream.id.valid() && stream.descriptor >= 0) ::close(stream.descriptor);
    }
  }
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
  turn_ended_at_ = std::chrono::steady_clock::now();
  arm_pulse();
  while (!stopping_) {
    take_events();
    engine_has_more_ = engine_.end_turn(now());
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
  work_.reset();
  tick_.cancel();
  pulse_.cancel();
  leave_timer_.cancel();
  context_.poll();
}

/// Waits for the first event, unless the Engine has more to do, then takes what else is ready: a fuller turn
/// makes fuller writes. Under load the streams are looked at first: some are ready at each look, and a round
/// of Asio's costs two more system calls.
void Worker::take_events() {
  read_turns_.begin_turn();
  const bool look = streams_busy_ || engine_has_more_ || !read_turns_.empty();
  std::size_t ready = look ? take_streams() : 0;
  if (ready != 0 && ++stream_turns_ < stream_turns_max) return;
  stream_turns_ = 0;
  poller_.wake();
  if (ready != 0 || engine_has_more_) {
    for (int i = 0; i < handlers_per_turn_max && context_.poll_one() != 0; ++i) {
    }
    return;
  }
  context_.run_one();
  ready = take_streams();
  streams_busy_ = ready > 1;
}

/// Those in line, which nobody who comes now may push back, then all until none is ready any more. A stream
/// that is ready alone has no company to wait for.
std::size_t Worker::take_streams() {
  std::size_t count =
      read_turns_.serve([this](ConnId id) { return find(id); }, [this](ConnId id) { receive(id); });
  std::size_t last = 0;
  do {
    last = poller_.dispatch([this](const Poller::Ready& ready) { return on_stream_ready(ready); });
    count += last;
  } while (last != 0 && count > 1 && count < streams_per_turn_max);
  return count;
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
    if (const Stream* stream = find(row.conn)) row.address = names_of_socket(stream->descriptor).address;
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
  const Stream* stream = find(id);
  return stream != nullptr ? names_of_socket(stream->descriptor) : engine::ConnectionNames{};
}

}  // namespace fairlead::proxy
