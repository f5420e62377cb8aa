// The first route, evidence against a route, signals, and what is watched.
#include "health/arbiter.hpp"

#include <catch2/catch.hpp>

#include "tests/health/arbiter_world.hpp"

using namespace fairlead::health;
namespace resp = fairlead::resp;

TEST_CASE("the first route opens when a majority names it and it says master itself", "[arbiter]") {
  World world(3);
  CHECK(world.state() == GroupState::init);
  CHECK(world.topology->commands->commands().size() > 200);
  world.tell(0, World::vote('A', 2));
  CHECK(world.state() == GroupState::init);
  CHECK(world.arbiter.servers().size() == 3);
  world.tell(1, World::vote('A', 2));
  CHECK(world.state() == GroupState::switching);
  world.replica('B');
  CHECK(world.state() == GroupState::switching);
  world.master('A');
  CHECK(world.steady_on('A'));
  CHECK(world.term() == 2);
  CHECK(world.learn_from == World::server('A'));
  CHECK(world.count(EventKind::route_verified) == 1);
}

TEST_CASE("a role that was asked before the decision does not open the route", "[arbiter]") {
  World world(1);
  SentinelReport report = World::vote('A', 0);
  world.tell(0, report);
  CHECK(world.state() == GroupState::switching);
  ServerReport old = World::answer('A', Role::master);
  old.asked_at = at(0);
  CHECK(world.arbiter.on_server(World::server('A'), old, world.now).topology != nullptr);
  CHECK(world.arbiter.state() == GroupState::switching);
  old.asked_at = world.now + Milliseconds(1);
  CHECK(world.arbiter.on_server(World::server('A'), old, world.now).topology != nullptr);
  CHECK(world.arbiter.state() == GroupState::steady);
}

TEST_CASE("a stale Sentinel that answers first decides nothing", "[arbiter]") {
  World world(3);
  world.tell(0, World::vote('B', 1));
  world.master('B');
  CHECK(world.state() == GroupState::init);
  world.tell(1, World::vote('A', 2));
  world.tell(2, World::silent());
  CHECK(world.state() == GroupState::switching);
  world.master('B');
  CHECK(world.state() == GroupState::switching);
  world.master('A');
  CHECK(world.steady_on('A'));
  CHECK(world.view('B')->rogue);
}

TEST_CASE("one Sentinel is enough when the others do not answer", "[arbiter]") {
  World world(3);
  world.tell(0, World::silent());
  world.tell(1, World::vote('A', 5));
  CHECK(world.state() == GroupState::init);
  world.tell(2, World::silent());
  world.master('A');
  CHECK(world.steady_on('A'));
}

TEST_CASE("a named master that cannot serve is refused and told once", "[arbiter]") {
  World world(1);
  world.tell(0, World::vote('A', 0));
  SECTION("a replica") {
    world.replica('A');
  }
  SECTION("loading") {
    auto report = World::answer('A', Role::master);
    report.loading = true;
    world.tell('A', report);
    world.tell('A', report);
  }
  SECTION("no run id") {
    auto report = World::answer('A', Role::master);
    report.run_id.clear();
    world.tell('A', report);
  }
  SECTION("wrong password") {
    world.tell('A', World::failure(LinkFailure::login_refused, "WRONGPASS no"));
  }
  CHECK(world.state() == GroupState::switching);
  CHECK(world.count(EventKind::route_refused) == 1);
  world.master('A');
  CHECK(world.steady_on('A'));
}

TEST_CASE("evidence closes the gate and good probes open it", "[arbiter]") {
  World world(3);
  world.settle(1);
  struct Row {
    const char* name;
    ServerReport report;
  };
  auto lost = World::failure(LinkFailure::lost, "end of file");
  auto refused = World::failure(LinkFailure::connect_failed, "connection refused");
  auto missed = World::failure(LinkFailure::timed_out, "no answer");
  missed.missed = 3;
  auto loading = World::answer('A', Role::master);
  loading.loading = true;
  const auto row = GENERATE_COPY(Row{"lost", lost}, Row{"refused", refused}, Row{"missed", missed},
                                 Row{"loading", loading}, Row{"replica", World::answer('A', Role::replica)});
  CAPTURE(row.name);
  const auto version = world.topology->version;
  world.tell('A', row.report);
  CHECK(world.state() == GroupState::suspect);
  CHECK(world.topology->version == version + 1);
  CHECK(world.arbiter.pace() == Pace::fast);
  world.tell(0, World::vote('A', 1));
  world.master('A');
  CHECK(world.state() == GroupState::suspect);
  world.lost('A');
  world.master('A');
  CHECK(world.state() == GroupState::suspect);
  world.master('A');
  CHECK(world.steady_on('A'));
  CHECK(world.count(EventKind::route_suspect) == 1);
  CHECK(world.count(EventKind::route_restored) == 1);
  CHECK(world.arbiter.pace() == Pace::normal);
}

TEST_CASE("one or two missed probes are no evidence", "[arbiter]") {
  World world(3);
  world.settle(1);
  auto missed = World::failure(LinkFailure::timed_out, "no answer");
  for (int i = 1; i < 3; ++i) {
    missed.missed = i;
    world.tell('A', missed);
    CHECK(world.steady_on('A'));
  }
}

TEST_CASE("a suspect route needs a Sentinel that names it after the doubt", "[arbiter]") {
  World world(3);
  world.settle(1);
  world.lost('A');
  for (int i = 0; i < 5; ++i) world.master('A');
  CHECK(world.state() == GroupState::suspect);
  SECTION("asked again") {
    world.tell(1, World::vote('A', 1));
  }
  SECTION("none can be asked") {
    for (int i = 0; i < 3; ++i) world.tell(i, World::silent());
  }
  CHECK(world.steady_on('A'));
}

TEST_CASE("a restarted master is told and taken again as a new process", "[arbiter]") {
  World world(3);
  world.settle(4);
  auto restarted = World::answer('A', Role::master);
  restarted.run_id = "run-A2";
  restarted.keys = 5;
  world.tell('A', restarted);
  CHECK(world.state() == GroupState::suspect);
  world.tell('A', restarted);
  world.tell('A', restarted);
  CHECK(world.state() == GroupState::suspect);
  SECTION("not without a Sentinel's word") {
    for (int i = 0; i < 3; ++i) world.tell(i, World::silent());
    world.tell('A', restarted);
    CHECK(world.state() == GroupState::suspect);
  }
  world.tell(2, World::vote('A', 4));
  world.tell('A', restarted);
  world.tell('A', restarted);
  CHECK(world.steady_on('A'));
  CHECK(world.topology->shards.front().route->run_id == "run-A2");
  CHECK(world.term() == 4);
  CHECK(world.count(EventKind::route_restarted) == 1);
}

TEST_CASE("signals close the gate, and storms of them do nothing more", "[arbiter]") {
  World world(3);
  world.settle(1);
  const auto kind = GENERATE(SignalKind::link_lost, SignalKind::connect_failed, SignalKind::read_only,
                             SignalKind::refused_loading, SignalKind::not_master, SignalKind::stood_still);
  const auto version = world.topology->version;
  world.signal(kind, 'B', version);
  CHECK(world.steady_on('A'));
  world.signal(kind, 'A', version);
  CHECK(world.state() == GroupState::suspect);
  const auto closed = world.topology->version;
  for (int i = 0; i < 1000; ++i) world.signal(kind, 'A', version);
  CHECK(world.topology->version == closed);
  CHECK(world.count(EventKind::route_suspect) == 1);
  world.tell(0, World::vote('A', 1));
  world.master('A');
  world.master('A');
  CHECK(world.steady_on('A'));
  // Workers that had not seen the gate close and open yet speak of the route before.
  for (int i = 0; i < 1000; ++i) world.signal(kind, 'A', version);
  CHECK(world.steady_on('A'));
}

TEST_CASE("a route that flaps needs more good probes each time", "[arbiter]") {
  World world(3);
  world.settle(1);
  for (const int needed : {2, 4, 8, 16, 16}) {
    world.signal(SignalKind::connect_failed, 'A', world.topology->version);
    REQUIRE(world.state() == GroupState::suspect);
    world.tell(0, World::vote('A', 1));
    for (int i = 1; i < needed; ++i) world.master('A');
    CHECK(world.state() == GroupState::suspect);
    world.master('A');
    CHECK(world.steady_on('A'));
  }
  world.wait(1500);
  world.signal(SignalKind::connect_failed, 'A', world.topology->version);
  world.tell(0, World::vote('A', 1));
  world.master('A');
  world.master('A');
  CHECK(world.steady_on('A'));
}

TEST_CASE("a refused login of the data path is told and does not close", "[arbiter]") {
  World world(3);
  world.settle(1);
  world.signal(SignalKind::login_failed, 'A', world.topology->version);
  CHECK(world.steady_on('A'));
  CHECK(world.count(EventKind::server_login_failed) == 1);
}

TEST_CASE("servers and Sentinels come and go by the Sentinels' lists", "[arbiter]") {
  World world(1);
  auto report = World::vote('A', 0);
  report.peers = {{World::sentinel(1), "sentinel-1"}, {local(30000), "sentinel-0"}};
  world.tell(0, report);
  // The second peer is the configured Sentinel itself, under another address.
  CHECK(world.arbiter.sentinels() == std::vector<resp::Address>{World::sentinel(0), World::sentinel(1)});
  CHECK(world.arbiter.servers().size() == 3);
  world.tell(1, World::vote('A', 0));
  report.replicas = {World::server('B')};
  world.tell(0, report);
  CHECK(world.arbiter.servers().size() == 3);
  auto other = World::vote('A', 0);
  other.replicas = {World::server('B')};
  world.tell(1, other);
  CHECK(world.arbiter.servers() == std::vector<resp::Address>{World::server('A'), World::server('B')});
  // A configured Sentinel alone is no majority of the two: it may not make the other be forgotten while that
  // is silent.
  report.peers.clear();
  world.tell(1, World::silent());
  world.tell(0, report);
  CHECK(world.arbiter.sentinels().size() == 1);
}

TEST_CASE("lists of peers are bounded", "[arbiter]") {
  World world(1);
  auto report = World::vote('A', 0);
  for (int i = 0; i < 500; ++i) report.peers.push_back({local(40000 + i), "peer-" + std::to_string(i)});
  for (int i = 0; i < 500; ++i) report.replicas.push_back(local(50000 + i));
  world.tell(0, report);
  CHECK(world.arbiter.sentinels().size() == Arbiter::sentinels_max);
  CHECK(world.arbiter.servers().size() == Arbiter::servers_max);
}

TEST_CASE("the command table is learnt once per process", "[arbiter]") {
  World world(3);
  world.settle(1);
  CHECK(world.learn_from == World::server('A'));
  const auto built_in = world.topology->commands;
  SECTION("an answer that is no table changes nothing") {
    const auto outcome = world.arbiter.on_commands(World::server('A'), resp::make_error("NOPERM"), world.now);
    CHECK(outcome.topology == nullptr);
    CHECK(outcome.events.front().kind == EventKind::command_table_refused);
  }
  SECTION("a table is published") {
    const auto get =
        resp::make_array({resp::make_bulk("get"), resp::make_integer(2),
                          resp::make_array({resp::make_simple("readonly"), resp::make_simple("fast")}),
                          resp::make_integer(1), resp::make_integer(1), resp::make_integer(1)});
    const auto outcome = world.arbiter.on_commands(World::server('A'), resp::make_array({get}), world.now);
    REQUIRE(outcome.topology != nullptr);
    CHECK(outcome.topology->commands != built_in);
    CHECK(outcome.topology->commands->find("get") != nullptr);
  }
  world.learn_from.reset();
}

TEST_CASE("only offsets moving are published now and then, nothing moving not at all", "[arbiter]") {
  World world(3);
  world.settle(1);
  const auto version = world.topology->version;
  for (int i = 0; i < 20; ++i) world.wait(100);
  CHECK(world.topology->version <= version + 1);
  const auto quiet = world.topology->version;
  auto report = World::answer('B', Role::replica);
  for (int i = 0; i < 2000; ++i) {
    report.offset = i;
    world.tell('B', report);
  }
  CHECK(world.topology->version >= quiet + 2);
  CHECK(world.topology->version <= quiet + 3);
}
