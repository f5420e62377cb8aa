// An Observer with a clock and a set of its own, for the tests of what the admin side tells and does.
#pragma once

#include <boost/json.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "proxy/admin/api.hpp"
#include "proxy/admin/observer.hpp"

namespace fairlead::proxy {

using namespace std::chrono_literals;

/// An Observer with a clock of its own and a set of one master and one replica.
struct Watched {
  Watched() { observer.on_reports({report()}, at()); }

  OutageLog::Moment at() const { return {now, WallTime(1'700'000'000s) + (now - start)}; }
  WorkerReport report() const { return {stats, 4096}; }

  void publish(const std::string& master, health::GroupState state, std::uint64_t term = 1) {
    auto topology = std::make_shared<health::Topology>();
    topology->version = ++version;
    topology->commands = resp::CommandTable::built_in();
    health::Shard shard;
    shard.state = state;
    shard.route = health::Route{{master, 6379, false}, "run-" + master, "7.0.15", term, now};
    for (const std::string host : {"a", "b"}) {
      if (host == unlisted) continue;
      health::ServerView view;
      view.address = {host, 6379, false};
      view.role = host == master ? health::Role::master : health::Role::replica;
      view.reachable = host != dead;
      view.offset = host == master ? 1000 : 900;
      shard.servers.push_back(view);
    }
    topology->shards.push_back(shard);
    topology->sentinels.resize(3);
    for (std::size_t i = 0; i < 3; ++i) {
      topology->sentinels[i].address = {"s" + std::to_string(i), 26379, false};
      topology->sentinels[i].usable = i != 2 || sentinels_all;
    }
    observer.on_topology(topology, at());
  }
  void pass(std::chrono::milliseconds time) {
    now += time;
    observer.on_reports({report()}, at());
  }
  AdminSnapshot snapshot() {
    AdminSnapshot s = observer.snapshot(at());
    return s;
  }

  health::TimePoint start{100h};
  health::TimePoint now = start;
  std::uint64_t version = 0;
  std::string dead;
  std::string unlisted;
  bool sentinels_all = true;
  engine::Stats stats;
  Observer observer{{"1.2.3", 100, 50}, {start, WallTime(1'700'000'000s)}};
};

inline boost::json::object status(const AdminSnapshot& snapshot) {
  return boost::json::parse(api_status(snapshot, {})).as_object();
}

inline std::string line_of(const std::string& text, const std::string& begin) {
  const std::size_t at = text.find("\n" + begin);
  if (at == std::string::npos) return {};
  return text.substr(at + 1, text.find('\n', at + 1) - at - 1);
}

}  // namespace fairlead::proxy
