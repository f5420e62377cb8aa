#include "health/role_fsm.hpp"

#include <catch2/catch.hpp>

#include "tests/health/machine_steps.hpp"

using namespace fairlead::health;
using News = RoleFsm::News;
namespace resp = fairlead::resp;

namespace {

resp::Value master_role(int offset) {
  return resp::make_array({resp::make_bulk("master"), resp::make_integer(offset), resp::make_array({})});
}
resp::Value replica_role() {
  return resp::make_array({resp::make_bulk("slave"), resp::make_bulk("10.0.0.7"), resp::make_integer(6380),
                           resp::make_bulk("connected"), resp::make_integer(42)});
}
resp::Value pong() {
  return resp::make_simple("PONG");
}
resp::Value info() {
  return resp::make_bulk("# Server\r\nredis_version:7.0.15\r\nrun_id:aaaa\r\n");
}

// A machine that is connected and was probed once, at 1 ms.
struct Probed {
  LinkActions out;
  RoleFsm fsm;
  explicit Probed(const resp::Value& role, const Options& options = {}) : fsm(options) {
    fsm.start(at(0), out);
    CHECK(fsm.on_connected(at(1), out) == News::none);
    CHECK(take(out) == Lines{"connect", "ROLE", "PING", "INFO"});
    CHECK(fsm.on_reply(role, at(2), out) == News::none);
    CHECK(fsm.on_reply(pong(), at(2), out) == News::none);
    CHECK(fsm.on_reply(info(), at(2), out) == News::report);
  }
};

}  // namespace

TEST_CASE("a probe reports who the server is", "[role]") {
  SECTION("a master") {
    Probed probed(master_role(17));
    const auto& report = probed.fsm.report();
    CHECK(report.reachable);
    CHECK(report.role == Role::master);
    CHECK(report.offset == 17);
    CHECK(report.run_id == "aaaa");
    CHECK(report.redis_version == "7.0.15");
    CHECK(report.asked_at == at(1));
  }
  SECTION("a replica says whose") {
    Probed probed(replica_role());
    CHECK(probed.fsm.report().role == Role::replica);
    CHECK(probed.fsm.report().replica_of == resp::Address{"10.0.0.7", 6380, false});
    CHECK(probed.fsm.report().offset == 42);
  }
  SECTION("a Sentinel is no server") {
    Probed probed(resp::make_array({resp::make_bulk("sentinel"), resp::make_array({})}));
    CHECK(probed.fsm.report().role == Role::sentinel);
  }
  SECTION("damaged or refused answers are no role") {
    for (const auto& reply :
         {resp::make_array({}), resp::make_error("NOPERM no"), resp::make_integer(1),
          resp::make_array({resp::make_integer(1)}), bulks({"slave"}), bulks({"witch"})}) {
      Probed probed(reply);
      CHECK(probed.fsm.report().role != Role::master);
    }
  }
}

TEST_CASE("probes follow the pace, and the run id is asked once per connection", "[role]") {
  Probed probed(master_role(1));
  auto& fsm = probed.fsm;
  CHECK(fsm.deadline() == at(1001));
  CHECK(fsm.on_timer(at(1001), probed.out) == News::none);
  CHECK(take(probed.out) == Lines{"ROLE", "PING"});
  CHECK(fsm.on_reply(master_role(2), at(1002), probed.out) == News::none);
  CHECK(fsm.on_reply(pong(), at(1002), probed.out) == News::report);
  CHECK(fsm.report().run_id == "aaaa");
  fsm.set_pace(Pace::fast, at(1010));
  CHECK(fsm.deadline() == at(1060));
  fsm.probe_now(at(1011), probed.out);
  CHECK(take(probed.out) == Lines{"ROLE", "PING"});
  SECTION("a wish during a probe is granted behind it, once") {
    fsm.probe_now(at(1012), probed.out);
    fsm.probe_now(at(1012), probed.out);
    CHECK(take(probed.out).empty());
    CHECK(fsm.on_reply(master_role(2), at(1013), probed.out) == News::none);
    CHECK(fsm.on_reply(pong(), at(1013), probed.out) == News::report);
    CHECK(take(probed.out) == Lines{"ROLE", "PING"});
    CHECK(fsm.report().asked_at == at(1011));
  }
}

TEST_CASE("missed probes are counted until one is answered", "[role]") {
  Probed probed(master_role(1));
  auto& fsm = probed.fsm;
  CHECK(fsm.on_timer(at(1001), probed.out) == News::none);
  take(probed.out);
  CHECK(fsm.deadline() == at(2001));
  CHECK(fsm.on_timer(at(2001), probed.out) == News::report);
  CHECK(take(probed.out) == Lines{"close"});
  CHECK_FALSE(fsm.report().reachable);
  CHECK(fsm.report().failure == LinkFailure::timed_out);
  CHECK(fsm.report().missed == 1);
  CHECK(fsm.on_timer(at(2001), probed.out) == News::none);
  CHECK(take(probed.out) == Lines{"connect"});
  CHECK(fsm.on_timer(at(2501), probed.out) == News::report);
  CHECK(fsm.report().missed == 2);
  CHECK(fsm.on_timer(at(2601), probed.out) == News::none);
  CHECK(fsm.on_connected(at(2602), probed.out) == News::none);
  CHECK(take(probed.out) == Lines{"close", "connect", "ROLE", "PING", "INFO"});
  CHECK(fsm.on_reply(master_role(1), at(2603), probed.out) == News::none);
  CHECK(fsm.on_reply(pong(), at(2603), probed.out) == News::none);
  CHECK(fsm.on_reply(info(), at(2603), probed.out) == News::report);
  CHECK(fsm.report().missed == 0);
  CHECK(fsm.report().failure == LinkFailure::none);
}

TEST_CASE("a lost connection is reported at once and retried at once", "[role]") {
  Probed probed(master_role(1));
  CHECK(probed.fsm.on_failed(LinkFailure::lost, "end of file", at(50)) == News::report);
  CHECK_FALSE(probed.fsm.report().reachable);
  CHECK(probed.fsm.report().failure == LinkFailure::lost);
  CHECK(probed.fsm.deadline() == at(50));
}

TEST_CASE("loading is seen, and BUSY is no change of role", "[role]") {
  Probed probed(master_role(1));
  auto& fsm = probed.fsm;
  CHECK(fsm.on_timer(at(1001), probed.out) == News::none);
  SECTION("loading") {
    CHECK(fsm.on_reply(master_role(1), at(1002), probed.out) == News::none);
    const auto loading = resp::make_error("LOADING Redis is loading the dataset in memory");
    CHECK(fsm.on_reply(loading, at(1002), probed.out) == News::report);
    CHECK(fsm.report().loading);
    CHECK(fsm.report().role == Role::master);
  }
  SECTION("busy") {
    const auto busy = resp::make_error("BUSY Redis is busy running a script.");
    CHECK(fsm.on_reply(busy, at(1002), probed.out) == News::none);
    CHECK(fsm.on_reply(busy, at(1002), probed.out) == News::report);
    CHECK(fsm.report().role == Role::master);
    CHECK(fsm.report().reachable);
  }
}

TEST_CASE("a server that wants a login we do not have says so", "[role]") {
  LinkActions out;
  RoleFsm fsm{Options{}};
  fsm.start(at(0), out);
  CHECK(fsm.on_connected(at(1), out) == News::none);
  CHECK(fsm.on_reply(resp::make_error("NOAUTH Authentication required."), at(2), out) == News::report);
  CHECK(fsm.report().failure == LinkFailure::login_refused);
  CHECK(fsm.report().last_error == "NOAUTH Authentication required.");
}

TEST_CASE("a server that refuses and closes is reported with its reason", "[role]") {
  LinkActions out;
  RoleFsm fsm{Options{}};
  fsm.start(at(0), out);
  CHECK(fsm.on_connected(at(1), out) == News::none);
  CHECK(fsm.on_reply(resp::make_error("ERR max number of clients reached"), at(2), out) == News::none);
  CHECK(fsm.on_failed(LinkFailure::lost, "end of file", at(2)) == News::report);
  CHECK(fsm.report().last_error == "ROLE: ERR max number of clients reached");
}

TEST_CASE("the command table is asked for and handed over", "[role]") {
  Probed probed(master_role(1));
  auto& fsm = probed.fsm;
  fsm.request_commands(at(3), probed.out);
  CHECK(take(probed.out) == Lines{"COMMAND"});
  SECTION("answered") {
    CHECK(fsm.on_reply(resp::make_array({}), at(4), probed.out) == News::commands);
    CHECK(fsm.take_commands() == resp::make_array({}));
  }
  SECTION("lost: asked again on the next connection, and given up after the last attempt") {
    int now = 10;
    for (int attempt = 1; attempt < RoleFsm::command_attempts_max; ++attempt) {
      CHECK(fsm.on_failed(LinkFailure::lost, "end", at(now)) == News::report);
      CHECK(fsm.on_timer(at(now + 10), probed.out) == News::none);
      CHECK(fsm.on_connected(at(now + 20), probed.out) == News::none);
      CHECK(fsm.on_reply(master_role(1), at(now + 30), probed.out) == News::none);
      CHECK(fsm.on_reply(pong(), at(now + 30), probed.out) == News::none);
      take(probed.out);
      CHECK(fsm.on_reply(info(), at(now + 30), probed.out) == News::report);
      CHECK(take(probed.out) == Lines{"COMMAND"});
      now += 100;
    }
    CHECK(fsm.on_failed(LinkFailure::lost, "end", at(now)) == News::report);
    CHECK(fsm.on_timer(at(now + 10), probed.out) == News::commands);
    CHECK(fsm.take_commands().is_error());
    CHECK(fsm.on_timer(at(now + 11), probed.out) == News::none);
  }
}

TEST_CASE("an answer to no question closes the connection", "[role]") {
  Probed probed(master_role(1));
  CHECK(probed.fsm.on_reply(pong(), at(5), probed.out) == News::report);
  CHECK(take(probed.out) == Lines{"close"});
  CHECK(probed.fsm.report().failure == LinkFailure::protocol);
}
