// Runs the Monitor against real servers and prints what it publishes and reports, with milliseconds since the
// start:
//   monitor_probe sentinel 127.0.0.1:26379,127.0.0.1:26380 [name [password [seconds]]]
//   monitor_probe server 127.0.0.1:6379,127.0.0.1:6380 - [password [seconds]]
// One line per change of the route's state and one per event; integration tests read them.
#include <boost/asio/impl/src.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "health/monitor.hpp"

namespace {

using fairlead::health::Event;
using fairlead::health::GroupState;
using fairlead::health::TopologyPtr;
using Clock = std::chrono::system_clock;

// Wall-clock seconds, so that other programs can compare.
double seconds_now() {
  return std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
}

std::vector<fairlead::resp::Address> addresses_in(std::string_view list) {
  std::vector<fairlead::resp::Address> addresses;
  while (!list.empty()) {
    const auto comma = list.find(',');
    if (const auto address = fairlead::resp::parse_address(list.substr(0, comma)))
      addresses.push_back(*address);
    list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
  }
  return addresses;
}

struct Printer {
  std::string last;

  void topology(const TopologyPtr& topology) {
    const auto& shard = topology->shards.front();
    std::string line = to_string(shard.state);
    if (shard.route) {
      line += " " + to_string(shard.route->address) + " term " + std::to_string(shard.route->term);
      line += " run_id " + shard.route->run_id.substr(0, 8) + " version " + shard.route->redis_version;
    }
    line += " servers " + std::to_string(shard.servers.size()) + " sentinels " +
            std::to_string(topology->sentinels.size()) + " commands " +
            std::to_string(topology->commands->commands().size());
    if (line == last) return;
    last = line;
    std::printf("%.4f topology %s\n", seconds_now(), line.c_str());
    std::fflush(stdout);
  }

  static void event(const Event& event) {
    std::printf("%.4f event %s %s\n", seconds_now(), to_string(event.kind), event.text.c_str());
    std::fflush(stdout);
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: monitor_probe sentinel|server ADDRESS,... [name [password [seconds]]]\n");
    return 2;
  }
  fairlead::health::Options options;
  const bool sentinel = std::string_view(argv[1]) == "sentinel";
  (sentinel ? options.sentinels : options.servers) = addresses_in(argv[2]);
  if (argc > 3) options.master_name = argv[3];
  if (argc > 4) options.server_login.password = argv[4];
  const int seconds = argc > 5 ? std::atoi(argv[5]) : 60;

  boost::asio::io_context context(1);
  Printer printer;
  fairlead::health::Monitor monitor(
      context, options, [&](const TopologyPtr& topology) { printer.topology(topology); }, Printer::event);
  monitor.start();
  boost::asio::steady_timer end(context, std::chrono::seconds(seconds));
  boost::asio::signal_set signals(context, SIGINT, SIGTERM);
  const auto stop = [&] {
    end.cancel();
    signals.cancel();
    monitor.stop();
  };
  end.async_wait([&](const boost::system::error_code& error) {
    if (!error) stop();
  });
  signals.async_wait([&](const boost::system::error_code& error, int) {
    if (!error) stop();
  });
  context.run();
  return 0;
}
