#include "bench/micro/engine_loop.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>

namespace fairlead::bench {

namespace {

[[noreturn]] void abort_because(const char* why) {
  std::fprintf(stderr, "engine benchmark: %s\n", why);
  std::abort();
}

engine::EngineOptions options() {
  engine::EngineOptions made;
  made.limits.clients_max = 20000;
  return made;
}

}  // namespace

engine::WriteResult MemoryIo::write(engine::ConnId id, std::span<const engine::ConstBytes> buffers) {
  std::size_t total = 0;
  for (const engine::ConstBytes& bytes : buffers) {
    total += bytes.size;
    if (keep && id.side == engine::Side::backend) login.append(bytes.data, bytes.size);
  }
  (id.side == engine::Side::client ? to_clients : to_links) += total;
  return {engine::WriteStatus::done, total};
}

EngineLoop::EngineLoop(std::size_t clients, std::size_t pipeline, std::string_view command,
                       std::string_view reply)
    : engine_(io_, options(), {1, 1}, now_), pipeline_(pipeline), command_bytes_(command.size()) {
  publish();
  for (std::size_t i = 0; i < clients; ++i) clients_.push_back(engine_.on_accept(now_));
  for (std::size_t i = 0; i < pipeline; ++i) batch_ += command;
  for (std::size_t i = 0; i < clients * pipeline; ++i) replies_ += reply;
  // The first command opens the shared link. Each client's first ones are few, as the Engine wants them to
  // be.
  feed(clients_.front(), command);
  turn();
  if (io_.links.size() != 1) abort_because("the shared link was not opened");
  link_ = io_.links.front();
  log_in(link_);
  feed(link_, reply);
  turn();
  for (const engine::ConnId client : clients_) {
    for (std::size_t i = 0; i < 16; ++i) {
      feed(client, command);
      turn();
      feed(link_, reply);
      turn();
    }
  }
  io_.keep = false;
}

void EngineLoop::publish() {
  auto topology = std::make_shared<health::Topology>();
  topology->version = 1;
  topology->commands = resp::CommandTable::built_in();
  health::Shard shard;
  shard.state = health::GroupState::steady;
  shard.route = health::Route{{"server", 6379, false}, "run", "7.0.15", 1, now_};
  topology->shards.push_back(shard);
  engine_.on_topology(topology, now_);
  turn();
}

void EngineLoop::log_in(engine::ConnId link) {
  engine_.on_connected(link, now_);
  turn();
  // fairlead asks for ROLE before the first command, and for nothing else without a password and database.
  if (io_.login.find("ROLE") == std::string::npos) abort_because("the link did not ask for ROLE");
  feed(link, "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n");
  turn();
}

void EngineLoop::feed(engine::ConnId id, std::string_view bytes) {
  while (!bytes.empty()) {
    const engine::MutableBytes space = engine_.read_space(id);
    const std::size_t size = std::min(space.size, bytes.size());
    if (size == 0) abort_because("a connection was closed");
    std::copy_n(bytes.data(), size, space.data);
    engine_.on_bytes(id, size, now_);
    bytes.remove_prefix(size);
  }
}

void EngineLoop::turn() {
  while (engine_.end_turn(now_)) {
  }
}

std::uint64_t EngineLoop::bytes_per_round() const {
  return batch_.size() * clients_.size() + replies_.size();
}

void EngineLoop::round() {
  const std::uint64_t link_before = io_.to_links;
  const std::uint64_t clients_before = io_.to_clients;
  for (const engine::ConnId client : clients_) feed(client, batch_);
  turn();
  if (io_.to_links - link_before != batch_.size() * clients_.size()) abort_because("commands are missing");
  feed(link_, replies_);
  turn();
  if (io_.to_clients - clients_before != replies_.size()) abort_because("replies are missing");
}

}  // namespace fairlead::bench
