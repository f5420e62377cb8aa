// An Engine between clients and a server that are nothing but memory: what a command costs in fairlead
// itself, without sockets and system calls. The server answers each read with a prepared reply. Owned by a
// benchmark; one thread; reads no clock; aborts when anything is not as it must be, since a figure of a
// broken run is worse than none.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/engine/engine.hpp"

namespace fairlead::bench {

/// Counts what is written to clients and to the link; keeps the bytes of the login only.
class MemoryIo final : public engine::Io {
 public:
  std::uint64_t next_client_id() override { return ++last_client_id_; }
  engine::WriteResult write(engine::ConnId id, std::span<const engine::ConstBytes> buffers) override;
  void wait_writable(engine::ConnId) override {}
  void set_reading(engine::ConnId, engine::Reading) override {}
  void connect(engine::ConnId id, const resp::Address&) override { links.push_back(id); }
  void close(engine::ConnId) override {}
  void signal(const health::Signal&) override {}
  std::uint32_t broadcast(const engine::ClientQuery&) override { return 0; }
  engine::ConnectionNames names(engine::ConnId) override { return {}; }

  std::vector<engine::ConnId> links;
  std::string login;  // what was written to links while `keep` is on
  bool keep = true;
  std::uint64_t to_clients = 0;
  std::uint64_t to_links = 0;

 private:
  std::uint64_t last_client_id_ = 0;
};

/// `clients` sessions that each send `pipeline` times `command` in a turn, and get `reply` for each.
class EngineLoop {
 public:
  EngineLoop(std::size_t clients, std::size_t pipeline, std::string_view command, std::string_view reply);

  /// One turn of all clients and one of the server. Aborts unless all bytes arrived on both sides.
  void round();
  [[nodiscard]] std::uint64_t commands_per_round() const { return clients_.size() * pipeline_; }
  [[nodiscard]] std::uint64_t bytes_per_round() const;
  /// A round before and after which the same memory is in use.
  [[nodiscard]] std::uint64_t buffer_bytes() const { return engine_.buffer_bytes(); }

 private:
  void feed(engine::ConnId id, std::string_view bytes);
  void turn();
  void publish();
  void log_in(engine::ConnId link);

  MemoryIo io_;
  health::TimePoint now_{std::chrono::hours(1)};
  engine::Engine engine_;
  std::vector<engine::ConnId> clients_;
  engine::ConnId link_;
  std::size_t pipeline_;
  std::string batch_;    // of one client
  std::string replies_;  // of all
  std::size_t command_bytes_;
};

}  // namespace fairlead::bench
