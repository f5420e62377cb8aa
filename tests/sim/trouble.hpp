// What goes wrong in a world, and when: drawn from its seed before the story begins. Owned by World::run.
#pragma once

#include "tests/sim/world.hpp"

namespace fairlead::sim {

class Trouble {
 public:
  explicit Trouble(World& world) : world_(world), random_(world.random().fork()) {}

  /// Puts everything that will go wrong into the schedule.
  void plan();

 private:
  void strike();
  void planned_failover();
  void kill_server(std::size_t server);
  void restart_server(std::size_t server, Memory memory, Milliseconds after, Microseconds loading);
  void stop_host(HostId host, Milliseconds length, const std::string& what);
  void kill_machine(std::size_t server);
  void cut_hosts(const std::vector<HostId>& here, const std::vector<HostId>& there, Milliseconds length);
  void cut_one_way();
  void partition();
  void trouble_sentinel();
  void reset_links();
  void kill_proxy();
  [[nodiscard]] std::size_t master() const;
  [[nodiscard]] Milliseconds length(std::int64_t low, std::int64_t high) {
    return Milliseconds(random_.between(low, high));
  }

  World& world_;
  Random random_;
};

}  // namespace fairlead::sim
