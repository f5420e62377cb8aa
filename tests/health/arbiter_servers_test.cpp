// Without Sentinel: the configured servers' own roles decide.
#include <catch2/catch.hpp>

#include "tests/health/arbiter_world.hpp"

using namespace fairlead::health;

TEST_CASE("exactly one server that says master is the route", "[servers]") {
  World world(0, 2);
  world.master('A');
  CHECK(world.state() == GroupState::init);  // the other may say so too
  SECTION("the other is a replica") {
    world.replica('B');
  }
  SECTION("the other does not answer") {
    world.tell('B', World::failure(LinkFailure::connect_failed, "refused"));
  }
  CHECK(world.state() == GroupState::switching);
  world.master('A');
  CHECK(world.steady_on('A'));
  CHECK(world.term() == 1);
}

TEST_CASE("two masters at the start: nothing is sent to any", "[servers]") {
  World world(0, 2);
  world.master('A');
  world.master('B');
  CHECK(world.state() == GroupState::init);
  CHECK(world.count(EventKind::two_masters) == 1);
  world.wait(1001);
  CHECK(world.text_of(EventKind::no_master_waiting) ==
        "no master: more than one server says it is the master: 127.0.0.1:7000, 127.0.0.1:7001; nothing is "
        "sent to any; "
        "make all but one a replica (REPLICAOF)");
  world.replica('B');
  world.master('A');
  CHECK(world.steady_on('A'));
}

TEST_CASE("a second master beside a good route is an alarm and no more", "[servers]") {
  World world(0, 2);
  world.master('A');
  world.replica('B');
  world.master('A');
  world.master('B');
  CHECK(world.steady_on('A'));
  CHECK(world.count(EventKind::two_masters) == 1);
  CHECK(world.count(EventKind::server_rogue) == 1);
  CHECK(world.view('B')->rogue);
  SECTION("it is not followed when the route goes: its data may be old") {
    world.lost('A');
    world.lost('A');
    world.master('B');
    world.master('B');
    CHECK(world.state() == GroupState::suspect);
    world.wait(5001);
    CHECK(world.text_of(EventKind::no_master_waiting).find("its data may be old") != std::string::npos);
    world.replica('B');
    world.master('B');
    world.master('B');
    CHECK(world.steady_on('B'));
  }
}

TEST_CASE("a replica that was made master by hand is followed when the route is gone", "[servers]") {
  World world(0, 3);
  world.master('A');
  world.replica('B');
  world.replica('C');
  world.master('A');
  CHECK(world.steady_on('A'));
  world.lost('A');
  world.wait(3000);
  CHECK(world.state() == GroupState::suspect);
  world.lost('A');
  SECTION("one") {
    world.master('B');
    CHECK(world.state() == GroupState::switching);
    world.master('B');
    CHECK(world.steady_on('B'));
    CHECK(world.term() == 2);
    world.master('A');
    CHECK(world.steady_on('B'));
  }
  SECTION("both: hold") {
    auto two = World::answer('B', Role::master);
    world.tell('C', World::answer('C', Role::replica));
    world.tell('B', two);
    world.master('C');
    CHECK(world.state() != GroupState::steady);
    world.master('B');
    CHECK(world.state() != GroupState::steady);
  }
  SECTION("the old one is back first: it stays") {
    world.master('A');
    world.master('A');
    CHECK(world.steady_on('A'));
    CHECK(world.term() == 1);
  }
}

TEST_CASE("a demoted route is left for its successor", "[servers]") {
  World world(0, 2);
  world.master('A');
  world.replica('B');
  world.master('A');
  world.replica('A');
  CHECK(world.state() == GroupState::suspect);
  world.replica('A');
  world.master('B');
  world.master('B');
  CHECK(world.steady_on('B'));
}

TEST_CASE("a server in MAINT or DRAIN is not followed until it is READY", "[servers]") {
  const Standing standing = GENERATE(Standing::maint, Standing::drain);
  World world(0, 2);
  world.master('A');
  world.replica('B');
  world.master('A');
  REQUIRE(world.steady_on('A'));
  CHECK(world.stand('A', standing).find("is the master; make another") != std::string::npos);
  CHECK(world.view('A')->standing == Standing::ready);
  CHECK(world.stand('B', standing).empty());
  CHECK(world.view('B')->standing == standing);
  CHECK(world.steady_on('A'));
  world.lost('A');
  world.lost('A');
  for (int i = 0; i < 3; ++i) world.master('B');
  CHECK(world.state() == GroupState::suspect);
  world.wait(5001);
  CHECK(world.text_of(EventKind::no_master_waiting).find("the operator keeps it out") != std::string::npos);
  CHECK(world.stand('B', Standing::ready).empty());
  for (int i = 0; i < 3; ++i) world.master('B');
  CHECK(world.steady_on('B'));
}

TEST_CASE("of two masters at the start the one that is not in MAINT is the route", "[servers]") {
  World world(0, 2);
  CHECK(world.stand('B', Standing::maint).empty());
  world.master('B');
  world.master('A');
  world.master('A');
  CHECK(world.steady_on('A'));
  CHECK(world.stand('C', Standing::maint).find("there is no server") == 0);
}

TEST_CASE("with Sentinels MAINT is a mark, and their master is served all the same", "[servers]") {
  World world(3);
  world.settle(1);
  CHECK(world.stand('A', Standing::maint).find("FAILOVER") != std::string::npos);
  CHECK(world.stand('B', Standing::drain).find("nothing to drain") != std::string::npos);
  CHECK(world.stand('B', Standing::maint).empty());
  CHECK(world.count(EventKind::server_standing) == 1);
  CHECK(world.stand('B', Standing::maint).empty());
  CHECK(world.count(EventKind::server_standing) == 1);
  for (int i = 0; i < 3; ++i) world.tell(i, World::vote('B', 2));
  CHECK(world.stand('B', Standing::maint).find("about to be the master") != std::string::npos);
  for (int i = 0; i < 3; ++i) world.master('B');
  CHECK(world.steady_on('B'));
  CHECK(world.view('B')->standing == Standing::ready);
  CHECK(world.count(EventKind::server_standing) == 2);
}
