// MULTI blocks whose link is lost before EXEC left: said again whole, or not at all.
#include <catch2/catch.hpp>

#include "tests/proxy/engine/engine_world.hpp"

namespace fairlead::engine {

namespace {

const std::string lost = "-ERR fairlead: the connection to the master was lost inside this transaction\r\n";
const std::string aborted = "-EXECABORT Transaction discarded because of previous errors.\r\n";
const std::string uncertain =
    "-UNCERTAIN fairlead: the connection to the master was lost after the command was sent; it may or may "
    "not "
    "have been executed\r\n";

/// MULTI and SET a 1, both answered.
ConnId begin_block(World& world, ConnId client) {
  world.feed(client, "MULTI\r\nSET a 1\r\n");
  const ConnId lease = world.log_in();
  REQUIRE(world.got(lease) == Strings{"MULTI", "SET a 1"});
  world.feed(lease, "+OK\r\n+QUEUED\r\n");
  REQUIRE(world.take(client) == "+OK\r\n+QUEUED\r\n");
  return lease;
}

void lose_link(World& world, ConnId link) {
  world.engine.on_error(link, "reset", world.now);
  world.turn();
}

}  // namespace

TEST_CASE("an open block is said again on the next link, and the client hears only what it has not heard") {
  const auto chunking = GENERATE(Chunking::whole, Chunking::single_bytes);
  ReadyWorld world({}, chunking);
  const ConnId client = world.client();
  const ConnId lease = begin_block(world, client);
  SECTION("nothing was under way") {
    lose_link(world, lease);
    world.feed(client, "SET b 2\r\nEXEC\r\n");
    const ConnId next = world.log_in();
    REQUIRE(world.got(next) == Strings{"MULTI", "SET a 1", "SET b 2", "EXEC"});
    world.feed(next, "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n+OK\r\n");
    CHECK(world.take(client) == "+QUEUED\r\n*2\r\n+OK\r\n+OK\r\n");
  }
  SECTION("a command had no answer yet") {
    world.feed(client, "SET b 2\r\n");
    world.take(lease);
    lose_link(world, lease);
    const ConnId next = world.log_in();
    REQUIRE(world.got(next) == Strings{"MULTI", "SET a 1", "SET b 2"});
    world.feed(next, "+OK\r\n+QUEUED\r\n+QUEUED\r\n");
    CHECK(world.take(client) == "+QUEUED\r\n");
  }
  SECTION("EXEC had not left") {
    world.io.at(lease).capacity = 0;
    world.feed(client, "EXEC\r\n");
    lose_link(world, lease);
    const ConnId next = world.log_in();
    REQUIRE(world.got(next) == Strings{"MULTI", "SET a 1", "EXEC"});
    world.feed(next, "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n");
    CHECK(world.take(client) == "*1\r\n+OK\r\n");
  }
  SECTION("the next link is lost, too") {
    world.feed(client, "SET b 2\r\n");
    world.take(lease);
    lose_link(world, lease);
    const ConnId second = world.log_in();
    REQUIRE(world.got(second).size() == 3);
    world.feed(second, "+OK\r\n");
    lose_link(world, second);
    const ConnId third = world.log_in();
    REQUIRE(world.got(third) == Strings{"MULTI", "SET a 1", "SET b 2"});
    world.feed(third, "+OK\r\n+QUEUED\r\n+QUEUED\r\n");
    CHECK(world.take(client) == "+QUEUED\r\n");
  }
  CHECK(world.engine.stats().transactions_lost == 0);
  CHECK(world.engine.stats().transactions_replayed >= 1);
  CHECK(world.engine.stats().uncertain == 0);
}

TEST_CASE("an open block waits for the new master with everything else") {
  ReadyWorld world;
  const ConnId client = world.client();
  const ConnId lease = begin_block(world, client);
  world.publish("a", 1, health::GroupState::suspect);
  world.feed(client, "EXEC\r\n");
  CHECK(world.got(lease).empty());
  world.publish("b", 2);
  const ConnId next = world.log_in();
  REQUIRE(world.got(next) == Strings{"MULTI", "SET a 1", "EXEC"});
  world.feed(next, "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n");
  CHECK(world.take(client) == "*1\r\n+OK\r\n");
  SECTION("its link is not used again, and the next block begins at nothing") {
    CHECK_FALSE(world.io.at(next).open);
    world.feed(client, "MULTI\r\nEXEC\r\n");
    const ConnId clean = world.log_in();
    CHECK(world.got(clean) == Strings{"MULTI", "EXEC"});
  }
}

TEST_CASE("a block whose EXEC was sent is never said again, and the one behind it is") {
  ReadyWorld world;
  const ConnId client = world.client();
  const ConnId lease = begin_block(world, client);
  world.feed(client, "EXEC\r\nMULTI\r\nINCR n\r\n");
  REQUIRE(world.got(lease) == Strings{"EXEC", "MULTI", "INCR n"});
  lose_link(world, lease);
  const ConnId next = world.log_in();
  CHECK(world.got(next) == Strings{"MULTI", "INCR n"});
  CHECK(world.take(client) == uncertain);
  world.feed(next, "+OK\r\n+QUEUED\r\n");
  CHECK(world.take(client) == "+OK\r\n+QUEUED\r\n");
}

TEST_CASE("commands that were not answered before their EXEC are not said again either") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "MULTI\r\nSET a 1\r\nEXEC\r\n");
  const ConnId lease = world.log_in();
  world.take(lease);
  const std::size_t links = world.io.links.size();
  lose_link(world, lease);
  CHECK(world.take(client) == "+OK\r\n" + lost + uncertain);
  CHECK(world.io.links.size() == links);
}

TEST_CASE("a block behind a WATCH is said again, and its EXEC fails as after a conflict") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "WATCH a\r\n");
  const ConnId lease = world.log_in();
  world.take(lease);
  world.feed(lease, "+OK\r\n");
  world.feed(client, "MULTI\r\nSET a 1\r\n");
  world.take(lease);
  world.feed(lease, "+OK\r\n+QUEUED\r\n");
  world.take(client);
  SECTION("EXEC is said later") {
    lose_link(world, lease);
    world.feed(client, "EXEC\r\n");
  }
  SECTION("EXEC had not left") {
    world.io.at(lease).capacity = 0;
    world.feed(client, "EXEC\r\n");
    lose_link(world, lease);
  }
  const ConnId next = world.log_in();
  REQUIRE(world.got(next) == Strings{"MULTI", "SET a 1", "DISCARD"});
  world.feed(next, "+OK\r\n+QUEUED\r\n+OK\r\n");
  CHECK(world.take(client) == "*-1\r\n");
  CHECK(world.engine.stats().uncertain == 0);
}

TEST_CASE(
    "EXEC that a lost WATCH has turned into DISCARD is a conflict, also before a block that is uncertain") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "WATCH a\r\n");
  const ConnId lease = world.log_in();
  world.take(lease);
  world.feed(lease, "+OK\r\n");
  world.take(client);
  lose_link(world, lease);
  world.feed(client, "MULTI\r\nSET a 1\r\nEXEC\r\nMULTI\r\nINCR n\r\nEXEC\r\n");
  const ConnId next = world.log_in();
  REQUIRE(world.got(next) == Strings{"MULTI", "SET a 1", "DISCARD", "MULTI", "INCR n", "EXEC"});
  lose_link(world, next);
  CHECK(world.take(client) == "+OK\r\n" + lost + "*-1\r\n+OK\r\n" + lost + uncertain);
}

TEST_CASE("a block of which a command was refused is not said again") {
  ReadyWorld world;
  const ConnId client = world.client();
  const ConnId lease = begin_block(world, client);
  world.feed(client, "NOSUCH\r\n");
  world.take(lease);
  world.feed(lease, "-ERR unknown command 'NOSUCH'\r\n");
  world.take(client);
  lose_link(world, lease);
  world.feed(client, "SET b 2\r\nEXEC\r\n");
  CHECK(world.take(client) == lost + aborted);
  CHECK(world.engine.stats().transactions_lost == 1);
}

TEST_CASE("transaction_bytes_max: a longer block is discarded with its link") {
  EngineOptions options;
  options.limits.transaction_bytes_max = 60;
  ReadyWorld world(options);
  const ConnId client = world.client();
  const ConnId lease = begin_block(world, client);
  CHECK(world.engine.stats().transactions_unkept == 0);
  world.feed(client, "SET b 2\r\n");
  world.take(lease);
  world.feed(lease, "+QUEUED\r\n");
  world.take(client);
  CHECK(world.engine.stats().transactions_unkept == 1);
  lose_link(world, lease);
  world.feed(client, "EXEC\r\n");
  CHECK(world.take(client) == aborted);
  CHECK(world.engine.stats().transactions_lost == 1);
  SECTION("the client's next block is kept again") {
    const ConnId second = begin_block(world, client);
    lose_link(world, second);
    world.feed(client, "EXEC\r\n");
    const ConnId next = world.log_in();
    CHECK(world.got(next) == Strings{"MULTI", "SET a 1", "EXEC"});
  }
}

TEST_CASE("a block that waited too long for a master is over, and nothing of it is said later") {
  EngineOptions options;
  options.limits.hold_max = 300ms;
  ReadyWorld world(options);
  const std::string down = "-MASTERDOWN fairlead: no master for 300 ms; the command was not executed\r\n";
  const ConnId client = world.client();
  const ConnId lease = begin_block(world, client);
  SECTION("the client waited with a command of it") {
    world.feed(client, "SET b 2\r\n");
    world.take(lease);
    world.publish("a", 1, health::GroupState::suspect);
    lose_link(world, lease);
    world.pass(400ms);
    CHECK(world.take(client) == down);
    world.publish("a", 2);
    world.feed(client, "EXEC\r\n");
    CHECK(world.take(client) == aborted);
  }
  SECTION("the client said EXEC") {
    world.publish("a", 1, health::GroupState::suspect);
    lose_link(world, lease);
    world.feed(client, "EXEC\r\n");
    world.pass(400ms);
    CHECK(world.take(client) == down);
    world.publish("a", 2);
  }
  // Were the block still open somewhere, this would be queued.
  world.feed(client, "GET a\r\n");
  CHECK(world.got(world.shared) == Strings{"GET a"});
}

TEST_CASE("a block whose EXEC was refused at once is over, and what is held of it is not said") {
  EngineOptions options;
  options.limits.hold_bytes_max = 1;  // nothing that is said without a master fits
  ReadyWorld world(options);
  const std::string down = "-MASTERDOWN fairlead: no master for 10000 ms; the command was not executed\r\n";
  const ConnId client = world.client();
  SECTION("it began in flight") {
    world.feed(client, "MULTI\r\nSET a 1\r\n");
    const ConnId lease = world.log_in();
    REQUIRE(world.got(lease) == Strings{"MULTI", "SET a 1"});
    world.publish("a", 1, health::GroupState::suspect);
    world.feed(client, "EXEC\r\n");
    CHECK(world.take(client) == "+OK\r\n" + lost + down);
  }
  SECTION("it began behind another block, which is said again whole") {
    world.feed(client, "MULTI\r\nSET a 1\r\n");
    const ConnId lease = world.log_in();
    world.feed(lease, "+OK\r\n+QUEUED\r\n");
    world.take(client);
    world.take(lease);
    world.io.at(lease).capacity = 0;
    world.feed(client, "EXEC\r\nMULTI\r\nSET b 2\r\n");
    world.publish("a", 1, health::GroupState::suspect);
    world.feed(client, "EXEC\r\n");
    world.publish("a", 2);
    const ConnId next = world.log_in();
    CHECK(world.got(next) == Strings{"MULTI", "SET a 1", "EXEC"});
    world.feed(next, "+OK\r\n+QUEUED\r\n*1\r\n+A\r\n");
    CHECK(world.take(client) == "*1\r\n+A\r\n+OK\r\n" + lost + down);
  }
  world.publish("a", 2);
  world.feed(client, "GET a\r\n");
  CHECK(world.got(world.shared) == Strings{"GET a"});
}

TEST_CASE("a block whose link was refused by the server is lost, and no command of it is executed alone") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "SELECT 9\r\n");
  const ConnId shared = world.log_in();
  CHECK(world.take(client) == "+OK\r\n");
  world.feed(client, "MULTI\r\n");
  const ConnId refused = world.io.links.back();
  world.engine.on_connected(refused, world.now);
  world.turn();
  for (const std::string& word : world.got(refused)) {
    const bool is_role = word == "ROLE";
    const bool is_select = word == "SELECT 9";
    world.feed(refused, is_select ? "-BUSY Redis is busy running a script.\r\n"
                        : is_role ? "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"
                                  : "+OK\r\n");
  }
  CHECK(world.take(client).find("BUSY") != std::string::npos);
  world.feed(client, "INCR a\r\nEXEC\r\n");
  CHECK(world.take(client) == lost + aborted);
  CHECK(world.got(shared).empty());
  world.feed(client, "INCR a\r\n");
  CHECK(world.got(shared) == Strings{"INCR a"});
}

TEST_CASE("what is kept of open blocks counts as memory, and is given back") {
  EngineOptions options;
  SECTION("there is room") {
    ReadyWorld world(options);
    const ConnId client = world.client();
    const ConnId lease = begin_block(world, client);
    CHECK(world.engine.stats().transaction_bytes_now > 0);
    SECTION("at EXEC") {
      world.feed(client, "EXEC\r\n");
      world.feed(lease, "*1\r\n+OK\r\n");
    }
    SECTION("at RESET") {
      world.feed(client, "RESET\r\n");
    }
    SECTION("when the client leaves") {
      world.engine.on_error(client, "reset", world.now);
      world.turn();
    }
    CHECK(world.engine.stats().transaction_bytes_now == 0);
  }
  SECTION("there is none") {
    options.limits.memory_bytes_max = 1;
    ReadyWorld world(options);
    const ConnId client = world.client();
    const ConnId lease = begin_block(world, client);
    CHECK(world.engine.stats().transaction_bytes_now == 0);
    CHECK(world.engine.stats().transactions_unkept == 1);
    lose_link(world, lease);
    world.feed(client, "EXEC\r\n");
    CHECK(world.take(client) == aborted);
  }
}

TEST_CASE("scripts of a block are loaded before it is said again") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "EVAL \"return 1\" 0\r\n");
  world.take(world.shared);
  world.feed(world.shared, ":1\r\n");
  world.take(client);
  const std::string digest = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db";  // sha1 of return 1
  world.feed(client, "MULTI\r\nEVALSHA " + digest + " 0\r\n");
  const ConnId lease = world.log_in();
  world.take(lease);
  SECTION("answered") {
    world.feed(lease, "+OK\r\n+QUEUED\r\n");
  }
  SECTION("not answered") {}
  world.publish("b", 2);
  world.feed(client, "EXEC\r\n");
  const ConnId next = world.log_in();
  CHECK(world.got(next) == Strings{"SCRIPT LOAD return 1", "MULTI", "EVALSHA " + digest + " 0", "EXEC"});
}

}  // namespace fairlead::engine
