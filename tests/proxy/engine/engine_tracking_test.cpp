// CLIENT TRACKING on a link of one's own, REDIRECT between fairlead's clients, and what pool-mode session
// passes to the link of its client.
#include "engine_world.hpp"

using namespace fairlead;
using namespace fairlead::engine;

namespace {

const std::string invalidate_a = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n";
const std::string invalidate_all = ">2\r\n$10\r\ninvalidate\r\n_\r\n";
const std::string subscribed = "*3\r\n$9\r\nsubscribe\r\n$20\r\n__redis__:invalidate\r\n:1\r\n";

EngineOptions session_mode() {
  EngineOptions options;
  options.pool_mode = PoolMode::session;
  return options;
}

/// A RESP3 client that tracks, and its link.
struct TrackingWorld : ReadyWorld {
  TrackingWorld() {
    client = World::client();
    feed(client, "HELLO 3\r\nCLIENT TRACKING ON\r\n");
    link = log_in();
    CHECK(got(link) == Strings{"CLIENT TRACKING ON"});
    feed(link, "+OK\r\n");
    take(client);
  }
  ConnId client;
  ConnId link;
};

}  // namespace

TEST_CASE("a client that tracks keeps its link and hears invalidations between replies") {
  TrackingWorld world;
  world.feed(world.client, "GET a\r\nPING\r\nGET b\r\n");
  CHECK(world.got(world.link) == Strings{"GET a", "GET b"});
  world.feed(world.link, "$1\r\n1\r\n" + invalidate_a + "$1\r\n2\r\n" + invalidate_a);
  CHECK(world.take(world.client) == "$1\r\n1\r\n+PONG\r\n" + invalidate_a + "$1\r\n2\r\n" + invalidate_a);
  world.feed(world.client, "CLIENT TRACKING OFF\r\n");
  CHECK(world.got(world.link) == Strings{"CLIENT TRACKING OFF"});
  SECTION("OFF gives the link back") {
    world.feed(world.link, "+OK\r\n");
    world.feed(world.client, "GET c\r\n");
    CHECK(world.got(world.log_in()) == Strings{"GET c"});
    CHECK_FALSE(world.io.at(world.link).open);  // it has state of its last owner
  }
  SECTION("a refused OFF does not") {
    world.feed(world.link, "-ERR syntax error\r\n");
    world.feed(world.client, "GET c\r\n");
    CHECK(world.got(world.link) == Strings{"GET c"});
  }
}

TEST_CASE("what one client's request was about stays with it") {
  TrackingWorld world;
  const ConnId other = world.World::client();
  world.feed(other, "HELLO 3\r\nCLIENT TRACKING ON\r\n");
  const ConnId other_link = world.log_in();
  world.feed(other_link, "+OK\r\n");
  world.feed(other, "CLIENT TRACKING OFF\r\n");
  world.feed(other_link, "+OK\r\n");
  // This command's request is the same object, used again.
  world.take(world.link);
  world.feed(world.client, "GET a\r\n");
  world.feed(world.link, "$1\r\n1\r\n");
  world.feed(world.client, "GET b\r\n");
  CHECK(world.got(world.link) == Strings{"GET a", "GET b"});  // it still tracks, on its own link
}

TEST_CASE("an invalidation waits for the replies that the server gave before it") {
  TrackingWorld world;
  world.io.peers = 1;
  world.feed(world.client, "CLIENT LIST\r\n");  // waits for another worker
  CHECK(world.io.queries.size() == 1);
  world.feed(world.link, invalidate_a);
  CHECK(world.take(world.client) == invalidate_a);  // nothing was read since: it may go before the list
}

TEST_CASE("REDIRECT goes to the server's name for the other client's own link") {
  ReadyWorld world;
  const ConnId target = world.client();
  const ConnId reader = world.client();
  world.feed(target, "CLIENT ID\r\nSUBSCRIBE __redis__:invalidate\r\n");
  const ConnId target_link = world.log_in();
  CHECK(world.got(target_link) == Strings{"SUBSCRIBE __redis__:invalidate"});
  world.feed(target_link, subscribed);
  CHECK(world.take(target) == ":2\r\n" + subscribed);
  const std::string server_id = std::to_string(700 + target_link.index);

  world.feed(reader, "CLIENT TRACKING ON REDIRECT 2\r\nCLIENT GETREDIR\r\nCLIENT TRACKINGINFO\r\n");
  const ConnId reader_link = world.log_in();
  CHECK(world.got(reader_link) ==
        Strings{"CLIENT TRACKING ON REDIRECT " + server_id, "CLIENT GETREDIR", "CLIENT TRACKINGINFO"});
  const std::string info = "*6\r\n$5\r\nflags\r\n*1\r\n$2\r\non\r\n$8\r\nredirect\r\n:";
  const std::string rest = "\r\n$8\r\nprefixes\r\n*0\r\n";
  world.feed(reader_link, "+OK\r\n:" + server_id + "\r\n" + info + server_id + rest);
  CHECK(world.take(reader) == "+OK\r\n:2\r\n" + info + "2" + rest);
  const std::string message = "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n$1\r\na\r\n";
  world.feed(target_link, message);
  CHECK(world.take(target) == message);

  SECTION("a client that does not exist is none of the server's") {
    world.feed(reader, "CLIENT TRACKING ON REDIRECT 99\r\n");
    CHECK(world.got(reader_link) == Strings{"CLIENT TRACKING ON REDIRECT 9223372036854775807"});
  }
  SECTION("a client without a link of its own gets one, and its pushes") {
    const ConnId third = world.client();
    world.feed(third, "HELLO 3\r\nGET x\r\n");
    world.feed(world.log_in(), "$-1\r\n");
    world.take(third);
    world.feed(reader, "CLIENT TRACKING OFF\r\nCLIENT TRACKING ON REDIRECT 4\r\n");
    CHECK(world.got(reader_link) == Strings{"CLIENT TRACKING OFF"});
    const ConnId third_link = world.log_in();
    world.pass(TimerWheel::tick * 2);
    const std::string id = std::to_string(700 + third_link.index);
    CHECK(world.got(reader_link) == Strings{"CLIENT TRACKING ON REDIRECT " + id});
    world.feed(third_link, invalidate_a);
    CHECK(world.take(third) == invalidate_a);
  }
  SECTION("what the server must judge goes as it came") {
    world.feed(reader, "CLIENT TRACKING ON REDIRECT x\r\nCLIENT TRACKING ON REDIRECT\r\n");
    CHECK(world.got(reader_link) == Strings{"CLIENT TRACKING ON REDIRECT x", "CLIENT TRACKING ON REDIRECT"});
  }
  SECTION("nobody can redirect again when the link is lost: the client hears of it by its end") {
    world.engine.on_error(reader_link, "reset", world.now);
    world.turn();
    CHECK_FALSE(world.io.at(reader).open);
  }
}

TEST_CASE("tracking begins again on the next link, before anything else, with an empty cache") {
  TrackingWorld world;
  world.feed(world.client, "CLIENT TRACKING ON BCAST PREFIX a\r\n");
  world.feed(world.link, "+OK\r\n");
  world.take(world.client);
  world.engine.on_error(world.link, "reset", world.now);
  world.turn();
  CHECK(world.take(world.client) == invalidate_all);
  world.feed(world.client, "GET a\r\n");
  const ConnId next = world.log_in();
  CHECK(world.got(next) == Strings{"CLIENT TRACKING ON", "CLIENT TRACKING ON BCAST PREFIX a", "GET a"});
  SECTION("accepted") {
    world.feed(next, "+OK\r\n+OK\r\n$1\r\n1\r\n");
    CHECK(world.take(world.client) == "$1\r\n1\r\n");
  }
  SECTION("refused: the client must not go on with a cache that nobody keeps true") {
    world.feed(next, "+OK\r\n-NOPERM no\r\n");
    CHECK_FALSE(world.io.at(world.client).open);
  }
}

TEST_CASE("a client that tracks waits for a new route without keeping the worker busy") {
  TrackingWorld world;
  world.engine.on_error(world.link, "reset", world.now);
  world.engine.on_error(world.shared, "reset", world.now);
  world.turn();
  world.take(world.client);
  const std::string down = "-MASTERDOWN fairlead: no master for 10000 ms; the command was not executed\r\n";
  world.feed(world.client, "GET a\r\n");
  world.pass(9900ms);
  CHECK(world.take(world.client).empty());
  world.pass(200ms);
  CHECK(world.take(world.client) == down);
  const std::uint64_t held = world.engine.stats().held;
  for (int i = 0; i < 5; ++i) {
    world.turn();
    const auto deadline = world.engine.next_deadline();
    CHECK((!deadline || *deadline > world.now));
    world.pass(1s);
  }
  CHECK(world.engine.stats().held == held);
  world.feed(world.client, "GET b\r\nPING\r\n");
  CHECK(world.take(world.client) == down + "+PONG\r\n");
  SECTION("and has its tracking again with it, unasked") {
    world.publish("b", 2);
    CHECK(world.got(world.log_in()) == Strings{"CLIENT TRACKING ON"});
  }
  SECTION("and before the command that comes with it") {
    world.announce("b", 2);
    world.feed(world.client, "GET c\r\n");
    CHECK(world.got(world.log_in()) == Strings{"CLIENT TRACKING ON", "GET c"});
  }
}

TEST_CASE("HELLO goes to the link that a session has for itself") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "WATCH a\r\n");
  const ConnId link = world.log_in();
  world.feed(link, "+OK\r\n");
  world.take(client);
  world.feed(client, "HELLO 3\r\nMULTI\r\nEXEC\r\n");
  CHECK(world.take(link).find("HELLO") != std::string::npos);
  world.feed(link, "%1\r\n$6\r\nserver\r\n$5\r\nredis\r\n");
  CHECK(world.take(client).rfind("%7\r\n", 0) == 0);
  CHECK(world.got(link) == Strings{"MULTI", "EXEC"});  // the watch still holds
  world.feed(link, "+OK\r\n_\r\n");
  CHECK(world.take(client) == "+OK\r\n_\r\n");
}

TEST_CASE("AUTH with too many words is no question for the link") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "WATCH a\r\n");
  world.feed(world.log_in(), "+OK\r\n");
  world.take(client);
  world.feed(client, "AUTH a b c\r\n");
  CHECK(world.take(client) == "-ERR syntax error\r\n");
}

TEST_CASE("pool-mode session: AUTH, PING and the client's name go to its link") {
  World world(session_mode());
  world.publish("a");
  const ConnId client = world.client();
  world.feed(client, "CLIENT SETNAME me\r\nPING\r\n");
  CHECK(world.take(client) == "+OK\r\n");
  const ConnId link = world.log_in();
  CHECK(world.got(link) == Strings{"CLIENT SETNAME me", "PING"});
  world.feed(link, "+OK\r\n+PONG\r\n");
  world.feed(client, "SELECT 9\r\nAUTH bob secret\r\nGET a\r\n");
  CHECK(world.got(link) == Strings{"SELECT 9"});
  world.feed(link, "+OK\r\n");
  CHECK(world.got(link) == Strings{"AUTH bob secret"});
  world.feed(link, "+OK\r\n");
  CHECK(world.got(link) == Strings{"GET a"});  // on the same link, in the same database, as bob
  world.feed(link, "$1\r\n1\r\n");
  CHECK(world.take(client) == "+PONG\r\n+OK\r\n+OK\r\n$1\r\n1\r\n");
  world.feed(client, "CLIENT SETNAME you\r\n");
  CHECK(world.got(link) == Strings{"CLIENT SETNAME you"});
  CHECK(world.take(client) == "+OK\r\n");
}
