// What the fuzzers found (tests/fuzz/engine_fuzz.cpp, tests/integration/protocol_fuzz.py), each as small as
// it became.
#include "engine_world.hpp"

using namespace fairlead;
using namespace fairlead::engine;

namespace {

constexpr const char* nothing_left = "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n";

/// Subscribers have a link of their own in this pool mode only.
struct SessionModeWorld : World {
  SessionModeWorld() : World(session_mode()) { publish("a"); }

  static EngineOptions session_mode() {
    EngineOptions options;
    options.pool_mode = PoolMode::session;
    return options;
  }
};

}  // namespace

TEST_CASE("DISCARD with too many words leaves the block open, and its link with its owner") {
  // Redis refuses it and stays in MULTI: the next owner of the link would have had its commands queued.
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "MULTI\r\n");
  const ConnId lease = world.log_in();
  world.got(lease);
  world.feed(lease, "+OK\r\n");
  world.feed(client, "DISCARD x\r\n");
  CHECK(world.engine.stats().leases_now == 1);
  CHECK(world.take(client) == "+OK\r\n-ERR wrong number of arguments for 'discard' command\r\n");
  SECTION("as any refused command, it spoils the block") {
    world.feed(client, "SET a 1\r\nEXEC\r\n");
    CHECK(world.got(lease) == Strings{"SET a 1", "DISCARD"});
    world.feed(lease, "+QUEUED\r\n+OK\r\n");
    CHECK(world.take(client) ==
          "+QUEUED\r\n-EXECABORT Transaction discarded because of previous errors.\r\n");
    CHECK(world.engine.stats().leases_now == 0);
  }
}

TEST_CASE("UNWATCH with too many words goes on watching") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "WATCH a\r\n");
  const ConnId lease = world.log_in();
  world.got(lease);
  world.feed(lease, "+OK\r\n");
  world.feed(client, "UNWATCH x\r\n");
  CHECK(world.take(client) == "+OK\r\n-ERR wrong number of arguments for 'unwatch' command\r\n");
  CHECK(world.engine.stats().leases_now == 1);
}

TEST_CASE("MULTI with too many words begins nothing") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "MULTI x\r\nHELLO 2\r\n");
  CHECK(world.take(client).starts_with("-ERR wrong number of arguments for 'multi' command\r\n*14\r\n"));
  CHECK(world.io.links.size() == 1);
}

TEST_CASE("a RESP2 subscriber's MULTI is refused by the server and begins nothing") {
  SessionModeWorld world;
  const ConnId client = world.client();
  world.feed(client, "SUBSCRIBE c\r\nMULTI\r\nUNSUBSCRIBE c\r\n");
  const ConnId lease = world.log_in();
  world.got(lease);
  world.feed(lease, "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
  CHECK(world.got(lease) == Strings{"MULTI", "UNSUBSCRIBE c"});
}

TEST_CASE("behind an UNSUBSCRIBE, HELLO waits until it is known who answers it") {
  SessionModeWorld world;
  const ConnId client = world.client();
  world.feed(client, "UNSUBSCRIBE\r\nHELLO 3\r\n");
  const ConnId lease = world.log_in();
  CHECK(world.got(lease) == Strings{"UNSUBSCRIBE"});
  world.feed(lease, nothing_left);
  CHECK(world.got(lease) == Strings{"HELLO 3"});  // its own link, for as long as it lives
  world.feed(lease, "%1\r\n$6\r\nserver\r\n$5\r\nredis\r\n");
  const std::string answer = world.take(client);
  CHECK(answer.starts_with(std::string(nothing_left) + "%7\r\n"));
}

TEST_CASE("WAIT and subscriptions in one pipeline do not end the client") {
  // The PING that goes before WAIT is answered on a link that has become a subscriber's meanwhile.
  SessionModeWorld world;
  const ConnId client = world.client();
  SECTION("WAIT first") {
    world.feed(client, "WAIT 0 0\r\nSUBSCRIBE c\r\n");
    const ConnId lease = world.log_in();
    CHECK(world.got(lease) == Strings{"PING", "WAIT 0 0", "SUBSCRIBE c"});
    world.feed(lease, "+PONG\r\n:0\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
    CHECK(world.take(client) == ":0\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
  }
  SECTION("WAIT last") {
    world.feed(client, "UNSUBSCRIBE\r\nWAIT 0 0\r\n");
    const ConnId lease = world.log_in();
    CHECK(world.got(lease) == Strings{"UNSUBSCRIBE", "PING", "WAIT 0 0"});
    world.feed(lease, std::string(nothing_left) + "+PONG\r\n:0\r\n");
    CHECK(world.take(client) == std::string(nothing_left) + ":0\r\n");
  }
  CHECK(world.io.at(client).open);
}

TEST_CASE("what was said before HELLO is answered in the protocol of before, also after a failover") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "GET a\r\nHELLO 3\r\n");
  CHECK(world.got(world.shared) == Strings{"GET a"});
  world.engine.on_end_of_file(world.shared, world.now);
  world.turn();
  world.publish("b", 2);
  const ConnId next = world.io.links.back();
  world.engine.on_connected(next, world.now);
  world.turn();
  CHECK(world.got(next) == Strings{"ROLE"});  // and not HELLO 3
}

TEST_CASE("HTTP behind other commands is hung up on after their answers") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "GET a\r\n");
  world.feed(client, "POST / HTTP/1.1\r\nGET b\r\n");
  CHECK(world.io.at(client).open);
  CHECK(world.got(world.shared) == Strings{"GET a"});
  world.feed(world.shared, "$1\r\n1\r\n");
  CHECK(world.take(client) == "$1\r\n1\r\n");
  CHECK_FALSE(world.io.at(client).open);
}

TEST_CASE("EXEC is refused in words of its own") {
  EngineOptions options;
  options.client_password = "secret";
  World world(options);
  const ConnId client = world.client();
  world.feed(client, "EXEC\r\nEXEC x\r\n");
  CHECK(world.take(client) ==
        "-EXECABORT Transaction discarded because of: NOAUTH Authentication required.\r\n"
        "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command\r\n");
}

TEST_CASE("before the login an unknown subcommand is called unknown") {
  EngineOptions options;
  options.client_password = "secret";
  World world(options);
  const ConnId client = world.client();
  world.feed(client, "object NOSUCH a\r\n");
  CHECK(world.take(client) == "-ERR unknown subcommand 'NOSUCH'. Try OBJECT HELP.\r\n");
}

TEST_CASE("a client that is accepted while draining does not hold up the end") {
  ReadyWorld world;
  world.engine.drain(world.now);
  const ConnId late = world.client();
  world.turn();
  CHECK_FALSE(world.io.at(late).open);
  CHECK(world.engine.drained());
}

TEST_CASE("SUBSCRIBE behind an EXEC that is answered here does not let the server's answer through") {
  SessionModeWorld world;
  const ConnId client = world.client();
  world.feed(client, "MULTI\r\nSHUTDOWN\r\nEXEC\r\nSUBSCRIBE c\r\n");
  const ConnId lease = world.log_in();
  CHECK(world.got(lease) == Strings{"MULTI", "DISCARD", "SUBSCRIBE c"});
  world.feed(lease, "+OK\r\n+OK\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
  CHECK(world.take(client) ==
        "+OK\r\n-NOPERM this user has no permissions to run the 'shutdown' command\r\n"
        "-EXECABORT Transaction discarded because of previous errors.\r\n"
        "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
}

TEST_CASE("a SUBSCRIBE that failed with the hold time leaves no subscriber behind") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "CLIENT SETNAME me\r\nSUBSCRIBE c\r\n");
  const ConnId upstream = world.log_in();
  world.got(upstream);
  world.engine.on_end_of_file(world.shared, world.now);  // the gate closes
  world.engine.on_end_of_file(upstream, world.now);
  world.turn();
  world.pass(11s);
  CHECK(world.take(client).starts_with("+OK\r\n-MASTERDOWN "));
  world.feed(client, "CLIENT GETNAME\r\n");
  CHECK(world.take(client) == "$2\r\nme\r\n");
}

TEST_CASE("EXEC with too many words ends the block, in the server's words") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "MULTI\r\nSHUTDOWN\r\nEXEC x\r\n");
  const ConnId lease = world.log_in();
  CHECK(world.got(lease) == Strings{"MULTI", "EXEC x"});
  world.feed(lease, "+OK\r\n-EXECABORT Transaction discarded because of: wrong number\r\n");
  CHECK(world.engine.stats().leases_now == 0);
}

TEST_CASE("nothing of ours is queued before a WAIT inside MULTI") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "MULTI\r\nWAIT 0 0\r\nEXEC\r\n");
  const ConnId lease = world.log_in();
  CHECK(world.got(lease) == Strings{"MULTI", "WAIT 0 0", "EXEC"});
}

TEST_CASE("MULTI and DISCARD whose link is lost do what they say") {
  // An error would make the client believe that no block is open, or that one still is.
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "MULTI\r\n");
  const ConnId lease = world.log_in();
  world.got(lease);
  SECTION("MULTI") {
    world.feed(client, "EXEC\r\n");
    world.got(lease);
    world.engine.on_end_of_file(lease, world.now);
    world.turn();
    CHECK(world.take(client) ==
          "+OK\r\n-UNCERTAIN fairlead: the connection to the master was lost after the command was sent; it "
          "may or may not have been executed\r\n");
  }
  SECTION("DISCARD") {
    world.feed(lease, "+OK\r\n");
    world.feed(client, "DISCARD\r\n");
    world.engine.on_end_of_file(lease, world.now);
    world.turn();
    const ConnId next = world.log_in();
    CHECK(world.got(next) == Strings{"MULTI", "DISCARD"});
    world.feed(next, "+OK\r\n+OK\r\n");
    CHECK(world.take(client) == "+OK\r\n+OK\r\n");
    world.feed(client, "GET a\r\n");
    CHECK(world.got(world.shared) == Strings{"GET a"});
  }
}

TEST_CASE("AUTH whose link was lost is asked again apart from all commands") {
  // On the shared link it would have made everybody's commands that user's.
  World world;
  world.publish("a");
  const ConnId client = world.client();
  world.feed(client, "AUTH alice secret\r\nGET a\r\n");
  const ConnId judge = world.log_in();
  CHECK(world.got(judge) == Strings{"AUTH alice secret"});
  world.engine.on_end_of_file(judge, world.now);
  world.turn();
  world.publish("b", 2);
  const ConnId other = world.client();
  world.feed(other, "GET b\r\n");
  REQUIRE(world.io.links.size() == 3);
  const ConnId next = world.log_in(1);
  const ConnId shared = world.log_in(2);
  CHECK(world.got(next) == Strings{"AUTH alice secret"});
  CHECK(world.got(shared) == Strings{"GET b"});
}

TEST_CASE("a raw client that waits for its link's backlog when the link is lost") {
  // It stayed among those who wait, and the worker never came back from waking it.
  EngineOptions options;
  options.limits.link_backlog_bytes_max = 100;
  ReadyWorld world(options);
  const ConnId client = world.client();
  world.feed(client, "MONITOR\r\n");
  const ConnId lease = world.log_in();
  CHECK(world.got(lease) == Strings{"MONITOR"});
  world.feed(lease, "+OK\r\n");
  world.io.at(lease).capacity = 0;
  world.feed(client, "SET a " + std::string(200, 'x') + "\r\nGET a\r\n");
  CHECK(world.engine.stats().backlog_pauses == 1);
  world.engine.on_error(lease, "reset", world.now);
  world.turn();
  CHECK(world.take(client) == "+OK\r\n");
  CHECK_FALSE(world.io.at(client).open);
}

TEST_CASE("SELECT in a block that was not executed says nothing about the next block") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "MULTI\r\nSELECT 2\r\nSHUTDOWN\r\nEXEC\r\n");
  const ConnId first = world.log_in();
  CHECK(world.got(first) == Strings{"MULTI", "SELECT 2", "DISCARD"});
  world.feed(first, "+OK\r\n+QUEUED\r\n+OK\r\n");
  world.feed(client, "MULTI\r\nEXEC\r\n");
  const ConnId second = world.log_in();
  CHECK(world.got(second) == Strings{"MULTI", "EXEC"});
  world.feed(second, "+OK\r\n*0\r\n");
  world.feed(client, "GET a\r\n");
  CHECK(world.got(world.shared) == Strings{"GET a"});  // of database 0
}

TEST_CASE("a lease that became free is not lost with the one who was to have it") {
  EngineOptions options;
  options.limits.leased_links_max = 1;
  ReadyWorld world(options);
  const ConnId owner = world.client();
  const ConnId second = world.client();
  const ConnId third = world.client();
  world.feed(owner, "BLPOP q 0\r\n");
  world.feed(second, "BLPOP q 0\r\n");
  world.feed(third, "BLPOP q 0\r\n");
  CHECK(world.engine.stats().lease_waits == 2);
  world.engine.on_error(owner, "gone", world.now);   // the second is woken ...
  world.engine.on_error(second, "gone", world.now);  // ... and goes away in the same turn
  world.turn();
  CHECK(world.got(world.log_in()) == Strings{"BLPOP q 0"});
}

TEST_CASE("SELECT in a second block does not count at the EXEC of the first") {
  // It took the session to another database, and so to another link, in the midst of its block.
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "MULTI\r\nEXEC\r\nMULTI\r\nSELECT 2\r\n");
  const ConnId lease = world.log_in();
  CHECK(world.got(lease) == Strings{"MULTI", "EXEC", "MULTI", "SELECT 2"});
  world.feed(lease, "+OK\r\n*0\r\n+OK\r\n+QUEUED\r\n");
  world.feed(client, "SET a 1\r\nEXEC\r\n");
  CHECK(world.got(lease) == Strings{"SET a 1", "EXEC"});
}
