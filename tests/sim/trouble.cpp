#include "tests/sim/trouble.hpp"

namespace fairlead::sim {

void Trouble::plan() {
  const WorldOptions& options = world_.options();
  for (std::size_t i = 0; i < options.mishaps; ++i) {
    const auto when =
        Milliseconds(random_.between(options.trouble_begin.count(), options.trouble_end.count()));
    world_.schedule().after(when - Milliseconds(400), [random = random_.next(), &world = world_] {
      Trouble again(world);
      again.random_ = Random(random);
      again.strike();
    });
  }
}

/// The server that Sentinel, or at least the first of them, thinks is the master.
std::size_t Trouble::master() const {
  return world_.sentinel(0).master();
}

void Trouble::strike() {
  if (world_.mended_at_ != TimePoint{}) return;
  if (world_.options().planned_only) return planned_failover();
  switch (random_.below(13)) {
    case 0:
    case 1:
      return kill_server(master());
    case 2:
      return kill_server(random_.below(world_.options().servers));
    case 3:
      return stop_host(master(), length(50, 6000), "the master is stopped");
    case 4:
      return kill_machine(random_.percent(60) ? master() : random_.below(world_.options().servers));
    case 5:
      return planned_failover();
    case 6:
      return cut_one_way();
    case 7:
    case 8:
      return partition();
    case 9:
      return trouble_sentinel();
    case 10:
      return reset_links();
    case 11:
      return kill_proxy();
    default:
      world_.note_mishap(Milliseconds(3000), "the network is slow");
      world_.network().set_slowness(static_cast<int>(random_.between(5, 40)));
      world_.schedule().after(length(100, 3000), [&world = world_] { world.network().set_slowness(1); });
  }
}

void Trouble::planned_failover() {
  const std::size_t sentinel = random_.below(world_.options().sentinels);
  // Two at once, asked of different Sentinels, or one asked of a Sentinel that missed an election, can leave
  // two masters at one epoch for good: an operator's mistake.
  const SentinelNode& asked = world_.sentinel(sentinel);
  for (std::size_t i = 0; i < world_.options().sentinels; ++i) {
    const SentinelNode& other = world_.sentinel(i);
    const bool meet = i == sentinel || world_.network().clear_since(asked.host(), other.host());
    const bool agree = other.alive() && other.failover() == Failover::none && meet &&
                       other.config_epoch() <= asked.config_epoch() &&
                       other.current_epoch() <= asked.current_epoch();
    if (!agree) return;
  }
  if (world_.sentinel(sentinel).force_failover()) {
    world_.trace("SENTINEL FAILOVER is said to sentinel " + std::to_string(sentinel));
  }
}

void Trouble::kill_server(std::size_t server) {
  if (!world_.server(server).alive()) return;
  const bool soon = random_.percent(30);
  const auto after = soon ? length(50, 700) : length(1500, 8000);
  world_.note_mishap(after, "server " + std::to_string(server) + " is killed");
  world_.server(server).kill();
  const Memory memory = random_.percent(soon ? 50 : 20) ? Memory::lost : Memory::kept;
  const auto loading = random_.percent(30) ? Microseconds(random_.between(50000, 3000000)) : Microseconds(0);
  restart_server(server, memory, after, loading);
}

void Trouble::restart_server(std::size_t server, Memory memory, Milliseconds after, Microseconds loading) {
  world_.schedule().after(after, [&world = world_, server, memory, loading] {
    RedisNode& node = world.server(server);
    if (node.alive() || world.mended_at_ != TimePoint{}) return;
    if (memory == Memory::lost) world.erased_.push_back(world.now());
    node.start(memory, loading);
  });
}

void Trouble::stop_host(HostId host, Milliseconds length, const std::string& what) {
  world_.note_mishap(length, what);
  world_.network().stop(host);
  world_.schedule().after(length, [&world = world_, host] { world.network().resume(host); });
}

void Trouble::kill_machine(std::size_t server) {
  RedisNode& node = world_.server(server);
  if (!node.alive()) return;
  const auto after = length(500, 8000);
  world_.note_mishap(after, "the machine of server " + std::to_string(server) + " dies");
  // The process is gone, and the machine says nothing about it.
  world_.network().kill_host(node.host());
  node.kill();
  world_.schedule().after(after,
                          [&world = world_, host = node.host()] { world.network().revive_host(host); });
  restart_server(server, random_.percent(20) ? Memory::lost : Memory::kept, after + length(0, 300),
                 Microseconds(0));
}

void Trouble::cut_hosts(const std::vector<HostId>& here, const std::vector<HostId>& there,
                        Milliseconds length) {
  Network& network = world_.network();
  for (const HostId a : here) {
    for (const HostId b : there) {
      network.cut(a, b);
      network.cut(b, a);
    }
  }
  world_.schedule().after(length, [&world = world_, here, there] {
    if (world.mended_at_ != TimePoint{}) return;
    for (const HostId a : here) {
      for (const HostId b : there) {
        world.network().mend(a, b);
        world.network().mend(b, a);
      }
    }
  });
}

void Trouble::cut_one_way() {
  const HostId proxy = world_.proxies()[random_.below(world_.proxies().size())]->host();
  const HostId ends[] = {world_.server(master()).host(), proxy, random_.below(world_.client_host())};
  const HostId from = ends[random_.below(3)];
  const HostId to = ends[random_.below(3)];
  if (from == to) return;
  const auto time = length(50, 6000);
  world_.note_mishap(time, "packets from " + world_.network().name(from) + " to " +
                               world_.network().name(to) + " are dropped");
  world_.network().cut(from, to);
  world_.schedule().after(time, [&world = world_, from, to] {
    if (world.mended_at_ == TimePoint{}) world.network().mend(from, to);
  });
}

void Trouble::partition() {
  const WorldOptions& options = world_.options();
  std::vector<HostId> here;
  std::vector<HostId> there;
  const std::size_t how = random_.below(5);
  for (HostId host = 0; host < world_.client_host(); ++host) {
    const bool is_master = host == world_.server(master()).host();
    const bool is_server = host < options.servers;
    const bool is_sentinel = !is_server && host < options.servers + options.sentinels;
    const bool is_proxy = !is_server && !is_sentinel;
    bool inside = false;
    if (how == 0) inside = is_master;
    if (how == 1) inside = is_master || is_proxy;
    if (how == 2) inside = is_proxy;
    if (how == 3) inside = is_sentinel && random_.percent(50);
    if (how == 4) inside = random_.percent(40);
    (inside ? here : there).push_back(host);
  }
  constexpr const char* names[] = {"the master alone", "the master and the proxies alone",
                                   "the proxies alone", "some sentinels alone", "a random partition"};
  const auto time = length(100, 7000);
  world_.note_mishap(time, names[how]);
  cut_hosts(here, there, time);
}

void Trouble::trouble_sentinel() {
  SentinelNode& sentinel = world_.sentinel(random_.below(world_.options().sentinels));
  const std::string name = "sentinel " + std::to_string(sentinel.index());
  if (!sentinel.alive()) return;
  switch (random_.below(3)) {
    case 0:
      world_.note_mishap(Milliseconds(3000), name + " is killed");
      sentinel.kill();
      world_.schedule().after(length(200, 6000), [&sentinel] { sentinel.start(); });
      return;
    case 1:
      return stop_host(sentinel.host(), length(100, 6000), name + " is stopped");
    default:
      world_.note_mishap(Milliseconds(3000), name + " is in TILT");
      sentinel.enter_tilt(Microseconds(random_.between(500000, 6000000)));
  }
}

void Trouble::kill_proxy() {
  const std::size_t index = random_.below(world_.options().proxies);
  if (!world_.proxies()[index]->running()) return;
  const auto away = length(20, 2000);
  world_.note_mishap(away, "proxy " + std::to_string(index) + " is killed");
  world_.kill_proxy(index, away);
}

void Trouble::reset_links() {
  const HostId proxy = world_.proxies()[random_.below(world_.proxies().size())]->host();
  world_.note_mishap(Milliseconds(1000), "connections of a proxy are reset");
  for (std::size_t i = 1 + random_.below(5); i > 0; --i) {
    const ConnKey key = world_.network().any_connection(proxy, random_.below(world_.client_host()));
    if (key < world_.network().connections_made()) world_.network().reset(key);
  }
}

}  // namespace fairlead::sim
