#include "engine_world.hpp"

using namespace fairlead;
using namespace fairlead::engine;

namespace {
const std::string uncertain =
    "-UNCERTAIN fairlead: the connection to the master was lost after the command was sent; it may or may "
    "not have been "
    "executed\r\n";
const std::string master_down =
    "-MASTERDOWN fairlead: no master for 10000 ms; the command was not executed\r\n";
}  // namespace

TEST_CASE("a lost link: sent writes are uncertain, sent reads and unsent commands are dispatched again") {
  ReadyWorld world;
  const ConnId writer = world.client();
  const ConnId reader = world.client();
  world.feed(writer, "INCR n\r\n");
  world.feed(reader, "GET n\r\n");
  world.take(world.shared);
  world.engine.on_end_of_file(world.shared, world.now);
  world.turn();
  CHECK(world.take(writer) == uncertain);
  CHECK(world.io.at(writer).open);
  CHECK(world.take(reader).empty());
  REQUIRE(world.io.signals.size() == 1);
  CHECK(world.io.signals[0].kind == health::SignalKind::link_lost);
  CHECK(world.io.signals[0].topology_version == 1);
  world.feed(writer, "INCR n\r\n");  // held: the gate is closed
  CHECK(world.io.links.size() == 1);

  world.publish("b", 2);
  const ConnId next = world.log_in();
  CHECK(world.io.at(next).address.host == "b");
  CHECK(world.got(next) == Strings{"GET n", "INCR n"});
  world.feed(next, "$1\r\n5\r\n:6\r\n");
  CHECK(world.take(reader) == "$1\r\n5\r\n");
  CHECK(world.take(writer) == ":6\r\n");
}

TEST_CASE("how far a frame got decides: nothing of an unsent or partial write is uncertain") {
  ReadyWorld world;
  world.io.at(world.shared).capacity = 40;  // the first frame and a part of the second
  const ConnId one = world.client();
  const ConnId two = world.client();
  const ConnId three = world.client();
  world.feed(one, "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n");
  world.feed(two, "*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$1\r\n2\r\n");
  world.feed(three, "*3\r\n$3\r\nSET\r\n$1\r\nc\r\n$1\r\n3\r\n");
  CHECK(world.io.at(world.shared).waits_writable);
  CHECK(world.take(world.shared).size() == 40);
  world.engine.on_error(world.shared, "reset", world.now);
  world.turn();
  CHECK(world.take(one) == uncertain);
  CHECK(world.take(two).empty());
  world.publish("b", 2);
  const ConnId next = world.log_in();
  CHECK(world.got(next) == Strings{"SET b 2", "SET c 3"});
}

TEST_CASE("the order of a session survives the loss") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "GET a\r\nSET a 1\r\nPING\r\nGET b\r\n");
  world.take(world.shared);
  world.engine.on_error(world.shared, "reset", world.now);
  world.turn();
  CHECK(world.take(client).empty());
  world.publish("b", 2);
  const ConnId next = world.log_in();
  CHECK(world.got(next) == Strings{"GET a", "GET b"});
  world.feed(next, "+A\r\n+B\r\n");
  CHECK(world.take(client) == "+A\r\n" + uncertain + "+PONG\r\n+B\r\n");
}

TEST_CASE("an acknowledged write is never sent again, a reply in two halves closes the client") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "SET a 1\r\nGET b\r\n");
  world.take(world.shared);
  world.feed(world.shared, "+OK\r\n$10\r\nabc");
  CHECK(world.take(client) == "+OK\r\n$10\r\nabc");
  world.engine.on_error(world.shared, "reset", world.now);
  world.turn();
  CHECK_FALSE(world.io.at(client).open);
  CHECK(world.engine.stats().replies_cut == 1);
}

TEST_CASE("READONLY holds the command and dispatches it on the new master") {
  ReadyWorld world;
  const ConnId client = world.client();
  const ConnId other = world.client();
  world.feed(client, "SET a 1\r\n");
  world.take(world.shared);
  world.feed(world.shared, "-READONLY You can't write against a read only replica.\r\n");
  CHECK(world.take(client).empty());
  REQUIRE(world.io.signals.size() == 1);
  CHECK(world.io.signals[0].kind == health::SignalKind::read_only);
  world.feed(other, "SET b 1\r\n");
  CHECK(world.take(world.shared).empty());
  world.publish("b", 2);
  CHECK_FALSE(world.io.at(world.shared).open);
  const ConnId next = world.log_in();
  CHECK(world.got(next) == Strings{"SET a 1", "SET b 1"});
}

TEST_CASE("refused twice by a server that is confirmed as the master: the error is the client's") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "SET a 1\r\n");
  const std::string refusal = "-READONLY a module says so\r\n";
  world.feed(world.shared, refusal);
  world.take(world.shared);
  world.confirm("a");
  CHECK(world.got(world.shared) == Strings{"SET a 1"});
  world.feed(world.shared, refusal);
  CHECK(world.take(client) == refusal);
  SECTION("and for a while such replies stop nobody else") {
    world.feed(client, "SET a 2\r\n");
    world.feed(world.shared, refusal);
    CHECK(world.take(client) == refusal);
    world.take(world.shared);
    world.feed(client, "GET a\r\n");
    CHECK(world.got(world.shared) == Strings{"GET a"});
  }
}

TEST_CASE("a script's error text is never evidence") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "EVAL x 0\r\n");
  world.take(world.shared);
  world.feed(world.shared, "-READONLY made up by a script\r\n");
  CHECK(world.take(client) == "-READONLY made up by a script\r\n");
  world.feed(client, "GET a\r\n");
  CHECK(world.got(world.shared) == Strings{"GET a"});
}

TEST_CASE("reads behind a refused write are read again behind it") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "SET a 1\r\nGET a\r\nSET b 2\r\n");
  world.take(world.shared);
  world.feed(world.shared, "-READONLY no\r\n$3\r\nold\r\n-READONLY no\r\n");
  CHECK(world.take(client).empty());
  world.publish("b", 2);
  const ConnId next = world.log_in();
  CHECK(world.got(next) == Strings{"SET a 1", "GET a", "SET b 2"});
  world.feed(next, "+OK\r\n$1\r\n1\r\n+OK\r\n");
  CHECK(world.take(client) == "+OK\r\n$1\r\n1\r\n+OK\r\n");
}

TEST_CASE("a refused write is not dispatched behind a later one that was executed") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "SET a 1\r\nSET b 2\r\n");
  world.take(world.shared);
  world.feed(world.shared, "-READONLY no\r\n+OK\r\n");
  CHECK(world.take(client) == "-READONLY no\r\n+OK\r\n");
  world.publish("b", 2);
  CHECK(world.io.links.size() == 1);
}

TEST_CASE("on a revoked route nothing more is written, reads that were sent are still answered") {
  ReadyWorld world;
  world.io.at(world.shared).capacity = 22;
  const ConnId one = world.client();
  const ConnId two = world.client();
  world.feed(one, "*2\r\n$3\r\nGET\r\n$1\r\na\r\n");
  world.feed(two, "*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$1\r\n2\r\n");
  world.take(world.shared);
  world.publish("b", 2);
  world.io.at(world.shared).capacity = SIZE_MAX;
  world.engine.on_writable(world.shared, world.now);
  world.turn();
  CHECK(world.take(world.shared).empty());
  const ConnId next = world.log_in();
  CHECK(world.got(next) == Strings{"SET b 2"});
  SECTION("answered in time") {
    world.feed(world.shared, "+OK\r\n");
    CHECK(world.take(one) == "+OK\r\n");
    CHECK_FALSE(world.io.at(world.shared).open);
  }
  SECTION("not answered") {
    world.pass(1100ms);
    CHECK(world.got(next) == Strings{"GET a"});
    CHECK_FALSE(world.io.at(world.shared).open);
  }
}

TEST_CASE("hold ends: what waits is answered MASTERDOWN, later commands at once, until there is a master") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.engine.on_error(world.shared, "reset", world.now);
  world.turn();
  world.feed(client, "SET a 1\r\nGET a\r\n");
  REQUIRE(world.engine.next_deadline().has_value());
  world.pass(9990ms);
  CHECK(world.take(client).empty());
  world.pass(20ms);
  CHECK(world.take(client) == master_down + master_down);
  world.feed(client, "GET b\r\nPING\r\n");
  CHECK(world.take(client) == master_down + "+PONG\r\n");
  CHECK(world.engine.stats().master_down == 3);
  world.publish("b", 2);
  world.feed(client, "GET c\r\n");
  CHECK(world.got(world.log_in()) == Strings{"GET c"});
}

TEST_CASE("a request that was dispatched before is answered MASTERDOWN too when nobody can take it") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "GET a\r\nPING\r\n");
  world.engine.on_error(world.shared, "reset", world.now);
  world.turn();
  world.pass(10010ms);
  CHECK(world.take(client) == master_down + "+PONG\r\n");
}

TEST_CASE("after evidence the gate opens only when the Monitor has answered it, and the signal is repeated") {
  ReadyWorld world;
  world.engine.on_error(world.shared, "reset", world.now);
  world.turn();
  const ConnId client = world.client();
  world.feed(client, "GET a\r\n");
  CHECK(world.io.signals.size() == 1);
  world.pass(1000ms);
  CHECK(world.io.signals.size() == 2);
  // Steady, but perhaps on its way before the Monitor heard anything: it is told again, of this topology.
  world.publish("a", 1);
  REQUIRE(world.io.signals.size() == 3);
  CHECK(world.io.signals[2].topology_version == world.version);
  CHECK(world.io.links.size() == 1);
  SECTION("suspected, then confirmed") {
    world.confirm("a");
  }
  SECTION("another route") {
    world.publish("b", 2);
  }
  CHECK(world.got(world.log_in()) == Strings{"GET a"});
}

TEST_CASE("after a standstill nothing is dispatched until the Monitor has looked") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.engine.on_standstill(1500ms, world.now);
  world.feed(client, "SET a 1\r\n");
  CHECK(world.take(world.shared).empty());
  REQUIRE(world.io.signals.size() == 1);
  CHECK(world.io.signals[0].kind == health::SignalKind::stood_still);
  world.engine.on_standstill(700ms, world.now);
  CHECK(world.io.signals.size() == 1);
  SECTION("the route is still the route") {
    world.confirm("a");
    CHECK(world.got(world.shared) == Strings{"SET a 1"});
  }
  SECTION("there was a switch") {
    world.publish("b", 2);
    CHECK(world.got(world.log_in()) == Strings{"SET a 1"});
    CHECK(world.take(world.shared).empty());
  }
}

TEST_CASE("a gate that opens and closes without an answer does not hold for ever") {
  World world;
  world.publish("a");
  const ConnId client = world.client();
  world.feed(client, "SET a 1\r\n");
  for (int i = 0; i < 30 && world.take(client).empty(); ++i) {
    const ConnId link = world.io.links.back();
    world.engine.on_connected(link, world.now);
    world.turn();
    world.feed(link, "*1\r\n$5\r\nslave\r\n");  // another process behind the same address
    world.pass(500ms);
    world.confirm("a");
    REQUIRE(i < 25);
    if (world.engine.stats().master_down > 0) break;
  }
  CHECK(world.engine.stats().master_down == 1);
}

TEST_CASE("a wait goes on through a gate that opens for a moment, and ends at a master however long it was") {
  World world;
  world.publish("a", 1, health::GroupState::suspect);
  const ConnId client = world.client();
  world.feed(client, "SET a 1\r\n");
  world.pass(6000ms);
  world.publish("a");
  REQUIRE(world.io.links.size() == 1);
  world.engine.on_connect_failed(world.io.links[0], "Connection refused", world.now);
  world.turn();
  world.pass(5000ms);
  CHECK(world.take(client).empty());
  world.confirm("a");
  REQUIRE(world.io.links.size() == 2);
  SECTION("the master is there") {
    CHECK(world.got(world.log_in()) == Strings{"SET a 1"});
    CHECK(world.engine.stats().master_down == 0);
  }
  SECTION("it is not: nobody waits any longer") {
    world.engine.on_connect_failed(world.io.links[1], "Connection refused", world.now);
    world.turn();
    CHECK(world.take(client) == master_down);
    world.feed(client, "SET b 1\r\n");  // which has its own hold time
    CHECK(world.take(client).empty());
    world.confirm("a");
    CHECK(world.got(world.log_in()) == Strings{"SET b 1"});
  }
}

TEST_CASE("a published suspicion holds at once") {
  ReadyWorld world;
  world.publish("a", 1, health::GroupState::suspect);
  const ConnId client = world.client();
  world.feed(client, "GET a\r\n");
  CHECK(world.take(world.shared).empty());
  world.publish("a", 1);
  CHECK(world.got(world.shared) == Strings{"GET a"});
}

TEST_CASE("a connection that cannot be made is evidence, and its commands wait") {
  World world;
  world.publish("a");
  const ConnId client = world.client();
  world.feed(client, "SET a 1\r\n");
  SECTION("refused") {
    world.engine.on_connect_failed(world.io.links[0], "Connection refused", world.now);
  }
  SECTION("no answer") {
    world.pass(600ms);
  }
  world.turn();
  REQUIRE(world.io.signals.size() == 1);
  CHECK(world.take(client).empty());
  world.confirm("a");
  CHECK(world.got(world.log_in()) == Strings{"SET a 1"});
}

TEST_CASE("fairlead's own login refused: those who wait hear it, and the operator") {
  World world;
  world.publish("a");
  const ConnId client = world.client();
  world.feed(client, "SET a 1\r\n");
  world.engine.on_connected(world.io.links[0], world.now);
  world.turn();
  world.feed(world.io.links[0], "-NOAUTH Authentication required.\r\n");
  CHECK(
      world.take(client) ==
      "-MASTERDOWN fairlead: the server refused fairlead's own login (NOAUTH Authentication required.); the "
      "command was not executed\r\n");
  REQUIRE(world.io.signals.size() == 1);
  CHECK(world.io.signals[0].kind == health::SignalKind::login_failed);
}

TEST_CASE("EXEC sent and not answered is uncertain") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "MULTI\r\nSET a 1\r\n");
  const ConnId lease = world.log_in();
  world.feed(lease, "+OK\r\n+QUEUED\r\n");
  world.feed(client, "EXEC\r\n");
  world.take(client);
  world.engine.on_error(lease, "reset", world.now);
  world.turn();
  CHECK(world.take(client) == uncertain);
}

TEST_CASE("a lost WATCH makes the next EXEC fail as if a watched key had changed") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "WATCH a\r\n");
  const ConnId lease = world.log_in();
  world.feed(lease, "+OK\r\n");
  world.take(client);
  world.engine.on_error(lease, "reset", world.now);
  world.turn();
  world.feed(client, "MULTI\r\nSET a 1\r\nEXEC\r\n");
  const ConnId next = world.log_in();
  CHECK(world.got(next) == Strings{"MULTI", "SET a 1", "DISCARD"});
  world.feed(next, "+OK\r\n+QUEUED\r\n+OK\r\n");
  CHECK(world.take(client) == "+OK\r\n+QUEUED\r\n*-1\r\n");
}

TEST_CASE("a WATCH that was dispatched again does not stay on a link that others get") {
  ReadyWorld world;
  const ConnId watching = world.client();
  world.feed(watching, "WATCH a\r\n");
  const ConnId lease = world.log_in();
  world.take(lease);
  world.engine.on_error(lease, "reset", world.now);
  world.turn();
  const ConnId next = world.log_in();
  REQUIRE(world.got(next) == Strings{"WATCH a"});
  world.feed(next, "+OK\r\n");
  REQUIRE(world.take(watching) == "+OK\r\n");
  const ConnId other = world.client();
  world.feed(other, "MULTI\r\nINCR b\r\nEXEC\r\n");
  const ConnId clean = world.log_in();
  CHECK(clean != next);
  CHECK(world.got(clean) == Strings{"MULTI", "INCR b", "EXEC"});
}

TEST_CASE("a blocked pop goes on waiting on the new master") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "BLPOP q 0\r\n");
  const ConnId lease = world.log_in();
  world.take(lease);
  SECTION("its link is lost") {
    world.engine.on_error(lease, "reset", world.now);
  }
  SECTION("it is thrown out by the demotion") {
    world.feed(
        lease,
        "-UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)\r\n");
  }
  world.turn();
  world.publish("b", 2);
  const ConnId next = world.log_in();
  CHECK(world.io.at(next).address.host == "b");
  CHECK(world.got(next) == Strings{"BLPOP q 0"});
  world.feed(next, "*2\r\n$1\r\nq\r\n$1\r\nx\r\n");
  CHECK(world.take(client) == "*2\r\n$1\r\nq\r\n$1\r\nx\r\n");
}

TEST_CASE("a blocked pop that outlives two failovers does not count the time between them as waiting") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "BLPOP q 0\r\n");
  const ConnId first = world.log_in();
  world.take(first);
  world.engine.on_error(first, "reset", world.now);
  world.publish("b", 2);
  const ConnId second = world.log_in();
  REQUIRE(world.got(second) == Strings{"BLPOP q 0"});
  world.pass(60s);  // nobody pushes
  world.engine.on_error(second, "reset", world.now);
  world.publish("b", 2, health::GroupState::suspect);
  world.pass(3s);
  REQUIRE(world.take(client).empty());
  world.publish("c", 3);
  const ConnId third = world.log_in();
  CHECK(world.got(third) == Strings{"BLPOP q 0"});
  world.feed(third, "*2\r\n$1\r\nq\r\n$1\r\nx\r\n");
  CHECK(world.take(client) == "*2\r\n$1\r\nq\r\n$1\r\nx\r\n");
}

TEST_CASE("CLIENT UNBLOCK ... ERROR is the client's answer and no evidence") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "BLPOP q 0\r\n");
  const ConnId lease = world.log_in();
  world.feed(lease, "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
  CHECK(world.take(client) == "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
  CHECK(world.io.signals.empty());
}

TEST_CASE(
    "pool-mode session: subscriptions are made again on the new master, and the client notices nothing") {
  EngineOptions options;
  options.pool_mode = PoolMode::session;
  World world(options);
  world.publish("a");
  const ConnId client = world.client();
  world.feed(client, "SUBSCRIBE b a\r\nPSUBSCRIBE p*\r\n");
  const ConnId lease = world.log_in();
  world.feed(lease,
             "*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:2\r\n"
             "*3\r\n$10\r\npsubscribe\r\n$2\r\np*\r\n:3\r\n");
  world.take(client);
  world.engine.on_error(lease, "reset", world.now);
  world.turn();
  world.publish("b", 2);
  const ConnId next = world.log_in();
  CHECK(world.got(next) == Strings{"SUBSCRIBE a b", "PSUBSCRIBE p*"});
  const std::string message = "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n";
  world.feed(next,
             "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n" + message +
                 "*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n*3\r\n$10\r\npsubscribe\r\n$2\r\np*\r\n:3\r\n");
  CHECK(world.take(client) == message);
  world.feed(client, "UNSUBSCRIBE\r\n");
  world.feed(next,
             "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:2\r\n*3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:1\r\n");
  world.take(client);
  world.feed(client, "PUNSUBSCRIBE p*\r\n");
  world.feed(next, "*3\r\n$12\r\npunsubscribe\r\n$2\r\np*\r\n:0\r\n");
  CHECK(world.take(client) == "*3\r\n$12\r\npunsubscribe\r\n$2\r\np*\r\n:0\r\n");
}

TEST_CASE("MONITOR ends with its link, and the client hears of it") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "MONITOR\r\n");
  const ConnId lease = world.log_in();
  world.feed(lease, "+OK\r\n");
  world.engine.on_error(lease, "reset", world.now);
  world.turn();
  CHECK_FALSE(world.io.at(client).open);
  CHECK(world.engine.stats().raw_closed == 1);
}

TEST_CASE("a lost leased link stops nobody else") {
  ReadyWorld world;
  const ConnId client = world.client();
  const ConnId other = world.client();
  world.feed(client, "BLPOP q 0\r\n");
  const ConnId lease = world.log_in();
  world.engine.on_error(lease, "reset", world.now);
  world.turn();
  CHECK(world.io.signals.size() == 1);  // worth a look
  world.feed(other, "GET a\r\n");
  CHECK(world.got(world.shared) == Strings{"GET a"});
  CHECK(world.io.links.size() == 3);  // and the pop is dispatched again
}

TEST_CASE("thousands of held clients are released in turns, in the order in which they came") {
  ReadyWorld world;
  std::vector<ConnId> clients;
  for (int i = 0; i < 1000; ++i) clients.push_back(world.light_client());
  world.engine.on_error(world.shared, "reset", world.now);
  world.turn();
  for (std::size_t i = 0; i < clients.size(); ++i) {
    world.feed(clients[i], "INCR n" + std::to_string(i) + "\r\n");
  }
  CHECK(world.engine.stats().held_now == 1000);
  world.publish("b", 2);
  const auto got = world.got(world.log_in());
  REQUIRE(got.size() == 1000);
  for (int i = 0; i < 1000; ++i) CHECK(got[static_cast<std::size_t>(i)] == "INCR n" + std::to_string(i));
  CHECK(world.engine.stats().held_now == 0);
}

TEST_CASE("draining ends idle clients at once and busy ones after their replies") {
  ReadyWorld world;
  const ConnId idle = world.client();
  const ConnId busy = world.client();
  world.feed(busy, "GET a\r\n");
  world.engine.drain(world.now);
  world.turn();
  CHECK_FALSE(world.io.at(idle).open);
  CHECK(world.io.at(busy).open);
  CHECK_FALSE(world.engine.drained());
  world.feed(world.shared, "+A\r\n");
  CHECK(world.take(busy) == "+A\r\n");
  CHECK(world.engine.drained());
}
