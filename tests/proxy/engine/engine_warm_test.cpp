// Links that are open before anybody needs them.
#include "engine_world.hpp"

using namespace fairlead;
using namespace fairlead::engine;
using namespace std::chrono_literals;

namespace {

EngineOptions warm(std::uint32_t links, std::uint32_t links_per_server) {
  EngineOptions options;
  options.warm_links = links;
  options.links_per_server = links_per_server;
  return options;
}

}  // namespace

TEST_CASE("warm links: none unless asked for, and none without a master") {
  World cold;
  cold.publish("a");
  CHECK(cold.io.links.empty());
  CHECK_FALSE(cold.engine.next_deadline());

  World world(warm(1, 1));
  world.turn();
  CHECK(world.io.links.empty());
  world.publish("a", 1, health::GroupState::suspect);
  world.pass(5s);
  CHECK(world.io.links.empty());
  world.publish("a");
  CHECK(world.io.links.size() == 1);
  CHECK_FALSE(cold.engine.next_deadline());
}

TEST_CASE("warm links: the first client finds one that is logged in") {
  World world(warm(1, 1));
  world.publish("a");
  const ConnId link = world.log_in();
  CHECK(world.engine.stats().links_now == 1);
  const ConnId client = world.client();
  world.feed(client, "GET k\r\n");
  CHECK(world.got(link) == Strings{"GET k"});  // in the same turn
  world.feed(link, "$1\r\nv\r\n");
  CHECK(world.take(client) == "$1\r\nv\r\n");
  CHECK(world.io.links.size() == 1);
}

TEST_CASE("warm links: links-per-server is the limit, and each lane gets its own") {
  World world(warm(16, 3));
  world.publish("a");
  REQUIRE(world.io.links.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) world.log_in(i);
  for (int i = 0; i < 6; ++i) {
    const ConnId client = world.client();
    world.feed(client, "GET k\r\n");
  }
  CHECK(world.io.links.size() == 3);
  for (const ConnId link : world.io.links) CHECK(world.got(link) == Strings{"GET k", "GET k"});
}

TEST_CASE("warm links: fewer than links-per-server are opened before somebody comes") {
  World world(warm(1, 3));
  world.publish("a");
  CHECK(world.io.links.size() == 1);
}

TEST_CASE("warm links: with a link for each client there is nothing to share") {
  EngineOptions options = warm(1, 1);
  options.pool_mode = PoolMode::session;
  World world(options);
  world.publish("a");
  CHECK(world.io.links.empty());
}

TEST_CASE("warm links: a new master gets its own at once, a higher term of the same none") {
  World world(warm(1, 1));
  world.publish("a");
  const ConnId old = world.log_in();
  world.publish("a", 2);
  CHECK(world.io.links.size() == 1);
  world.publish("b", 3);
  REQUIRE(world.io.links.size() == 2);
  CHECK(world.io.at(world.io.links[1]).address.host == "b");
  CHECK_FALSE(world.io.at(old).open);
}

TEST_CASE("warm links: one that is lost comes back after a pause, when the route is confirmed") {
  World world(warm(1, 1));
  world.publish("a");
  const ConnId link = world.log_in();
  world.engine.on_end_of_file(link, world.now);
  world.turn();
  REQUIRE(world.io.signals.size() == 1);  // evidence like any other
  CHECK(world.io.signals[0].kind == health::SignalKind::link_lost);
  world.pass(5s);
  CHECK(world.io.links.size() == 1);  // the gate is closed
  world.confirm("a");
  CHECK(world.io.links.size() == 2);

  SECTION("a server that ends each of them is asked once a second") {
    for (std::size_t opened = 2; opened < 5; ++opened) {
      world.engine.on_end_of_file(world.log_in(), world.now);
      world.turn();
      world.confirm("a");
      CHECK(world.io.links.size() == opened);
      world.pass(warm_retry_pause - 1ms);
      CHECK(world.io.links.size() == opened);
      REQUIRE(world.engine.next_deadline());
      CHECK((*world.engine.next_deadline() - world.now).count() == std::chrono::nanoseconds(1ms).count());
      world.pass(1ms);
      CHECK(world.io.links.size() == opened + 1);
    }
  }
  SECTION("a client does not wait for the pause") {
    world.engine.on_end_of_file(world.log_in(), world.now);
    world.turn();
    world.confirm("a");
    const ConnId client = world.client();
    world.feed(client, "GET k\r\n");
    CHECK(world.io.links.size() == 3);
    const ConnId next = world.log_in();
    CHECK(world.got(next) == Strings{"GET k"});
    world.pass(warm_retry_pause);
    CHECK(world.io.links.size() == 3);
  }
}

TEST_CASE("warm links: who drains opens none") {
  World world(warm(1, 1));
  world.publish("a");
  const ConnId link = world.log_in();
  world.engine.drain(world.now);
  world.publish("b", 2);
  CHECK(world.io.links.size() == 1);
  CHECK_FALSE(world.io.at(link).open);
  CHECK(world.engine.drained());
}
