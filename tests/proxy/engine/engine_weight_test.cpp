#include "engine_world.hpp"
#include "proxy/engine/reply_weight.hpp"

using namespace fairlead;
using namespace fairlead::engine;

namespace {

const std::string small = "$1\r\nv\r\n";

std::string large_reply() {
  return "$1000000\r\n" + std::string(1000000, 'x') + "\r\n";
}

/// Clients that have each sent one GET, named by its number.
std::vector<ConnId> newcomers(World& world, std::size_t count) {
  std::vector<ConnId> clients;
  for (std::size_t i = 0; i < count; ++i) {
    clients.push_back(world.client());
    world.feed(clients.back(), "GET n" + std::to_string(i) + "\r\n");
  }
  return clients;
}

}  // namespace

TEST_CASE("reply weight: the largest of late, forgotten slowly") {
  ReplyWeight weight;
  CHECK(weight.due_limit() == ReplyWeight::due_max);
  weight.on_reply(1 << 20);
  CHECK(weight.due_limit() == 4);
  weight.on_reply(64 << 20);
  CHECK(weight.due_limit() == ReplyWeight::due_min);
  for (int i = 0; i < 1000; ++i) weight.on_reply(10);
  CHECK(weight.bytes() < 64);
  CHECK(weight.due_limit() == ReplyWeight::due_max);
  weight.at_least(1 << 20);
  weight.at_least(5);
  CHECK(weight.bytes() == 1 << 20);
}

TEST_CASE("newcomers stand in line, and all are answered in the end") {
  const Chunking chunking = GENERATE(Chunking::whole, Chunking::single_bytes);
  ReadyWorld world({}, chunking);
  const ConnId light = world.light_client();
  const std::size_t count = ReplyWeight::due_max + 50;
  const std::vector<ConnId> clients = newcomers(world, count);
  CHECK(world.engine.stats().reply_pauses > 0);
  world.feed(light, "GET meanwhile\r\n");
  Strings due = world.got(world.shared);
  REQUIRE(due.size() == ReplyWeight::due_max + 1);
  CHECK(due.back() == "GET meanwhile");  // it does not stand in that line
  std::size_t answered = 0;
  while (!due.empty()) {
    answered += due.size();
    for (std::size_t i = 0; i < due.size(); ++i) world.feed(world.shared, small);
    due = world.got(world.shared);
  }
  CHECK(answered == count + 1);
  for (const ConnId client : clients) CHECK(world.take(client) == small);
}

TEST_CASE("large replies: few are due at once, and a client with small ones passes") {
  ReadyWorld world;
  const ConnId light = world.light_client();
  const std::vector<ConnId> first = newcomers(world, 1);
  REQUIRE(world.got(world.shared) == Strings{"GET n0"});
  // It is known as soon as a part of it has come, and what newcomers ask for is taken for large.
  const std::string reply = large_reply();
  world.feed(world.shared, reply.substr(0, 600000));
  const std::vector<ConnId> others = newcomers(world, ReplyWeight::due_max + 8);
  CHECK(world.take(world.shared).empty());
  REQUIRE(world.io.links.size() == 2);
  world.feed(light, "GET light\r\nGET light\r\n");
  CHECK(world.got(world.shared) == Strings{"GET light", "GET light"});

  SECTION("the link for bulk is owed no more than fits") {
    const ConnId bulk = world.log_in();
    CHECK(world.got(bulk).size() == ReplyWeight::due_max);
    for (std::size_t due = ReplyWeight::due_max; due > ReplyWeight::due_min; --due) {
      world.feed(bulk, reply);
      CHECK(world.take(bulk).empty());
    }
    world.feed(bulk, reply);
    CHECK(world.got(bulk).size() == 1);
  }
  SECTION("nobody takes the place of who is woken, before that has its turn") {
    const ConnId bulk = world.log_in();
    REQUIRE(world.got(bulk).size() == ReplyWeight::due_max);
    for (std::size_t due = ReplyWeight::due_max; due > ReplyWeight::due_min; --due) world.feed(bulk, reply);
    world.read(bulk, reply);
    world.read(others.front(), "GET again\r\n");
    SECTION("it runs") {
      world.turn();
      CHECK(world.got(bulk) == Strings{"GET n" + std::to_string(ReplyWeight::due_max)});
    }
    SECTION("it is gone: the next one has the place") {
      world.engine.on_error(others[ReplyWeight::due_max], "reset", world.now);
      world.turn();
      CHECK(world.got(bulk).empty());
      world.feed(bulk, reply);
      CHECK(world.got(bulk).size() == 2);
    }
  }
  SECTION("newcomers with small replies are taken for light again") {
    const ConnId bulk = world.log_in();
    world.feed(world.shared, reply.substr(600000) + small + small);
    for (std::size_t due = world.got(bulk).size(); due > 0; due = world.got(bulk).size()) {
      for (std::size_t i = 0; i < due; ++i) world.feed(bulk, small);
    }
    for (const ConnId client : others) CHECK(world.take(client) == small);
    for (int i = 0; i < 100; ++i) {
      const ConnId client = newcomers(world, 1).front();
      world.feed(world.got(bulk).empty() ? world.shared : bulk, small);
      CHECK(world.take(client) == small);
    }
    world.take(world.shared);
    newcomers(world, 1);
    CHECK(world.got(world.shared) == Strings{"GET n0"});
  }
  SECTION("a light client that asks for many at once waits with the others") {
    std::string many;
    for (int i = 0; i < 50; ++i) many += "GET light\r\n";
    world.feed(light, many);
    CHECK(world.got(world.shared).size() == window_min - 2);
  }
  SECTION("who waits when the link is lost is held, and served by the next master") {
    world.engine.on_error(world.shared, "reset", world.now);
    world.turn();
    CHECK(world.engine.stats().held_now > 0);
    world.publish("b", 2);
    std::size_t logged_in = 1;
    std::size_t answered = 0;
    for (bool progress = true; progress;) {
      progress = false;
      for (; logged_in < world.io.links.size(); ++logged_in) {
        progress = true;
        if (world.io.at(world.io.links[logged_in]).open) world.log_in(logged_in);
      }
      for (const ConnId link : world.io.links) {
        if (!world.io.at(link).open) continue;
        const std::size_t due = world.got(link).size();
        for (std::size_t i = 0; i < due; ++i) world.feed(link, small);
        answered += due;
        progress = progress || due > 0;
      }
    }
    CHECK(answered == others.size() + 2);
    for (const ConnId client : others) CHECK(world.take(client) == small);
    CHECK(world.take(light) == small + small);
  }
}
