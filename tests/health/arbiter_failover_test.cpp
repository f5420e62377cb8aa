// From one master to the next: announcements, elections, stale and lying Sentinels, old masters that come
// back.
#include <catch2/catch.hpp>

#include "tests/health/arbiter_world.hpp"

using namespace fairlead::health;

namespace {

SentinelReport election_at(ElectionStage stage) {
  auto report = World::vote('A', 1);
  report.election = stage;
  return report;
}

}  // namespace

TEST_CASE("a crash: closed by the lost connection, opened at the new master", "[failover]") {
  World world(3);
  world.settle(1);
  world.lost('A');
  CHECK(world.state() == GroupState::suspect);
  world.wait(1300);
  SECTION("the role says master before any Sentinel does: not followed") {
    world.master('B');
    world.master('B');
    CHECK(world.state() == GroupState::suspect);
    CHECK(world.view('B')->rogue);
    CHECK(world.count(EventKind::server_rogue) == 0);
  }
  world.tell(1, World::vote('B', 2));
  CHECK(world.state() == GroupState::switching);
  world.master('B');
  CHECK(world.steady_on('B'));
  CHECK(world.term() == 2);
  CHECK(world.learn_from == World::server('B'));
  // The followers still name A, with the older epoch and as a majority.
  world.tell(0, World::vote('A', 1));
  world.tell(2, World::vote('A', 1));
  CHECK(world.steady_on('B'));
  // The old master comes back as a master for a while.
  world.master('A');
  CHECK(world.steady_on('B'));
  CHECK(world.view('A')->rogue);
  CHECK(world.count(EventKind::server_rogue) == 1);
  world.master('A');
  CHECK(world.count(EventKind::server_rogue) == 1);
  world.replica('A');
  CHECK_FALSE(world.view('A')->rogue);
  CHECK(world.steady_on('B'));
}

TEST_CASE("+switch-master closes at once and waits for the epoch", "[failover]") {
  World world(3);
  world.settle(1);
  auto announced = World::vote('A', 1);
  announced.announced = World::server('B');
  SECTION("before the promoted node says master") {
    world.tell(0, announced);
    CHECK(world.state() == GroupState::suspect);
    for (int i = 0; i < 3; ++i) world.tell(1, World::vote('A', 1));
    for (int i = 0; i < 3; ++i) world.master('A');
    CHECK(world.state() == GroupState::suspect);
    world.tell(0, World::vote('B', 2));
    CHECK(world.state() == GroupState::switching);
    world.replica('B');
    CHECK(world.state() == GroupState::switching);
    world.master('B');
    CHECK(world.steady_on('B'));
  }
  SECTION("after it") {
    world.master('B');
    CHECK(world.steady_on('A'));
    world.tell(0, announced);
    world.tell(0, World::vote('B', 2));
    world.master('B');
    CHECK(world.steady_on('B'));
  }
  SECTION("from a Sentinel that lags behind: nothing comes of it") {
    world.tell(0, announced);
    CHECK(world.state() == GroupState::suspect);
    world.tell(0, World::vote('B', 0));
    world.master('A');
    world.tell(1, World::vote('A', 1));
    world.master('A');
    CHECK(world.steady_on('A'));
  }
  SECTION("of a server nobody had heard of: it is watched at once") {
    announced.announced = local(7009);
    world.tell(0, announced);
    const auto servers = world.arbiter.servers();
    CHECK(std::find(servers.begin(), servers.end(), local(7009)) != servers.end());
  }
}

TEST_CASE("an election closes the gate although the master answers well", "[failover]") {
  World world(3);
  world.settle(1);
  const auto stage = GENERATE(ElectionStage::candidate, ElectionStage::elected);
  world.tell(0, election_at(stage));
  CHECK(world.state() == GroupState::suspect);
  const int hold_ms = stage == ElectionStage::elected ? 10000 : 2000;
  for (int ms = 100; ms < hold_ms; ms += 100) {
    world.wait(94);
    world.master('A');
    world.tell(0, election_at(stage));
    world.tell(1, World::vote('A', 1));
    CHECK(world.state() == GroupState::suspect);
    world.now += Milliseconds(3);
  }
  SECTION("it succeeds") {
    world.tell(0, World::vote('B', 2));
    world.master('B');
    CHECK(world.steady_on('B'));
  }
  SECTION("it is aborted") {
    world.tell(0, World::vote('A', 1));
    CHECK(world.steady_on('A'));
  }
  SECTION("nothing comes of it: bounded, and the same election does not close again") {
    world.wait(200);
    world.master('A');
    CHECK(world.steady_on('A'));
    world.tell(0, election_at(stage));
    world.wait(100);
    CHECK(world.steady_on('A'));
  }
}

TEST_CASE("a candidate that is elected after all closes the gate again", "[failover]") {
  World world(3);
  world.settle(1);
  world.tell(0, election_at(ElectionStage::candidate));
  world.wait(2100);
  world.tell(1, World::vote('A', 1));
  world.master('A');
  world.master('A');
  CHECK(world.steady_on('A'));
  world.tell(0, election_at(ElectionStage::elected));
  CHECK(world.state() == GroupState::suspect);
}

TEST_CASE("a Sentinel's opinion that the master is down closes until probes say otherwise", "[failover]") {
  World world(3);
  world.settle(1);
  auto down = World::vote('A', 1);
  SECTION("sdown") {
    down.subjectively_down = true;
  }
  SECTION("odown") {
    down.objectively_down = true;
  }
  world.tell(0, down);
  CHECK(world.state() == GroupState::suspect);
  world.tell(1, World::vote('A', 1));
  world.master('A');
  world.master('A');
  CHECK(world.steady_on('A'));
  world.tell(0, down);
  CHECK(world.steady_on('A'));
}

TEST_CASE("Sentinels that may not be believed", "[failover]") {
  World world(3);
  world.settle(5);
  SECTION("a stale one with a lower epoch, naming a master that says so") {
    world.tell(2, World::vote('B', 4));
    world.master('B');
    CHECK(world.steady_on('A'));
  }
  SECTION("one in TILT with a higher epoch") {
    auto tilt = World::vote('B', 9);
    tilt.tilt = true;
    world.tell(2, tilt);
    world.master('B');
    CHECK(world.steady_on('A'));
    CHECK(world.count(EventKind::sentinel_tilt) == 1);
  }
  SECTION("one that lies: a higher epoch for a node that is no master") {
    world.tell(2, World::vote('B', 9));
    CHECK(world.state() == GroupState::switching);
    for (int ms = 0; ms < 2100 && world.state() == GroupState::switching; ms += 50) {
      world.wait(46);
      world.replica('B');
      world.master('A');
      world.tell(0, World::vote('A', 5));
      world.tell(2, World::vote('B', 9));
    }
    world.master('A');
    world.tell(0, World::vote('A', 5));
    world.master('A');
    CHECK(world.steady_on('A'));
    // Its word is not heard again, until the node itself says master.
    world.tell(2, World::vote('B', 9));
    world.wait(1000);
    CHECK(world.steady_on('A'));
    world.master('B');
    world.master('B');
    CHECK(world.steady_on('B'));
    CHECK(world.term() == 9);
  }
  SECTION("two of three that name another one at the same epoch are a majority") {
    world.tell(1, World::vote('B', 5));
    world.master('B');
    CHECK(world.steady_on('A'));
    world.tell(2, World::vote('B', 5));
    world.master('B');
    CHECK(world.steady_on('B'));
    CHECK(world.term() == 6);  // 5 was A's
  }
  SECTION("a minority that can be heard is no majority") {
    world.tell(0, World::silent());
    world.tell(1, World::silent());
    world.tell(2, World::vote('B', 5));
    world.master('B');
    CHECK(world.steady_on('A'));
  }
}

TEST_CASE("Sentinels that are split at a higher epoch hold everything until a majority forms", "[failover]") {
  World world(3);
  world.settle(1);
  // Both at once is not to be had: the first is followed, and the second makes it a conflict.
  world.tell(1, World::vote('B', 2));
  world.tell(2, World::vote('C', 2));
  CHECK(world.count(EventKind::sentinels_disagree) == 1);
  world.master('B');
  CHECK(world.state() == GroupState::switching);
  world.tell(0, World::vote('C', 2));
  world.master('C');
  CHECK(world.steady_on('C'));
}

TEST_CASE("a higher epoch overtakes a switch under way", "[failover]") {
  World world(3);
  world.settle(1);
  world.tell(0, World::vote('B', 2));
  world.tell(1, World::vote('C', 3));
  world.master('B');
  CHECK(world.state() == GroupState::switching);
  world.master('C');
  CHECK(world.steady_on('C'));
  CHECK(world.term() == 3);
}

TEST_CASE("a switch outlives the Sentinel that announced it", "[failover]") {
  World world(1);
  world.settle(1, 1);
  world.tell(0, World::vote('B', 2));
  CHECK(world.state() == GroupState::switching);
  world.tell(0, World::silent());
  world.wait(5000);
  CHECK(world.state() == GroupState::switching);
  world.master('B');
  CHECK(world.steady_on('B'));
}

TEST_CASE("Sentinels configured anew at a lower epoch are followed once they stay with it", "[failover]") {
  World world(3);
  world.settle(7);
  for (int i = 0; i < 3; ++i) world.tell(i, World::vote('B', 0));
  world.master('B');
  CHECK(world.steady_on('A'));
  SECTION("after a while") {
    world.wait(10001);
  }
  SECTION("at once when the route says it was demoted") {
    world.replica('A');
  }
  CHECK(world.state() == GroupState::switching);
  world.master('B');
  CHECK(world.steady_on('B'));
  CHECK(world.term() == 8);  // 7 was A's
  // Their next failover counts from their new epoch, and the term still does not decrease.
  world.tell(1, World::vote('C', 1));
  world.master('C');
  CHECK(world.steady_on('C'));
  CHECK(world.term() == 9);
}

TEST_CASE("what is missing is said again and again while there is no route", "[failover]") {
  World world(3);
  world.settle(1);
  world.lost('A');
  world.wait(4000);
  CHECK(world.count(EventKind::no_master_waiting) == 0);
  world.wait(1001);
  CHECK(world.count(EventKind::no_master_waiting) == 1);
  world.wait(1000);
  CHECK(world.count(EventKind::no_master_waiting) == 1);
  world.wait(4000);
  CHECK(world.count(EventKind::no_master_waiting) == 2);
  CHECK(world.text_of(EventKind::no_master_waiting) ==
        "no master: 127.0.0.1:7000 is not reachable (end of file); it is named master by 3 of 3 Sentinels");
}
