// CLIENT PAUSE: fairlead's clients wait, and fail at nothing.
#include "engine_world.hpp"

using namespace fairlead;
using namespace fairlead::engine;

TEST_CASE("PAUSE ALL holds everybody until the time is over") {
  ReadyWorld world;
  const ConnId asker = world.client();
  const ConnId other = world.client();
  world.feed(asker, "CLIENT PAUSE 100\r\nPING\r\n");
  CHECK(world.take(asker) == "+OK\r\n");
  world.feed(other, "GET a\r\n");
  world.feed(other, "SET a 1\r\n");
  CHECK(world.got(world.shared).empty());
  REQUIRE(world.engine.next_deadline().has_value());
  CHECK(*world.engine.next_deadline() <= world.now + 100ms);
  world.pass(99ms);
  CHECK(world.take(asker).empty());
  world.pass(1ms);
  CHECK(world.take(asker) == "+PONG\r\n");
  CHECK(world.got(world.shared) == Strings{"GET a", "SET a 1"});
  world.feed(world.shared, "$-1\r\n+OK\r\n");
  CHECK(world.take(other) == "$-1\r\n+OK\r\n");
  CHECK_FALSE(world.engine.next_deadline().has_value());
}

TEST_CASE("errors are not paused") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "CLIENT PAUSE 100\r\nECHO\r\nGET\r\nPING\r\n");
  CHECK(world.got(world.shared) == Strings{"GET"});  // the server says what is wrong with it
  world.feed(world.shared, "-ERR get\r\n");
  CHECK(world.take(client) == "+OK\r\n-ERR wrong number of arguments for 'echo' command\r\n-ERR get\r\n");
}

TEST_CASE("PAUSE WRITE holds what may write, and in a transaction its EXEC") {
  ReadyWorld world;
  const ConnId asker = world.client();
  const ConnId multi = world.client();
  world.feed(multi, "MULTI\r\nSET a 1\r\n");
  const ConnId lease = world.log_in();
  world.feed(lease, "+OK\r\n+QUEUED\r\n");
  world.take(lease);
  world.feed(asker, "CLIENT PAUSE 1000 WRITE\r\nGET a\r\nSET a 1\r\nGET b\r\n");
  CHECK(world.got(world.shared) == Strings{"GET a"});  // and the order is kept behind SET
  world.feed(multi, "EXEC\r\n");
  CHECK(world.got(lease).empty());
  const ConnId reader = world.client();
  world.feed(reader, "MULTI\r\nGET a\r\nEXEC\r\n");
  const ConnId free_lease = world.log_in();
  CHECK(world.got(free_lease) == Strings{"MULTI", "GET a", "EXEC"});
  SECTION("UNPAUSE lets them go") {
    const ConnId operator_client = world.client();
    world.feed(operator_client, "CLIENT UNPAUSE\r\n");
    // The server's own pause ends with it, on a link that no pause stops.
    const ConnId admin = world.log_in();
    CHECK(world.got(admin) == Strings{"CLIENT UNPAUSE"});
    world.feed(admin, "+OK\r\n");
    CHECK(world.take(operator_client) == "+OK\r\n");
    CHECK(world.got(world.shared) == Strings{"SET a 1", "GET b"});
    CHECK(world.got(lease) == Strings{"EXEC"});
  }
  SECTION("who waits is told as blocked, and may go away") {
    const ConnId operator_client = world.client();
    world.feed(operator_client, "CLIENT LIST\r\n");
    CHECK_THAT(world.take(operator_client), Catch::Matchers::Contains(" flags=b "));
    world.feed(operator_client, "INFO clients\r\n");
    world.feed(world.shared, "$-1\r\n$19\r\nblocked_clients:1\r\n\r\n");
    CHECK(world.take(operator_client) == "$19\r\nblocked_clients:3\r\n\r\n");
    world.take(world.shared);
    world.engine.on_error(asker, "reset", world.now);
    world.pass(1s);
    CHECK(world.got(world.shared).empty());
  }
}

TEST_CASE("a pause reaches the other workers") {
  World one({}, Chunking::whole, {1, 2});
  one.io.peers = 1;
  ReadyWorld two({}, Chunking::whole, {2, 2});
  const ConnId asker = one.client();
  one.feed(asker, "CLIENT PAUSE 500 WRITE\r\n");
  CHECK(one.take(asker).empty());  // OK is said when all are paused
  REQUIRE(one.io.queries.size() == 1);
  one.engine.on_query_answer(one.io.queries[0].id, two.engine.answer_query(one.io.queries[0], two.now),
                             one.now);
  one.turn();
  CHECK(one.take(asker) == "+OK\r\n");
  const ConnId writer = two.client();
  two.feed(writer, "SET a 1\r\n");
  CHECK(two.got(two.shared).empty());
  two.pass(500ms);
  CHECK(two.got(two.shared) == Strings{"SET a 1"});
}

TEST_CASE("what was taken back from a lost link waits for the end of the pause too") {
  ReadyWorld world;
  const ConnId writer = world.client();
  const ConnId reader = world.client();
  const ConnId asker = world.client();
  world.io.at(world.shared).capacity = 0;
  world.feed(writer, "SET a 1\r\n");
  world.feed(reader, "GET a\r\n");
  world.feed(asker, "CLIENT PAUSE 1000 WRITE\r\n");
  world.engine.on_error(world.shared, "reset", world.now);
  world.turn();
  world.publish("b", 2);
  const ConnId fresh = world.log_in();
  CHECK(world.got(fresh) == Strings{"GET a"});
  world.pass(1s);
  CHECK(world.got(fresh) == Strings{"SET a 1"});
  world.feed(fresh, "$-1\r\n+OK\r\n");
  CHECK(world.take(writer) == "+OK\r\n");
}

TEST_CASE("UNPAUSE without a master ends the pause of fairlead alone") {
  World world;
  const ConnId client = world.client();
  world.feed(client, "CLIENT PAUSE 60000 WRITE\r\nCLIENT UNPAUSE\r\n");
  CHECK(world.take(client) == "+OK\r\n+OK\r\n");
}
