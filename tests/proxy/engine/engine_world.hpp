// An Engine in a world of memory: clients and servers are strings, time stands still unless a test moves it.
// Every test can run with whole reads, or byte by byte.
#pragma once

#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "proxy/engine/engine.hpp"
#include "resp/command_reader.hpp"

namespace fairlead::engine {

using namespace std::chrono_literals;

/// What the shell would do, written down.
class FakeIo final : public Io {
 public:
  struct Connection {
    std::string written;
    resp::Address address;
    Reading reading = Reading::on;
    bool open = true;
    bool waits_writable = false;
    std::size_t capacity = SIZE_MAX;  // bytes the socket still takes
    bool broken = false;
  };

  WriteResult write(ConnId id, std::span<const ConstBytes> buffers) override {
    Connection& c = at(id);
    REQUIRE(c.open);
    ++writes;
    if (c.broken) return {WriteStatus::failed, 0};
    std::size_t total = 0;
    for (const ConstBytes& b : buffers) {
      const std::size_t room = std::min(b.size, c.capacity);
      c.written.append(b.data, room);
      if (c.capacity != SIZE_MAX) c.capacity -= room;
      total += room;
      if (room < b.size) return {WriteStatus::would_block, total};
    }
    return {WriteStatus::done, total};
  }
  std::uint64_t next_client_id() override { return std::exchange(client_id, client_id + client_id_step); }
  void wait_writable(ConnId id) override { at(id).waits_writable = true; }
  void set_reading(ConnId id, Reading reading) override { at(id).reading = reading; }
  void connect(ConnId id, const resp::Address& address) override {
    at(id).address = address;
    links.push_back(id);
  }
  void close(ConnId id) override { at(id).open = false; }
  void signal(const health::Signal& signal) override { signals.push_back(signal); }
  std::uint32_t broadcast(const ClientQuery& query) override {
    queries.push_back(query);
    return peers;
  }
  ConnectionNames names(ConnId id) override {
    return {"127.0.0.1:" + std::to_string(1000 + id.index), "127.0.0.1:6379", static_cast<int>(id.index),
            false};
  }

  Connection& at(ConnId id) { return connections[{static_cast<int>(id.side), id.index, id.generation}]; }

  std::map<std::tuple<int, std::uint32_t, std::uint32_t>, Connection> connections;
  std::vector<ConnId> links;  // in the order they were opened
  std::vector<health::Signal> signals;
  std::vector<ClientQuery> queries;
  std::uint32_t peers = 0;  // how many other workers there are said to be
  std::uint64_t client_id = 1;
  std::uint64_t client_id_step = 1;
  std::size_t writes = 0;
};

enum class Chunking { whole, single_bytes };

class World {
 public:
  explicit World(EngineOptions options = {}, Chunking chunking = Chunking::whole, WorkerName name = {})
      : engine(io, options, name, now), chunking_(chunking) {
    io.client_id = name.number;  // so that two worlds make no id twice
    io.client_id_step = name.count;
  }

  /// A steady topology with this master.
  void publish(const std::string& host, std::uint64_t term = 1,
               health::GroupState state = health::GroupState::steady) {
    announce(host, term, state);
    turn();
  }

  /// The turn has not ended yet.
  void announce(const std::string& host, std::uint64_t term,
                health::GroupState state = health::GroupState::steady) {
    auto topology = std::make_shared<health::Topology>();
    topology->version = ++version;
    topology->commands = resp::CommandTable::built_in();
    health::Shard shard;
    shard.state = state;
    shard.route = health::Route{{host, 6379, false}, "run-" + host, "7.0.15", term, now};
    topology->shards.push_back(shard);
    engine.on_topology(topology, now);
  }

  /// Strict mode: the same steady master, with a lease.
  void publish_lease(const std::string& host, health::TimePoint lease_until) {
    auto topology = std::make_shared<health::Topology>();
    topology->version = ++version;
    topology->commands = resp::CommandTable::built_in();
    health::Shard shard;
    shard.state = health::GroupState::steady;
    shard.route = health::Route{{host, 6379, false}, "run-" + host, "7.0.15", 1, now};
    shard.lease_until = lease_until;
    topology->shards.push_back(shard);
    engine.on_topology(topology, now);
    turn();
  }

  /// The Monitor has heard of the evidence, and confirms the same master.
  void confirm(const std::string& host, std::uint64_t term = 1) {
    publish(host, term, health::GroupState::suspect);
    publish(host, term);
  }

  ConnId client() {
    const ConnId id = engine.on_accept(now);
    REQUIRE(id.valid());
    io.at(id).open = true;
    return id;
  }

  /// What is read in the middle of a turn; feed() ends it.
  void read(ConnId id, std::string_view bytes) {
    std::size_t fed = 0;
    while (fed < bytes.size() && io.at(id).open) {
      const MutableBytes space = engine.read_space(id);
      REQUIRE(space.size > 0);
      const std::size_t n = std::min(space.size, bytes.size() - fed);
      std::copy_n(bytes.data() + fed, n, space.data);
      engine.on_bytes(id, n, now);
      fed += n;
    }
  }

  void feed(ConnId id, std::string_view bytes) {
    const std::size_t step = chunking_ == Chunking::single_bytes ? 1 : 60000;
    for (std::size_t at = 0; at < bytes.size(); at += step) {
      read(id, bytes.substr(at, step));
      if (chunking_ == Chunking::single_bytes) turn();
    }
    turn();
  }

  void turn() {
    while (engine.end_turn(now)) {
    }
    // What was due is done; otherwise the worker would have one turn after the other for nothing.
    const auto due = engine.next_deadline();
    CHECK((!due || *due > now));
  }

  void pass(std::chrono::milliseconds time) {
    now += time;
    turn();
  }

  /// What was written to the connection since the last call.
  std::string take(ConnId id) { return std::exchange(io.at(id).written, {}); }

  /// The newest link: connected and logged in as a master. Returns its name.
  ConnId log_in(std::size_t link) {
    const ConnId id = io.links.at(link);
    engine.on_connected(id, now);
    turn();
    answer_login(id);
    return id;
  }
  ConnId log_in() { return log_in(io.links.size() - 1); }

  void answer_login(ConnId id) {
    for (const std::string& word : commands(take(id))) {
      if (word == "ROLE") {
        feed(id, "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n");
      } else if (word == "CLIENT ID") {
        feed(id, ":" + std::to_string(700 + id.index) + "\r\n");
      } else if (word.rfind("HELLO", 0) == 0) {
        feed(id, "%1\r\n$6\r\nserver\r\n$5\r\nredis\r\n");
      } else {
        feed(id, "+OK\r\n");
      }
    }
  }

  /// A byte stream as commands, arguments joined by blanks.
  static std::vector<std::string> commands(const std::string& bytes) {
    resp::CommandLimits limits;
    resp::CommandReader reader(limits);
    resp::CommandScratch scratch;
    std::vector<std::string> all;
    std::string_view rest = bytes;
    while (!rest.empty()) {
      const auto r = reader.read(rest, scratch, resp::LoginState::authenticated);
      REQUIRE(r.status == resp::ReadStatus::command);
      CHECK(r.canonical);
      std::string joined;
      for (std::uint32_t i = 0; i < r.command.size(); ++i) {
        joined += (i == 0 ? "" : " ") + std::string(r.command[i]);
      }
      all.push_back(joined);
      rest.remove_prefix(r.frame_bytes);
    }
    return all;
  }
  std::vector<std::string> got(ConnId link) { return commands(take(link)); }

  FakeIo io;
  health::TimePoint now{1h};
  std::uint64_t version = 0;
  Engine engine;

 private:
  Chunking chunking_;
};

using Strings = std::vector<std::string>;

/// A world with a master, and its first shared link ready.
struct ReadyWorld : World {
  explicit ReadyWorld(EngineOptions options = {}, Chunking chunking = Chunking::whole, WorkerName name = {})
      : World(options, chunking, name) {
    publish("a");
    const ConnId first = client();
    feed(first, "GET warm\r\n");
    shared = log_in();
    REQUIRE(got(shared) == Strings{"GET warm"});
    feed(shared, "$-1\r\n");
    REQUIRE(take(first) == "$-1\r\n");
    engine.on_error(first, "gone", now);
    turn();
  }
  /// A client that got a small reply before: it does not stand in line with newcomers.
  ConnId light_client() {
    const ConnId light = client();
    feed(light, "GET light\r\n");
    REQUIRE(got(shared) == Strings{"GET light"});
    feed(shared, "$1\r\nv\r\n");
    REQUIRE(take(light) == "$1\r\nv\r\n");
    return light;
  }

  ConnId shared;
};

}  // namespace fairlead::engine
