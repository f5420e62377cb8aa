// The upstream link of subscriptions: lost, refused, of another protocol, of another user.
#include "hub_world.hpp"

using namespace fairlead;
using namespace fairlead::engine;

TEST_CASE("a lost upstream link: subscribed again on the next master, and subscribers notice nothing") {
  for (const Chunking chunking : {Chunking::whole, Chunking::single_bytes}) {
    HubWorld world({}, chunking);
    const ConnId one = world.subscriber("SUBSCRIBE a");
    const ConnId two = world.subscriber("PSUBSCRIBE p*");
    const ConnId waits = world.client();
    world.feed(waits, "SUBSCRIBE a w\r\nPING\r\n");
    CHECK(world.got(world.hub) == Strings{"SUBSCRIBE w"});
    world.engine.on_error(world.hub, "reset", world.now);
    world.turn();
    REQUIRE(world.io.signals.size() == 1);  // like on any shared link, it is evidence
    CHECK(world.engine.stats().gate_closed == 1);
    CHECK(world.engine.stats().held_now == 1);
    world.feed(one, "PING\r\nUNSUBSCRIBE x\r\n");
    CHECK(world.take(one) == "*2\r\n$4\r\npong\r\n$0\r\n\r\n" + confirmation("unsubscribe", "x", 1));
    world.pass(500ms);

    world.publish("b", 2);
    world.open_hub();
    CHECK(world.io.at(world.hub).address.host == "b");
    Strings again = world.confirm();
    std::sort(again.begin(), again.end());
    CHECK(again == Strings{"PSUBSCRIBE p*", "SUBSCRIBE a", "SUBSCRIBE w"});
    world.feed(world.hub, message("a", "1", '>') + pattern_message("p*", "px", "2", '>'));
    CHECK(world.take(one) == message("a", "1"));
    CHECK(world.take(two) == pattern_message("p*", "px", "2"));
    CHECK(world.take(waits) == confirmation("subscribe", "a", 1) + confirmation("subscribe", "w", 2) +
                                   "*2\r\n$4\r\npong\r\n$0\r\n\r\n" + message("a", "1"));
    CHECK(world.engine.stats().resubscribed == 2);
    CHECK(world.engine.stats().held_now == 0);
  }
}

TEST_CASE("no master within the hold time: who waits to be subscribed is told so, who was is not") {
  HubWorld world;
  const ConnId had = world.subscriber("SUBSCRIBE a");
  const ConnId waits = world.client();
  world.feed(waits, "SUBSCRIBE b\r\n");
  world.engine.on_error(world.hub, "reset", world.now);
  world.turn();
  const ConnId late = world.client();
  world.feed(late, "SUBSCRIBE a\r\n");
  world.pass(10s);
  const std::string down = "-MASTERDOWN fairlead: no master for 10000 ms; the command was not executed\r\n";
  CHECK(world.take(waits) == down);
  CHECK(world.take(late) == down);
  CHECK(world.take(had).empty());
  world.feed(waits, "UNSUBSCRIBE\r\n");
  CHECK(world.take(waits) == "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n");
  world.publish("b", 2);
  world.open_hub();
  CHECK(world.confirm() == Strings{"SUBSCRIBE a"});
  world.feed(world.hub, message("a", "x", '>'));
  CHECK(world.take(had) == message("a", "x"));
}

TEST_CASE("a planned switch moves the hub; a connection that never comes holds its subscribers") {
  HubWorld world;
  const ConnId one = world.subscriber("SUBSCRIBE a");
  const ConnId old = world.hub;
  const ConnId waits = world.client();
  world.feed(waits, "SUBSCRIBE w\r\n");
  world.publish("b", 2);
  CHECK_FALSE(world.io.at(old).open);
  const ConnId failing = world.io.links.back();
  CHECK(world.io.at(failing).address.host == "b");
  world.engine.on_connect_failed(failing, "refused", world.now);
  world.turn();
  CHECK(world.engine.stats().held_now == 1);
  world.publish("c", 3);
  world.open_hub();
  Strings again = world.confirm();
  std::sort(again.begin(), again.end());
  CHECK(again == Strings{"SUBSCRIBE a", "SUBSCRIBE w"});
  CHECK(world.take(waits) == confirmation("subscribe", "w", 1));
  world.feed(world.hub, message("a", "x", '>'));
  CHECK(world.take(one) == message("a", "x"));
}

TEST_CASE("a new master that refuses a channel: its subscribers hear of it by being closed") {
  HubWorld world;
  const ConnId one = world.subscriber("SUBSCRIBE a");
  const ConnId two = world.subscriber("SUBSCRIBE b");
  world.publish("b", 2);
  world.open_hub();
  const Strings again = world.got(world.hub);
  REQUIRE(again.size() == 2);
  for (const std::string& command : again) {
    world.feed(world.hub,
               command == "SUBSCRIBE a" ? "-NOPERM no\r\n" : confirmation("subscribe", "b", 1, '>'));
  }
  CHECK_FALSE(world.io.at(one).open);
  CHECK(world.io.at(two).open);
  CHECK(world.engine.stats().subscriptions_lost == 1);
}

TEST_CASE("a server that is loading refuses nobody: it is no master now") {
  HubWorld world;
  const ConnId one = world.subscriber("SUBSCRIBE a");
  world.publish("b", 2);
  world.open_hub();
  world.feed(world.hub, "-LOADING Redis is loading the dataset in memory\r\n");
  CHECK(world.engine.stats().gate_closed == 1);
  CHECK(world.io.signals.size() == 1);
  CHECK(world.io.at(one).open);
  world.publish("b", 2, health::GroupState::suspect);
  world.publish("b", 2);
  world.open_hub();
  CHECK(world.confirm() == Strings{"SUBSCRIBE a"});
}

TEST_CASE("a server without RESP3 sends the same as arrays") {
  for (const Chunking chunking : {Chunking::whole, Chunking::single_bytes}) {
    HubWorld world({}, chunking);
    const ConnId two = world.client();
    const ConnId three = world.client();
    world.feed(two, "SUBSCRIBE a\r\n");
    const ConnId first = world.io.links.back();
    world.engine.on_connected(first, world.now);
    world.turn();
    CHECK(world.got(first) == Strings{"HELLO 3", "ROLE"});
    world.feed(first, "-ERR unknown command `HELLO`\r\n");
    CHECK_FALSE(world.io.at(first).open);
    CHECK(world.engine.stats().gate_closed == 0);
    const ConnId second = world.io.links.back();
    world.engine.on_connected(second, world.now);
    world.turn();
    CHECK(world.got(second) == Strings{"ROLE"});
    world.feed(second, "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n");
    world.hub = second;
    CHECK(world.confirm('*') == Strings{"SUBSCRIBE a"});
    world.feed(three, "HELLO 3\r\nSUBSCRIBE a\r\n");
    world.take(three);
    world.feed(world.hub, message("a", "x"));
    CHECK(world.take(two) == confirmation("subscribe", "a", 1) + message("a", "x"));
    CHECK(world.take(three) == message("a", "x", '>'));
  }
}

TEST_CASE("an upstream link that says what nobody asked for is opened anew, not at once") {
  HubWorld world;
  const ConnId one = world.subscriber("SUBSCRIBE a");
  const std::size_t links = world.io.links.size();
  const std::string nonsense[] = {"+OK\r\n", confirmation("subscribe", "b", 1, '>'), "-ERR what\r\n", "!!"};
  world.feed(world.hub, nonsense[GENERATE(0, 1, 2, 3)]);
  CHECK_FALSE(world.io.at(world.hub).open);
  CHECK(world.engine.stats().desyncs == 1);
  CHECK(world.io.links.size() == links);
  world.pass(999ms);
  CHECK(world.io.links.size() == links);
  REQUIRE(world.engine.next_deadline().has_value());
  CHECK(*world.engine.next_deadline() == world.now + 1ms);
  world.pass(1ms);
  CHECK(world.io.links.size() == links + 1);
  world.open_hub();
  CHECK(world.confirm() == Strings{"SUBSCRIBE a"});
  CHECK(world.io.at(one).open);
}

TEST_CASE("each user has a hub of its own, so that the server's ACL decides for each") {
  HubWorld world;
  const ConnId plain = world.subscriber("SUBSCRIBE a");
  const ConnId alice = world.client();
  world.feed(alice, "AUTH alice secret\r\nSUBSCRIBE a\r\n");
  const ConnId judge = world.log_in();
  CHECK(world.got(judge) == Strings{"AUTH alice secret"});
  world.feed(judge, "+OK\r\n");
  CHECK(world.take(alice) == "+OK\r\n");
  CHECK(world.got(world.hub).empty());
  const ConnId hers = world.io.links.back();
  world.engine.on_connected(hers, world.now);
  world.turn();
  CHECK(world.got(hers) == Strings{"AUTH alice secret", "HELLO 3", "ROLE"});

  SECTION("messages come by the link of the user") {
    world.feed(hers, "+OK\r\n%0\r\n*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n");
    CHECK(world.got(hers) == Strings{"SUBSCRIBE a"});
    world.feed(hers, confirmation("subscribe", "a", 1, '>') + message("a", "for alice", '>'));
    world.feed(world.hub, message("a", "for all", '>'));
    CHECK(world.take(alice) == confirmation("subscribe", "a", 1) + message("a", "for alice"));
    CHECK(world.take(plain) == message("a", "for all"));
    CHECK(world.engine.stats().subscribers_now == 2);
    CHECK(world.engine.stats().hub_subscriptions_now == 2);
    // The last one of a user takes the link along; fairlead's own stays.
    world.feed(alice, "UNSUBSCRIBE\r\n");
    CHECK(world.got(hers) == Strings{"UNSUBSCRIBE a"});
    world.feed(hers, confirmation("unsubscribe", "a", 0, '>'));
    CHECK_FALSE(world.io.at(hers).open);
    world.feed(plain, "UNSUBSCRIBE\r\n");
    world.confirm();
    CHECK(world.io.at(world.hub).open);
    CHECK(world.engine.stats().hub_subscriptions_now == 0);
  }
  SECTION("a user that the server does not know any more is told so, and nobody else") {
    world.take(alice);
    world.feed(hers, "-WRONGPASS no\r\n");
    CHECK(world.take(alice) == "-WRONGPASS no\r\n");
    CHECK(world.io.at(alice).open);
    CHECK(world.engine.stats().gate_closed == 0);
    CHECK(world.io.at(plain).open);
  }
  SECTION("whoever has a subscription then is closed") {
    world.feed(hers, "+OK\r\n%0\r\n*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n");
    world.feed(hers, confirmation("subscribe", "a", 1, '>'));
    world.publish("b", 2);
    for (std::size_t i = world.io.links.size() - 2; i < world.io.links.size(); ++i) {
      const ConnId link = world.io.links[i];
      world.engine.on_connected(link, world.now);
      world.turn();
      const bool alices = world.got(link).front() == "AUTH alice secret";
      world.feed(link, alices ? "-WRONGPASS no\r\n" : "%0\r\n*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n");
      if (!alices) world.hub = link;
    }
    CHECK_FALSE(world.io.at(alice).open);
    CHECK(world.engine.stats().subscriptions_lost == 1);
    CHECK(world.confirm() == Strings{"SUBSCRIBE a"});
    CHECK(world.io.at(plain).open);
  }
}

TEST_CASE("fairlead's own login refused: who waits is told, who is subscribed waits for the operator") {
  HubWorld world;
  const ConnId had = world.subscriber("SUBSCRIBE a");
  world.publish("b", 2);
  const ConnId client = world.client();
  world.feed(client, "SUBSCRIBE b\r\n");
  const ConnId refused = world.io.links.back();
  world.engine.on_connected(refused, world.now);
  world.turn();
  world.feed(refused, "-NOAUTH HELLO must be called with the client already authenticated\r\n");
  const ConnId second = world.io.links.back();  // tried again without HELLO
  CHECK(second != refused);
  world.engine.on_connected(second, world.now);
  world.turn();
  world.feed(second, "-NOAUTH Authentication required.\r\n");
  CHECK(world.take(client).rfind("-MASTERDOWN fairlead: the server refused fairlead's own login", 0) == 0);
  CHECK(world.io.at(had).open);
  CHECK(world.io.links.back() == second);
  world.pass(1s);
  CHECK(world.io.links.back() != second);
  world.open_hub();
  CHECK(world.confirm() == Strings{"SUBSCRIBE a"});
  world.feed(world.hub, message("a", "x"));
  CHECK(world.take(had) == message("a", "x"));
}

TEST_CASE("many names asked for while Redis does not read wait for the backlog") {
  EngineOptions options;
  options.limits.link_backlog_bytes_max = 1000;
  HubWorld world(options);
  world.subscriber("SUBSCRIBE a");
  world.io.at(world.hub).capacity = 0;
  const ConnId client = world.client();
  world.feed(client, "SUBSCRIBE " + std::string(2000, 'n') + "\r\nSUBSCRIBE b\r\n");
  CHECK(world.engine.stats().backlog_pauses == 1);
  world.io.at(world.hub).capacity = SIZE_MAX;
  world.engine.on_writable(world.hub, world.now);
  world.turn();
  CHECK(world.confirm() == Strings{"SUBSCRIBE " + std::string(2000, 'n'), "SUBSCRIBE b"});
  CHECK(world.take(client).ends_with(confirmation("subscribe", "b", 2)));
}
