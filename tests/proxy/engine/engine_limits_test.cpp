#include "engine_world.hpp"

using namespace fairlead;
using namespace fairlead::engine;

TEST_CASE("clients_max") {
  EngineOptions options;
  options.limits.clients_max = 2;
  World world(options);
  const ConnId one = world.client();
  const ConnId two = world.client();
  CHECK_FALSE(world.engine.on_accept(world.now).valid());
  CHECK(world.engine.stats().clients_refused == 1);
  CHECK(Engine::refusal() == "-ERR max number of clients reached\r\n");
  world.engine.on_error(one, "gone", world.now);
  world.turn();
  CHECK(world.engine.on_accept(world.now).valid());
  CHECK(world.io.at(two).open);
}

TEST_CASE("a name of the past reaches nobody") {
  World world;
  const ConnId old = world.client();
  world.engine.on_error(old, "gone", world.now);
  world.turn();
  const ConnId next = world.client();
  CHECK(next.index == old.index);
  CHECK(world.engine.read_space(old).size == 0);
  world.engine.on_end_of_file(old, world.now);
  world.engine.on_writable(old, world.now);
  CHECK(world.io.at(next).open);
}

TEST_CASE("query_buffer_bytes_max closes a client with too large a command") {
  EngineOptions options;
  options.limits.query_buffer_bytes_max = 100000;
  World world(options);
  const ConnId client = world.client();
  world.feed(client, "*2\r\n$3\r\nSET\r\n$500000000\r\n" + std::string(99000, 'x'));
  CHECK(world.io.at(client).open);
  world.feed(client, std::string(70000, 'x'));
  CHECK_FALSE(world.io.at(client).open);
  CHECK(world.engine.stats().query_buffer_closed == 1);
}

TEST_CASE("memory grows with what arrived, not with what was announced") {
  World world;
  std::vector<ConnId> clients;
  const std::uint64_t before = world.engine.buffer_bytes();
  for (int i = 0; i < 100; ++i) {
    clients.push_back(world.client());
    world.feed(clients.back(), i % 2 == 0 ? "*2147483647\r\n$536870912\r\nabc"
                                          : "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$536870912\r\nx");
  }
  for (const ConnId id : clients) CHECK(world.engine.read_space(id).size > 0);
  CHECK((world.engine.buffer_bytes() - before) / 100 <= 32 * 1024);
}

TEST_CASE(
    "output: a client that does not read is paused, then closed at its limit, and nobody waits for it") {
  EngineOptions options;
  options.limits.output_pause_bytes = 1000;
  options.limits.output_buffer_bytes_max = 5000;
  ReadyWorld world(options);
  const ConnId slow = world.client();
  const ConnId quick = world.client();
  world.io.at(slow).capacity = 0;
  const std::string reply = "$900\r\n" + std::string(900, 'x') + "\r\n";
  world.feed(slow, "GET a\r\nGET a\r\nGET a\r\n");
  world.feed(world.shared, reply + reply + reply);
  world.take(world.shared);
  SECTION("its next commands wait") {
    world.feed(slow, "GET b\r\n");
    CHECK(world.take(world.shared).empty());
    CHECK(world.engine.stats().output_pauses == 1);
    CHECK(world.io.at(slow).reading == Reading::off);
    world.feed(quick, "GET c\r\n");
    CHECK(world.got(world.shared) == Strings{"GET c"});
    world.feed(world.shared, "+C\r\n");
    world.io.at(slow).capacity = SIZE_MAX;
    world.engine.on_writable(slow, world.now);
    world.turn();
    CHECK(world.take(slow) == reply + reply + reply);
    CHECK(world.got(world.shared) == Strings{"GET b"});
  }
  SECTION("beyond the limit it is closed") {
    world.io.at(slow).capacity = SIZE_MAX;
    world.engine.on_writable(slow, world.now);
    world.turn();
    world.take(slow);
    world.io.at(slow).capacity = 0;
    world.feed(slow, "GET d\r\n");
    world.feed(quick, "GET e\r\n");
    world.feed(world.shared, "$6000\r\n" + std::string(6000, 'x') + "\r\n+E\r\n");
    CHECK_FALSE(world.io.at(slow).open);
    CHECK(world.engine.stats().output_buffer_closed == 1);
    CHECK(world.take(quick) == "+E\r\n");
  }
}

TEST_CASE("pipeline_depth_max: more commands wait until half is answered") {
  EngineOptions options;
  options.limits.pipeline_depth_max = 10;
  ReadyWorld world(options);
  const ConnId client = world.client();
  std::string many;
  std::string replies;
  for (int i = 0; i < 100; ++i) {
    many += "GET a\r\n";
    replies += ":" + std::to_string(i) + "\r\n";
  }
  world.feed(client, many);
  CHECK(world.got(world.shared).size() == 10);
  CHECK(world.engine.stats().pipeline_pauses >= 1);
  std::size_t answered = 0;
  std::string received;
  for (std::size_t at = 0; at < replies.size();) {
    const std::size_t end = replies.find('\n', at) + 1;
    world.feed(world.shared, replies.substr(at, end - at));
    received += world.take(client);
    at = end;
    ++answered;
    CHECK(world.got(world.shared).size() <= 10);
  }
  CHECK(received == replies);
}

TEST_CASE("link_backlog_bytes_max: commands wait while a link has too much to write") {
  EngineOptions options;
  options.limits.link_backlog_bytes_max = 1000;
  ReadyWorld world(options);
  world.io.at(world.shared).capacity = 0;
  const ConnId client = world.client();
  const std::string set = "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$800\r\n" + std::string(800, 'v') + "\r\n";
  world.feed(client, set + set + set);
  CHECK(world.engine.stats().backlog_pauses == 1);
  CHECK(world.io.at(client).reading == Reading::off);
  world.io.at(world.shared).capacity = SIZE_MAX;
  world.engine.on_writable(world.shared, world.now);
  world.turn();
  CHECK(world.take(world.shared) == set + set + set);
}

TEST_CASE("leased_links_max: leases wait for each other") {
  EngineOptions options;
  options.limits.leased_links_max = 1;
  ReadyWorld world(options);
  const ConnId one = world.client();
  const ConnId two = world.client();
  world.feed(one, "BLPOP q 0\r\n");
  const ConnId lease = world.log_in();
  world.take(lease);
  world.feed(two, "BLPOP r 0\r\n");
  CHECK(world.io.links.size() == 2);
  CHECK(world.engine.stats().lease_waits == 1);
  world.feed(lease, "*-1\r\n");
  CHECK(world.got(lease) == Strings{"BLPOP r 0"});
}

TEST_CASE("hold_bytes_max: beyond it commands are not held but answered") {
  EngineOptions options;
  options.limits.hold_bytes_max = 100;
  World world(options);
  const ConnId one = world.client();
  const ConnId two = world.client();
  world.feed(one, "SET a " + std::string(80, 'x') + "\r\n");
  CHECK(world.take(one).empty());
  world.feed(two, "SET b " + std::string(80, 'x') + "\r\n");
  CHECK(world.take(two).rfind("-MASTERDOWN ", 0) == 0);
  CHECK(world.engine.stats().hold_overflows == 1);
  world.publish("a");
  world.log_in();
}

TEST_CASE("before login nothing passes, and announced sizes are small") {
  EngineOptions options;
  options.client_password = "secret";
  World world(options);
  world.publish("a");
  const ConnId client = world.client();
  world.feed(client, "GET a\r\nPING\r\nFOO bar\r\nGET\r\nAUTH wrong\r\nHELLO 3\r\n");
  CHECK(world.take(client) ==
        "-NOAUTH Authentication required.\r\n-NOAUTH Authentication required.\r\n"
        "-ERR unknown command 'FOO', with args beginning with: 'bar' \r\n"
        "-ERR wrong number of arguments for 'get' command\r\n"
        "-WRONGPASS invalid username-password pair or user is disabled.\r\n"
        "-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> "
        "<pass> "
        "option can be used to authenticate the client and select the RESP protocol version at the same "
        "time\r\n");
  CHECK(world.io.links.empty());
  CHECK(world.engine.stats().login_failures == 1);
  SECTION("AUTH") {
    world.feed(client, "AUTH secret\r\n");
  }
  SECTION("AUTH with the default user") {
    world.feed(client, "AUTH default secret\r\n");
  }
  SECTION("HELLO") {
    world.feed(client, "HELLO 2 AUTH default secret\r\n");
  }
  world.take(client);
  world.feed(client, "PING\r\n");
  CHECK(world.take(client) == "+PONG\r\n");
  world.feed(client, "RESET\r\nPING\r\n");
  CHECK(world.take(client) == "+RESET\r\n-NOAUTH Authentication required.\r\n");
  world.feed(client, "*11\r\n");
  CHECK(world.take(client) == "-ERR Protocol error: unauthenticated multibulk length\r\n");
}

TEST_CASE("an idle client holds no buffer") {
  ReadyWorld world;
  const std::uint64_t before = world.engine.buffer_bytes();
  std::vector<ConnId> clients;
  for (int i = 0; i < 100; ++i) {
    clients.push_back(world.client());
    world.feed(clients.back(), "GET a\r\n");
    world.feed(world.shared, "+A\r\n");
    world.take(clients.back());
  }
  CHECK(world.engine.buffer_bytes() <= before);
}

TEST_CASE("output_unauthenticated_max: nobody fills memory with errors before login") {
  EngineOptions options;
  options.client_password = "secret";
  options.limits.output_unauthenticated_max = 100;
  World world(options);
  world.publish("a");
  const ConnId client = world.client();
  world.io.at(client).capacity = 0;
  world.feed(client, "GET a\r\n");
  CHECK(world.io.at(client).open);
  world.feed(client, "GET a\r\nGET a\r\nGET a\r\n");
  CHECK_FALSE(world.io.at(client).open);
  CHECK(world.engine.stats().output_buffer_closed == 1);
}

TEST_CASE("memory_bytes_max: who holds much is closed, who holds little goes on") {
  EngineOptions options;
  options.limits.memory_bytes_max = 1 << 20;
  ReadyWorld world(options);
  const ConnId quick = world.light_client();
  std::vector<ConnId> slow;
  std::string replies;
  for (int i = 0; i < 40; ++i) slow.push_back(world.light_client());
  for (const ConnId client : slow) {
    world.io.at(client).capacity = 0;
    world.feed(client, "GET a\r\n");
    replies += "$100000\r\n" + std::string(100000, 'x') + "\r\n";
  }
  world.feed(quick, "GET b\r\n");
  world.feed(world.shared, replies + "+B\r\n");
  CHECK(world.take(quick) == "+B\r\n");
  CHECK(world.io.at(quick).open);
  CHECK(world.engine.stats().memory_closed > 20);
  CHECK(world.engine.buffer_bytes() <= (1 << 20) + 4 * 100000);
}

TEST_CASE("idle_max closes who says nothing, but not who waits for an answer") {
  EngineOptions options;
  options.limits.idle_max = 10s;
  ReadyWorld world(options);
  const ConnId idle = world.client();
  const ConnId busy = world.client();
  const ConnId waiting = world.client();
  world.feed(waiting, "BLPOP q 0\r\n");
  world.log_in();
  for (int i = 0; i < 4; ++i) {
    world.pass(3s);
    world.feed(busy, "PING\r\n");
    REQUIRE(world.engine.next_deadline().has_value());
  }
  CHECK_FALSE(world.io.at(idle).open);
  CHECK(world.io.at(busy).open);
  CHECK(world.io.at(waiting).open);
  CHECK(world.engine.stats().idle_closed == 1);
}

TEST_CASE("partial_command_max closes who stops in the middle of a command") {
  EngineOptions options;
  options.limits.partial_command_max = 10s;
  ReadyWorld world(options);
  const ConnId stuck = world.client();
  const ConnId slow = world.client();
  const ConnId idle = world.client();
  world.feed(idle, "PING\r\n");
  world.feed(stuck, "*3\r\n$3\r\nSET\r\n");
  for (int i = 0; i < 4; ++i) {
    world.feed(slow, i == 0 ? "*2\r\n$4\r\nECHO\r\n$50\r\n" : "xxxxxxxxxx");
    world.pass(4s);
  }
  CHECK_FALSE(world.io.at(stuck).open);
  CHECK(world.io.at(slow).open);
  CHECK(world.io.at(idle).open);
  CHECK(world.engine.stats().partial_closed == 1);
  world.feed(slow, std::string(20, 'x') + "\r\n");
  CHECK(world.take(slow) == "$50\r\n" + std::string(50, 'x') + "\r\n");
}

TEST_CASE("a session that moves large values has the bulk lane, until its replies are small again") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "GET a\r\n");
  world.feed(world.shared, "$100000\r\n" + std::string(100000, 'x') + "\r\n");
  CHECK(world.engine.stats().bulk_moves == 1);
  world.take(world.shared);
  world.feed(client, "GET b\r\n");
  const ConnId bulk = world.log_in();
  CHECK(world.got(bulk) == Strings{"GET b"});
  world.feed(bulk, "+B\r\n");
  for (std::uint32_t i = 1; i < light_again_replies; ++i) {
    world.feed(client, "GET c\r\n");
    CHECK(world.got(bulk) == Strings{"GET c"});
    world.feed(bulk, "+C\r\n");
  }
  world.feed(client, "GET d\r\n");
  CHECK(world.got(world.shared) == Strings{"GET d"});
}

TEST_CASE("the window: few commands in flight at first and after large replies, many while they are small") {
  ReadyWorld world;
  const ConnId client = world.client();
  std::string many;
  for (int i = 0; i < 2000; ++i) many += "GET a\r\n";
  world.feed(client, many);
  const std::size_t first = world.got(world.shared).size();
  CHECK(first <= 64);
  std::size_t most = 0;
  std::size_t answered_count = first;
  while (answered_count > 0) {
    std::string some;
    for (std::size_t i = 0; i < answered_count; ++i) some += "+A\r\n";
    world.feed(world.shared, some);
    answered_count = world.got(world.shared).size();
    most = std::max(most, answered_count);
  }
  CHECK(most * 2 > Limits{}.pipeline_depth_max);
  CHECK(world.take(client).size() == 2000 * 4);
}
