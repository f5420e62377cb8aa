// The demo's Redis set: a master, two replicas and three Sentinels as child processes on free loopback ports,
// with their configuration, data and logs in one temporary directory. Owned by run_demo. start(),
// supervise_once() and stop() are called on the main thread or on the one thread that supervises while
// run_server has the main thread; pid_of() on any. Never signals a process that it did not start.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace fairlead::proxy {

class DemoServers {
 public:
  /// What happened to a server, as a line for a person.
  using Say = std::function<void(const std::string&)>;
  /// True when the person has asked to stop.
  using Stopped = std::function<bool()>;

  explicit DemoServers(Say say) : say_(std::move(say)) {}
  ~DemoServers();
  DemoServers(const DemoServers&) = delete;
  DemoServers& operator=(const DemoServers&) = delete;

  /// Starts the set and waits until every replica is in sync and every Sentinel sees all others. Returns why
  /// it could not, or nothing. stop() is due in either case.
  [[nodiscard]] std::optional<std::string> start(const Stopped& stopped);

  /// Looks for servers that have ended and starts each again `restart_after` later, so that a failover can be
  /// watched again and again. Called a few times per second.
  void supervise_once();

  /// Ends all servers and removes the directory.
  void stop();

  [[nodiscard]] std::uint16_t master_port() const { return redis_ports_.front(); }
  [[nodiscard]] const std::vector<std::uint16_t>& sentinel_ports() const { return sentinel_ports_; }
  [[nodiscard]] const std::string& directory() const { return directory_; }
  /// The process that listens on this port; nothing while it is down or when the port is not one of ours.
  [[nodiscard]] std::optional<pid_t> pid_of(std::uint16_t port) const;

  static constexpr std::chrono::seconds restart_after{10};

 private:
  struct Server {
    std::string name;  // redis-1, sentinel-2: also the stem of its files
    std::uint16_t port = 0;
    std::vector<std::string> argv;
    pid_t pid = -1;                                 // -1: has ended
    std::chrono::steady_clock::time_point ended{};  // when that was seen
  };

  [[nodiscard]] std::optional<std::string> make_directory();
  [[nodiscard]] std::optional<std::string> start_redis(int number, const Stopped& stopped);
  [[nodiscard]] std::optional<std::string> start_sentinel(int number, const Stopped& stopped);
  /// Writes the configuration, starts the program and waits for its PONG; a port that somebody else took
  /// meanwhile is replaced by another one. Returns the port through `port`.
  [[nodiscard]] std::optional<std::string> start_server(const std::string& program, const std::string& name,
                                                        const std::string& settings, const Stopped& stopped,
                                                        std::uint16_t& port);
  [[nodiscard]] std::string log_file(const std::string& name) const;

  Say say_;
  std::string directory_;
  std::vector<std::uint16_t> redis_ports_;  // the first is the master that we begin with
  std::vector<std::uint16_t> sentinel_ports_;
  mutable std::mutex mutex_;  // guards servers_: on_event asks for a pid on the control thread
  std::vector<Server> servers_;
};

}  // namespace fairlead::proxy
