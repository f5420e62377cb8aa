// SUBSCRIBE and its like, and the messages, as clients see them.
#include "hub_world.hpp"

using namespace fairlead;
using namespace fairlead::engine;

namespace {

constexpr std::string_view refused_get =
    "-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in "
    "this "
    "context\r\n";

}  // namespace

TEST_CASE("a thousand subscribers are one subscription upstream, and no lease") {
  HubWorld world;
  std::vector<ConnId> clients;
  for (int i = 0; i < 1000; ++i) {
    clients.push_back(world.client());
    world.feed(clients.back(), "SUBSCRIBE news\r\n");
  }
  world.open_hub();
  CHECK(world.take(clients[0]).empty());  // nothing is confirmed before the server has
  CHECK(world.confirm() == Strings{"SUBSCRIBE news"});
  for (const ConnId id : clients) REQUIRE(world.take(id) == confirmation("subscribe", "news", 1));
  world.feed(world.hub, message("news", "hi", '>'));
  for (const ConnId id : clients) REQUIRE(world.take(id) == message("news", "hi"));
  const Stats& stats = world.engine.stats();
  CHECK(stats.leases_begun == 0);
  CHECK(stats.links_now == 2);
  CHECK(stats.subscribers_now == 1000);
  CHECK(stats.hub_subscriptions_now == 1);
  CHECK(stats.messages_in == 1);
  CHECK(stats.messages_out == 1000);

  // Only the last one that leaves takes the upstream subscription along, however it leaves.
  for (std::size_t i = 0; i < 500; ++i) world.feed(clients[i], "UNSUBSCRIBE\r\n");
  for (std::size_t i = 500; i < 999; ++i) world.engine.on_end_of_file(clients[i], world.now);
  world.turn();
  CHECK(world.got(world.hub).empty());
  CHECK(world.engine.stats().subscribers_now == 1);
  world.feed(clients[999], "UNSUBSCRIBE news\r\n");
  CHECK(world.take(clients[999]) == confirmation("unsubscribe", "news", 0));
  CHECK(world.confirm() == Strings{"UNSUBSCRIBE news"});
  CHECK(world.engine.stats().subscribers_now == 0);
  CHECK(world.engine.stats().hub_subscriptions_now == 0);
}

TEST_CASE("confirmed already: the next subscriber is answered at once") {
  HubWorld world;
  world.subscriber("SUBSCRIBE a");
  const ConnId late = world.client();
  world.feed(late, "SUBSCRIBE a a\r\n");
  CHECK(world.got(world.hub).empty());
  CHECK(world.take(late) == confirmation("subscribe", "a", 1) + confirmation("subscribe", "a", 1));
}

TEST_CASE("what a RESP2 subscriber may say, whole and byte by byte") {
  for (const Chunking chunking : {Chunking::whole, Chunking::single_bytes}) {
    HubWorld world({}, chunking);
    const ConnId client = world.client();
    // All in one packet: what follows SUBSCRIBE is refused or not when the outcome is known.
    world.feed(client,
               "ECHO x\r\nSUBSCRIBE a b\r\nGET k\r\nPING\r\nPING y\r\nCONFIG GET *\r\nNOSUCH\r\nGET\r\n");
    CHECK(world.take(client) == "$1\r\nx\r\n");
    world.open_hub();
    CHECK(world.confirm() == Strings{"SUBSCRIBE a", "SUBSCRIBE b"});
    CHECK(world.take(client) == confirmation("subscribe", "a", 1) + confirmation("subscribe", "b", 2) +
                                    std::string(refused_get) +
                                    "*2\r\n$4\r\npong\r\n$0\r\n\r\n*2\r\n$4\r\npong\r\n$1\r\ny\r\n" +
                                    "-ERR Can't execute 'config|get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE "
                                    "/ PING / QUIT / RESET are "
                                    "allowed in this context\r\n" +
                                    "-ERR unknown command 'NOSUCH', with args beginning with: \r\n"
                                    "-ERR wrong number of arguments for 'get' command\r\n");
    world.feed(world.hub, message("a", "1", '>') + message("b", "2", '>'));
    CHECK(world.take(client) == message("a", "1") + message("b", "2"));
    world.feed(client, "UNSUBSCRIBE a\r\nGET k\r\nUNSUBSCRIBE b\r\nGET k\r\n");
    CHECK(world.take(client) == confirmation("unsubscribe", "a", 1) + std::string(refused_get) +
                                    confirmation("unsubscribe", "b", 0));
    CHECK(world.got(world.shared) == Strings{"GET k"});
    world.feed(world.shared, "$1\r\nv\r\n");
    CHECK(world.take(client) == "$1\r\nv\r\n");
  }
}

TEST_CASE("counts: channels and patterns together, shard channels apart") {
  HubWorld world;
  const ConnId client = world.subscriber("SUBSCRIBE a");
  world.feed(client, "PSUBSCRIBE p* q*\r\nSSUBSCRIBE s t\r\nSUBSCRIBE b\r\n");
  CHECK(world.confirm() ==
        Strings{"PSUBSCRIBE p*", "PSUBSCRIBE q*", "SSUBSCRIBE s", "SSUBSCRIBE t", "SUBSCRIBE b"});
  CHECK(world.take(client) == confirmation("psubscribe", "p*", 2) + confirmation("psubscribe", "q*", 3) +
                                  confirmation("ssubscribe", "s", 1) + confirmation("ssubscribe", "t", 2) +
                                  confirmation("subscribe", "b", 4));
  world.feed(client,
             "UNSUBSCRIBE x\r\nSUNSUBSCRIBE\r\nPUNSUBSCRIBE\r\nPUNSUBSCRIBE\r\nUNSUBSCRIBE a a b\r\n");
  CHECK(world.take(client) ==
        confirmation("unsubscribe", "x", 4) + confirmation("sunsubscribe", "s", 1) +
            confirmation("sunsubscribe", "t", 0) + confirmation("punsubscribe", "p*", 3) +
            confirmation("punsubscribe", "q*", 2) + "*3\r\n$12\r\npunsubscribe\r\n$-1\r\n:2\r\n" +
            confirmation("unsubscribe", "a", 1) + confirmation("unsubscribe", "a", 1) +
            confirmation("unsubscribe", "b", 0));
}

TEST_CASE("unsubscribing from nothing is answered in the client's protocol, without a server") {
  World world;
  const ConnId two = world.client();
  world.feed(two, "UNSUBSCRIBE\r\nPUNSUBSCRIBE x y\r\nSUNSUBSCRIBE\r\n");
  CHECK(world.take(two) == "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n" +
                               confirmation("punsubscribe", "x", 0) + confirmation("punsubscribe", "y", 0) +
                               "*3\r\n$12\r\nsunsubscribe\r\n$-1\r\n:0\r\n");
  world.publish("a");
  const ConnId three = world.client();
  world.feed(three, "HELLO 3\r\n");
  world.take(three);
  world.feed(three, "UNSUBSCRIBE\r\n");
  CHECK(world.take(three) == ">3\r\n$11\r\nunsubscribe\r\n_\r\n:0\r\n");
  CHECK(world.io.links.empty());
}

TEST_CASE("a RESP3 subscriber goes on over the shared links; a push never parts a reply") {
  HubWorld world;
  const ConnId client = world.resp3_client();
  world.feed(client, "SUBSCRIBE a\r\n");
  world.open_hub();
  world.confirm();
  CHECK(world.take(client) == confirmation("subscribe", "a", 1, '>'));
  const ConnId two = world.client();
  world.feed(two, "SUBSCRIBE a\r\n");
  CHECK(world.take(two) == confirmation("subscribe", "a", 1));
  world.feed(client, "GET big\r\nGET small\r\n");
  const ConnId shared3 = world.log_in();
  CHECK(world.got(shared3) == Strings{"GET big", "GET small"});
  CHECK(world.engine.stats().leases_begun == 0);

  const std::string push = message("a", "hi", '>');
  world.feed(world.hub, push);  // nothing of the reply is there yet
  CHECK(world.take(client) == push);
  world.feed(shared3, "$10\r\nabc");
  CHECK(world.take(client) == "$10\r\nabc");
  world.feed(world.hub, push + message("a", "ho", '>'));
  CHECK(world.take(client).empty());
  CHECK(world.take(two) == message("a", "hi") + message("a", "hi") + message("a", "ho"));
  world.feed(shared3, "defghij\r\n$1\r\ns\r\n");
  CHECK(world.take(client) == "defghij\r\n" + push + message("a", "ho", '>') + "$1\r\ns\r\n");

  SECTION("HELLO 2 changes the form of what comes behind its answer") {
    world.feed(client, "HELLO 2\r\n");
    CHECK(world.take(client).starts_with("*14\r\n"));
    world.feed(world.hub, push);
    CHECK(world.take(client) == message("a", "hi"));
    world.feed(client, "GET k\r\n");
    CHECK(world.take(client) == refused_get);
  }
  SECTION("MULTI takes a lease, and pushes come between its replies") {
    world.feed(client, "MULTI\r\nSUBSCRIBE b\r\nEXEC\r\n");
    const ConnId lease = world.log_in();
    CHECK(world.got(lease) == Strings{"MULTI", "DISCARD"});
    world.feed(lease, "+OK\r\n");
    world.feed(world.hub, push);
    world.feed(lease, "+OK\r\n");
    CHECK(world.take(client) == "+OK\r\n-ERR Command not allowed inside a transaction\r\n" + push +
                                    "-EXECABORT Transaction discarded because of previous errors.\r\n");
    CHECK(world.engine.stats().leases_now == 0);
  }
  SECTION("MONITOR: its lines and pushes do not mix") {
    world.feed(client, "MONITOR\r\n");
    const ConnId raw = world.log_in();
    world.feed(raw, "+OK\r\n+1.0 [0 x]");
    world.feed(world.hub, push);
    world.feed(raw, " \"GET\"\r\n");
    CHECK(world.take(client) == "+OK\r\n+1.0 [0 x] \"GET\"\r\n" + push);
    // What it has in the hub it leaves in the hub, between two lines.
    world.take(raw);
    world.feed(raw, "+2.0");
    world.feed(client, "UNSUBSCRIBE a\r\nUNSUBSCRIBE\r\n");
    world.feed(world.hub, push);
    CHECK(world.got(raw) == Strings{"UNSUBSCRIBE"});
    world.feed(raw, " [0 x]\r\n");
    CHECK(world.take(client) == "+2.0 [0 x]\r\n" + confirmation("unsubscribe", "a", 0, '>'));
  }
}

TEST_CASE("a subscription waits for the replies before it, and what follows waits for its outcome") {
  HubWorld world;
  world.subscriber("SUBSCRIBE a");
  const ConnId client = world.resp3_client();
  world.feed(client, "PUBLISH a x\r\nSUBSCRIBE a\r\nSUBSCRIBE b\r\nSUBSCRIBE a c\r\nPUBLISH b y\r\n");
  const ConnId shared3 = world.log_in();
  CHECK(world.got(shared3) == Strings{"PUBLISH a x"});
  world.feed(world.hub, message("a", "x", '>'));
  CHECK(world.take(client).empty());  // published before it subscribed
  world.feed(shared3, ":1\r\n");
  CHECK(world.take(client) == ":1\r\n" + confirmation("subscribe", "a", 1, '>'));
  CHECK(world.got(shared3).empty());
  CHECK(world.confirm() == Strings{"SUBSCRIBE b", "SUBSCRIBE c"});  // asked for together
  CHECK(world.take(client) == confirmation("subscribe", "b", 2, '>') +
                                  confirmation("subscribe", "a", 2, '>') +
                                  confirmation("subscribe", "c", 3, '>'));
  CHECK(world.got(shared3) == Strings{"PUBLISH b y"});
}

TEST_CASE("one name refused: the whole command has the server's error, others keep theirs") {
  for (const Chunking chunking : {Chunking::whole, Chunking::single_bytes}) {
    HubWorld world({}, chunking);
    const ConnId other = world.subscriber("SUBSCRIBE a");
    const ConnId client = world.client();
    world.feed(client, "SUBSCRIBE a b secret\r\nGET k\r\n");
    CHECK(world.got(world.hub) == Strings{"SUBSCRIBE b", "SUBSCRIBE secret"});
    const std::string error =
        "-NOPERM this user has no permissions to access one of the channels used as arguments\r\n";
    world.feed(world.hub, confirmation("subscribe", "b", 2, '>'));
    world.feed(world.hub, error);
    CHECK(world.take(client) == error);
    CHECK(world.got(world.shared) == Strings{"GET k"});  // not subscribed, so it may
    CHECK(world.confirm() == Strings{"UNSUBSCRIBE b"});
    world.feed(world.hub, message("a", "x", '>'));
    CHECK(world.take(other) == message("a", "x"));
    CHECK(world.take(client).empty());
    CHECK(world.engine.stats().subscribers_now == 1);
    CHECK(world.engine.stats().error_replies == 1);
    CHECK(world.io.signals.empty());
  }
}

TEST_CASE("leaving and coming back before the server has confirmed the leave") {
  HubWorld world;
  const ConnId first = world.subscriber("SUBSCRIBE a");
  world.feed(first, "UNSUBSCRIBE a\r\n");
  world.take(first);
  const ConnId second = world.client();
  world.feed(second, "SUBSCRIBE a\r\n");
  CHECK(world.got(world.hub) == Strings{"UNSUBSCRIBE a", "SUBSCRIBE a"});
  world.feed(world.hub, message("a", "old", '>') + confirmation("unsubscribe", "a", 0, '>'));
  CHECK(world.take(second).empty());
  world.feed(world.hub, confirmation("subscribe", "a", 1, '>') + message("a", "new", '>'));
  CHECK(world.take(second) == confirmation("subscribe", "a", 1) + message("a", "new"));
  CHECK(world.take(first).empty());
}

TEST_CASE("who leaves while the server is asked leaves nothing behind") {
  HubWorld world;
  const ConnId client = world.client();
  world.feed(client, "SUBSCRIBE a\r\n");
  world.open_hub();
  CHECK(world.got(world.hub) == Strings{"SUBSCRIBE a"});
  world.engine.on_end_of_file(client, world.now);
  world.turn();
  CHECK_FALSE(world.io.at(client).open);
  world.feed(world.hub, confirmation("subscribe", "a", 1, '>') + message("a", "x", '>'));
  CHECK(world.confirm() == Strings{"UNSUBSCRIBE a"});
  CHECK(world.engine.stats().hub_subscriptions_now == 0);
  CHECK(world.engine.stats().pushes_dropped == 1);
}

TEST_CASE("RESET ends subscriptions without a word, QUIT lets none through") {
  HubWorld world;
  const ConnId stays = world.subscriber("SUBSCRIBE a");
  const ConnId resets = world.subscriber("SUBSCRIBE a b");
  const ConnId quits = world.subscriber("SUBSCRIBE a");
  world.feed(resets, "RESET\r\nGET k\r\n");
  CHECK(world.take(resets) == "+RESET\r\n");
  CHECK(world.confirm() == Strings{"UNSUBSCRIBE b"});
  CHECK(world.got(world.shared) == Strings{"GET k"});
  world.io.at(quits).capacity = 0;
  world.feed(quits, "QUIT\r\n");
  world.feed(world.hub, message("a", "x", '>'));
  world.io.at(quits).capacity = SIZE_MAX;
  world.engine.on_writable(quits, world.now);
  world.turn();
  CHECK(world.take(quits) == "+OK\r\n");
  CHECK_FALSE(world.io.at(quits).open);
  CHECK(world.take(resets).empty());
  CHECK(world.take(stays) == message("a", "x"));
}

TEST_CASE("a slow subscriber is closed at its output limit, and nobody waits for it") {
  EngineOptions options;
  options.limits.output_buffer_bytes_max = 100'000;
  HubWorld world(options);
  const ConnId fast = world.subscriber("SUBSCRIBE a");
  const ConnId slow = world.subscriber("SUBSCRIBE a");
  const ConnId last = world.subscriber("SUBSCRIBE a");
  world.io.at(slow).capacity = 0;
  const std::string text(1000, 'x');
  for (int i = 0; i < 120; ++i) {
    world.feed(world.hub, message("a", text, '>'));
    REQUIRE(world.take(fast) == message("a", text));
    REQUIRE(world.take(last) == message("a", text));
  }
  CHECK_FALSE(world.io.at(slow).open);
  CHECK(world.engine.stats().output_buffer_closed == 1);
  CHECK(world.engine.stats().subscribers_now == 2);
  CHECK(world.got(world.hub).empty());

  SECTION("parked pushes count, too") {
    const ConnId client = world.resp3_client();
    world.feed(client, "SUBSCRIBE a\r\nGET big\r\n");
    const ConnId shared3 = world.log_in();
    world.feed(shared3, "$10\r\nabc");
    for (int i = 0; i < 120; ++i) world.feed(world.hub, message("a", text, '>'));
    CHECK_FALSE(world.io.at(client).open);
    CHECK(world.engine.stats().output_buffer_closed == 2);
  }
  SECTION("a message longer than the limit closes whom it is for, and is not kept") {
    const ConnId other = world.subscriber("SUBSCRIBE b");
    const std::string huge = message("a", std::string(300'000, 'y'), '>');
    world.feed(world.hub, std::string_view(huge).substr(0, 200'000));
    CHECK_FALSE(world.io.at(fast).open);
    CHECK_FALSE(world.io.at(last).open);
    CHECK(world.engine.buffer_bytes() < 200'000);
    world.feed(world.hub, std::string_view(huge).substr(200'000));
    world.feed(world.hub, message("b", "z", '>'));
    CHECK(world.take(other) == message("b", "z"));
    CHECK(world.io.at(world.hub).open);
  }
}

TEST_CASE("a large message is in memory once for each protocol, however many get it") {
  HubWorld world;
  constexpr std::size_t size = 1 << 20;
  std::vector<ConnId> clients;
  for (int i = 0; i < 500; ++i) clients.push_back(world.subscriber("SUBSCRIBE a"));
  for (int i = 0; i < 500; ++i) {
    clients.push_back(world.resp3_client());
    world.feed(clients.back(), "SUBSCRIBE a\r\n");
    world.take(clients.back());
  }
  for (const ConnId id : clients) world.io.at(id).capacity = 0;
  const std::uint64_t before = world.engine.buffer_bytes();
  const std::string text(size, 'm');
  world.feed(world.hub, message("a", text, '>'));
  CHECK(world.engine.buffer_bytes() - before < 2 * size + 400'000);
  CHECK(world.engine.buffer_bytes() - before > 2 * size);
  for (std::size_t i = 0; i < clients.size(); ++i) {
    world.io.at(clients[i]).capacity = SIZE_MAX;
    world.engine.on_writable(clients[i], world.now);
    REQUIRE(world.take(clients[i]) == message("a", text, i < 500 ? '*' : '>'));
  }
  world.turn();
  CHECK(world.engine.buffer_bytes() <= before);
}

TEST_CASE("a shard channel that moves away is taken from its subscribers, and from nobody else") {
  HubWorld world;
  const ConnId one = world.subscriber("SSUBSCRIBE s t");
  const ConnId two = world.subscriber("SSUBSCRIBE s");
  world.feed(world.hub, confirmation("sunsubscribe", "s", 1, '>'));
  CHECK(world.take(one) == confirmation("sunsubscribe", "s", 1));
  CHECK(world.take(two) == confirmation("sunsubscribe", "s", 0));
  CHECK(world.got(world.hub).empty());
  world.feed(two, "GET k\r\n");
  CHECK(world.got(world.shared) == Strings{"GET k"});
  world.feed(world.hub, ">3\r\n" + bulk("smessage") + bulk("t") + bulk("x"));
  CHECK(world.take(one) == "*3\r\n" + bulk("smessage") + bulk("t") + bulk("x"));
  world.feed(one, "SSUBSCRIBE s\r\n");
  CHECK(world.confirm() == Strings{"SSUBSCRIBE s"});
}

TEST_CASE("who waits for messages is not idle") {
  EngineOptions options;
  options.limits.idle_max = 1000ms;
  HubWorld world(options);
  const ConnId client = world.subscriber("SUBSCRIBE a");
  const ConnId idle = world.client();
  world.pass(1500ms);
  world.pass(1500ms);
  CHECK_FALSE(world.io.at(idle).open);
  CHECK(world.io.at(client).open);
}
