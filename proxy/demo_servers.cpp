#include "proxy/demo_servers.hpp"

#include <cassert>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <thread>
#include <utility>

#include "proxy/child_process.hpp"
#include "proxy/loopback.hpp"

namespace fairlead::proxy {
namespace {

using std::chrono::steady_clock;
constexpr std::chrono::milliseconds poll_interval{20};
constexpr std::chrono::seconds ready_max{20};
constexpr std::chrono::seconds end_grace{2};
constexpr int redis_count = 3;
constexpr int sentinel_count = 3;

/// Asks `command` until the answer contains `wanted`. False when it did not within ready_max, or on a stop.
bool wait_for_answer(std::uint16_t port, const char* command, const char* wanted,
                     const DemoServers::Stopped& stopped) {
  const auto deadline = steady_clock::now() + ready_max;
  while (steady_clock::now() < deadline && !stopped()) {
    const auto answer = ask_redis(port, command);
    if (answer && answer->find(wanted) != std::string::npos) return true;
    std::this_thread::sleep_for(poll_interval);
  }
  return false;
}

std::string last_line_of(const std::string& path) {
  std::ifstream file(path);
  std::string last;
  for (std::string line; std::getline(file, line);) {
    if (!line.empty()) last = line;
  }
  return last.empty() ? "it wrote no log" : last;
}

std::string address_text(std::uint16_t port) {
  return "127.0.0.1:" + std::to_string(port);
}

}  // namespace

DemoServers::~DemoServers() {
  assert(servers_.empty() && "stop() was not called");
}

std::string DemoServers::log_file(const std::string& name) const {
  return directory_ + "/" + name + ".log";
}

std::optional<std::string> DemoServers::make_directory() {
  std::error_code error;
  const auto parent = std::filesystem::temp_directory_path(error);
  std::string path = (error ? std::filesystem::path("/tmp") : parent) / "fairlead-demo-XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) {
    return "no temporary directory " + path + ": " + std::strerror(errno) +
           "; set TMPDIR to one that is writable";
  }
  directory_ = path;
  return std::nullopt;
}

std::optional<std::string> DemoServers::start(const Stopped& stopped) {
  for (const char* program : {"redis-server", "redis-sentinel"}) {
    if (find_program(program).empty()) {
      return std::string(program) +
             " is not in PATH; on Debian: apt-get install redis-server redis-sentinel redis-tools"
             " (both packages also start a server of their own on ports 6379 and 26379)";
    }
  }
  if (auto failure = make_directory()) return failure;
  for (int number = 1; number <= redis_count; ++number) {
    if (auto failure = start_redis(number, stopped)) return failure;
  }
  // Sentinel looks for replicas when it starts and every ten seconds: one that is already there is seen at
  // once.
  for (std::size_t i = 1; i < redis_ports_.size(); ++i) {
    if (!wait_for_answer(redis_ports_[i], "INFO replication", "master_link_status:up", stopped)) {
      return "the replica on " + address_text(redis_ports_[i]) + " did not come into sync with its master";
    }
  }
  for (int number = 1; number <= sentinel_count; ++number) {
    if (auto failure = start_sentinel(number, stopped)) return failure;
  }
  for (const std::uint16_t port : sentinel_ports_) {
    if (!wait_for_answer(port, "INFO sentinel", "slaves=2,sentinels=3", stopped)) {
      return "the Sentinel on " + address_text(port) + " does not see two replicas and three Sentinels";
    }
  }
  return std::nullopt;
}

std::optional<std::string> DemoServers::start_redis(int number, const Stopped& stopped) {
  // Without the delay a replica is in sync at once; without snapshots nothing is written that nobody reads
  // again.
  std::string settings = "save \"\"\nappendonly no\nrepl-diskless-sync-delay 0\n";
  settings += "dbfilename redis-" + std::to_string(number) + ".rdb\n";
  if (number > 1) settings += "replicaof 127.0.0.1 " + std::to_string(master_port()) + "\n";
  std::uint16_t port = 0;
  auto failure = start_server("redis-server", "redis-" + std::to_string(number), settings, stopped, port);
  if (!failure) redis_ports_.push_back(port);
  return failure;
}

std::optional<std::string> DemoServers::start_sentinel(int number, const Stopped& stopped) {
  const std::string settings = "sentinel monitor mymaster 127.0.0.1 " + std::to_string(master_port()) +
                               " 2\n"
                               "sentinel down-after-milliseconds mymaster 1000\n"
                               "sentinel failover-timeout mymaster 3000\n"
                               "sentinel parallel-syncs mymaster 2\n";
  std::uint16_t port = 0;
  auto failure =
      start_server("redis-sentinel", "sentinel-" + std::to_string(number), settings, stopped, port);
  if (!failure) sentinel_ports_.push_back(port);
  return failure;
}

std::optional<std::string> DemoServers::start_server(const std::string& program, const std::string& name,
                                                     const std::string& settings, const Stopped& stopped,
                                                     std::uint16_t& port) {
  const std::string file = directory_ + "/" + name + ".conf";
  std::string reason = "no free port on 127.0.0.1";
  for (int attempt = 0; attempt < 3; ++attempt) {
    port = free_loopback_port();
    if (port == 0) break;
    std::ofstream(file, std::ios::trunc) << "port " << port << "\nbind 127.0.0.1\ndir " << directory_ << "\n"
                                         << settings;
    const std::vector<std::string> argv{program, file};
    const SpawnResult spawned = spawn_child(argv, log_file(name));
    if (spawned.pid < 0) return spawned.error;
    const auto deadline = steady_clock::now() + ready_max;
    while (true) {
      if (auto how = reap_child(spawned.pid)) {
        reason = program + " ended with " + *how + ": " + last_line_of(log_file(name));
        break;
      }
      if (ask_redis(port, "PING") == "PONG") {
        const std::scoped_lock lock(mutex_);
        servers_.push_back({name, port, argv, spawned.pid, {}});
        return std::nullopt;
      }
      if (stopped() || steady_clock::now() >= deadline) {
        end_children({spawned.pid}, end_grace);
        return program + " on " + address_text(port) + " does not answer: " + last_line_of(log_file(name));
      }
      std::this_thread::sleep_for(poll_interval);
    }
  }
  return reason;
}

void DemoServers::supervise_once() {
  const std::scoped_lock lock(mutex_);
  const auto now = steady_clock::now();
  for (Server& server : servers_) {
    const std::string title = server.name + " on " + address_text(server.port);
    if (server.pid >= 0) {
      const auto how = reap_child(server.pid);
      if (!how) continue;
      server.pid = -1;
      server.ended = now;
      say_(title + " ended (" + *how + "); it is started again in " + std::to_string(restart_after.count()) +
           " s");
    } else if (now - server.ended >= restart_after) {
      const SpawnResult spawned = spawn_child(server.argv, log_file(server.name));
      server.pid = spawned.pid;
      server.ended = now;
      say_(spawned.pid >= 0 ? title + " is started again as process " + std::to_string(spawned.pid)
                            : title + " could not be started again: " + spawned.error);
    }
  }
}

void DemoServers::stop() {
  const std::scoped_lock lock(mutex_);
  std::vector<pid_t> pids;
  for (const Server& server : servers_) {
    if (server.pid >= 0) pids.push_back(server.pid);
  }
  end_children(std::move(pids), end_grace);
  servers_.clear();
  if (directory_.empty()) return;
  std::error_code error;
  std::filesystem::remove_all(directory_, error);
  if (error) say_("could not remove " + directory_ + ": " + error.message());
  directory_.clear();
}

std::optional<pid_t> DemoServers::pid_of(std::uint16_t port) const {
  const std::scoped_lock lock(mutex_);
  for (const Server& server : servers_) {
    if (server.port == port && server.pid >= 0) return server.pid;
  }
  return std::nullopt;
}

}  // namespace fairlead::proxy
