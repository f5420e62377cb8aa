// Early promotion: the replica that an elected Sentinel promotes is followed before Sentinel announces it,
// and only that one, and not for ever.
#include <catch2/catch.hpp>

#include "tests/health/arbiter_world.hpp"

using namespace fairlead::health;

namespace {

SentinelReport selecting(char replica, std::uint64_t election_epoch = 2) {
  auto report = World::vote('A', 1);
  report.election = ElectionStage::elected;
  report.election_epoch = election_epoch;
  report.selected = World::server(replica);
  return report;
}

bool provisional(const World& world) {
  return world.topology->shards.front().provisional;
}

/// A planned switch up to the moment the replica B says master.
void promote_b(World& world) {
  world.settle(1);
  auto report = World::vote('A', 1);
  report.election = ElectionStage::candidate;
  report.election_epoch = 2;
  world.tell(0, report);
  REQUIRE(world.state() == GroupState::suspect);
  world.tell(0, selecting('B'));
  world.replica('B');
  world.master('A');
  REQUIRE(world.state() == GroupState::suspect);
  REQUIRE(world.arbiter.candidate() == World::server('B'));
  world.master('B');
}

}  // namespace

TEST_CASE("the selected replica is the route as soon as it says master", "[promotion]") {
  World world(3);
  promote_b(world);
  CHECK(world.steady_on('B'));
  CHECK(provisional(world));
  CHECK(world.term() == 1);  // the next one is the Sentinels' to give
  CHECK(world.arbiter.pace() == Pace::fast);
  CHECK_FALSE(world.arbiter.candidate().has_value());
  CHECK(world.learn_from == World::server('B'));
  CHECK(world.count(EventKind::election_started) == 2);  // begun, then led
  CHECK(world.count(EventKind::replica_selected) == 1);
  CHECK(world.count(EventKind::route_provisional) == 1);
  // Everybody still names A, which still says that it is a master.
  for (int i = 0; i < 3; ++i) world.tell(i, i == 0 ? selecting('B') : World::vote('A', 1));
  world.master('A');
  CHECK(world.steady_on('B'));
  const auto opened = world.topology->shards.front().route;
  SECTION("confirmed by the leader's config-epoch") {
    world.tell(0, World::vote('B', 2));
    CHECK(world.steady_on('B'));
    CHECK_FALSE(provisional(world));
    CHECK(world.term() == 2);
    CHECK(world.topology->shards.front().route->since == opened->since);
    CHECK(world.arbiter.pace() == Pace::normal);
    CHECK(world.count(EventKind::route_confirmed) == 1);
    // Followers that were not told yet change nothing any more.
    world.wait(5000);
    world.tell(1, World::vote('A', 1));
    world.tell(2, World::vote('A', 1));
    CHECK(world.steady_on('B'));
  }
  SECTION("confirmed at a higher config-epoch than was heard") {
    world.tell(1, World::vote('B', 5));
    CHECK(world.steady_on('B'));
    CHECK(world.term() == 5);
  }
  SECTION("confirmed by Sentinels that have not told its epoch yet") {
    for (int i = 0; i < 3; ++i) world.tell(i, World::vote('B', 1));
    CHECK(world.steady_on('B'));
    CHECK_FALSE(provisional(world));
    CHECK(world.term() == 2);  // 1 was A's
  }
  SECTION("superseded by another master") {
    world.tell(1, World::vote('C', 3));
    CHECK(world.state() == GroupState::switching);
    world.master('B');
    CHECK(world.state() == GroupState::switching);
    world.master('C');
    CHECK(world.steady_on('C'));
    CHECK(world.term() == 3);
    CHECK_FALSE(provisional(world));
  }
}

TEST_CASE("a provisional route that nobody announces is taken back", "[promotion]") {
  World world(3);
  promote_b(world);
  world.wait(1990);
  CHECK(world.steady_on('B'));
  world.wait(20);
  CHECK(world.state() == GroupState::suspect);
  CHECK(world.count(EventKind::route_revoked) == 1);
  REQUIRE(world.topology->shards.front().route->address == World::server('A'));
  CHECK(world.term() == 1);
  SECTION("the same promotion is not followed again") {
    world.tell(0, selecting('B'));
    world.master('B');
    world.master('B');
    CHECK(world.state() == GroupState::suspect);
  }
  SECTION("a later one is") {
    auto later = selecting('B', 3);
    world.tell(0, later);
    world.master('B');
    CHECK(world.steady_on('B'));
    CHECK(provisional(world));
    world.tell(0, World::vote('B', 3));
    CHECK(world.term() == 3);
  }
  SECTION("late, but announced") {
    world.tell(0, World::vote('B', 2));
    world.master('B');
    CHECK(world.steady_on('B'));
    CHECK_FALSE(provisional(world));
    CHECK(world.term() == 2);
  }
  SECTION("the former master is good, the election is over: back to it, at its own term") {
    world.tell(0, World::vote('A', 1));
    world.master('A');
    world.master('A');
    CHECK(world.steady_on('A'));
    CHECK(world.term() == 1);
    CHECK(*world.remembered == Remembered{World::server('A'), "run-A", 1, 1, 0});
  }
}

TEST_CASE("a leader that gave up takes its promotion along", "[promotion]") {
  World world(3);
  promote_b(world);
  world.tell(0, World::vote('A', 1));
  CHECK(world.state() == GroupState::suspect);
  CHECK(world.count(EventKind::route_revoked) == 1);
  CHECK(world.topology->shards.front().route->address == World::server('A'));
}

TEST_CASE("evidence against a provisional route closes the gate", "[promotion]") {
  World world(3);
  promote_b(world);
  world.lost('B');
  CHECK(world.state() == GroupState::suspect);
  SECTION("announced meanwhile: it opens again when it is good") {
    world.tell(0, World::vote('B', 2));
    world.master('B');
    world.master('B');
    CHECK(world.steady_on('B'));
    CHECK_FALSE(provisional(world));
  }
  SECTION("not announced: back to the former master, in doubt") {
    world.wait(2100);
    CHECK(world.state() == GroupState::suspect);
    CHECK(world.topology->shards.front().route->address == World::server('A'));
  }
}

TEST_CASE("who is not followed early", "[promotion]") {
  World world(3);
  world.settle(1);
  SECTION("another replica than the selected one") {
    world.tell(0, selecting('B'));
    world.master('C');
    world.master('C');
  }
  SECTION("the selected one, which still loads or does not say master") {
    world.tell(0, selecting('B'));
    auto loading = World::answer('B', Role::master);
    loading.loading = true;
    world.tell('B', loading);
    world.replica('B');
  }
  SECTION("one that a Sentinel in TILT selects") {
    auto tilt = selecting('B');
    tilt.tilt = true;
    world.tell(0, tilt);
    world.signal(SignalKind::link_lost, 'A', world.topology->version);
    world.lost('A');
    world.master('B');
    world.master('B');
  }
  SECTION("a master beside the route, without an election") {
    world.lost('A');
    world.master('B');
    world.master('B');
  }
  SECTION("two replicas that turned into masters, with none selected") {
    auto report = World::vote('A', 1);
    report.election = ElectionStage::elected;
    world.tell(0, report);
    world.tell('A', World::failure(LinkFailure::lost, "end of file"));
    world.now += Milliseconds(1);
    auto asked_before = World::answer('B', Role::master);
    world.master('C');
    world.master('B');
    world.now += Milliseconds(1);
    CHECK(world.count(EventKind::route_provisional) == 1);  // C came first; B changes nothing
    CHECK(world.steady_on('C'));
    return;
  }
  CHECK_FALSE(world.steady_on('B'));
  CHECK_FALSE(world.steady_on('C'));
  CHECK(world.count(EventKind::route_provisional) == 0);
}

TEST_CASE("without the leader's word: the one known replica that turned into a master", "[promotion]") {
  World world(3);
  world.settle(1);
  auto report = World::vote('A', 1);
  report.election = GENERATE(ElectionStage::candidate, ElectionStage::elected);
  SECTION("while the election is known") {
    world.tell(0, report);
    world.replica('B');
    world.master('B');
  }
  SECTION("just before it was heard of") {
    world.master('B');
    CHECK(world.steady_on('A'));
    world.tell(0, report);
    CHECK(world.arbiter.candidate() == World::server('B'));
  }
  world.master('B');
  CHECK(world.steady_on('B'));
  CHECK(provisional(world));
  world.tell(2, World::vote('B', 2));
  CHECK_FALSE(provisional(world));
}

TEST_CASE("a replica that turned into a master long before an election is not its choice", "[promotion]") {
  World world(3);
  world.settle(1);
  world.master('B');
  world.wait(2500);
  auto report = World::vote('A', 1);
  report.election = ElectionStage::elected;
  world.tell(0, report);
  world.master('B');
  world.master('B');
  CHECK(world.state() == GroupState::suspect);
}

TEST_CASE("early promotion can be switched off", "[promotion]") {
  auto options = World::options_for(3, 3);
  options.early_promotion = false;
  World world(options);
  world.settle(1);
  world.tell(0, selecting('B'));
  world.master('B');
  world.master('B');
  CHECK(world.state() == GroupState::suspect);
  world.tell(0, World::vote('B', 2));
  world.master('B');
  CHECK(world.steady_on('B'));
  CHECK_FALSE(provisional(world));
}
