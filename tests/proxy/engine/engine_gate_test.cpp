// The operator's hand on the gate, the lease of strict mode, reloads; what a moved route does to commands
// under way; blocking commands that wait on.
#include "engine_world.hpp"

using namespace fairlead;
using namespace fairlead::engine;
using namespace std::chrono_literals;

namespace {
const std::string uncertain =
    "-UNCERTAIN fairlead: the connection to the master was lost after the command was sent; it may or may "
    "not have "
    "been executed\r\n";
}  // namespace

TEST_CASE("PAUSE holds, RESUME lets go, in order and on the same links") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "SET a 1\r\n");
  CHECK(world.got(world.shared) == Strings{"SET a 1"});
  world.engine.pause(world.now);
  world.feed(world.shared, "+OK\r\n");  // what was under way is answered
  CHECK(world.take(client) == "+OK\r\n");
  world.feed(client, "SET a 2\r\nGET a\r\n");
  CHECK(world.take(world.shared).empty());
  world.pass(9s);
  CHECK(world.take(client).empty());
  SECTION("in time") {
    world.engine.resume();
    world.turn();
    CHECK(world.got(world.shared) == Strings{"SET a 2", "GET a"});
    world.feed(world.shared, "+OK\r\n$1\r\n2\r\n");
    CHECK(world.take(client) == "+OK\r\n$1\r\n2\r\n");
    CHECK(world.io.links.size() == 1);
  }
  SECTION("never: the hold time is the limit, and the error says whose hand it is") {
    world.pass(1s);
    const std::string error =
        "-MASTERDOWN fairlead: paused by the operator for 10000 ms; the command was not executed\r\n";
    CHECK(world.take(client) == error + error);
    CHECK(world.take(world.shared).empty());
    world.engine.resume();
    world.feed(client, "SET a 3\r\n");
    CHECK(world.got(world.shared) == Strings{"SET a 3"});
  }
  SECTION("a new master meanwhile changes nothing until RESUME") {
    world.publish("b", 2);
    CHECK(world.io.links.size() == 1);
    world.engine.resume();
    world.turn();
    const ConnId next = world.log_in();
    CHECK(world.io.at(next).address.host == "b");
    CHECK(world.got(next) == Strings{"SET a 2", "GET a"});
  }
}

TEST_CASE("a lease that ran out stops the dispatch without a word from anybody") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.publish_lease("a", world.now + 1s);
  world.feed(client, "SET a 1\r\n");
  CHECK(world.got(world.shared) == Strings{"SET a 1"});
  world.now += 1s;  // no turn in between
  world.feed(client, "SET a 2\r\n");
  CHECK(world.take(world.shared).empty());
  world.publish_lease("a", world.now + 1s);
  CHECK(world.got(world.shared) == Strings{"SET a 2"});
  world.feed(world.shared, "+OK\r\n+OK\r\n");
  CHECK(world.take(client) == "+OK\r\n+OK\r\n");
  world.pass(11s);
  world.feed(client, "SET a 3\r\n");
  CHECK(world.take(world.shared).empty());
  CHECK(world.take(client).find("MASTERDOWN") != std::string::npos);
}

TEST_CASE("a higher term of the same master disturbs nobody") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "INCR a\r\n");
  world.take(world.shared);
  world.publish("a", 2);
  CHECK(world.io.at(world.shared).open);
  world.feed(world.shared, ":1\r\n");
  CHECK(world.take(client) == ":1\r\n");
}

TEST_CASE("the route moved: reads under way may be answered, writes are uncertain at once") {
  ReadyWorld world;
  const ConnId reader = world.client();
  world.feed(reader, "GET a\r\n");
  world.take(world.shared);
  SECTION("a read alone") {
    world.publish("b", 2);
    CHECK(world.io.at(world.shared).open);
    world.feed(world.shared, "$1\r\n1\r\n");
    CHECK(world.take(reader) == "$1\r\n1\r\n");
  }
  SECTION("a write beside it, which the old master would still acknowledge") {
    const ConnId writer = world.client();
    world.feed(writer, "INCR a\r\n");
    world.take(world.shared);
    world.publish("b", 2);
    CHECK_FALSE(world.io.at(world.shared).open);
    CHECK(world.take(writer) == uncertain);
    CHECK(world.io.at(writer).open);
    CHECK(world.got(world.log_in()) == Strings{"GET a"});
  }
  SECTION("a write behind half a reply: the reply is not cut") {
    const ConnId writer = world.client();
    world.feed(writer, "INCR a\r\n");
    world.feed(world.shared, "$2\r\n1");
    world.publish("b", 2);
    CHECK(world.io.at(world.shared).open);
    world.feed(world.shared, "2\r\n");
    CHECK(world.take(reader) == "$2\r\n12\r\n");
  }
}

TEST_CASE("a blocking command waits on at the next master for what is left") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "*3\r\n$5\r\nBLPOP\r\n$1\r\nq\r\n$2\r\n20\r\n");
  const ConnId lease = world.log_in();
  CHECK(world.got(lease) == Strings{"BLPOP q 20"});
  world.pass(5s);
  world.engine.on_error(lease, "reset", world.now);
  world.pass(1500ms);
  world.publish("b", 2);
  const ConnId next = world.log_in();
  CHECK(world.got(next) == Strings{"BLPOP q 13.500"});
  world.pass(2s);
  world.engine.on_error(next, "reset", world.now);
  world.publish("c", 3);
  const ConnId last = world.log_in();
  CHECK(world.got(last) == Strings{"BLPOP q 11.500"});
  world.feed(last, "*2\r\n$1\r\nq\r\n$1\r\nx\r\n");
  CHECK(world.take(client) == "*2\r\n$1\r\nq\r\n$1\r\nx\r\n");
}

TEST_CASE("blocking-replay = never: as a write that was sent") {
  EngineOptions options;
  options.blocking_replay = BlockingReplay::never;
  ReadyWorld world(options);
  const ConnId client = world.client();
  world.feed(client, "BLPOP q 20\r\n");
  const ConnId lease = world.log_in();
  world.take(lease);
  world.engine.on_error(lease, "reset", world.now);
  world.turn();
  CHECK(world.take(client) == uncertain);
}

TEST_CASE("a reload changes the hold time and the refused commands, and drops nobody") {
  ReadyWorld world;
  const ConnId client = world.client();
  EngineOptions options;
  options.limits.hold_max = 2000ms;
  options.deny = {"default", "flushall"};
  world.engine.reload(options);
  world.feed(client, "FLUSHALL\r\n");
  CHECK(world.take(client).rfind("-NOPERM", 0) == 0);
  world.feed(client, "SET a 1\r\n");
  CHECK(world.got(world.shared) == Strings{"SET a 1"});
  world.feed(world.shared, "+OK\r\n");
  CHECK(world.take(client) == "+OK\r\n");
  world.publish("a", 1, health::GroupState::suspect);
  world.feed(client, "SET a 2\r\n");
  world.pass(1900ms);
  CHECK(world.take(client).empty());
  world.pass(200ms);
  CHECK(world.take(client).find("no master for 2000 ms") != std::string::npos);
}
