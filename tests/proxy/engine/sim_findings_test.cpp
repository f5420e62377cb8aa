// What the simulator found in the Engine, each stepped by hand. See tests/sim.
#include <catch2/catch.hpp>

#include "tests/proxy/engine/engine_world.hpp"

namespace fairlead::engine {

using health::GroupState;

namespace {

const std::string master_down =
    "-MASTERDOWN fairlead: no master for 300 ms; the command was not executed\r\n";

EngineOptions short_hold() {
  EngineOptions options;
  options.limits.hold_max = 300ms;
  return options;
}

}  // namespace

TEST_CASE("a command that waits for its link to log in does not leave while the gate is closed") {
  ReadyWorld world(short_hold());
  const ConnId client = world.client();
  world.feed(client, "BLPOP list 0\r\n");
  world.publish("a", 1, GroupState::suspect);
  const ConnId link = world.log_in();
  REQUIRE(link != world.shared);
  CHECK(world.got(link).empty());
  SECTION("it leaves when the gate opens") {
    world.publish("a");
    CHECK(world.got(link) == Strings{"BLPOP list 0"});
  }
  SECTION("it is answered when the hold time is over") {
    world.pass(400ms);
    CHECK(world.take(client) == master_down);
    CHECK(world.got(link).empty());
  }
}

TEST_CASE("the rest of a frame leaves although the gate has closed, and nothing behind it") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.io.at(world.shared).capacity = 5;
  world.feed(client, "*2\r\n$3\r\nGET\r\n$1\r\na\r\n*2\r\n$3\r\nGET\r\n$1\r\nb\r\n");
  CHECK(world.take(world.shared) == "*2\r\n$");
  world.publish("a", 1, GroupState::suspect);
  world.io.at(world.shared).capacity = SIZE_MAX;
  world.engine.on_writable(world.shared, world.now);
  world.turn();
  CHECK(world.take(world.shared) == "3\r\nGET\r\n$1\r\na\r\n");
  world.publish("a");
  CHECK(world.got(world.shared) == Strings{"GET b"});
}

TEST_CASE("what came of a reply while something before it was held leaves before the rest of it") {
  ReadyWorld world(short_hold());
  const ConnId client = world.client();
  const std::string refusal = "-NOREPLICAS Not enough good replicas to write.\r\n";
  world.feed(client, "SET a 1\r\nGET b\r\n");
  REQUIRE(world.got(world.shared) == Strings{"SET a 1", "GET b"});
  world.publish("a", 1, GroupState::suspect);
  world.feed(world.shared, refusal + "$");
  CHECK(world.take(client).empty());
  SECTION("the hold time ends in the middle of it") {
    world.pass(400ms);
    CHECK(world.take(client) == refusal);
    world.feed(world.shared, "1\r\n");
    world.feed(world.shared, "b\r\n");
    CHECK(world.take(client) == "$1\r\nb\r\n");
  }
  SECTION("the link is lost in the middle of it") {
    world.pass(400ms);
    CHECK(world.take(client) == refusal);
    world.engine.on_error(world.shared, "reset", world.now);
    world.turn();
    CHECK(world.take(client) == master_down);
    CHECK(world.io.at(client).open);
  }
}

TEST_CASE("after MASTERDOWN a new command has the whole hold time") {
  ReadyWorld world(short_hold());
  const ConnId client = world.client();
  world.publish("a", 1, GroupState::suspect);
  world.feed(client, "GET a\r\n");
  world.pass(400ms);
  REQUIRE(world.take(client) == master_down);
  world.publish("a");
  world.publish("a", 1, GroupState::suspect);
  world.feed(client, "GET b\r\n");
  CHECK(world.take(client).empty());
  world.publish("a");
  CHECK(world.got(world.shared) == Strings{"GET b"});
}

TEST_CASE("an EXEC that is answered MASTERDOWN ends its block: what comes next is not queued") {
  ReadyWorld world(short_hold());
  const ConnId client = world.client();
  world.feed(client, "MULTI\r\nSET k v\r\n");
  const ConnId lease = world.log_in();
  REQUIRE(world.got(lease) == Strings{"MULTI", "SET k v"});
  world.feed(lease, "+OK\r\n+QUEUED\r\n");
  REQUIRE(world.take(client) == "+OK\r\n+QUEUED\r\n");
  world.publish("a", 1, GroupState::suspect);
  world.feed(client, "EXEC\r\n");
  world.pass(400ms);
  CHECK(world.take(client) == master_down);
  CHECK_FALSE(world.io.at(lease).open);
  world.publish("a");
  world.feed(client, "GET k\r\n");
  CHECK(world.got(world.shared) == Strings{"GET k"});
}

TEST_CASE(
    "a block that has begun on the old master is said again whole, and not ended alone, on the new one") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "MULTI\r\nSET a 1\r\n");
  const ConnId lease = world.log_in();
  CHECK(world.got(lease) == Strings{"MULTI", "SET a 1"});
  world.feed(lease, "+OK\r\n+QUEUED\r\n");
  CHECK(world.take(client) == "+OK\r\n+QUEUED\r\n");
  world.io.at(lease).capacity = 0;
  world.feed(client, "EXEC\r\nMULTI\r\nSET b 1\r\nEXEC\r\n");
  world.publish("b", 2);
  const ConnId next = world.log_in();
  CHECK(world.got(next) == Strings{"MULTI", "SET a 1", "EXEC", "MULTI", "SET b 1", "EXEC"});
  CHECK(world.take(client).empty());
  world.feed(next, "+OK\r\n+QUEUED\r\n*1\r\n+A\r\n+OK\r\n+QUEUED\r\n*1\r\n+B\r\n");
  CHECK(world.take(client) == "*1\r\n+A\r\n+OK\r\n+QUEUED\r\n*1\r\n+B\r\n");
}

}  // namespace fairlead::engine
