// CLIENT REPLY: which replies a client hears.
#include "engine_world.hpp"

using namespace fairlead;
using namespace fairlead::engine;

TEST_CASE("CLIENT REPLY OFF silences everything but pushes, ON speaks again") {
  for (const Chunking chunking : {Chunking::whole, Chunking::single_bytes}) {
    ReadyWorld world({}, chunking);
    const ConnId client = world.client();
    world.feed(client, "CLIENT REPLY OFF\r\nPING\r\nSELECT 0\r\nGET a\r\nECHO\r\nNOSUCH\r\n");
    CHECK(world.got(world.shared) == Strings{"GET a"});
    world.feed(world.shared, "$1\r\nx\r\n");
    CHECK(world.take(client).empty());
    const ConnId lease = world.log_in();
    CHECK(world.got(lease) == Strings{"NOSUCH"});
    world.feed(lease, "-ERR unknown command\r\n");
    world.feed(client, "CLIENT REPLY ON\r\nPING\r\n");
    CHECK(world.take(client) == "+OK\r\n+PONG\r\n");
    CHECK(world.engine.stats().leases_now == 0);
  }
}

TEST_CASE("CLIENT REPLY SKIP drops one reply and no other") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "CLIENT REPLY SKIP\r\nGET a\r\nGET b\r\nCLIENT REPLY SKIP\r\nPING\r\nPING\r\n");
  world.feed(world.shared, "$1\r\na\r\n$1\r\nb\r\n");
  CHECK(world.take(client) == "$1\r\nb\r\n+PONG\r\n");
  SECTION("ON takes the skip back") {
    world.feed(client, "CLIENT REPLY SKIP\r\nCLIENT REPLY ON\r\nPING\r\n");
    CHECK(world.take(client) == "+OK\r\n+PONG\r\n");
  }
  SECTION("OFF wins over SKIP") {
    world.feed(client, "CLIENT REPLY OFF\r\nCLIENT REPLY SKIP\r\nPING\r\nPING\r\n");
    CHECK(world.take(client).empty());
  }
  SECTION("an error is a reply like any other") {
    world.feed(client, "CLIENT REPLY SKIP\r\nCLIENT REPLY NOW\r\nCLIENT REPLY NOW\r\n");
    CHECK(world.take(client) == "-ERR syntax error\r\n");
  }
  SECTION("a query of all workers too") {
    world.feed(client, "CLIENT REPLY SKIP\r\nCLIENT LIST\r\nCLIENT KILL ID 99\r\n");
    CHECK(world.take(client) == ":0\r\n");
  }
}

TEST_CASE("a silent transaction is executed, and a silent subscriber hears") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "CLIENT REPLY OFF\r\nMULTI\r\nSET a 1\r\nEXEC\r\n");
  const ConnId lease = world.log_in();
  CHECK(world.got(lease) == Strings{"MULTI", "SET a 1", "EXEC"});
  world.feed(lease, "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n");
  CHECK(world.take(client).empty());
  world.feed(client, "SUBSCRIBE c\r\nPING\r\n");
  const std::string confirmed = "3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n";
  const std::string message = "3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n";
  world.feed(world.log_in(), ">" + confirmed + ">" + message + ">" + message);
  CHECK(world.take(client) == "*" + confirmed + "*" + message + "*" + message);
}

TEST_CASE("RESET and QUIT after CLIENT REPLY OFF") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "CLIENT REPLY OFF\r\nRESET\r\nPING\r\n");
  CHECK(world.take(client) == "+RESET\r\n+PONG\r\n");
  world.feed(client, "CLIENT REPLY OFF\r\nQUIT\r\n");
  CHECK(world.take(client).empty());
  CHECK_FALSE(world.io.at(client).open);
}

TEST_CASE("a silent command whose link is lost stays silent") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "CLIENT REPLY SKIP\r\nINCR a\r\nGET a\r\n");
  CHECK(world.got(world.shared).size() == 2);
  world.engine.on_error(world.shared, "reset", world.now);
  world.turn();
  world.publish("b", 2);
  const ConnId fresh = world.log_in();
  CHECK(world.got(fresh) == Strings{"GET a"});
  world.feed(fresh, "$1\r\n1\r\n");
  CHECK(world.take(client) == "$1\r\n1\r\n");
  CHECK(world.engine.stats().uncertain == 1);
}

TEST_CASE("a raw link is told of the silence") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "CLIENT REPLY OFF\r\nMONITOR\r\n");
  const ConnId lease = world.log_in();
  CHECK(world.got(lease) == Strings{"CLIENT REPLY OFF", "MONITOR"});
}

TEST_CASE("CLIENT NO-EVICT and NO-TOUCH know two words") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client,
             "CLIENT NO-EVICT on\r\nCLIENT NO-EVICT off\r\nCLIENT NO-EVICT maybe\r\nCLIENT NO-EVICT\r\n");
  CHECK(
      world.take(client) ==
      "+OK\r\n+OK\r\n-ERR syntax error\r\n-ERR wrong number of arguments for 'client|no-evict' command\r\n");
  CHECK(world.io.links.size() == 1);
}

TEST_CASE("CLIENT SETNAME inside MULTI names the client when EXEC has executed it") {
  ReadyWorld world;
  const ConnId client = world.client();
  const bool executed = GENERATE(true, false);
  world.feed(client, "MULTI\r\nCLIENT SETNAME me\r\nEXEC\r\n");
  world.feed(world.log_in(), std::string("+OK\r\n+QUEUED\r\n") + (executed ? "*1\r\n+OK\r\n" : "*-1\r\n"));
  world.take(client);
  world.feed(client, "CLIENT GETNAME\r\n");
  CHECK(world.take(client) == (executed ? "$2\r\nme\r\n" : "$-1\r\n"));
}
