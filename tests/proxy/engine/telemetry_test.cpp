// What an Engine measures: histograms, counts per command, the slow log, hot and big keys, clients.
#include <algorithm>
#include <random>

#include "engine_world.hpp"

using namespace fairlead;
using namespace fairlead::engine;

namespace {

const CommandMeter* meter(const TelemetrySnapshot& snapshot, std::string_view name) {
  for (const CommandMeter& m : snapshot.commands) {
    if (m.name == name) return &m;
  }
  return nullptr;
}

/// A client, the master, and a link that is logged in after a first command.
struct Served {
  World world;
  ConnId client = world.client();
  ConnId link;

  explicit Served(EngineOptions options = {}) : world(options) {
    world.feed(client, "*2\r\n$3\r\nGET\r\n$5\r\nfirst\r\n");
    world.publish("a");
    link = world.log_in();
    world.feed(link, "$-1\r\n");
  }
};

}  // namespace

TEST_CASE("a bucket's middle is within 1 % of all its values") {
  for (std::uint64_t value = 1; value < 1ULL << Histogram::value_bits_max; value = value * 65 / 64 + 1) {
    const auto stands_for = static_cast<double>(Histogram::value_of(Histogram::bucket_of(value)));
    const auto exact = static_cast<double>(value);
    REQUIRE(std::abs(stands_for - exact) <= 0.01 * exact);
  }
}

TEST_CASE("quantiles agree with the sorted values, and merging adds up") {
  std::mt19937_64 random(7);
  std::lognormal_distribution<double> distribution(13, 2);
  std::vector<std::uint64_t> values;
  Histogram one;
  Histogram two;
  for (int i = 0; i < 20000; ++i) {
    values.push_back(static_cast<std::uint64_t>(distribution(random)));
    (i % 3 == 0 ? one : two).add(values.back());
  }
  const Histogram before = one;
  one.merge(two);
  std::sort(values.begin(), values.end());
  for (const double q : {0.5, 0.9, 0.99, 0.999}) {
    const auto exact = static_cast<double>(
        values[static_cast<std::size_t>(std::ceil(q * static_cast<double>(values.size()))) - 1]);
    CHECK(static_cast<double>(one.quantile(q)) == Approx(exact).epsilon(0.01));
  }
  CHECK(one.count() == values.size());
  CHECK(one.max() == values.back());
  one.subtract(before);
  CHECK(one.count() == two.count());
  CHECK(one.sum() == two.sum());
  CHECK(one.quantile(0.5) == two.quantile(0.5));
}

TEST_CASE("an empty histogram and too large values") {
  Histogram histogram;
  CHECK(histogram.quantile(0.99) == 0);
  histogram.add(UINT64_MAX / 2);
  CHECK(histogram.count_up_to(1ULL << 39) == 0);
  CHECK(histogram.count_up_to(UINT64_MAX) == 1);
}

TEST_CASE("each command is counted, with its errors and its duration") {
  Served served;
  World& world = served.world;
  for (int i = 0; i < 3; ++i) {
    world.feed(served.client, "*2\r\n$3\r\nGET\r\n$1\r\na\r\n");
    world.now += 2ms;
    world.feed(served.link, i == 0 ? "-WRONGTYPE not a string\r\n" : "$1\r\n1\r\n");
  }
  world.feed(served.client, "PING\r\n");
  world.feed(served.client, "*2\r\n$6\r\nNOSUCH\r\n$1\r\na\r\n");
  const TelemetrySnapshot snapshot = world.engine.telemetry(world.now);
  const CommandMeter* get = meter(snapshot, "get");
  REQUIRE(get != nullptr);
  CHECK(get->calls == 4);
  CHECK(get->errors == 1);
  CHECK(get->durations.count() == 4);
  CHECK(static_cast<double>(get->durations.quantile(0.9)) == Approx(2e6).epsilon(0.01));
  REQUIRE(meter(snapshot, "ping") != nullptr);
  CHECK(meter(snapshot, "ping")->calls == 1);
}

TEST_CASE("waiting for a master counts as duration") {
  World world;
  const ConnId client = world.client();
  world.feed(client, "*2\r\n$3\r\nGET\r\n$1\r\na\r\n");
  world.now += 500ms;
  world.publish("a");
  const ConnId link = world.log_in();
  world.feed(link, "$1\r\n1\r\n");
  const TelemetrySnapshot snapshot = world.engine.telemetry(world.now);
  REQUIRE(meter(snapshot, "get") != nullptr);
  CHECK(meter(snapshot, "get")->durations.quantile(0.5) >= 495'000'000);
  REQUIRE(snapshot.slow.size() == 1);
  CHECK(snapshot.slow[0].duration_ns >= 500'000'000);
}

TEST_CASE("the slow log is bounded, and keeps secrets to itself") {
  EngineOptions options;
  options.slow_min = 5ms;
  Served served(options);
  World& world = served.world;
  const auto slow = [&](std::string_view command, std::string_view reply) {
    world.feed(served.client, command);
    world.now += 6ms;
    world.feed(served.link, reply);
  };
  slow("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$200\r\n" + std::string(200, 'v') + "\r\n", "+OK\r\n");
  slow("*4\r\n$6\r\nCONFIG\r\n$3\r\nSET\r\n$11\r\nrequirepass\r\n$6\r\nsecret\r\n", "+OK\r\n");
  TelemetrySnapshot snapshot = world.engine.telemetry(world.now);
  REQUIRE(snapshot.slow.size() == 2);
  CHECK(snapshot.slow[0].args == std::vector<std::string>{"CONFIG", "(redacted)"});
  CHECK(snapshot.slow[1].args ==
        std::vector<std::string>{"SET", "k", std::string(128, 'v') + "... (72 more bytes)"});
  CHECK(snapshot.slow[1].id + 1 == snapshot.slow[0].id);
  for (std::size_t i = 0; i < SlowLog::length_max + 10; ++i) {
    slow("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", "$-1\r\n");
  }
  snapshot = world.engine.telemetry(world.now);
  CHECK(snapshot.slow.size() == SlowLog::length_max);
  CHECK(snapshot.slow[0].args == std::vector<std::string>{"GET", "k"});
}

TEST_CASE("the sketch finds the keys that are asked for most, in bounded memory") {
  HotKeys hot;
  std::mt19937 random(3);
  for (int i = 0; i < 50000; ++i) {
    if (i % 5 == 0) hot.add("very hot");
    if (i % 10 == 0) hot.add("hot");
    hot.add("cold:" + std::to_string(random() % 20000));
  }
  CHECK(hot.entries().size() == HotKeys::capacity);
  std::vector<HotKey> entries = hot.entries();
  std::sort(entries.begin(), entries.end(),
            [](const HotKey& a, const HotKey& b) { return a.count > b.count; });
  CHECK(entries[0].key == "very hot");
  CHECK(entries[1].key == "hot");
  // Never counted too low, and at most `error` too high.
  CHECK(entries[0].count >= 10000);
  CHECK(entries[0].count - entries[0].error <= 10000);
  const auto samples = hot.samples();
  hot.decay();
  CHECK(hot.samples() == samples / 2);
  hot.add(std::string(1000, 'x'));
  CHECK(std::all_of(hot.entries().begin(), hot.entries().end(),
                    [](const HotKey& e) { return e.key.size() <= key_bytes_shown_max; }));
}

TEST_CASE("keys of clients are sampled") {
  Served served;
  World& world = served.world;
  for (int i = 0; i < 4000; ++i) {
    world.feed(served.client, "*2\r\n$3\r\nGET\r\n$4\r\nsame\r\n");
    world.feed(served.link, "$-1\r\n");
  }
  const TelemetrySnapshot snapshot = world.engine.telemetry(world.now);
  REQUIRE(snapshot.hot.size() == 1);
  CHECK(snapshot.hot[0].key == "same");
  CHECK(snapshot.hot[0].count > 4000 / sample_interval / 2);
  CHECK(snapshot.hot[0].count < 4000 / sample_interval * 2);
}

TEST_CASE("large values name their key, whichever way they travel") {
  Served served;
  World& world = served.world;
  const std::string value(20000, 'v');
  world.feed(served.client, "*3\r\n$3\r\nSET\r\n$4\r\nsent\r\n$20000\r\n" + value + "\r\n");
  world.feed(served.link, "+OK\r\n");
  world.feed(served.client, "*2\r\n$3\r\nGET\r\n$4\r\nread\r\n");
  world.feed(served.link, "$20000\r\n" + value + "\r\n");
  world.feed(served.client, "*2\r\n$3\r\nGET\r\n$5\r\nsmall\r\n");
  world.feed(served.link, "$1\r\nv\r\n");
  std::vector<std::string> names;
  for (const BigKey& key : world.engine.telemetry(world.now).big) {
    names.push_back(key.key);
    CHECK(key.bytes >= 20000);
  }
  CHECK(names == std::vector<std::string>{"sent", "read"});
}

TEST_CASE("the table of big keys keeps the largest") {
  BigKeys big;
  for (std::uint64_t i = 1; i <= 100; ++i) big.add("key " + std::to_string(i), "get", i * 1000, {});
  CHECK(big.entries().size() == BigKeys::capacity);
  CHECK(std::all_of(big.entries().begin(), big.entries().end(),
                    [](const BigKey& e) { return e.bytes > (100 - BigKeys::capacity) * 1000; }));
  big.add("key 100", "set", 500, {});
  CHECK(std::any_of(big.entries().begin(), big.entries().end(),
                    [](const BigKey& e) { return e.key == "key 100" && e.bytes == 100'000; }));
}

TEST_CASE("clients tell what they are in the middle of") {
  Served served;
  World& world = served.world;
  world.feed(served.client, "CLIENT SETNAME web-1\r\n");
  world.now += 3s;
  const ConnId other = world.client();
  world.feed(other, "*2\r\n$3\r\nGET\r\n$1\r\na\r\n");
  const TelemetrySnapshot snapshot = world.engine.telemetry(world.now);
  REQUIRE(snapshot.clients.size() == 2);
  CHECK(snapshot.clients[0].conn == other);
  CHECK(snapshot.clients[0].in_flight == 1);
  CHECK(snapshot.clients[0].state == "active");
  CHECK(snapshot.clients[1].name == "web-1");
  CHECK(snapshot.clients[1].state == "idle");
  CHECK(snapshot.clients[1].idle >= 3000ms);
}
