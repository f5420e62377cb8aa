#include "proxy/demo.hpp"

#include <signal.h>
#include <sys/time.h>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include <fmt/format.h>

#include "proxy/demo_servers.hpp"
#include "proxy/log.hpp"
#include "proxy/loopback.hpp"
#include "proxy/server.hpp"

namespace fairlead::proxy {
namespace {

constexpr std::uint16_t ports_tried_max = 100;
constexpr std::chrono::milliseconds supervision_interval{200};

/// Set by a signal that came before run_server took the signals over.
std::atomic<bool> stop_asked{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler writes it");

void catch_stop_signals() {
  struct sigaction action {};
  action.sa_handler = [](int) { stop_asked.store(true); };
  for (const int signal : {SIGINT, SIGTERM, SIGQUIT, SIGHUP}) ::sigaction(signal, &action, nullptr);
}

/// One write per line, so that the supervising thread and the control thread never mix theirs.
void say(const std::string& line) {
  std::fputs((line + "\n").c_str(), stdout);
  std::fflush(stdout);
}

std::string clock_time() {
  timeval now{};
  ::gettimeofday(&now, nullptr);
  tm local{};
  ::localtime_r(&now.tv_sec, &local);
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "%02d:%02d:%02d.%03d", local.tm_hour, local.tm_min, local.tm_sec,
                static_cast<int>(now.tv_usec / 1000));
  return text.data();
}

void say_with_time(const std::string& text) {
  say(clock_time() + "  " + text);
}

/// The first free port from `wanted` on, and a line that says why it is not `wanted` itself. 0 when there is
/// none.
std::uint16_t choose_port(std::uint16_t wanted, const std::string& what, const char* flag) {
  const std::string reason = why_not_free(wanted);
  if (reason.empty()) return wanted;
  for (std::uint16_t step = 1; step <= ports_tried_max && wanted <= UINT16_MAX - step; ++step) {
    const auto port = static_cast<std::uint16_t>(wanted + step);
    if (!why_not_free(port).empty()) continue;
    say(fmt::format("Port {} cannot be used ({}); {} listens on {} instead.", wanted, reason, what, port));
    return port;
  }
  fmt::print(stderr,
             "fairlead demo: neither port {} ({}) nor the {} above it can be used for {}; choose another one "
             "with {}\n",
             wanted, reason, ports_tried_max, what, flag);
  return 0;
}

Options server_options(const DemoOptions& demo, const DemoServers& servers) {
  Options options;
  options.listen = {{"127.0.0.1", demo.port, false}};
  options.threads = demo.threads;
  options.stats.listen = {{"127.0.0.1", demo.stats_port, false}};
  for (const std::uint16_t port : servers.sentinel_ports()) {
    options.backend.sentinels.push_back({"127.0.0.1", port, false});
  }
  // Events are printed here as lines for a person; the log keeps to what stops the program.
  options.log.level = LogLevel::error;
  return options;
}

std::string kill_line(const DemoServers& servers, std::uint16_t port) {
  const auto pid = servers.pid_of(port);
  return pid ? "kill -9 " + std::to_string(*pid) : "its process has just ended";
}

/// deploy/check-demo reads the lines that begin with redis-cli, and the last one.
void say_how_to_play(const DemoOptions& demo, const DemoServers& servers) {
  say(fmt::format(R"(
fairlead is ready. In another terminal:

  redis-cli -p {port}
  redis-cli -p {port} -r -1 -i 0.2 incr n    a client that keeps writing

then take its master away and watch it go on:

  {kill}    kills the master, 127.0.0.1:{master}
  redis-cli -p {sentinel} sentinel failover mymaster    a planned switch

metrics:   http://127.0.0.1:{stats}/metrics
Sentinels: ports {sentinels}
files:     {directory} (removed at the end)

Ctrl-C ends everything.
)",
                  fmt::arg("port", demo.port), fmt::arg("kill", kill_line(servers, servers.master_port())),
                  fmt::arg("master", servers.master_port()),
                  fmt::arg("sentinel", servers.sentinel_ports().front()), fmt::arg("stats", demo.stats_port),
                  fmt::arg("sentinels", fmt::join(servers.sentinel_ports(), " ")),
                  fmt::arg("directory", servers.directory())));
}

void say_event(const health::Event& event, const DemoServers& servers) {
  if (event.severity == health::Severity::debug) return;
  std::string line = event.text.empty() ? health::to_string(event.kind) : event.text;
  if (event.kind == health::EventKind::route_verified)
    line += "  [" + kill_line(servers, event.subject.port) + "]";
  say_with_time(line);
}

/// Restarts servers that were killed, for as long as it lives, beside run_server.
class Supervisor {
 public:
  explicit Supervisor(DemoServers& servers) : servers_(servers), thread_([this] { run(); }) {}
  ~Supervisor() {
    {
      const std::scoped_lock lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, supervision_interval, [this] { return stopping_; }))
      servers_.supervise_once();
  }

  DemoServers& servers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;  // last: it uses all of the above
};

int serve(const DemoOptions& demo, DemoServers& servers) {
  // A signal may have come after the last look at stop_asked and before run_server caught signals: it is sent
  // again from the control thread, where run_server's handler is in place.
  const auto pass_on_early_stop = [] {
    if (stop_asked.exchange(false)) ::raise(SIGTERM);
  };
  ServerHooks hooks;
  hooks.on_ready = [&] {
    pass_on_early_stop();
    say_how_to_play(demo, servers);
  };
  hooks.on_event = [&](const health::Event& event) {
    pass_on_early_stop();
    say_event(event, servers);
  };
  const Supervisor supervisor(servers);
  const Options options = server_options(demo, servers);
  start_log(options.log);
  const int exit_code = run_server(options, hooks);
  flush_log();
  return exit_code;
}

int start_and_serve(const DemoOptions& wanted, DemoServers& servers) {
  say("Starting a master, two replicas and three Sentinels on free ports of 127.0.0.1 ...");
  const auto failure = servers.start([] { return stop_asked.load(); });
  if (stop_asked) return 0;
  if (failure) {
    fmt::print(stderr, "fairlead demo: {}\n", *failure);
    return 1;
  }
  // Chosen last: nobody shall take a port between this look and run_server's bind.
  DemoOptions demo = wanted;
  demo.port = choose_port(wanted.port, "fairlead", "--port");
  if (demo.port == 0) return 1;
  demo.stats_port = choose_port(wanted.stats_port, "the stats listener", "--stats-port");
  if (demo.stats_port == 0) return 1;
  return serve(demo, servers);
}

}  // namespace

int run_demo(const DemoOptions& options) {
  catch_stop_signals();
  DemoServers servers(say_with_time);
  const int exit_code = start_and_serve(options, servers);
  servers.stop();
  say("The demo has ended; its servers and files are gone.");
  return exit_code;
}

}  // namespace fairlead::proxy
