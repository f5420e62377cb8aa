// Random histories: whatever servers, Sentinels and workers say in whatever order, the Arbiter's promises
// hold. World itself checks after every step that versions grow by one, that terms never decrease, that
// none belongs to two addresses and that STEADY has a route. A failure prints its seed; put it in
// `first_seed` to replay.
#include <catch2/catch.hpp>
#include <map>
#include <random>

#include "tests/health/arbiter_world.hpp"

using namespace fairlead::health;

namespace {

constexpr std::uint32_t first_seed = 1;
constexpr std::uint32_t seeds = 400;
constexpr int steps = 300;

class History {
 public:
  History(std::uint32_t seed, int sentinels) : random_(seed), sentinels_(sentinels), world_(sentinels, 3) {}

  void run() {
    for (int i = 0; i < steps; ++i) {
      const auto before = world_.topology;
      const TimePoint begin = world_.now;
      step();
      check_opening(*before, begin);
    }
  }

 private:
  int pick(int count) { return std::uniform_int_distribution<int>(0, count - 1)(random_); }
  char any_server() { return static_cast<char>('A' + pick(3)); }

  void step() {
    const int what = pick(20);
    if (what < 8) return tell_server();
    if (what < 14 && sentinels_ > 0) return tell_sentinel();
    if (what < 17) {
      const auto kind = static_cast<SignalKind>(pick(7));
      return world_.signal(kind, any_server(),
                           world_.topology->version - static_cast<std::uint64_t>(pick(3) == 0));
    }
    world_.wait(pick(4) == 0 ? pick(12000) : pick(100));
  }

  void tell_server() {
    const char name = any_server();
    ServerReport report = World::answer(name, pick(2) == 0 ? Role::master : Role::replica);
    if (pick(10) == 0) report.run_id += "-restarted";
    report.keys = pick(2);
    if (pick(10) == 0) report.loading = true;
    if (pick(4) == 0) report = World::failure(static_cast<LinkFailure>(1 + pick(5)), "broken");
    last_[name] = report;
    world_.tell(name, report);
  }

  void tell_sentinel() {
    if (pick(6) == 0) ++epoch_;
    SentinelReport report =
        World::vote(any_server(), epoch_ - static_cast<std::uint64_t>(pick(2) == 0 && epoch_ > 0));
    report.tilt = pick(10) == 0;
    report.election = static_cast<ElectionStage>(pick(20) == 0 ? 1 + pick(2) : 0);
    report.objectively_down = pick(20) == 0;
    if (pick(10) == 0) report.announced = World::server(any_server());
    if (report.election == ElectionStage::elected && pick(2) == 0) {
      report.selected = World::server(any_server());
      report.election_epoch = epoch_ + 1;
    }
    if (pick(8) == 0) report = World::silent();
    world_.tell(pick(sentinels_), report);
  }

  // Nothing opens but by the word of the server itself: after the step that opened, the route's last report
  // says master, reachable, not loading, the same process; and it was not a signal that did it.
  void check_opening(const Topology& before, TimePoint) {
    const auto& now = world_.topology->shards.front();
    if (now.state != GroupState::steady) return;
    if (before.shards.front().state == GroupState::steady &&
        before.shards.front().route->address == now.route->address) {
      return;
    }
    const char name = static_cast<char>('A' + now.route->address.port - 7000);
    const ServerReport& report = last_[name];
    REQUIRE(report.reachable);
    REQUIRE(report.role == Role::master);
    REQUIRE_FALSE(report.loading);
    REQUIRE(report.run_id == now.route->run_id);
    for (const auto& view : now.servers) REQUIRE_FALSE((view.rogue && view.address == now.route->address));
    ++openings;
  }

  std::mt19937 random_;
  int sentinels_;
  World world_;
  std::uint64_t epoch_ = 0;
  std::map<char, ServerReport> last_;

 public:
  int openings = 0;
};

}  // namespace

TEST_CASE("random histories keep the promises", "[property]") {
  const int sentinels = GENERATE(0, 1, 3);
  int openings = 0;
  for (std::uint32_t seed = first_seed; seed < first_seed + seeds; ++seed) {
    CAPTURE(seed, sentinels);
    History history(seed, sentinels);
    history.run();
    openings += history.openings;
  }
  // Histories in which nothing ever opens would prove nothing.
  CHECK(openings > static_cast<int>(seeds));
}
