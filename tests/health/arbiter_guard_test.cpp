// Restarted masters, the lease of strict mode, what is remembered over a restart of the proxy, other options.
#include <catch2/catch.hpp>

#include "tests/health/arbiter_world.hpp"

using namespace fairlead::health;

namespace {

ServerReport restarted_a() {
  auto report = World::answer('A', Role::master);
  report.run_id = "run-A2";
  report.keys = 0;
  return report;
}

/// A is another process now, good, and vouched for by a Sentinel.
void restart_a(World& world, const ServerReport& report) {
  world.tell('A', report);
  CHECK(world.state() == GroupState::suspect);
  world.tell(1, World::vote('A', 4));
  world.tell('A', report);
  world.tell('A', report);
}

Options strict_options() {
  auto options = World::options_for(3, 3);
  options.strict = true;
  return options;
}

Remembered remembered(char name, std::uint64_t epoch) {
  return {World::server(name), std::string("run-") + name, epoch, epoch};
}

}  // namespace

TEST_CASE("a restarted master that is empty waits for the operator or for another master", "[restarted]") {
  World world(3);
  world.settle(4);
  restart_a(world, restarted_a());
  CHECK(world.state() == GroupState::restarted);
  CHECK(world.count(EventKind::route_restarted) == 1);
  CHECK(world.count(EventKind::restart_held) == 1);
  world.wait(60000);
  world.tell(1, World::vote('A', 4));
  world.tell('A', restarted_a());
  CHECK(world.state() == GroupState::restarted);
  CHECK(world.count(EventKind::restart_held) == 1);
  CHECK(world.count(EventKind::no_master_waiting) > 0);
  SECTION("accepted by the operator") {
    world.accept_restart();
    CHECK(world.state() == GroupState::switching);
    world.tell('A', restarted_a());
    CHECK(world.steady_on('A'));
    CHECK(world.topology->shards.front().route->run_id == "run-A2");
    CHECK(world.term() == 4);
    CHECK(world.count(EventKind::restart_accepted) == 1);
  }
  SECTION("which is good for this process only") {
    world.accept_restart();
    world.tell('A', restarted_a());
    REQUIRE(world.steady_on('A'));
    auto again = restarted_a();
    again.run_id = "run-A3";
    restart_a(world, again);
    CHECK(world.state() == GroupState::restarted);
  }
  SECTION("another master") {
    world.tell(0, World::vote('B', 5));
    CHECK(world.state() == GroupState::switching);
    world.master('B');
    CHECK(world.steady_on('B'));
  }
  SECTION("another master that is promoted before it is announced") {
    auto report = World::vote('A', 4);
    report.election = ElectionStage::elected;
    report.selected = World::server('B');
    world.tell(0, report);
    world.master('B');
    CHECK(world.steady_on('B'));
    CHECK(world.topology->shards.front().provisional);
  }
  SECTION("restarted once more, and gone meanwhile") {
    world.lost('A');
    CHECK(world.state() == GroupState::suspect);
    auto again = restarted_a();
    again.run_id = "run-A3";
    again.keys = 3;
    world.tell(1, World::vote('A', 4));
    world.tell('A', again);
    world.tell('A', again);
    world.tell('A', again);
    CHECK(world.steady_on('A'));
    CHECK(world.topology->shards.front().route->run_id == "run-A3");
  }
}

TEST_CASE("what makes a restarted master trustworthy", "[restarted]") {
  auto options = World::options_for(3, 3);
  auto report = restarted_a();
  SECTION("keys") {
    report.keys = 1;
  }
  SECTION("an append-only file") {
    report.append_only = true;
  }
  SECTION("the operator's policy") {
    options.restarted = RestartPolicy::accept;
  }
  World world(options);
  world.settle(4);
  restart_a(world, report);
  world.tell('A', report);
  CHECK(world.steady_on('A'));
  CHECK(world.count(EventKind::route_restarted) == 1);
  CHECK(world.count(EventKind::restart_accepted) == 1);
}

TEST_CASE("a restarted master without any other server is all there is", "[restarted]") {
  World world(0, 1);
  world.master('A');
  world.master('A');
  REQUIRE(world.steady_on('A'));
  world.tell('A', restarted_a());
  for (int i = 0; i < 3; ++i) world.tell('A', restarted_a());
  CHECK(world.steady_on('A'));
  CHECK(world.count(EventKind::route_restarted) == 1);
}

TEST_CASE("accepting means nothing while nothing was restarted", "[restarted]") {
  World world(3);
  world.settle(4);
  world.accept_restart();
  CHECK(world.steady_on('A'));
  CHECK(world.events.empty());
}

TEST_CASE("strict mode: no dispatch beyond the lease of a majority", "[strict]") {
  World world(strict_options());
  world.settle(1);
  const TimePoint lease = world.topology->shards.front().lease_until;
  // The second youngest of three answers counts.
  CHECK(lease > world.now);
  CHECK(lease <= world.now + Milliseconds(1000));
  SECTION("answers of a majority renew it") {
    for (int ms = 0; ms < 5000; ms += 250) {
      world.wait(248);
      world.tell(0, World::vote('A', 1));
      world.tell(1, World::vote('A', 1));
      CHECK(world.steady_on('A'));
      CHECK(world.topology->shards.front().lease_until > world.now + Milliseconds(700));
    }
  }
  SECTION("a single Sentinel does not: isolated, until a majority answers and the master is verified") {
    for (int ms = 0; ms < 1100; ms += 100) {
      world.wait(99);
      world.tell(0, World::vote('A', 1));
    }
    CHECK(world.state() == GroupState::isolated);
    CHECK(world.count(EventKind::route_isolated) == 1);
    world.master('A');
    world.master('A');
    CHECK(world.state() == GroupState::isolated);
    world.tell(1, World::vote('A', 1));
    CHECK(world.state() == GroupState::suspect);
    world.master('A');
    world.master('A');
    CHECK(world.state() == GroupState::suspect);  // nobody has vouched for it since
    world.tell(1, World::vote('A', 1));
    CHECK(world.steady_on('A'));
    CHECK(world.term() == 1);
  }
  SECTION("one in TILT or unreachable does not count") {
    world.wait(900);
    world.tell(0, World::vote('A', 1));
    auto tilt = World::vote('A', 1);
    tilt.tilt = true;
    world.tell(1, tilt);
    world.tell(2, World::silent());
    world.wait(200);
    CHECK(world.state() == GroupState::isolated);
  }
  SECTION("a minority's new master is named but not opened") {
    world.wait(1100);
    CHECK(world.state() == GroupState::isolated);
    world.tell(2, World::vote('B', 2));
    CHECK(world.state() == GroupState::switching);
    world.master('B');
    CHECK(world.state() == GroupState::switching);
    world.tell(1, World::vote('B', 2));
    world.master('B');
    CHECK(world.steady_on('B'));
  }
}

TEST_CASE("the lease is never longer than Sentinel's own patience", "[strict]") {
  auto options = strict_options();
  options.lease = Milliseconds(5000);
  World world(options);
  for (int i = 0; i < 3; ++i) {
    auto vote = World::vote('A', 1);
    vote.down_after = Milliseconds(300);
    world.tell(i, vote);
  }
  world.master('A');
  REQUIRE(world.steady_on('A'));
  CHECK(world.topology->shards.front().lease_until <= world.now + Milliseconds(300));
}

TEST_CASE("without strict mode there is no lease", "[strict]") {
  World world(3);
  world.settle(1);
  CHECK(world.topology->shards.front().lease_until == TimePoint::max());
  world.wait(3600000);
  CHECK(world.steady_on('A'));
}

TEST_CASE("a proxy that is started again never routes below its last term", "[memory]") {
  World world(World::options_for(3, 3), remembered('B', 7));
  CHECK(world.count(EventKind::term_remembered) == 1);
  SECTION("one stale Sentinel is not followed, however long it stays alone") {
    world.tell(0, World::vote('A', 6));
    world.tell(1, World::silent());
    world.tell(2, World::silent());
    for (int i = 0; i < 20; ++i) {
      world.wait(1000);
      world.master('A');
      world.tell(0, World::vote('A', 6));
    }
    CHECK(world.state() == GroupState::init);
    world.tell(1, World::vote('B', 7));
    world.master('B');
    CHECK(world.steady_on('B'));
    CHECK(world.term() == 7);
    CHECK(world.count(EventKind::route_restarted) == 0);
  }
  SECTION("a stale majority is followed only when it stays: they were configured anew") {
    for (int i = 0; i < 3; ++i) world.tell(i, World::vote('A', 0));
    world.master('A');
    CHECK(world.state() == GroupState::init);
    world.wait(10001);
    CHECK(world.state() == GroupState::switching);
    world.master('A');
    CHECK(world.steady_on('A'));
    CHECK(world.term() == 8);  // 7 was B's
  }
  SECTION("a later term is followed at once") {
    for (int i = 0; i < 2; ++i) world.tell(i, World::vote('C', 8));
    world.master('C');
    CHECK(world.steady_on('C'));
    CHECK(world.term() == 8);
  }
  SECTION("the same master, restarted meanwhile, is told") {
    for (int i = 0; i < 3; ++i) world.tell(i, World::vote('B', 7));
    auto report = World::answer('B', Role::master);
    report.run_id = "run-B2";
    world.tell('B', report);
    CHECK(world.steady_on('B'));
    CHECK(world.count(EventKind::route_restarted) == 1);
  }
}

TEST_CASE("a proxy killed behind a promotion does not go back to the old master meanwhile", "[memory]") {
  // It followed B, whose promotion at epoch 7 no Sentinel had announced yet.
  World world(World::options_for(3, 3), Remembered{World::server('B'), "run-B", 6, 6, 7});
  auto leading = World::vote('A', 6);
  leading.election = ElectionStage::elected;
  world.tell(0, World::vote('A', 6));
  world.tell(2, World::vote('A', 6));
  world.master('A');
  CHECK(world.state() == GroupState::init);
  world.tell(1, leading);
  CHECK(world.state() == GroupState::switching);
  world.master('A');
  world.master('B');
  world.wait(1000);
  CHECK(world.state() == GroupState::switching);
  CHECK(world.text_of(EventKind::no_master_waiting)
            .find("a Sentinel is failing " + to_string(World::server('A'))) != std::string::npos);
  SECTION("the promotion is announced") {
    world.tell(0, World::vote('B', 7));
    world.master('B');
    CHECK(world.steady_on('B'));
    CHECK(world.term() == 7);
  }
  SECTION("the failover was given up") {
    world.tell(1, World::vote('A', 6));
    world.master('A');
    CHECK(world.steady_on('A'));
    CHECK(world.term() == 6);
  }
  SECTION("the failover takes longer than it may hold") {
    world.wait(10000);
    world.master('A');
    CHECK(world.steady_on('A'));
  }
}

TEST_CASE("a master that is being failed over is not opened", "[election]") {
  World world(3);
  auto leading = World::vote('A', 4);
  leading.election = ElectionStage::elected;
  world.tell(0, leading);
  world.tell(1, World::vote('A', 4));
  world.tell(2, World::vote('A', 4));
  world.master('A');
  CHECK(world.state() == GroupState::switching);
  world.tell(0, World::vote('A', 4));
  world.master('A');
  CHECK(world.steady_on('A'));
}

TEST_CASE("what is to be remembered is told when it changes, and only then", "[memory]") {
  World world(3);
  world.settle(4);
  REQUIRE(world.remembered.has_value());
  CHECK(*world.remembered == remembered('A', 4));
  world.remembered.reset();
  world.master('A');
  world.tell(0, World::vote('A', 4));
  CHECK_FALSE(world.remembered.has_value());
  world.tell(0, World::vote('A', 6));
  REQUIRE(world.remembered.has_value());
  CHECK(world.remembered->term == 6);
  SECTION("a provisional route with the epoch that Sentinel has confirmed so far") {
    auto report = World::vote('A', 6);
    report.election = ElectionStage::elected;
    report.election_epoch = 7;
    report.selected = World::server('B');
    world.tell(0, report);
    world.master('B');
    REQUIRE(world.steady_on('B'));
    CHECK(*world.remembered == Remembered{World::server('B'), "run-B", 6, 6, 7});
    world.tell(0, World::vote('B', 7));
    CHECK(*world.remembered == Remembered{World::server('B'), "run-B", 7, 7, 0});
  }
}

TEST_CASE("without Sentinel the term goes on from what is remembered", "[memory]") {
  World world(World::options_for(0, 2), remembered('A', 5));
  SECTION("the same server") {
    world.replica('B');
    world.master('A');
    world.master('A');
    CHECK(world.steady_on('A'));
    CHECK(world.term() == 5);
  }
  SECTION("another one") {
    world.replica('A');
    world.master('B');
    world.master('B');
    CHECK(world.steady_on('B'));
    CHECK(world.term() == 6);
  }
}

TEST_CASE("other options change what is watched, and nothing else", "[options]") {
  World world(3);
  world.settle(1);
  auto options = World::options_for(3, 3);
  options.sentinels.push_back(World::sentinel(3));
  options.sentinels.erase(options.sentinels.begin());
  world.change_options(options);
  CHECK(world.steady_on('A'));
  const auto sentinels = world.arbiter.sentinels();
  CHECK(sentinels == options.sentinels);
}

TEST_CASE("other servers without Sentinel: the route stays even when it is not in the list", "[options]") {
  World world(0, 2);
  world.replica('B');
  world.master('A');
  world.master('A');
  REQUIRE(world.steady_on('A'));
  auto options = World::options_for(0, 3);
  options.servers.erase(options.servers.begin());
  world.change_options(options);
  CHECK(world.steady_on('A'));
  CHECK(world.arbiter.servers().size() == 3);
}
