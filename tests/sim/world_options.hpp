// What one seed's world is like: how many of everything, how the proxy is configured, how good the network
// is, what will go wrong. All of it is drawn from the seed.
#pragma once

#include <string>

#include "health/options.hpp"
#include "proxy/engine/limits.hpp"
#include "tests/sim/network.hpp"
#include "tests/sim/random.hpp"

namespace fairlead::sim {

struct WorldOptions {
  std::size_t servers = 3;
  std::size_t sentinels = 3;
  std::size_t proxies = 1;
  std::size_t workers = 1;
  std::size_t clients = 8;
  engine::EngineOptions engine;
  health::Options health;  // without addresses
  NetworkOptions network;
  Milliseconds down_after{1000};
  Milliseconds failover_timeout{6000};
  std::size_t pipeline_max = 3;
  Microseconds think_max{100000};
  std::size_t short_write_percent = 0;
  bool clients_leave = false;
  std::size_t min_replicas = 0;  // min-replicas-to-write of every server
  /// Nothing goes wrong but planned failovers: then nothing acknowledged may be lost.
  bool planned_only = false;
  std::size_t mishaps = 2;
  Milliseconds trouble_begin{1500};
  Milliseconds trouble_end{9000};  // then everything is mended

  [[nodiscard]] std::size_t quorum() const { return sentinels / 2 + 1; }
};

[[nodiscard]] WorldOptions draw_options(Random& random);
/// What was thought of later is drawn apart, so that a seed's other options stay what they were.
void draw_more_options(Random random, WorldOptions& options);
[[nodiscard]] std::string to_string(const WorldOptions& options);

}  // namespace fairlead::sim
