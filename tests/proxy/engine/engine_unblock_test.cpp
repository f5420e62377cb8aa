// Blocking commands when the route leaves their server: that server is asked what became of them, and what it
// says decides.
#include "engine_world.hpp"

using namespace fairlead;
using namespace fairlead::engine;

namespace {

const std::string unblocked = "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n";
const std::string value = "*2\r\n$1\r\nq\r\n$1\r\nv\r\n";

/// A client that waits in a blocking command on the master `a`; 1.5 s of its time are over.
struct BlockedWorld : ReadyWorld {
  explicit BlockedWorld(const std::string& command = "BLPOP q 20", EngineOptions options = {},
                        Chunking chunking = Chunking::whole)
      : ReadyWorld(options, chunking), blocked(client()) {
    feed(blocked, command + "\r\n");
    lease = log_in();
    REQUIRE(got(lease) == Strings{command});
    pass(1500ms);
  }

  /// `b` is the master now. The link on which `a` is asked, logged in.
  ConnId route_leaves() {
    publish("b", 2);
    REQUIRE(io.links.size() == 3);
    REQUIRE(io.at(io.links[2]).address.host == "a");
    return log_in();
  }
  std::string unblock() const { return "CLIENT UNBLOCK " + std::to_string(700 + lease.index) + " ERROR"; }
  /// What the next master is sent on the newest link, once that is ready.
  Strings next_master_got() {
    REQUIRE(io.at(io.links.back()).address.host == "b");
    return got(log_in());
  }

  ConnId blocked;
  ConnId lease;
};

EngineOptions session_mode() {
  EngineOptions options;
  options.pool_mode = PoolMode::session;
  return options;
}

}  // namespace

TEST_CASE("the server that the route has left says that nothing was popped: it waits on at the next one") {
  const Chunking chunking = GENERATE(Chunking::whole, Chunking::single_bytes);
  BlockedWorld world("BLPOP q 20", {}, chunking);
  const ConnId asking = world.route_leaves();
  CHECK(world.got(asking) == Strings{world.unblock()});
  CHECK(world.io.at(world.lease).open);
  SECTION("and the other link's answer comes first") {
    world.feed(asking, ":1\r\n");
  }
  world.feed(world.lease, unblocked);
  CHECK_FALSE(world.io.at(world.lease).open);
  CHECK(world.take(world.blocked).empty());
  CHECK(world.next_master_got() == Strings{"BLPOP q 18.500"});
  world.feed(world.io.links.back(), value);
  CHECK(world.take(world.blocked) == value);
  if (world.io.at(asking).open) world.feed(asking, ":1\r\n");
  CHECK_FALSE(world.io.at(asking).open);
  CHECK(world.engine.stats().blocked_moved == 1);
  CHECK(world.engine.stats().blocked_answered == 0);
  CHECK(world.engine.stats().blocked_unanswered == 0);
  CHECK(world.io.signals.empty());
}

TEST_CASE("a value that was popped when the route left is the client's, and nothing is said again") {
  const Chunking chunking = GENERATE(Chunking::whole, Chunking::single_bytes);
  BlockedWorld world("BLPOP q 20", {}, chunking);
  const ConnId asking = world.route_leaves();
  SECTION("before the server heard of it") {}
  SECTION("or as it did") {
    world.feed(asking, ":0\r\n");
  }
  world.feed(world.lease, value);
  CHECK(world.take(world.blocked) == value);
  CHECK_FALSE(world.io.at(world.lease).open);
  CHECK(world.io.links.size() == 3);
  CHECK(world.engine.stats().blocked_answered == 1);
  CHECK(world.engine.stats().blocked_moved == 0);
  CHECK(world.engine.stats().leases_now == 0);
  world.feed(world.blocked, "GET a\r\n");
  CHECK(world.next_master_got() == Strings{"GET a"});
}

TEST_CASE("once a value was seen in part it is forwarded, and nobody is asked") {
  BlockedWorld world;
  world.feed(world.lease, "*2\r\n$1\r\nq\r\n");
  world.publish("b", 2);
  CHECK(world.io.links.size() == 2);
  CHECK(world.io.at(world.lease).open);
  SECTION("its rest comes") {
    world.pass(900ms);
    world.feed(world.lease, "$1\r\nv\r\n");
    CHECK(world.take(world.blocked) == value);
    CHECK(world.io.at(world.blocked).open);
  }
  SECTION("or it does not") {
    world.pass(1100ms);
    CHECK_FALSE(world.io.at(world.blocked).open);
    CHECK(world.engine.stats().replies_cut == 1);
  }
  CHECK_FALSE(world.io.at(world.lease).open);
  CHECK(world.io.links.size() == 2);
}

TEST_CASE("an answer that begins before the time is over has the time of other replies for its rest") {
  BlockedWorld world;
  world.route_leaves();
  world.feed(world.lease, "*2\r\n$1\r\nq\r\n$1\r");
  world.pass(300ms);
  CHECK(world.io.at(world.lease).open);
  CHECK(world.engine.stats().blocked_unanswered == 0);
  SECTION("it comes") {
    world.feed(world.lease, "\nv\r\n");
    CHECK(world.take(world.blocked) == value);
    CHECK(world.io.at(world.blocked).open);
    CHECK(world.engine.stats().blocked_answered == 1);
  }
  SECTION("it does not") {
    world.pass(1100ms);
    CHECK_FALSE(world.io.at(world.blocked).open);
  }
  CHECK(world.io.links.size() == 3);
}

TEST_CASE("UNBLOCKED in two halves, the second one late, is no answer for the client") {
  BlockedWorld world;
  world.route_leaves();
  world.feed(world.lease, unblocked.substr(0, 20));
  world.pass(300ms);
  world.feed(world.lease, unblocked.substr(20));
  CHECK(world.take(world.blocked).empty());
  CHECK(world.next_master_got() == Strings{"BLPOP q 18.200"});
}

TEST_CASE("the client's own timeout elapses at the same moment: the null is its answer") {
  BlockedWorld world(GENERATE(as<std::string>(), "BLPOP q 2", "XREAD BLOCK 2000 STREAMS s $"));
  world.pass(490ms);
  const ConnId asking = world.route_leaves();
  world.feed(world.lease, "*-1\r\n");
  world.feed(asking, ":0\r\n");
  CHECK(world.take(world.blocked) == "*-1\r\n");
  CHECK(world.io.links.size() == 3);
}

TEST_CASE("its time is over when the server gives it back: it looks once more, and no longer") {
  BlockedWorld world("BLPOP q 2");
  world.pass(490ms);
  world.route_leaves();
  world.pass(100ms);
  world.feed(world.lease, unblocked);
  CHECK(world.next_master_got() == Strings{"BLPOP q 0.001"});
}

TEST_CASE("the link of a blocked command ends without an answer: it is said again, as ever") {
  BlockedWorld world;
  world.route_leaves();
  world.engine.on_end_of_file(world.lease, world.now);
  world.turn();
  CHECK(world.next_master_got() == Strings{"BLPOP q 18.500"});
  CHECK(world.engine.stats().blocked_unanswered == 0);
}

TEST_CASE("a server that says nothing is not waited for long") {
  BlockedWorld world;
  const ConnId asking = world.route_leaves();
  REQUIRE(world.engine.next_deadline().has_value());
  world.pass(240ms);
  CHECK(world.io.at(world.lease).open);
  world.pass(20ms);
  CHECK_FALSE(world.io.at(world.lease).open);
  CHECK_FALSE(world.io.at(asking).open);
  CHECK(world.next_master_got() == Strings{"BLPOP q 18.240"});
  CHECK(world.engine.stats().blocked_unanswered == 1);
  CHECK(world.io.signals.empty());
}

TEST_CASE("blocking-replay = never: what was surely not executed is said again, silence is uncertain") {
  EngineOptions options;
  options.blocking_replay = BlockingReplay::never;
  BlockedWorld world("BLPOP q 20", options);
  world.route_leaves();
  SECTION("unblocked") {
    world.feed(world.lease, unblocked);
    CHECK(world.next_master_got() == Strings{"BLPOP q 18.500"});
  }
  SECTION("silent") {
    world.pass(260ms);
    CHECK(world.take(world.blocked).rfind("-UNCERTAIN ", 0) == 0);
    CHECK(world.io.links.size() == 3);
  }
}

TEST_CASE("a server that cannot be asked stops nobody else, and the command is said again") {
  BlockedWorld world;
  world.publish("b", 2);
  const ConnId asking = world.io.links.back();
  SECTION("it refuses the connection") {
    world.engine.on_connect_failed(asking, "refused", world.now);
    world.turn();
  }
  SECTION("it refuses the login") {
    world.engine.on_connected(asking, world.now);
    world.turn();
    world.feed(asking, "-NOAUTH Authentication required.\r\n");
  }
  SECTION("it is a replica by now") {
    world.engine.on_connected(asking, world.now);
    world.turn();
    world.feed(asking, "*5\r\n$5\r\nslave\r\n$1\r\nx\r\n:1\r\n$9\r\nconnected\r\n:1\r\n");
  }
  SECTION("it refuses the question") {
    world.log_in();
    world.feed(asking, "-NOPERM this user has no permissions to run the 'client|unblock' command\r\n");
  }
  CHECK_FALSE(world.io.at(asking).open);
  CHECK(world.io.signals.empty());
  world.pass(260ms);
  CHECK(world.next_master_got() == Strings{"BLPOP q 18.240"});
  world.feed(world.client(), "GET a\r\n");  // the gate is open
  CHECK(world.io.links.size() == 5);
}

TEST_CASE("the old master is demoted while it is asked") {
  BlockedWorld world;
  world.route_leaves();
  world.feed(world.lease,
             "-UNBLOCKED force unblock from blocking operation, instance state changed (master -> "
             "replica?)\r\n");
  CHECK(world.take(world.blocked).empty());
  CHECK(world.io.signals.empty());
  CHECK(world.next_master_got() == Strings{"BLPOP q 18.500"});
}

TEST_CASE("any other error of the server is the client's answer") {
  const std::string error =
      GENERATE(as<std::string>(), "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
               "-UNBLOCKED the stream key no longer exists\r\n");
  BlockedWorld world("XREADGROUP GROUP g c BLOCK 20000 STREAMS s >");
  world.route_leaves();
  world.feed(world.lease, error);
  CHECK(world.take(world.blocked) == error);
  CHECK(world.io.links.size() == 3);
}

TEST_CASE("what waits on a stream waits on for the rest of its time, too") {
  BlockedWorld world("XREADGROUP GROUP g c BLOCK 20000 STREAMS s >");
  world.route_leaves();
  world.feed(world.lease, unblocked);
  CHECK(world.next_master_got() == Strings{"XREADGROUP GROUP g c BLOCK 18500 STREAMS s >"});
}

TEST_CASE("one link asks for all who are blocked, and is closed when it has heard of all") {
  ReadyWorld world;
  std::vector<ConnId> clients;
  std::vector<ConnId> leases;
  Strings expected;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(world.client());
    world.feed(clients.back(), "BLPOP q 0\r\n");
    leases.push_back(world.log_in());
    expected.push_back("CLIENT UNBLOCK " + std::to_string(700 + leases.back().index) + " ERROR");
  }
  world.publish("b", 2);
  REQUIRE(world.io.links.size() == 5);
  const ConnId asking = world.log_in();
  CHECK(world.got(asking) == expected);
  world.feed(asking, ":1\r\n:0\r\n");
  CHECK(world.io.at(asking).open);
  world.feed(asking, ":1\r\n");
  CHECK_FALSE(world.io.at(asking).open);
  world.feed(leases[0], unblocked);
  world.feed(leases[1], value);
  world.feed(leases[2], unblocked);
  CHECK(world.take(clients[1]) == value);
  CHECK(world.io.links.size() == 7);
  CHECK(world.engine.stats().blocked_moved == 2);
  CHECK(world.engine.stats().blocked_answered == 1);
}

TEST_CASE("who is not asked for goes to the next master at once") {
  SECTION("WAIT: the old master's replicas mean nothing any more") {
    ReadyWorld world;
    const ConnId client = world.client();
    world.feed(client, "WAIT 1 0\r\n");
    const ConnId lease = world.log_in();
    world.feed(lease, "+PONG\r\n");
    world.publish("b", 2);
    CHECK_FALSE(world.io.at(lease).open);
    world.take(world.log_in());
    CHECK(world.io.links.size() == 3);
    CHECK(world.io.at(world.io.links.back()).address.host == "b");
  }
  SECTION("something was said behind it, which the old server would execute") {
    ReadyWorld world(session_mode());
    const ConnId client = world.client();
    world.feed(client, "BLPOP q 0\r\nGET a\r\n");
    const ConnId lease = world.log_in();
    REQUIRE(world.got(lease) == Strings{"BLPOP q 0", "GET a"});
    world.publish("b", 2);
    CHECK_FALSE(world.io.at(lease).open);
    CHECK(world.got(world.log_in()) == Strings{"BLPOP q 0", "GET a"});
  }
  SECTION("nobody knows what the server calls the link") {
    ReadyWorld world;
    world.feed(world.client(), "BLPOP q 0\r\n");
    const ConnId lease = world.io.links.back();
    world.engine.on_connected(lease, world.now);
    world.turn();
    world.feed(lease, "-NOPERM no CLIENT for this user\r\n*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n");
    world.take(lease);
    world.publish("b", 2);
    CHECK_FALSE(world.io.at(lease).open);
    CHECK(world.got(world.log_in()) == Strings{"BLPOP q 0"});
  }
  SECTION("the session has watched keys on its link") {
    ReadyWorld world;
    const ConnId client = world.client();
    world.feed(client, "WATCH w\r\n");
    const ConnId lease = world.log_in();
    world.feed(lease, "+OK\r\n");
    world.feed(client, "BLPOP q 0\r\n");
    REQUIRE(world.got(lease) == Strings{"WATCH w", "BLPOP q 0"});
    world.publish("b", 2);
    CHECK_FALSE(world.io.at(lease).open);
    CHECK(world.got(world.log_in()) == Strings{"BLPOP q 0"});
  }
}

TEST_CASE("another process at the same address is not asked: there the number is somebody else's") {
  BlockedWorld world;
  auto topology = std::make_shared<health::Topology>();
  topology->version = ++world.version;
  topology->commands = resp::CommandTable::built_in();
  health::Shard shard;
  shard.state = health::GroupState::steady;
  shard.route = health::Route{{"a", 6379, false}, "another process", "7.0.15", 2, world.now};
  topology->shards.push_back(shard);
  world.engine.on_topology(topology, world.now);
  world.turn();
  CHECK_FALSE(world.io.at(world.lease).open);
  REQUIRE(world.io.links.size() == 3);
  CHECK(world.got(world.log_in()) == Strings{"BLPOP q 18.500"});
}

TEST_CASE("a gate that closes and opens at the same master disturbs no blocked command") {
  BlockedWorld world;
  SECTION("by the operator") {
    world.engine.pause(world.now);
    world.turn();
    world.pass(500ms);
    world.engine.resume();
    world.turn();
  }
  SECTION("because of a doubt") {
    world.confirm("a");
  }
  SECTION("at a higher term") {
    world.publish("a", 2);
  }
  CHECK(world.io.links.size() == 2);
  CHECK(world.io.at(world.lease).open);
  world.feed(world.lease, value);
  CHECK(world.take(world.blocked) == value);
  CHECK(world.engine.stats().blocked_answered == 0);
}

TEST_CASE("the gate closes again while the old server is asked: the question leaves, the command waits") {
  BlockedWorld world;
  world.publish("b", 2);
  world.publish("b", 2, health::GroupState::suspect);
  const ConnId asking = world.log_in();
  CHECK(world.got(asking) == Strings{world.unblock()});
  world.feed(world.lease, unblocked);
  CHECK(world.io.links.size() == 3);
  world.publish("b", 2);
  CHECK(world.next_master_got() == Strings{"BLPOP q 18.500"});
}

TEST_CASE("the route returns to the server that is being asked") {
  BlockedWorld world;
  world.publish("b", 2);
  SECTION("it was asked: its answer counts") {
    const ConnId asking = world.log_in();
    CHECK(world.got(asking) == Strings{world.unblock()});
    world.publish("a", 3);
    world.feed(asking, ":1\r\n");
    world.feed(world.lease, unblocked);
  }
  SECTION("or not: it has the time that it had") {
    world.publish("a", 3);
    CHECK_FALSE(world.io.at(world.io.links.back()).open);
    CHECK(world.io.at(world.lease).open);
    world.pass(260ms);
  }
  CHECK_FALSE(world.io.at(world.lease).open);
  REQUIRE(world.io.at(world.io.links.back()).address.host == "a");
  REQUIRE(world.io.links.size() == 4);
  CHECK(world.got(world.log_in()).front().rfind("BLPOP q 18.", 0) == 0);
}

TEST_CASE("a client that goes away while its server is asked leaves nothing behind") {
  BlockedWorld world;
  const ConnId asking = world.route_leaves();
  world.engine.on_end_of_file(world.blocked, world.now);
  world.turn();
  CHECK_FALSE(world.io.at(world.lease).open);
  world.feed(asking, ":0\r\n");
  CHECK(world.engine.stats().links_now == 0);
  CHECK(world.engine.stats().leases_now == 0);
  CHECK(world.engine.stats().blocked_moved == 0);
}

TEST_CASE(
    "while its former server is asked, a client gets a link that others may redirect to a little later") {
  BlockedWorld world;
  world.route_leaves();
  ClientQuery query;
  query.kind = QueryKind::locate;
  query.filter.ids = {2};
  const QueryAnswer answer = world.engine.answer_query(query, world.now);
  CHECK(answer.link_pending);
  CHECK(answer.link_server_id == 0);
}

TEST_CASE("in session mode the answer ends the link, and what is said next goes to the next master") {
  BlockedWorld world("BLPOP q 20", session_mode());
  world.publish("b", 2);
  world.feed(world.blocked, "GET behind\r\n");
  CHECK(world.take(world.lease).empty());
  world.feed(world.lease, value);
  CHECK(world.take(world.blocked) == value);
  CHECK_FALSE(world.io.at(world.lease).open);
  CHECK(world.next_master_got() == Strings{"GET behind"});
}
