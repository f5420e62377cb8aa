// An open-loop load generator: commands leave at a fixed rate, however slowly they are answered, and each
// latency is counted from the time at which the command was meant to leave. A generator that waits for
// replies would send fewer commands just while the server is slow, and so hide what it was started to show.
//
//   fairlead_bench_load --port 6379 --rate 20000 --connections 50 --seconds 5
//
// Prints one JSON object: counts, percentiles in microseconds, and how late the generator itself was
// (send_lag_*); where that is not far below the latencies, the machine was too busy to say anything about
// them.
#include <fmt/format.h>
#include <sys/epoll.h>
#include <time.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "bench/load/connection.hpp"
#include "bench/load/histogram.hpp"

namespace fairlead::bench {
namespace {

constexpr std::uint64_t second_ns = 1'000'000'000;

struct Options {
  std::uint16_t port = 6379;
  double rate = 1000;
  std::size_t connections = 50;
  double seconds = 5;
  double warmup = 0.5;
  double grace = 5;  // how long replies are awaited when everything was sent
  std::size_t value_bytes = 64;
  std::string operation = "get";
};

std::uint64_t now_ns() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * second_ns + static_cast<std::uint64_t>(time.tv_nsec);
}

std::uint64_t nanoseconds(double seconds) {
  return static_cast<std::uint64_t>(seconds * static_cast<double>(second_ns));
}

[[noreturn]] void give_up(const std::string& why) {
  fmt::print(stderr, "fairlead_bench_load: {}\n", why);
  std::exit(1);
}

class Generator {
 public:
  explicit Generator(const Options& options) : options_(options), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    const std::string value(options.value_bytes, 'v');
    const std::string key = "bench:open-loop";
    const std::string set =
        fmt::format("*3\r\n$3\r\nSET\r\n${}\r\n{}\r\n${}\r\n{}\r\n", key.size(), key, value.size(), value);
    exchange(set, "+OK\r\n");
    if (options.operation == "set") {
      command_ = set;
      reply_ = "+OK\r\n";
    } else {
      command_ = fmt::format("*2\r\n$3\r\nGET\r\n${}\r\n{}\r\n", key.size(), key);
      reply_ = fmt::format("${}\r\n{}\r\n", value.size(), value);
    }
    for (std::size_t i = 0; i < options.connections; ++i) {
      connections_.push_back(std::make_unique<Connection>(command_, reply_));
      if (!connections_.back()->open(options.port)) give_up(connections_.back()->error());
      epoll_event event{};
      event.events = EPOLLIN | EPOLLOUT | EPOLLET;
      event.data.ptr = connections_.back().get();
      if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, connections_.back()->descriptor(), &event) != 0) {
        give_up("epoll_ctl failed");
      }
    }
  }

  void run() {
    begin_ = now_ns() + second_ns / 100;
    measured_from_ = begin_ + nanoseconds(options_.warmup);
    const std::uint64_t end = measured_from_ + nanoseconds(options_.seconds);
    const std::uint64_t deadline = end + nanoseconds(options_.grace);
    const auto total = static_cast<std::uint64_t>((options_.warmup + options_.seconds) * options_.rate);
    std::uint64_t sent = 0;
    while (sent < total || due_ > 0) {
      const std::uint64_t now = now_ns();
      if (now >= deadline) break;
      for (; sent < total && intended(sent) <= now; ++sent) send(sent);
      wait(sent < total ? intended(sent) : deadline);
    }
  }

  /// Commands that were never answered count with the time that they have waited so far.
  void report() {
    const std::uint64_t now = now_ns();
    std::uint64_t unanswered = 0;
    for (const auto& connection : connections_) {
      for (const std::uint64_t intended : connection->due()) {
        ++unanswered;
        latencies_.record(now - intended);
      }
    }
    const auto us = [](const Histogram& histogram, double fraction) {
      return static_cast<double>(histogram.percentile(fraction)) / 1e3;
    };
    fmt::print("{{\"rate\": {}, \"connections\": {}, \"measured\": {}, \"unanswered\": {}, ", options_.rate,
               options_.connections, latencies_.count(), unanswered);
    fmt::print(
        "\"p50_us\": {:.1f}, \"p90_us\": {:.1f}, \"p99_us\": {:.1f}, \"p99.9_us\": {:.1f}, \"p99.99_us\": "
        "{:.1f}, ",
        us(latencies_, .5), us(latencies_, .9), us(latencies_, .99), us(latencies_, .999),
        us(latencies_, .9999));
    fmt::print("\"max_us\": {:.1f}, \"send_lag_p99_us\": {:.1f}, \"send_lag_max_us\": {:.1f}}}\n",
               static_cast<double>(latencies_.largest()) / 1e3, us(lags_, .99),
               static_cast<double>(lags_.largest()) / 1e3);
  }

 private:
  [[nodiscard]] std::uint64_t intended(std::uint64_t number) const {
    return begin_ + nanoseconds(static_cast<double>(number) / options_.rate);
  }

  void send(std::uint64_t number) {
    Connection& connection = *connections_[number % connections_.size()];
    const std::uint64_t meant = intended(number);
    if (meant >= measured_from_) lags_.record(now_ns() - meant);
    ++due_;
    if (connection.send(meant) == Progress::broken) give_up(connection.error());
  }

  void wait(std::uint64_t until) {
    const std::uint64_t now = now_ns();
    const std::uint64_t left = until > now ? until - now : 0;
    const timespec timeout{static_cast<time_t>(left / second_ns), static_cast<long>(left % second_ns)};
    std::array<epoll_event, 256> events;
    const int count =
        ::epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()), &timeout, nullptr);
    if (count < 0 && errno != EINTR) give_up("epoll_pwait2 failed");
    for (int i = 0; i < count; ++i) {
      auto& connection = *static_cast<Connection*>(events[static_cast<std::size_t>(i)].data.ptr);
      const auto answered = [this](std::uint64_t meant) {
        --due_;
        if (meant >= measured_from_) latencies_.record(now_ns() - meant);
      };
      if (connection.receive(answered) == Progress::broken || connection.flush() == Progress::broken) {
        give_up(connection.error());
      }
    }
  }

  /// Before the measurement: the value is there, and the way to it works.
  void exchange(const std::string& command, const std::string& reply) {
    Connection connection(command, reply);
    if (!connection.open(options_.port) || connection.send(0) == Progress::broken)
      give_up(connection.error());
    bool done = false;
    for (const std::uint64_t deadline = now_ns() + 10 * second_ns; !done && now_ns() < deadline;) {
      const timespec moment{0, 1'000'000};
      ::nanosleep(&moment, nullptr);
      const Progress progress = connection.receive([&done](std::uint64_t) { done = true; });
      if (progress == Progress::broken || connection.flush() == Progress::broken) give_up(connection.error());
    }
    if (!done) give_up("no answer to SET within 10 s");
  }

  Options options_;
  int epoll_;
  std::string command_;
  std::string reply_;
  std::vector<std::unique_ptr<Connection>> connections_;
  Histogram latencies_;
  Histogram lags_;
  std::uint64_t begin_ = 0;
  std::uint64_t measured_from_ = 0;
  std::uint64_t due_ = 0;
};

}  // namespace
}  // namespace fairlead::bench

int main(int argc, char** argv) {
  fairlead::bench::Options options;
  CLI::App app("Open-loop load generator: a fixed rate, latencies from the intended time of sending");
  app.add_option("--port", options.port, "Port of 127.0.0.1")->required();
  app.add_option("--rate", options.rate, "Commands per second")->check(CLI::Range(1.0, 1e7));
  app.add_option("--connections", options.connections)->check(CLI::Range(1, 20000));
  app.add_option("--seconds", options.seconds, "Measured time")->check(CLI::Range(0.1, 3600.0));
  app.add_option("--warmup", options.warmup, "Seconds before that")->check(CLI::Range(0.0, 60.0));
  app.add_option("--value-bytes", options.value_bytes)->check(CLI::Range(1, 64 << 20));
  app.add_option("--operation", options.operation)->check(CLI::IsMember({"get", "set"}));
  CLI11_PARSE(app, argc, argv);
  fairlead::bench::Generator generator(options);
  generator.run();
  generator.report();
  return 0;
}
