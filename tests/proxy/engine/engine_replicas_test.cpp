// Writes that a new master refuses because its replicas have not come yet.
#include "engine_world.hpp"

using namespace fairlead;
using namespace fairlead::engine;

TEST_CASE("the wait for replicas is not a part of the hold time") {
  EngineOptions options;
  options.limits.hold_max = 300ms;
  ReadyWorld world(options);
  const ConnId client = world.client();
  world.publish("a", 1, health::GroupState::suspect);
  world.feed(client, "SET a 1\r\nGET a\r\n");
  world.pass(250ms);
  world.publish("a");
  REQUIRE(world.got(world.shared) == Strings{"SET a 1", "GET a"});
  world.feed(world.shared, "-NOREPLICAS Not enough good replicas to write.\r\n$1\r\n0\r\n");
  world.pass(210ms);
  CHECK(world.got(world.shared) == Strings{"SET a 1", "GET a"});
  world.feed(world.shared, "+OK\r\n$1\r\n1\r\n");
  CHECK(world.take(client) == "+OK\r\n$1\r\n1\r\n");
}

TEST_CASE("a write that a new master refuses for want of replicas waits for them, and only it") {
  ReadyWorld world;
  const std::string refusal = "-NOREPLICAS Not enough good replicas to write.\r\n";
  const ConnId writer = world.light_client();
  const ConnId reader = world.light_client();
  world.feed(writer, "SET a 1\r\nGET a\r\n");
  world.take(world.shared);
  SECTION("until they are there") {
    world.feed(world.shared, refusal + "$1\r\n0\r\n");
    world.feed(reader, "GET b\r\n");
    CHECK(world.got(world.shared) == Strings{"GET b"});
    world.feed(world.shared, "$1\r\nb\r\n");
    CHECK(world.take(reader) == "$1\r\nb\r\n");
    for (int i = 0; i < 10; ++i) {
      world.pass(110ms);
      if (!world.got(world.shared).empty()) world.feed(world.shared, refusal + "$1\r\n0\r\n");
    }
    CHECK(world.take(writer).empty());
    world.pass(110ms);
    REQUIRE(world.got(world.shared) == Strings{"SET a 1", "GET a"});
    world.feed(world.shared, "+OK\r\n$1\r\n1\r\n");
    CHECK(world.take(writer) == "+OK\r\n$1\r\n1\r\n");
    CHECK(world.engine.stats().replica_waits >= 5);
    CHECK(world.io.signals.empty());
  }
  SECTION("and is not said again while a later one may have been executed") {
    world.feed(writer, "SET a 2\r\n");
    CHECK(world.got(world.shared) == Strings{"SET a 2"});
    world.feed(world.shared, refusal + "$1\r\n0\r\n");
    world.pass(310ms);
    CHECK(world.got(world.shared).empty());
    SECTION("which it was") {
      world.feed(world.shared, "+OK\r\n");
      world.pass(310ms);
      CHECK(world.got(world.shared).empty());
      CHECK(world.take(writer) == refusal + "$1\r\n0\r\n+OK\r\n");
    }
    SECTION("which it was not") {
      world.feed(world.shared, refusal);
      world.pass(310ms);
      CHECK(world.got(world.shared) == Strings{"SET a 1", "GET a", "SET a 2"});
    }
  }
  SECTION("for five seconds at most") {
    world.pass(5001ms);
    world.feed(world.shared, refusal + "$1\r\n0\r\n");
    CHECK(world.take(writer) == refusal + "$1\r\n0\r\n");
    CHECK(world.engine.stats().replica_waits == 0);
  }
  SECTION("unless a later write of the same client was executed") {
    world.feed(writer, "SET a 2\r\n");
    world.feed(world.shared, refusal + "$1\r\n0\r\n");
    world.feed(world.shared, "+OK\r\n");
    world.pass(110ms);
    CHECK(world.take(writer).substr(0, refusal.size()) == refusal);
  }
  SECTION("and not inside a block, which the server has marked as failed") {
    world.feed(world.shared, "+OK\r\n$1\r\n1\r\n");
    world.take(writer);
    world.feed(writer, "MULTI\r\nSET a 1\r\n");
    const ConnId lease = world.log_in();
    world.feed(lease, "+OK\r\n" + refusal);
    CHECK(world.take(writer) == "+OK\r\n" + refusal);
  }
}
