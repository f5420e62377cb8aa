#include "tests/sim/worker_model.hpp"

#include <algorithm>

#include "tests/sim/world.hpp"

namespace fairlead::sim {

using engine::ConnId;
using engine::Side;
using engine::WriteStatus;
using health::GroupState;

namespace {

constexpr std::size_t turns_in_a_row_max = 10000;

/// What a link says before its first command, and what changes no data wherever it goes.
bool is_harmless(std::string_view name) {
  return name == "HELLO" || name == "AUTH" || name == "ROLE" || name == "SELECT" || name == "CLIENT" ||
         name == "PING" || name == "SUBSCRIBE" || name == "UNSUBSCRIBE";
}

const char* text_of(Ending why) {
  switch (why) {
    case Ending::end_of_file:
      return "end of file";
    case Ending::reset:
      return "connection reset";
    case Ending::timed_out:
      return "timed out";
    case Ending::refused:
      return "connection refused";
  }
  return "unknown";
}

}  // namespace

WorkerModel::WorkerModel(World& world, HostId host, engine::WorkerName name, Signal signal)
    : world_(world), host_(host), signal_(std::move(signal)), random_(world.random().fork()) {
  closed_since_ = world.now();
  engine_ = std::make_unique<engine::Engine>(*this, world.options().engine, name, world.now());
}

WorkerModel::~WorkerModel() = default;

WorkerModel::Stream* WorkerModel::find(ConnId id) {
  const auto found = streams_.find(name(id));
  return found == streams_.end() ? nullptr : found->second.get();
}

// --- Clients

Handlers WorkerModel::accept(ConnKey key) {
  const ConnId id = engine_->on_accept(world_.now());
  if (!id.valid()) {
    world_.network().send(key, End::acceptor, std::string(engine::Engine::refusal()));
    world_.network().close(key, End::acceptor);
    return {};
  }
  auto stream = std::make_unique<Stream>();
  stream->id = id;
  stream->key = key;
  stream->end = End::acceptor;
  stream->connected = true;
  streams_[name(id)] = std::move(stream);
  want_turn();
  return link_handlers(id);
}

Handlers WorkerModel::link_handlers(ConnId id) {
  Handlers handlers;
  handlers.opened = [this, id] {
    Stream* stream = find(id);
    if (stream == nullptr) return;
    stream->connected = true;
    engine_->on_connected(id, world_.now());
    want_turn();
  };
  handlers.bytes = [this, id](std::string_view bytes) { arrived(id, bytes); };
  handlers.ended = [this, id](Ending why) { ended(id, why); };
  return handlers;
}

void WorkerModel::arrived(ConnId id, std::string_view bytes) {
  Stream* stream = find(id);
  if (stream == nullptr) return;
  stream->inbox += bytes;
  feed(id);
}

void WorkerModel::feed(ConnId id) {
  if (stopped_) return;
  for (;;) {
    Stream* stream = find(id);
    if (stream == nullptr || stream->reading == engine::Reading::off) break;
    if (stream->inbox.empty()) {
      if (stream->ended) {
        stream->ended = false;
        engine_->on_end_of_file(id, world_.now());
      }
      break;
    }
    const engine::MutableBytes space = engine_->read_space(id);
    if (space.size == 0) return world_.fail("a connection has no room to receive into");
    const std::size_t size = std::min(space.size, stream->inbox.size());
    std::copy_n(stream->inbox.data(), size, space.data);
    stream->inbox.erase(0, size);
    engine_->on_bytes(id, size, world_.now());
  }
  want_turn();
}

void WorkerModel::ended(ConnId id, Ending why) {
  Stream* stream = find(id);
  if (stream == nullptr) return;
  if (!stream->connected) {
    engine_->on_connect_failed(id, text_of(why), world_.now());
  } else if (why == Ending::end_of_file) {
    stream->ended = true;
    feed(id);
  } else {
    engine_->on_error(id, text_of(why), world_.now());
  }
  want_turn();
}

// --- Turns

void WorkerModel::want_turn() {
  if (turn_wanted_) return;
  turn_wanted_ = true;
  // What arrives within these microseconds is handled in one turn, as one round of the reactor would.
  world_.schedule().after(random_.between(Microseconds(0), Microseconds(30)), [this] { turn(); });
}

void WorkerModel::turn() {
  turn_wanted_ = false;
  if (stopped_) return;
  std::size_t left = turns_in_a_row_max;
  while (engine_->end_turn(world_.now())) {
    if (--left == 0) return world_.fail("a turn never ends: " + describe());
  }
  check_limits();
  arm();
}

void WorkerModel::arm() {
  const auto due = engine_->next_deadline();
  if (due && *due <= world_.now()) world_.fail("I8: a turn leaves undone what was due: " + describe());
  if (due == armed_for_) return;
  armed_for_ = due;
  const std::uint64_t round = ++armed_;
  if (!due) return;
  world_.schedule().at(*due, [this, round] {
    if (round != armed_) return;
    armed_for_.reset();
    want_turn();
  });
}

void WorkerModel::publish(health::TopologyPtr topology) {
  if (stopped_) return;
  const health::Shard& shard = topology->shards.front();
  const bool steady = shard.state == GroupState::steady;
  // A higher term of the same process only affirms it.
  const bool same_route = steady_route_ && shard.route && steady_route_->address == shard.route->address &&
                          steady_route_->run_id == shard.route->run_id;
  if (steady && !same_route) ++route_;
  if (steady) steady_route_ = shard.route;
  if (is_closed_for(world_.options().engine.limits.hold_max, world_.now())) long_closed_until_ = world_.now();
  in_topology_ = true;
  doubted_in_topology_ = false;
  const health::TopologyPtr older = std::exchange(topology_, topology);
  engine_->on_topology(std::move(topology), world_.now());
  in_topology_ = false;
  if (!steady) {
    if (!closed_since_) closed_since_ = world_.now();
  } else if (!doubted_in_topology_) {
    closed_since_.reset();
  }
  want_turn();
}

bool WorkerModel::is_closed_for(health::Duration hold, TimePoint now) const {
  if (closed_since_ && now - *closed_since_ >= hold) return true;
  // Without a word of its Monitor, when the lease has run out.
  const TimePoint lease_until = topology_ ? topology_->shards.front().lease_until : TimePoint::max();
  return lease_until < now && now - lease_until >= hold;
}

bool WorkerModel::closed_for(health::Duration hold, TimePoint now) const {
  // What was answered then may have been on its way since.
  const bool lately = long_closed_until_ && now - *long_closed_until_ <= World::last_word_arrives;
  return lately || is_closed_for(hold, now);
}

void WorkerModel::stop() {
  if (stopped_) return;
  ++armed_;
  engine_->stop();
  stopped_ = true;
}

// --- Io

std::uint64_t WorkerModel::next_client_id() {
  return world_.next_client_id();
}

engine::WriteResult WorkerModel::write(ConnId id, std::span<const engine::ConstBytes> buffers) {
  Stream* stream = find(id);
  if (stream == nullptr) {
    world_.fail("an order for a connection that is closed");
    return {WriteStatus::failed, 0};
  }
  std::string bytes;
  for (const engine::ConstBytes& buffer : buffers) bytes.append(buffer.data, buffer.size);
  const bool part = bytes.size() > 1 && random_.percent(world_.options().short_write_percent);
  const std::size_t size = part ? random_.below(bytes.size()) : bytes.size();
  bytes.resize(size);
  if (id.side == Side::backend) check_dispatch(*stream, bytes);
  if (!bytes.empty()) world_.network().send(stream->key, stream->end, std::move(bytes));
  return {part ? WriteStatus::would_block : WriteStatus::done, size};
}

void WorkerModel::check_dispatch(Stream& stream, std::string_view bytes) {
  const GroupState state = topology_ ? topology_->shards.front().state : GroupState::init;
  const bool revoked = stream.route != route_;
  // The rest of a command that began to leave in time belongs to it.
  const bool in_frame = !stream.sent.empty();
  if (revoked) {
    world_.fail("I3: something is written to a link of server " + std::to_string(stream.server) +
                " whose route was revoked");
  }
  stream.sent.add(bytes);
  bool first = true;
  for (Words words = stream.sent.next(); !words.empty(); words = stream.sent.next()) {
    const std::string_view command = words.front();
    const bool began_before = first && in_frame;
    first = false;
    if (is_harmless(command)) continue;
    if (began_before) continue;
    world_.note_dispatch(host_, stream.server, *topology_, command);
    world_.check_authority(host_, stream.server, *topology_);
    if (state != GroupState::steady) {
      world_.fail("I3: " + std::string(command) + " is dispatched while the state is " +
                  health::to_string(state));
    }
  }
  if (!stream.sent.broken().empty()) world_.fail(stream.sent.broken());
}

void WorkerModel::wait_writable(ConnId id) {
  world_.schedule().after(random_.between(Microseconds(0), Microseconds(5000)), [this, id] {
    if (find(id) == nullptr) return;
    engine_->on_writable(id, world_.now());
    want_turn();
  });
}

void WorkerModel::set_reading(ConnId id, engine::Reading reading) {
  Stream* stream = find(id);
  if (stream == nullptr || stream->reading == reading) return;
  stream->reading = reading;
  if (reading == engine::Reading::off || (stream->inbox.empty() && !stream->ended)) return;
  world_.schedule().after(Microseconds(1), [this, id] { feed(id); });
}

void WorkerModel::connect(ConnId id, const resp::Address& address) {
  auto stream = std::make_unique<Stream>();
  stream->id = id;
  stream->end = End::connector;
  stream->route = route_;
  stream->server = world_.server_at(address);
  stream->key = world_.network().connect(host_, world_.server(stream->server).host(), link_handlers(id),
                                         Patience::user_timeout);
  streams_[name(id)] = std::move(stream);
}

void WorkerModel::close(ConnId id) {
  Stream* stream = find(id);
  if (stream == nullptr) return world_.fail("a connection is closed twice");
  world_.network().close(stream->key, stream->end);
  streams_.erase(name(id));
}

void WorkerModel::signal(const health::Signal& signal) {
  if (in_topology_) doubted_in_topology_ = true;
  if (!closed_since_) closed_since_ = world_.now();
  signal_(signal);
}

// --- Checks

void WorkerModel::check_limits() {
  const engine::Stats& stats = engine_->stats();
  if (stats.desyncs > 0) world_.fail("I6: a link is out of step with its server");
  // What is held is in the buffers, so this bounds both: the budget, and what each client may have besides.
  const auto& limits = world_.options().engine.limits;
  const std::uint64_t each = 256 * 1024;
  const std::uint64_t budget = limits.hold_bytes_max + (stats.clients_now + stats.links_now + 2) * each;
  if (engine_->buffer_bytes() > budget)
    world_.fail("I8: buffers hold " + std::to_string(engine_->buffer_bytes()));
}

std::string WorkerModel::describe() const {
  const engine::Stats& s = engine_->stats();
  return "clients " + std::to_string(s.clients_now) + ", links " + std::to_string(s.links_now) + ", held " +
         std::to_string(s.held_now) + ", state " +
         (topology_ ? health::to_string(topology_->shards.front().state) : "none");
}

}  // namespace fairlead::sim
