#include "engine_world.hpp"

using namespace fairlead;
using namespace fairlead::engine;

TEST_CASE("a command waits for the first master, then travels on a shared link") {
  for (const Chunking chunking : {Chunking::whole, Chunking::single_bytes}) {
    World world({}, chunking);
    const ConnId client = world.client();
    world.feed(client, "*2\r\n$3\r\nGET\r\n$1\r\na\r\n");
    CHECK(world.io.links.empty());
    CHECK(world.take(client).empty());
    CHECK(world.io.at(client).reading == Reading::off);

    world.publish("a");
    REQUIRE(world.io.links.size() == 1);
    CHECK(world.io.at(world.io.links[0]).address.host == "a");
    const ConnId link = world.log_in();
    CHECK(world.got(link) == Strings{"GET a"});
    world.feed(link, "$5\r\nhello\r\n");
    CHECK(world.take(client) == "$5\r\nhello\r\n");
    CHECK(world.io.at(client).reading == Reading::on);
  }
}

TEST_CASE("nothing is sent to a server that does not say master") {
  World world;
  const ConnId client = world.client();
  world.publish("a");
  world.feed(client, "SET a 1\r\n");
  const ConnId link = world.io.links.at(0);
  world.engine.on_connected(link, world.now);
  world.turn();
  CHECK(world.got(link) == Strings{"ROLE"});
  world.feed(link, "*5\r\n$5\r\nslave\r\n$1\r\nb\r\n:6379\r\n$9\r\nconnected\r\n:5\r\n");
  CHECK_FALSE(world.io.at(link).open);
  REQUIRE(world.io.signals.size() == 1);
  CHECK(world.io.signals[0].kind == health::SignalKind::not_master);
  CHECK(world.take(client).empty());
  world.publish("b", 2);
  const ConnId other = world.log_in();
  CHECK(world.got(other) == Strings{"SET a 1"});
}

TEST_CASE("many clients share one link, in one write, and each gets its own reply") {
  ReadyWorld world;
  std::vector<ConnId> clients;
  for (int i = 0; i < 50; ++i) clients.push_back(world.light_client());
  const std::size_t writes = world.io.writes;
  for (int i = 0; i < 50; ++i) {
    const std::string frame =
        "*2\r\n$3\r\nGET\r\n$2\r\nk" + std::string(1, static_cast<char>('0' + i % 10)) + "\r\n";
    const MutableBytes space = world.engine.read_space(clients[static_cast<std::size_t>(i)]);
    std::copy(frame.begin(), frame.end(), space.data);
    world.engine.on_bytes(clients[static_cast<std::size_t>(i)], frame.size(), world.now);
  }
  world.turn();
  CHECK(world.io.writes == writes + 1);
  CHECK(world.got(world.shared).size() == 50);
  std::string replies;
  for (int i = 0; i < 50; ++i) replies += ":" + std::to_string(i) + "\r\n";
  world.feed(world.shared, replies);
  for (int i = 0; i < 50; ++i) {
    CHECK(world.take(clients[static_cast<std::size_t>(i)]) == ":" + std::to_string(i) + "\r\n");
  }
  CHECK(world.io.links.size() == 1);
}

TEST_CASE("local answers keep their place among forwarded ones") {
  for (const Chunking chunking : {Chunking::whole, Chunking::single_bytes}) {
    ReadyWorld world({}, chunking);
    const ConnId client = world.client();
    world.feed(client, "GET a\r\nPING\r\nECHO x\r\nGET b\r\nPING last\r\n");
    CHECK(world.take(client).empty());
    CHECK(world.got(world.shared) == Strings{"GET a", "GET b"});
    world.feed(world.shared, "+A\r\n+B\r\n");
    CHECK(world.take(client) == "+A\r\n+PONG\r\n$1\r\nx\r\n+B\r\n$4\r\nlast\r\n");
  }
}

TEST_CASE("a frame that is not canonical is encoded anew, byte for byte otherwise") {
  ReadyWorld world;
  const ConnId client = world.client();
  // Two wrong bytes behind the bulk, as Redis accepts them: forwarded unchanged they would be a way to
  // inject.
  world.feed(client, "*2\r\n$3\r\nGETxx$1\r\na\r\n");
  CHECK(world.take(world.shared) == "*2\r\n$3\r\nGET\r\n$1\r\na\r\n");
  world.feed(world.shared, "$-1\r\n");
  world.feed(client, "get \"a\\x00b\"\r\n");
  CHECK(world.take(world.shared) == std::string("*2\r\n$3\r\nget\r\n$3\r\na\0b\r\n", 22));
}

TEST_CASE("a client that stalls in the middle of a frame stalls nobody") {
  ReadyWorld world;
  const ConnId slow = world.client();
  const ConnId quick = world.client();
  world.feed(slow, "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$100\r\npart");
  world.feed(quick, "GET b\r\n");
  CHECK(world.got(world.shared) == Strings{"GET b"});
  world.feed(world.shared, "+B\r\n");
  CHECK(world.take(quick) == "+B\r\n");
  world.feed(slow, std::string(96, 'x') + "\r\n");
  CHECK(world.got(world.shared).size() == 1);
}

TEST_CASE("large values pass whole in both directions") {
  for (const std::size_t size : {100UL, 15000UL, 16384UL, 65536UL, 300000UL, 8388608UL}) {
    ReadyWorld world;
    const ConnId client = world.client();
    std::string value(size, '\0');
    for (std::size_t i = 0; i < size; ++i) value[i] = static_cast<char>(i * 31 + i / 251);
    const std::string set =
        "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$" + std::to_string(size) + "\r\n" + value + "\r\n";
    world.feed(client, set + "PING\r\n");
    const ConnId link = set.size() >= bulk_bytes_min ? world.log_in() : world.shared;
    CHECK(world.take(link) == set);
    const std::string reply = "$" + std::to_string(size) + "\r\n" + value + "\r\n";
    world.feed(link, reply);
    CHECK(world.take(client) == reply + "+PONG\r\n");
  }
}

TEST_CASE("a reply whose client is gone is dropped, and the next one reaches its client") {
  ReadyWorld world;
  const ConnId gone = world.client();
  const ConnId here = world.client();
  world.feed(gone, "GET a\r\n");
  world.feed(here, "GET b\r\n");
  world.engine.on_error(gone, "reset", world.now);
  world.turn();
  world.feed(world.shared, "$3\r\nfor\r\n+B\r\n");
  CHECK(world.take(here) == "+B\r\n");
  CHECK_FALSE(world.io.at(gone).open);
}

TEST_CASE("a half-closed client still gets all its replies") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "GET a\r\nGET b\r\n");
  world.engine.on_end_of_file(client, world.now);
  world.turn();
  CHECK(world.io.at(client).open);
  world.feed(world.shared, "+A\r\n+B\r\n");
  CHECK(world.take(client) == "+A\r\n+B\r\n");
  CHECK_FALSE(world.io.at(client).open);
}

TEST_CASE("QUIT is answered in its place and nothing behind it is executed") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "GET a\r\nQUIT\r\nSET b 1\r\n");
  CHECK(world.got(world.shared) == Strings{"GET a"});
  world.feed(world.shared, "+A\r\n");
  CHECK(world.take(client) == "+A\r\n+OK\r\n");
  CHECK_FALSE(world.io.at(client).open);
}

TEST_CASE("a protocol error: the earlier replies, then the error, then the end") {
  for (const Chunking chunking : {Chunking::whole, Chunking::single_bytes}) {
    ReadyWorld world({}, chunking);
    const ConnId client = world.client();
    world.feed(client, "GET a\r\n*1\r\n:4\r\n");
    world.feed(world.shared, "+A\r\n");
    CHECK(world.take(client) == "+A\r\n-ERR Protocol error: expected '$', got ':'\r\n");
    CHECK_FALSE(world.io.at(client).open);
    CHECK(world.engine.stats().protocol_errors == 1);
  }
}

TEST_CASE("HTTP spoken at us is hung up on without a word") {
  ReadyWorld world;
  for (const std::string text : {"POST / HTTP/1.1\r\n", "Host: a\r\n"}) {
    const ConnId client = world.client();
    world.feed(client, text);
    CHECK(world.take(client).empty());
    CHECK_FALSE(world.io.at(client).open);
  }
}

TEST_CASE("SELECT moves a session to a link of that database, and answers what the server says") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "SELECT 3\r\nGET a\r\n");
  REQUIRE(world.io.links.size() == 2);
  CHECK(world.take(client).empty());
  const ConnId third = world.io.links[1];
  world.engine.on_connected(third, world.now);
  world.turn();
  CHECK(world.got(third) == Strings{"SELECT 3", "ROLE"});
  world.feed(third, "+OK\r\n*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n");
  CHECK(world.take(client) == "+OK\r\n");
  CHECK(world.got(third) == Strings{"GET a"});
  world.feed(third, "+A\r\n");
  CHECK(world.take(client) == "+A\r\n");

  SECTION("the link is shared with the next who selects it") {
    const ConnId other = world.client();
    world.feed(other, "SELECT 3\r\nGET b\r\n");
    CHECK(world.take(other) == "+OK\r\n");
    CHECK(world.got(third) == Strings{"GET b"});
  }
  SECTION("a database that the server does not have") {
    world.feed(client, "SELECT 99\r\nGET c\r\n");
    const ConnId wrong = world.io.links[2];
    world.engine.on_connected(wrong, world.now);
    world.turn();
    world.feed(wrong, "-ERR DB index is out of range\r\n");
    CHECK(world.take(client) == "-ERR DB index is out of range\r\n");
    CHECK(world.got(third) == Strings{"GET c"});  // still in database 3
    CHECK_FALSE(world.io.at(wrong).open);
    CHECK(world.io.signals.empty());  // no evidence against the master
  }
  SECTION("not a number") {
    world.feed(client, "SELECT x\r\nSELECT -1\r\nSELECT 3\r\n");
    CHECK(world.take(client) ==
          "-ERR value is not an integer or out of range\r\n-ERR DB index is out of range\r\n+OK\r\n");
  }
}

TEST_CASE("commands never overtake each other when a session changes its link") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "SET a 1\r\nSELECT 1\r\nGET a\r\n");
  CHECK(world.got(world.shared) == Strings{"SET a 1"});
  CHECK(world.io.links.size() == 1);  // not even opened before the answer
  world.feed(world.shared, "+OK\r\n");
  const ConnId one = world.log_in();
  CHECK(world.got(one) == Strings{"GET a"});
  world.feed(one, "$-1\r\n");
  CHECK(world.take(client) == "+OK\r\n+OK\r\n$-1\r\n");
}

TEST_CASE("RESP3 clients have links of their own protocol beside RESP2 clients") {
  ReadyWorld world;
  const ConnId three = world.client();
  world.feed(three, "HELLO 3\r\nHGETALL h\r\n");
  const std::string hello = world.take(three);
  CHECK(hello.rfind(
            "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:3\r\n",
            0) == 0);
  REQUIRE(world.io.links.size() == 2);
  const ConnId link = world.io.links[1];
  world.engine.on_connected(link, world.now);
  world.turn();
  CHECK(world.got(link) == Strings{"HELLO 3", "ROLE"});
  world.feed(link, "%1\r\n$1\r\na\r\n$1\r\nb\r\n*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n");
  CHECK(world.got(link) == Strings{"HGETALL h"});
  world.feed(link, "%0\r\n");
  CHECK(world.take(three) == "%0\r\n");

  const ConnId two = world.client();
  world.feed(two, "HGETALL h\r\n");
  CHECK(world.got(world.shared) == Strings{"HGETALL h"});
}

TEST_CASE("an answer nobody asked for closes the link and fails nothing else") {
  ReadyWorld world;
  world.feed(world.shared, "+surprise\r\n");
  CHECK_FALSE(world.io.at(world.shared).open);
  CHECK(world.engine.stats().desyncs == 1);
  const ConnId client = world.client();
  world.feed(client, "GET a\r\n");
  CHECK(world.io.links.size() == 2);
}

TEST_CASE("an unreadable answer closes the link; what was outstanding is judged like a lost link") {
  ReadyWorld world;
  const ConnId reader = world.client();
  const ConnId writer = world.client();
  world.feed(reader, "GET a\r\n");
  world.feed(writer, "SET a 1\r\n");
  world.feed(world.shared, "?what\r\n");
  CHECK(world.take(writer).rfind("-UNCERTAIN ", 0) == 0);
  CHECK(world.take(reader).empty());
  const ConnId next = world.log_in();
  CHECK(world.got(next) == Strings{"GET a"});
}

TEST_CASE("replies in a row go out as they came, whatever stands between them") {
  const Chunking chunking = GENERATE(Chunking::whole, Chunking::single_bytes);
  ReadyWorld world({}, chunking);
  const ConnId first = world.light_client();
  const ConnId second = world.light_client();
  world.feed(first, "GET a\r\nGET b\r\nPING\r\nGET c\r\nCLIENT REPLY SKIP\r\nGET d\r\nINCR e\r\n");
  world.feed(second, "GET f\r\nSET g 1\r\n");
  world.feed(first, "LPUSH h 1\r\nGET i\r\nGET j\r\n");
  CHECK(world.got(world.shared).size() == 10);
  const std::string error = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
  const std::string large = "$20000\r\n" + std::string(20000, 'x') + "\r\n";
  world.feed(world.shared,
             "$1\r\na\r\n$-1\r\n$1\r\nc\r\n$1\r\nd\r\n:-5\r\n"
             "$0\r\n\r\n+OK\r\n" +
                 error + large + "$1\r\nj\r\n");
  CHECK(world.take(first) == "$1\r\na\r\n$-1\r\n+PONG\r\n$1\r\nc\r\n:-5\r\n" + error + large + "$1\r\nj\r\n");
  CHECK(world.take(second) == "$0\r\n\r\n+OK\r\n");
  const Stats& stats = world.engine.stats();
  CHECK(stats.error_replies == 1);
  CHECK(stats.commands_shared == stats.replies);
  // Both go on.
  world.feed(first, "GET k\r\n");
  CHECK(world.got(world.shared) == Strings{"GET k"});
  world.feed(world.shared, "$1\r\nk\r\n");
  CHECK(world.take(first) == "$1\r\nk\r\n");
}

TEST_CASE("a row that ends in the middle of a reply is finished later") {
  ReadyWorld world;
  const ConnId client = world.light_client();
  world.feed(client, "GET a\r\nGET b\r\nGET c\r\n");
  world.feed(world.shared, "$1\r\na\r\n$5\r\nbb");
  CHECK(world.take(client) == "$1\r\na\r\n$5\r\nbb");
  world.feed(world.shared, "bbb\r\n$1\r\nc\r\n");
  CHECK(world.take(client) == "bbb\r\n$1\r\nc\r\n");
}

TEST_CASE("a client that goes away within a row takes nobody with it") {
  EngineOptions options;
  options.limits.output_buffer_bytes_max = 100;
  ReadyWorld world(options);
  const ConnId greedy = world.light_client();
  const ConnId other = world.light_client();
  const std::string value = "$60\r\n" + std::string(60, 'v') + "\r\n";
  world.feed(greedy, "GET a\r\nGET b\r\nGET c\r\n");
  world.feed(other, "GET d\r\n");
  world.feed(greedy, "GET e\r\n");
  world.feed(other, "GET f\r\n");
  world.feed(world.shared, value + value + value + "$1\r\nd\r\n" + value + "$1\r\nf\r\n");
  CHECK_FALSE(world.io.at(greedy).open);
  CHECK(world.engine.stats().output_buffer_closed == 1);
  CHECK(world.take(other) == "$1\r\nd\r\n$1\r\nf\r\n");
}
