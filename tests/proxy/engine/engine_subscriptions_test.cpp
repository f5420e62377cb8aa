#include <algorithm>

#include "engine_world.hpp"
#include "resp/writer.hpp"

using namespace fairlead;
using namespace fairlead::engine;

namespace {

std::string bulk(std::string_view text) {
  std::string out;
  resp::append_bulk(out, text);
  return out;
}

std::string confirmation(std::string_view word, std::string_view name, int count, char type = '*') {
  return std::string(1, type) + "3\r\n" + bulk(word) + bulk(name) + ":" + std::to_string(count) + "\r\n";
}

std::string message(std::string_view channel, std::string_view text, char type = '*') {
  return std::string(1, type) + "3\r\n" + bulk("message") + bulk(channel) + bulk(text);
}

std::string pattern_message(std::string_view pattern, std::string_view channel, std::string_view text,
                            char type = '*') {
  return std::string(1, type) + "4\r\n" + bulk("pmessage") + bulk(pattern) + bulk(channel) + bulk(text);
}

/// A world with a server that answers on the hub's link.
struct HubWorld : ReadyWorld {
  explicit HubWorld(EngineOptions options = {}, Chunking chunking = Chunking::whole)
      : ReadyWorld(options, chunking) {}

  /// The hub's link: the newest one, logged in.
  void open_hub() { hub = log_in(); }

  /// Confirms everything that was asked for on the hub's link, and returns what it was.
  Strings confirm(char type = '>') {
    Strings all = got(hub);
    for (const std::string& command : all) {
      const std::size_t blank = command.find(' ');
      std::string word = command.substr(0, blank);
      std::transform(word.begin(), word.end(), word.begin(),
                     [](char c) { return static_cast<char>(c - 'A' + 'a'); });
      feed(hub, confirmation(word, command.substr(blank + 1), 1, type));
    }
    return all;
  }

  ConnId subscriber(const std::string& command) {
    const ConnId id = client();
    feed(id, command + "\r\n");
    if (!hub.valid()) open_hub();
    confirm();
    take(id);
    return id;
  }

  ConnId resp3_client() {
    const ConnId id = client();
    feed(id, "HELLO 3\r\n");
    take(id);
    return id;
  }

  ConnId hub;
};

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
