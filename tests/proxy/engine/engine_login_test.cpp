// AUTH and HELLO AUTH judged by the server, and the operator's list of refused commands.
#include "engine_world.hpp"

using namespace fairlead;
using namespace fairlead::engine;

namespace {

EngineOptions with_login() {
  EngineOptions options;
  options.server_login = {"", "own"};
  return options;
}

constexpr const char* wrong = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";

}  // namespace

TEST_CASE("AUTH is judged by the server, and then the session has links of that user") {
  World world(with_login());
  world.publish("a");
  const ConnId client = world.client();
  world.feed(client, "AUTH alice secret\r\nGET a\r\n");
  const ConnId judge = world.io.links.at(0);
  world.engine.on_connected(judge, world.now);
  world.turn();
  CHECK(world.got(judge) == Strings{"AUTH own", "ROLE"});
  world.feed(judge, "+OK\r\n*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n");
  CHECK(world.got(judge) == Strings{"AUTH alice secret"});
  CHECK(world.io.links.size() == 1);  // GET waits: who the session is decides about it
  SECTION("accepted") {
    world.feed(judge, "+OK\r\n");
    CHECK(world.take(client) == "+OK\r\n");
    const ConnId hers = world.io.links.at(1);
    world.engine.on_connected(hers, world.now);
    world.turn();
    CHECK(world.got(hers) == Strings{"AUTH alice secret", "ROLE"});
    // She may not ask ROLE, and need not.
    world.feed(hers, "+OK\r\n-NOPERM this user has no permissions to run the 'role' command\r\n");
    CHECK(world.got(hers) == Strings{"GET a"});
    world.feed(hers, "-NOPERM this user has no permissions to access one of the keys used as arguments\r\n");
    CHECK(world.take(client) ==
          "-NOPERM this user has no permissions to access one of the keys used as arguments\r\n");

    const ConnId other = world.client();
    world.feed(other, "AUTH alice secret\r\n");
    CHECK(world.got(judge) == Strings{"AUTH alice secret"});  // asked each time: passwords change
    world.feed(judge, "+OK\r\n");
    world.feed(other, "GET b\r\n");
    CHECK(world.got(hers) == Strings{"GET b"});

    world.feed(client, "RESET\r\nGET c\r\n");
    const ConnId plain = world.log_in();
    CHECK(world.got(plain) == Strings{"GET c"});
  }
  SECTION("refused") {
    world.feed(judge, wrong);
    CHECK(world.take(client) == wrong);
    CHECK(world.engine.stats().login_failures == 1);
    CHECK(world.got(world.log_in()) == Strings{"GET a"});  // still as fairlead
    CHECK(world.io.signals.empty());
  }
}

TEST_CASE("HELLO with AUTH and SETNAME is judged by the server and answered here") {
  World world(with_login());
  world.publish("a");
  const ConnId client = world.client();
  world.feed(client, "HELLO 3 AUTH alice secret SETNAME me\r\nCLIENT GETNAME\r\n");
  const ConnId judge = world.log_in();
  CHECK(world.got(judge) == Strings{"AUTH alice secret"});
  SECTION("accepted") {
    world.feed(judge, "+OK\r\n");
    const std::string got = world.take(client);
    CHECK(got.rfind("%7\r\n$6\r\nserver\r\n", 0) == 0);
    CHECK(got.find("$2\r\nme\r\n") != std::string::npos);
  }
  SECTION("refused: nothing of it happened") {
    world.feed(judge, wrong);
    CHECK(world.take(client) == std::string(wrong) + "$-1\r\n");
  }
}

TEST_CASE("clients.login = server: nothing passes before the server has accepted somebody") {
  EngineOptions options = with_login();
  options.client_login = ClientLogin::server;
  World world(options);
  world.publish("a");
  const ConnId client = world.client();
  world.feed(client, "GET a\r\n");
  CHECK(world.take(client) == "-NOAUTH Authentication required.\r\n");
  CHECK(world.io.links.empty());
  world.feed(client, "AUTH bob\r\n");
  const ConnId judge = world.log_in();
  world.feed(judge, "+OK\r\n");
  CHECK(world.take(client) == "+OK\r\n");
  world.feed(client, "GET a\r\n");
  CHECK(world.io.links.size() == 2);
}

TEST_CASE("a user who is gone: the session hears it, the others go on") {
  World world(with_login());
  world.publish("a");
  const ConnId client = world.client();
  world.feed(client, "AUTH alice secret\r\n");
  const ConnId judge = world.log_in();
  world.feed(judge, "+OK\r\n");
  world.take(client);
  world.feed(client, "GET a\r\nGET b\r\n");
  const ConnId hers = world.io.links.at(1);
  world.engine.on_connected(hers, world.now);
  world.turn();
  world.feed(hers, wrong);
  CHECK(world.take(client) == std::string(wrong) + wrong);
  CHECK(world.io.signals.empty());
  const ConnId other = world.client();
  world.feed(other, "GET a\r\n");
  CHECK(world.got(world.log_in()) == Strings{"GET a"});
}

TEST_CASE("the lost judge is asked again on the next master") {
  World world(with_login());
  world.publish("a");
  const ConnId client = world.client();
  world.feed(client, "AUTH alice secret\r\n");
  const ConnId judge = world.log_in();
  world.take(judge);
  world.engine.on_error(judge, "reset", world.now);
  world.turn();
  CHECK(world.take(client).empty());
  world.publish("b", 2);
  world.take(client);
  // Whatever link carries it now, it is the same question.
  const ConnId next = world.log_in();
  CHECK(world.got(next) == Strings{"AUTH alice secret"});
  world.feed(next, "+OK\r\n");
  CHECK(world.take(client) == "+OK\r\n");
}

TEST_CASE("the operator decides what is refused") {
  EngineOptions options;
  options.deny = {"flushall", "config", "client|kill"};
  ReadyWorld world(options);
  const ConnId client = world.client();
  world.feed(client, "FLUSHALL\r\nCONFIG SET a b\r\nCLIENT KILL ID 1\r\nDEBUG JMAP\r\n");
  CHECK(world.take(client) ==
        "-NOPERM this user has no permissions to run the 'flushall' command\r\n"
        "-NOPERM this user has no permissions to run the 'config|set' command\r\n"
        "-NOPERM this user has no permissions to run the 'client|kill' command\r\n");
  CHECK(world.got(world.shared) == Strings{"DEBUG JMAP"});
}
