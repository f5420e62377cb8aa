// CLIENT LIST, INFO, KILL and UNBLOCK over one worker and over two, and INFO's section.
#include "engine_world.hpp"
#include "tests/resp/command_replies.hpp"

using namespace fairlead;
using namespace fairlead::engine;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

namespace {

/// The body of a bulk string.
std::string body(const std::string& reply) {
  REQUIRE(reply.size() > 2);
  CHECK(reply.front() == '$');
  const std::size_t begin = reply.find("\r\n") + 2;
  CHECK(std::to_string(reply.size() - begin - 2) == reply.substr(1, begin - 3));
  return reply.substr(begin, reply.size() - begin - 2);
}

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> all;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    REQUIRE(end != std::string::npos);
    all.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return all;
}

std::string field(const std::string& line, const std::string& name) {
  const std::size_t at = (" " + line).find(" " + name + "=");
  REQUIRE(at != std::string::npos);
  const std::size_t begin = at + name.size() + 1;
  return line.substr(begin, line.find(' ', begin) - begin);
}

/// Two workers: what the first one broadcasts is answered by the second when the test says so.
struct TwoWorkers {
  TwoWorkers() { one.io.peers = 1; }
  void relay() {
    for (const ClientQuery& query : std::exchange(one.io.queries, {})) {
      QueryAnswer answer = two.engine.answer_query(query, two.now);
      two.turn();
      one.engine.on_query_answer(query.id, std::move(answer), one.now);
      one.turn();
    }
  }
  ReadyWorld one{{}, Chunking::whole, {1, 2}};
  ReadyWorld two{{}, Chunking::whole, {2, 2}};
};

}  // namespace

TEST_CASE("CLIENT LIST tells what each client is in the middle of") {
  ReadyWorld world;
  const ConnId asker = world.client();
  const ConnId multi = world.client();
  const ConnId blocked = world.client();
  const ConnId subscriber = world.client();
  world.pass(70s);
  world.feed(multi, "CLIENT SETNAME worker\r\nCLIENT NO-EVICT ON\r\nMULTI\r\nSET a 1\r\nGET a\r\n");
  const ConnId lease = world.log_in();
  world.feed(lease, "+OK\r\n+QUEUED\r\n+QUEUED\r\n");
  world.feed(blocked, "BLPOP q 0\r\n");
  world.log_in();
  world.feed(subscriber, "SUBSCRIBE c d\r\nPSUBSCRIBE p*\r\n");
  const ConnId channel = world.log_in();
  world.feed(channel,
             "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nd\r\n:2\r\n"
             "*3\r\n$10\r\npsubscribe\r\n$2\r\np*\r\n:3\r\n");
  world.pass(5s);
  world.feed(asker, "*2\r\n$6\r\nclient\r\n$4\r\nlist\r\n");
  const auto all = lines(body(world.take(asker)));
  REQUIRE(all.size() == 4);
  CHECK_THAT(all[0], StartsWith("id=2 addr=127.0.0.1:"));
  CHECK(field(all[0], "flags") == "N");
  CHECK(field(all[0], "cmd") == "client|list");
  CHECK(field(all[0], "qbuf") == "26");
  CHECK(field(all[0], "argv-mem") == "10");
  CHECK(field(all[0], "age") == "75");
  CHECK(field(all[0], "idle") == "0");
  CHECK(field(all[1], "name") == "worker");
  CHECK(field(all[1], "flags") == "xe");
  CHECK(field(all[1], "multi") == "2");
  CHECK(field(all[1], "idle") == "5");
  CHECK(field(all[1], "cmd") == "get");
  CHECK(field(all[2], "flags") == "b");
  CHECK(field(all[2], "cmd") == "blpop");
  CHECK(field(all[3], "flags") == "P");
  CHECK(field(all[3], "sub") == "2");
  CHECK(field(all[3], "psub") == "1");

  SECTION("by type, by id") {
    world.feed(asker, "CLIENT LIST TYPE pubsub\r\n");
    const auto pubsub = lines(body(world.take(asker)));
    REQUIRE(pubsub.size() == 1);
    CHECK(field(pubsub[0], "id") == "5");
    world.feed(asker, "CLIENT LIST TYPE replica\r\n");
    CHECK(world.take(asker) == "$0\r\n\r\n");
    world.feed(asker, "CLIENT LIST ID 5 2 99\r\n");
    const auto chosen = lines(body(world.take(asker)));
    REQUIRE(chosen.size() == 2);
    CHECK(field(chosen[0], "id") == "5");
    CHECK(field(chosen[1], "id") == "2");
  }
  SECTION("CLIENT INFO is one's own line, verbatim in RESP3") {
    world.feed(asker, "SELECT 0\r\nCLIENT INFO\r\n");
    const std::string info = world.take(asker);
    CHECK_THAT(info, Contains(" cmd=client|info ") && Contains("id=2 "));
    world.feed(asker, "HELLO 3\r\n");
    world.take(asker);
    world.feed(asker, "CLIENT INFO\r\nCLIENT LIST ID 2\r\n");
    const std::string verbatim = world.take(asker);
    CHECK_THAT(verbatim, StartsWith("=") && Contains("\r\ntxt:id=2 "));
    CHECK(verbatim.find("\r\ntxt:id=2 ", 20) != std::string::npos);
    CHECK_THAT(verbatim, Contains("resp=3\n\r\n"));
  }
}

TEST_CASE("a last command is told after its table was replaced, and forgotten with it") {
  World world;
  // Each table is owned by its topology alone: a pointer into an old one would be to freed memory.
  const auto publish = [&world](std::initializer_list<const char*> names) {
    std::vector<resp::Value> entries;
    for (const char* name : names) {
      using namespace resp::testing;
      entries.push_back(
          array({bulk(name), integer(2), array({simple("readonly")}), integer(1), integer(1), integer(1)}));
    }
    auto topology = std::make_shared<health::Topology>();
    topology->version = ++world.version;
    topology->commands = resp::CommandTable::learn(resp::testing::array(std::move(entries)));
    health::Shard shard;
    shard.state = health::GroupState::steady;
    shard.route = health::Route{{"a", 6379, false}, "run-a", "7.0.15", 1, world.now};
    topology->shards.push_back(shard);
    world.engine.on_topology(topology, world.now);
    world.turn();
  };
  publish({"get", "client"});
  const ConnId client = world.client();
  world.feed(client, "GET a\r\n");
  publish({"client", "set", "get"});
  const ConnId asker = world.client();
  world.feed(asker, "CLIENT LIST ID 1\r\n");
  CHECK_THAT(world.take(asker), Contains(" cmd=get "));
  publish({"client"});
  world.feed(asker, "CLIENT LIST ID 1\r\n");
  CHECK_THAT(world.take(asker), Contains(" cmd=NULL "));
}

TEST_CASE("CLIENT KILL closes whom it names, and counts them") {
  ReadyWorld world;
  const ConnId asker = world.client();
  const ConnId first = world.client();
  const ConnId second = world.client();
  const std::string address = world.io.names(first).address;
  SECTION("by id") {
    world.feed(asker, "CLIENT KILL ID 3\r\n");
    CHECK(world.take(asker) == ":1\r\n");
    CHECK_FALSE(world.io.at(first).open);
    CHECK(world.io.at(second).open);
    world.feed(asker, "CLIENT KILL ID 3\r\n");
    CHECK(world.take(asker) == ":0\r\n");
  }
  SECTION("by address, in the old form") {
    world.feed(asker, "CLIENT KILL " + address + "\r\nCLIENT KILL " + address + "\r\n");
    CHECK(world.take(asker) == "+OK\r\n-ERR No such client\r\n");
    CHECK_FALSE(world.io.at(first).open);
  }
  SECTION("all but oneself, by default") {
    world.feed(asker, "CLIENT KILL LADDR 127.0.0.1:6379\r\nPING\r\n");
    CHECK(world.take(asker) == ":2\r\n+PONG\r\n");
    CHECK_FALSE(world.io.at(first).open);
    CHECK_FALSE(world.io.at(second).open);
  }
  SECTION("oneself too: the answer comes first, and what was said behind it is not done") {
    world.feed(asker, "CLIENT KILL TYPE normal SKIPME no\r\nSET a 1\r\n");
    CHECK(world.take(asker) == ":3\r\n");
    CHECK_FALSE(world.io.at(asker).open);
    CHECK(world.got(world.shared).empty());
    CHECK(world.engine.stats().clients_now == 0);
  }
  SECTION("a client in the middle of something takes its link with it") {
    world.feed(first, "BLPOP q 0\r\n");
    const ConnId lease = world.log_in();
    world.feed(asker, "CLIENT KILL ID 3\r\n");
    CHECK_FALSE(world.io.at(lease).open);
  }
}

TEST_CASE("commands before a query are executed before it") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "SET a 1\r\nCLIENT KILL ID 99\r\nGET a\r\n");
  CHECK(world.got(world.shared) == Strings{"SET a 1"});
  CHECK(world.io.queries.empty());
  world.feed(world.shared, "+OK\r\n");
  CHECK(world.take(client) == "+OK\r\n:0\r\n");
  CHECK(world.got(world.shared) == Strings{"GET a"});
}

TEST_CASE("two workers: a list of all, in order of id") {
  TwoWorkers workers;
  const ConnId asker = workers.one.client();  // 3
  workers.two.client();                       // 4
  workers.one.client();                       // 5
  workers.two.client();                       // 6
  workers.one.feed(asker, "CLIENT LIST\r\nPING\r\n");
  CHECK(workers.one.take(asker).empty());  // PING waits behind the list
  workers.relay();
  std::string reply = workers.one.take(asker);
  REQUIRE(reply.size() > 7);
  CHECK(reply.substr(reply.size() - 7) == "+PONG\r\n");
  reply.resize(reply.size() - 7);
  const auto all = lines(body(reply));
  REQUIRE(all.size() == 4);
  for (std::size_t i = 0; i < 4; ++i) CHECK(field(all[i], "id") == std::to_string(i + 3));
}

TEST_CASE("a worker that does not answer is left out after a second, and its late answer is dropped") {
  TwoWorkers workers;
  ReadyWorld& world = workers.one;
  const ConnId asker = world.client();
  workers.two.client();
  world.feed(asker, "CLIENT LIST\r\n");
  world.pass(999ms);
  CHECK(world.take(asker).empty());
  REQUIRE(world.engine.next_deadline().has_value());
  CHECK(*world.engine.next_deadline() <= world.now + 1ms);
  world.pass(1ms);
  CHECK(lines(body(world.take(asker))).size() == 1);
  workers.relay();
  CHECK(world.take(asker).empty());
  world.feed(asker, "PING\r\n");
  CHECK(world.take(asker) == "+PONG\r\n");
}

TEST_CASE("two workers: KILL reaches the other one, and oneself last") {
  TwoWorkers workers;
  const ConnId asker = workers.one.client();
  const ConnId other = workers.two.client();
  workers.one.feed(asker, "CLIENT KILL SKIPME no\r\nPING\r\n");
  CHECK(workers.one.io.at(asker).open);
  workers.relay();
  CHECK(workers.one.take(asker) == ":2\r\n");
  CHECK_FALSE(workers.one.io.at(asker).open);
  CHECK_FALSE(workers.two.io.at(other).open);
}

TEST_CASE("an asker that is gone, or has half closed") {
  TwoWorkers workers;
  const ConnId asker = workers.one.client();
  workers.one.feed(asker, "CLIENT LIST\r\n");
  SECTION("gone: nobody is answered") {
    workers.one.engine.on_error(asker, "reset", workers.one.now);
    workers.relay();
    CHECK(workers.one.take(asker).empty());
  }
  SECTION("half closed: it hears its answer, then the end") {
    workers.one.engine.on_end_of_file(asker, workers.one.now);
    workers.one.turn();
    CHECK(workers.one.io.at(asker).open);
    workers.relay();
    CHECK(lines(body(workers.one.take(asker))).size() == 1);
    CHECK_FALSE(workers.one.io.at(asker).open);
  }
}

TEST_CASE("CLIENT UNBLOCK asks the server, by the name that the server gave the blocked link") {
  TwoWorkers workers;
  ReadyWorld& one = workers.one;
  const ConnId asker = one.client();
  const ConnId blocked = workers.two.client();  // 4
  workers.two.feed(blocked, "BLPOP q 0\r\n");
  const ConnId lease = workers.two.log_in();
  CHECK(workers.two.got(lease) == Strings{"BLPOP q 0"});
  const std::string server_id = std::to_string(700 + lease.index);

  SECTION("the server's answer is the asker's") {
    one.feed(asker, "CLIENT UNBLOCK 4 ERROR\r\nGET a\r\n");
    workers.relay();
    const ConnId admin = one.log_in();
    CHECK(one.got(admin) == Strings{"CLIENT UNBLOCK " + server_id + " ERROR"});
    one.feed(admin, ":1\r\n");
    CHECK(one.take(asker) == ":1\r\n");
    CHECK(one.got(one.shared) == Strings{"GET a"});
    workers.two.feed(lease, "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
    CHECK(workers.two.take(blocked) == "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
  }
  SECTION("nobody, or nobody blocked: no server is asked") {
    one.feed(asker, "CLIENT UNBLOCK 99\r\n");
    workers.relay();
    one.feed(asker, "CLIENT UNBLOCK 3\r\n");
    workers.relay();
    CHECK(one.take(asker) == ":0\r\n:0\r\n");
    CHECK(one.io.links.size() == 1);
  }
  SECTION("never on another server, where that name is somebody else's") {
    one.publish("b", 2);
    one.feed(asker, "CLIENT UNBLOCK 4\r\n");
    workers.relay();
    CHECK(one.take(asker) == ":0\r\n");
  }
  SECTION("nor a second time, when its link is lost") {
    one.feed(asker, "CLIENT UNBLOCK 4\r\n");
    workers.relay();
    const ConnId admin = one.log_in();
    CHECK(one.got(admin).size() == 1);
    const std::size_t links = one.io.links.size();
    one.engine.on_error(admin, "reset", one.now);
    one.turn();
    CHECK(one.take(asker) == ":0\r\n");
    one.publish("b", 2);
    CHECK(one.io.links.size() == links);
  }
  SECTION("nor when its route is revoked before it was written") {
    one.feed(asker, "CLIENT UNBLOCK 4\r\n");
    workers.relay();
    CHECK(one.take(asker).empty());
    one.publish("b", 2);
    CHECK(one.take(asker) == ":0\r\n");
  }
}

TEST_CASE("a user of Redis may do what the server lets that user do") {
  ReadyWorld world;
  const ConnId user = world.client();
  const ConnId other = world.client();
  world.feed(user, "AUTH ann secret\r\n");
  const ConnId judge = world.log_in();
  CHECK(world.got(judge) == Strings{"AUTH ann secret"});
  world.feed(judge, "+OK\r\n");
  CHECK(world.take(user) == "+OK\r\n");
  world.feed(user, "CLIENT KILL ID 3\r\nPING\r\n");
  const ConnId own = world.log_in();
  CHECK(world.got(own) == Strings{"CLIENT KILL ID x"});
  CHECK(world.io.at(other).open);
  SECTION("refused") {
    const std::string refusal = "-NOPERM this user has no permissions to run the 'client|kill' command\r\n";
    world.feed(own, refusal);
    CHECK(world.take(user) == refusal + "+PONG\r\n");
    CHECK(world.io.at(other).open);
  }
  SECTION("allowed") {
    world.feed(own, "-ERR client-id should be greater than 0\r\n");
    CHECK(world.take(user) == ":1\r\n+PONG\r\n");
    CHECK_FALSE(world.io.at(other).open);
    world.feed(user, "CLIENT LIST\r\n");
    CHECK(world.got(own) == Strings{"CLIENT LIST ID x"});
    world.feed(own, "-ERR Invalid client ID\r\n");
    CHECK_THAT(world.take(user), Contains(" user=ann "));
    world.feed(user, "CLIENT KILL USER bob\r\nCLIENT KILL USER ann\r\n");
    world.feed(own, "-ERR client-id should be greater than 0\r\n");
    world.feed(own, "-ERR client-id should be greater than 0\r\n");
    CHECK(world.take(user) == "-ERR No such user 'bob'\r\n:0\r\n");
  }
  SECTION("asked again when the question was lost, and not twice done") {
    world.engine.on_error(own, "reset", world.now);
    world.turn();
    world.publish("b", 2);
    const ConnId fresh = world.log_in();
    CHECK(world.got(fresh) == Strings{"CLIENT KILL ID x"});
    world.feed(fresh, "-ERR client-id should be greater than 0\r\n");
    CHECK(world.take(user) == ":1\r\n+PONG\r\n");
    CHECK(world.engine.stats().clients_now == 1);
  }
}

TEST_CASE("CLIENT HELP and unknown subcommands are the server's") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, "CLIENT HELP\r\nCLIENT NOSUCH\r\n");
  CHECK(world.got(world.shared) == Strings{"CLIENT HELP", "CLIENT NOSUCH"});
}

TEST_CASE("INFO: the server's sections and ours") {
  for (const Chunking chunking : {Chunking::whole, Chunking::single_bytes}) {
    EngineOptions options;
    options.program_version = "9.9";
    ReadyWorld world(options, chunking);
    const ConnId client = world.client();
    world.feed(client, "INFO\r\nINFO server\r\nINFO fairlead\r\n");
    CHECK(world.got(world.shared) == Strings{"INFO", "INFO server"});
    const std::string server = "$10\r\n# A\r\na:1\r\n\r\n";
    world.feed(world.shared, server + server);
    const std::string all = world.take(client);
    const std::size_t second = all.find(server);
    REQUIRE(second != std::string::npos);
    const std::string both = body(all.substr(0, second));
    const std::string ours = body(all.substr(second + server.size()));
    CHECK_THAT(ours,
               StartsWith("# Fairlead\r\nfairlead_version:9.9\r\nworker:1\r\nworkers:1\r\nclients:1\r\n"));
    CHECK_THAT(ours,
               Contains("\r\nroute:a:6379\r\nroute_state:open\r\nterm:1\r\nuncertain:0\r\npaused:no\r\n"));
    CHECK_THAT(both, StartsWith("# A\r\na:1\r\n\r\n# Fairlead\r\nfairlead_version:9.9\r\n"));
  }
}

TEST_CASE("INFO: errors, transactions and a world without a master") {
  World world;
  const ConnId client = world.client();
  world.feed(client, "INFO FAIRLEAD\r\n");
  CHECK_THAT(world.take(client), Contains("\r\nroute:\r\nroute_state:closed\r\n"));
  world.publish("a");
  world.feed(client, "INFO\r\n");
  const ConnId shared = world.log_in();
  world.feed(shared, "-NOPERM no\r\n");
  CHECK(world.take(client) == "-NOPERM no\r\n");
  world.feed(client, "MULTI\r\nINFO fairlead\r\nINFO\r\n");
  const ConnId lease = world.log_in();
  CHECK(world.got(lease) == Strings{"MULTI", "INFO fairlead", "INFO"});
  world.feed(lease, "+OK\r\n+QUEUED\r\n+QUEUED\r\n");
  CHECK(world.take(client) == "+OK\r\n+QUEUED\r\n+QUEUED\r\n");
}
