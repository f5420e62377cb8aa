#include "tests/sim/world_options.hpp"

namespace fairlead::sim {

namespace {

void draw_engine(Random& random, engine::EngineOptions& engine) {
  if (random.percent(25)) engine.pool_mode = engine::PoolMode::session;
  engine.links_per_server = random.percent(30) ? 3 : 1;
  constexpr Milliseconds holds[] = {Milliseconds(10000), Milliseconds(10000), Milliseconds(30000),
                                    Milliseconds(2000), Milliseconds(300)};
  engine.limits.hold_max = holds[random.below(5)];
  if (random.percent(10)) engine.limits.hold_bytes_max = 2000;
  if (random.percent(15)) engine.limits.pipeline_depth_max = 2;
  if (random.percent(15)) engine.limits.link_backlog_bytes_max = 400;
  if (random.percent(10)) engine.limits.output_pause_bytes = 100;
  // In session mode every client has one for its life: fewer than clients would starve some by the operator's
  // wish.
  if (random.percent(15) && engine.pool_mode == engine::PoolMode::multiplex)
    engine.limits.leased_links_max = 5;
  if (random.percent(20)) engine.limits.drain_grace = Milliseconds(50);
}

void draw_network(Random& random, NetworkOptions& network) {
  if (random.percent(30)) network.delay_max = Microseconds(4000);
  if (random.percent(10)) network.delay_min = network.delay_max = Microseconds(8000);
  if (random.percent(15)) network.loss_percent = 2;
  if (random.percent(30)) network.split_percent = 20;
  if (random.percent(15)) network.bytewise_percent = 20;
}

}  // namespace

WorldOptions draw_options(Random& random) {
  WorldOptions options;
  draw_engine(random, options.engine);
  draw_network(random, options.network);
  options.servers = random.percent(70) ? 3 : 2 + random.below(3);
  options.sentinels = random.percent(80) ? 3 : 5;
  options.proxies = random.percent(80) ? 1 : 2;
  options.workers = random.percent(70) ? 1 : 2;
  options.clients = 4 + random.below(6);
  options.down_after = random.percent(60) ? Milliseconds(1000) : Milliseconds(500);
  options.pipeline_max = 1 + random.below(5);
  options.think_max = random.percent(50) ? Microseconds(200000) : Microseconds(50000);
  if (random.percent(30)) options.short_write_percent = 15;
  options.clients_leave = random.percent(30);
  if (random.percent(20)) {
    options.health.strict = true;
    options.health.lease = Milliseconds(random.between(500, 1500));
  }
  options.planned_only = random.percent(20);
  options.mishaps = 1 + random.below(4);
  if (options.planned_only) {
    // Without lost packets and long queues the gate must always close in time.
    options.mishaps = 1 + random.below(2);
    options.network.loss_percent = 0;
  }
  return options;
}

void draw_more_options(Random random, WorldOptions& options) {
  if (random.percent(25)) options.min_replicas = 1;
}

std::string to_string(const WorldOptions& o) {
  const bool session = o.engine.pool_mode == engine::PoolMode::session;
  return std::to_string(o.servers) + " servers, " + std::to_string(o.sentinels) + " sentinels, " +
         std::to_string(o.proxies) + " proxies of " + std::to_string(o.workers) + " workers, " +
         std::to_string(o.clients) + " clients of pipeline " + std::to_string(o.pipeline_max) + ", pool " +
         (session ? "session" : "multiplex") + ", hold " + std::to_string(o.engine.limits.hold_max.count()) +
         " ms, down-after " + std::to_string(o.down_after.count()) + " ms, " +
         (o.planned_only ? "planned failovers only, " : "") +
         (o.health.strict ? "strict, lease " + std::to_string(o.health.lease.count()) + " ms, " : "") +
         (o.min_replicas > 0 ? "min-replicas-to-write " + std::to_string(o.min_replicas) + ", " : "") +
         std::to_string(o.mishaps) + " mishaps";
}

}  // namespace fairlead::sim
