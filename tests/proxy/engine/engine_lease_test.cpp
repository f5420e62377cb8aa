#include "engine_world.hpp"

using namespace fairlead;
using namespace fairlead::engine;

namespace {

EngineOptions session_mode() {
  EngineOptions options;
  options.pool_mode = PoolMode::session;
  return options;
}

}  // namespace

TEST_CASE("a transaction has a link of its own, from WATCH to EXEC") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "SET a 0\r\nWATCH a\r\nGET a\r\nMULTI\r\nSET a 1\r\nPING\r\nEXEC\r\n");
  CHECK(world.got(world.shared) == Strings{"SET a 0"});
  CHECK(world.io.links.size() == 1);  // the lease begins when the shared requests are answered
  world.feed(world.shared, "+OK\r\n");
  const ConnId lease = world.log_in();
  CHECK(world.got(lease) == Strings{"WATCH a", "GET a", "MULTI", "SET a 1", "PING", "EXEC"});
  world.feed(lease, "+OK\r\n$1\r\n0\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n+PONG\r\n");
  CHECK(world.take(client) == "+OK\r\n+OK\r\n$1\r\n0\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n+PONG\r\n");
  CHECK(world.engine.stats().leases_now == 0);
  CHECK(world.io.at(lease).open);

  SECTION("then it shares again") {
    world.feed(client, "GET a\r\n");
    CHECK(world.got(world.shared) == Strings{"GET a"});
  }
  SECTION("the clean link is used by the next who needs one") {
    const ConnId other = world.client();
    world.feed(other, "MULTI\r\n");
    CHECK(world.got(lease) == Strings{"MULTI"});
    CHECK(world.io.links.size() == 2);
  }
}

TEST_CASE("who asks for its name behind an EXEC that gives it one waits for that") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "MULTI\r\nCLIENT SETNAME me\r\nEXEC\r\nCLIENT GETNAME\r\n");
  const ConnId lease = world.log_in();
  CHECK(world.got(lease) == Strings{"MULTI", "CLIENT SETNAME me", "EXEC"});
  SECTION("executed") {
    world.feed(lease, "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n");
    CHECK(world.take(client) == "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n$2\r\nme\r\n");
  }
  SECTION("or not") {
    world.feed(lease, "+OK\r\n+QUEUED\r\n-EXECABORT x\r\n");
    CHECK(world.take(client) == "+OK\r\n+QUEUED\r\n-EXECABORT x\r\n$-1\r\n");
  }
}

TEST_CASE("in a transaction the link bears its client's name, and it is told once") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "CLIENT SETNAME me\r\nMULTI\r\nMULTI\r\nCLIENT GETNAME\r\nEXEC\r\n");
  const ConnId lease = world.log_in();
  CHECK(world.got(lease) == Strings{"CLIENT SETNAME me", "MULTI", "MULTI", "CLIENT GETNAME", "EXEC"});
  world.take(client);
  world.feed(lease, "+OK\r\n+OK\r\n-ERR MULTI calls can not be nested\r\n+QUEUED\r\n*1\r\n$2\r\nme\r\n");
  CHECK(world.take(client) == "+OK\r\n-ERR MULTI calls can not be nested\r\n+QUEUED\r\n*1\r\n$2\r\nme\r\n");
  world.take(lease);

  SECTION("again it is known") {
    world.feed(client, "MULTI\r\n");
    CHECK(world.got(lease) == Strings{"MULTI"});
  }
  SECTION("the next client has none") {
    world.feed(world.client(), "MULTI\r\n");
    CHECK(world.got(lease) == Strings{"CLIENT SETNAME ", "MULTI"});
  }
}

TEST_CASE("between WATCH and EXEC nobody else gets the link") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "WATCH a\r\n");
  const ConnId lease = world.log_in();
  world.feed(lease, "+OK\r\n");
  CHECK(world.engine.stats().leases_now == 1);
  const ConnId other = world.client();
  world.feed(other, "WATCH a\r\n");
  CHECK(world.io.links.size() == 3);
  SECTION("UNWATCH gives it back") {
    world.take(lease);
    world.feed(client, "UNWATCH\r\n");
    CHECK(world.got(lease) == Strings{"UNWATCH"});
    world.feed(lease, "+OK\r\n");
    CHECK(world.io.at(lease).open);
  }
  SECTION("a client that goes away takes its watches with it") {
    world.engine.on_end_of_file(client, world.now);
    world.turn();
    CHECK_FALSE(world.io.at(lease).open);
  }
}

TEST_CASE("EXEC alone gets Redis' own error from the server") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "EXEC\r\n");
  CHECK(world.got(world.shared) == Strings{"EXEC"});
  world.feed(world.shared, "-ERR EXEC without MULTI\r\n");
  CHECK(world.take(client) == "-ERR EXEC without MULTI\r\n");
}

TEST_CASE("a refused command inside MULTI makes EXEC abort") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "MULTI\r\nSHUTDOWN\r\nSET a 1\r\nEXEC\r\n");
  const ConnId lease = world.log_in();
  CHECK(world.got(lease) == Strings{"MULTI", "SET a 1", "DISCARD"});
  world.feed(lease, "+OK\r\n+QUEUED\r\n+OK\r\n");
  CHECK(world.take(client) ==
        "+OK\r\n-NOPERM this user has no permissions to run the 'shutdown' command\r\n+QUEUED\r\n"
        "-EXECABORT Transaction discarded because of previous errors.\r\n");
  CHECK(world.engine.stats().leases_now == 0);
}

TEST_CASE("SELECT inside a transaction counts from EXEC on, and only the link knows whether it succeeded") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "MULTI\r\nSELECT 99\r\nEXEC\r\nGET a\r\n");
  const ConnId lease = world.log_in();
  CHECK(world.got(lease) == Strings{"MULTI", "SELECT 99", "EXEC", "GET a"});
  world.feed(lease, "+OK\r\n+QUEUED\r\n*1\r\n-ERR DB index is out of range\r\n$-1\r\n");
  world.take(client);
  world.feed(client, "GET b\r\n");
  CHECK(world.got(lease) == Strings{"GET b"});  // in whatever database it is
  world.feed(lease, "$-1\r\n");
  SECTION("a SELECT outside a block ends the doubt") {
    world.feed(client, "SELECT 0\r\nGET c\r\n");
    CHECK(world.got(lease) == Strings{"SELECT 0", "GET c"});
    world.feed(lease, "+OK\r\n$-1\r\n");
    CHECK_FALSE(world.io.at(lease).open);
    world.feed(client, "GET d\r\n");
    CHECK(world.got(world.shared) == Strings{"GET d"});
  }
  SECTION("without its link the session would go on in another database: it ends") {
    world.engine.on_error(lease, "reset", world.now);
    world.turn();
    CHECK_FALSE(world.io.at(client).open);
  }
}

TEST_CASE("a blocking command blocks nobody else, and ends with its client") {
  ReadyWorld world;
  const ConnId client = world.client();
  const ConnId other = world.client();
  world.feed(client, "BLPOP q 0\r\n");
  const ConnId lease = world.log_in();
  CHECK(world.got(lease) == Strings{"BLPOP q 0"});
  CHECK(world.io.at(client).reading == Reading::on);  // to see it go away
  world.feed(other, "RPUSH q x\r\n");
  CHECK(world.got(world.shared) == Strings{"RPUSH q x"});
  SECTION("answered") {
    world.feed(lease, "*2\r\n$1\r\nq\r\n$1\r\nx\r\n");
    CHECK(world.take(client) == "*2\r\n$1\r\nq\r\n$1\r\nx\r\n");
    CHECK(world.engine.stats().leases_now == 0);
    CHECK(world.io.at(lease).open);
  }
  SECTION("the client goes away") {
    world.engine.on_end_of_file(client, world.now);
    world.turn();
    CHECK_FALSE(world.io.at(lease).open);
    CHECK_FALSE(world.io.at(client).open);
  }
  SECTION("commands behind it wait on the same link") {
    world.feed(client, "GET a\r\n");
    CHECK(world.got(lease) == Strings{"GET a"});
    world.feed(lease, "*-1\r\n+A\r\n");
    CHECK(world.take(client) == "*-1\r\n+A\r\n");
  }
}

TEST_CASE("XREAD is shared without BLOCK and leased with it") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "XREAD STREAMS s 0\r\n");
  CHECK(world.got(world.shared) == Strings{"XREAD STREAMS s 0"});
  world.feed(world.shared, "*-1\r\n");
  world.feed(client, "XREAD BLOCK 0 STREAMS s 0\r\n");
  CHECK(world.io.links.size() == 2);
}

TEST_CASE("an unknown command leases a link that is closed afterwards") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "MODULE.THING a\r\n");
  const ConnId lease = world.log_in();
  CHECK(world.got(lease) == Strings{"MODULE.THING a"});
  world.feed(lease, "-ERR unknown command 'MODULE.THING', with args beginning with: 'a' \r\n");
  CHECK(world.take(client) == "-ERR unknown command 'MODULE.THING', with args beginning with: 'a' \r\n");
  CHECK_FALSE(world.io.at(lease).open);
}

TEST_CASE("WAIT follows a command on its own link, since a fresh link knows no offset") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "SET a 1\r\nWAIT 1 0\r\n");
  CHECK(world.got(world.shared) == Strings{"SET a 1"});
  world.feed(world.shared, "+OK\r\n");
  const ConnId lease = world.log_in();
  CHECK(world.got(lease) == Strings{"PING", "WAIT 1 0"});
  world.feed(lease, "+PONG\r\n:1\r\n");
  CHECK(world.take(client) == "+OK\r\n:1\r\n");
  CHECK(world.engine.stats().leases_now == 0);
}

TEST_CASE(
    "pool-mode session, a subscriber in RESP2: messages pass on its own link, confirmations are counted") {
  for (const Chunking chunking : {Chunking::whole, Chunking::single_bytes}) {
    World world(session_mode(), chunking);
    world.publish("a");
    const ConnId client = world.client();
    world.feed(client, "SUBSCRIBE a b\r\n");
    const ConnId lease = world.log_in();
    CHECK(world.got(lease) == Strings{"SUBSCRIBE a b"});
    const std::string confirmed =
        "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n";
    world.feed(lease, confirmed);
    CHECK(world.take(client) == confirmed);
    const std::string message = "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n";
    world.feed(lease, message);
    CHECK(world.take(client) == message);
    world.feed(client, "PING\r\nGET a\r\n");
    CHECK(world.got(lease) == Strings{"PING", "GET a"});
    // A message between the answers must not be taken for one.
    const std::string refused = "-ERR Can't execute 'get'\r\n";
    world.feed(lease, message + "*2\r\n$4\r\npong\r\n$0\r\n\r\n" + message + refused);
    CHECK(world.take(client) == message + "*2\r\n$4\r\npong\r\n$0\r\n\r\n" + message + refused);
    world.feed(client, "UNSUBSCRIBE\r\nGET a\r\n");
    CHECK(world.got(lease).front() == "UNSUBSCRIBE");
    const std::string gone =
        "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:0\r\n";
    world.feed(lease, gone + "+A\r\n");
    CHECK(world.take(client) == gone + "+A\r\n");
    world.take(lease);
    world.feed(client, "GET b\r\n");
    CHECK(world.got(lease) == Strings{"GET b"});
  }
}

TEST_CASE("pool-mode session, a subscriber in RESP3 mixes commands and pushes") {
  World world(session_mode());
  world.publish("a");
  const ConnId client = world.client();
  world.feed(client, "HELLO 3\r\n");
  world.take(client);
  world.feed(client, "SUBSCRIBE a\r\n");
  const ConnId lease = world.log_in();
  const std::string confirmed = ">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n";
  const std::string message = ">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n";
  world.feed(lease, confirmed);
  world.take(lease);
  world.feed(client, "LRANGE l 0 -1\r\n");
  CHECK(world.got(lease) == Strings{"LRANGE l 0 -1"});
  const std::string list =
      "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n";  // a list that looks like a message
  world.feed(lease, message + list + message);
  CHECK(world.take(client) == confirmed + message + list + message);
}

TEST_CASE("MONITOR passes everything until the client goes") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "MONITOR\r\n");
  const ConnId lease = world.log_in();
  CHECK(world.got(lease) == Strings{"MONITOR"});
  world.feed(lease, "+OK\r\n+1.0 [0 x] \"GET\"\r\n");
  CHECK(world.take(client) == "+OK\r\n+1.0 [0 x] \"GET\"\r\n");
  world.feed(client, "QUIT\r\n");
  CHECK(world.take(client) == "+OK\r\n");
  CHECK_FALSE(world.io.at(client).open);
  CHECK_FALSE(world.io.at(lease).open);
}

TEST_CASE("RESET leaves nothing of a session") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "HELLO 3 SETNAME n\r\nWATCH a\r\n");
  world.take(client);
  const ConnId lease = world.log_in();
  world.feed(lease, "+OK\r\n");
  world.take(client);
  world.feed(client, "RESET\r\nCLIENT GETNAME\r\nGET a\r\n");
  CHECK(world.take(client) == "+RESET\r\n$-1\r\n");
  CHECK_FALSE(world.io.at(lease).open);
  CHECK(world.got(world.shared) == Strings{"GET a"});
}

TEST_CASE("pool-mode session keeps one link per client") {
  World world(session_mode());
  world.publish("a");
  const ConnId one = world.client();
  const ConnId two = world.client();
  world.feed(one, "GET a\r\n");
  const ConnId first = world.log_in();
  world.feed(two, "GET b\r\n");
  const ConnId second = world.log_in();
  CHECK(world.got(first) == Strings{"GET a"});
  CHECK(world.got(second) == Strings{"GET b"});
  world.feed(first, "+A\r\n");
  world.take(one);
  world.feed(one, "SELECT 1\r\nGET c\r\n");
  CHECK(world.got(first) == Strings{"SELECT 1", "GET c"});
  world.feed(first, "+OK\r\n+C\r\n");
  CHECK(world.take(one) == "+OK\r\n+C\r\n");
  CHECK(world.engine.stats().leases_now == 2);
}
