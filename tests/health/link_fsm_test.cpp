#include "health/link_fsm.hpp"

#include <catch2/catch.hpp>

#include "tests/health/machine_steps.hpp"

using namespace fairlead::health;
using Change = LinkFsm::Change;
using State = LinkFsm::State;
namespace resp = fairlead::resp;

namespace {

LinkFsm::Timing timing() {
  return {};
}

}  // namespace

TEST_CASE("a link without a password is ready when connected", "[link]") {
  LinkFsm link({}, timing());
  LinkActions out;
  link.start(at(0), out);
  CHECK(take(out) == Lines{"connect"});
  CHECK(link.deadline() == at(500));
  CHECK(link.on_connected(at(1), out) == Change::ready);
  CHECK(take(out).empty());
  CHECK_FALSE(link.deadline().has_value());
}

TEST_CASE("a link logs in with a password, and with a name", "[link]") {
  const bool named = GENERATE(false, true);
  LinkFsm link({named ? "app" : "", "p#ss"}, timing());
  LinkActions out;
  link.start(at(0), out);
  take(out);
  CHECK(link.on_connected(at(1), out) == Change::none);
  CHECK(take(out) == Lines{named ? "AUTH app p#ss" : "AUTH p#ss"});
  SECTION("accepted") {
    CHECK(link.on_login_reply(resp::make_simple("OK"), at(2), out) == Change::ready);
  }
  SECTION("the server has no password: the connection works") {
    const auto reply =
        resp::make_error("ERR AUTH <password> called without any password configured for the default user.");
    CHECK(link.on_login_reply(reply, at(2), out) == Change::ready);
  }
  SECTION("refused: told apart, and not hammered") {
    const auto reply = resp::make_error("WRONGPASS invalid username-password pair or user is disabled.");
    CHECK(link.on_login_reply(reply, at(2), out) == Change::failed);
    CHECK(take(out) == Lines{"close"});
    CHECK(link.failure() == LinkFailure::login_refused);
    link.set_pace(Pace::fast, at(2));
    link.hurry(at(2));
    CHECK(link.deadline() == at(1002));
  }
  SECTION("too many clients is no verdict on the password") {
    CHECK(link.on_login_reply(resp::make_error("ERR max number of clients reached"), at(2), out) ==
          Change::failed);
    CHECK(link.failure() == LinkFailure::lost);
  }
  SECTION("no answer") {
    CHECK(link.on_timer(at(1000), out) == Change::none);
    CHECK(link.on_timer(at(1001), out) == Change::failed);
    CHECK(link.failure() == LinkFailure::timed_out);
  }
}

TEST_CASE("a link retries at once after a good connection, then slower and slower", "[link]") {
  LinkFsm link({}, timing());
  LinkActions out;
  link.start(at(0), out);
  CHECK(link.on_connected(at(1), out) == Change::ready);
  link.confirm();
  int now = 10;
  CHECK(link.on_failed(LinkFailure::lost, "end", at(now)) == Change::failed);
  CHECK(link.deadline() == at(now));
  for (const int delay : {100, 200, 400, 800, 1000, 1000}) {
    CHECK(link.on_timer(at(now), out) == Change::none);
    CHECK(link.state() == State::connecting);
    CHECK(link.on_failed(LinkFailure::connect_failed, "refused", at(now)) == Change::failed);
    CHECK(link.deadline() == at(now + delay));
    now += delay;
  }
  SECTION("the fast pace does not wait for the slow one's delay") {
    link.set_pace(Pace::fast, at(now - 900));
    CHECK(link.deadline() == at(now - 900));
    CHECK(link.on_timer(at(now - 900), out) == Change::none);
    CHECK(link.deadline() == at(now - 750));
    CHECK(link.on_failed(LinkFailure::connect_failed, "refused", at(now - 890)) == Change::failed);
    CHECK(link.deadline() == at(now - 840));
  }
}

TEST_CASE("a link that is accepted and dropped again and again does not spin", "[link]") {
  LinkFsm link({}, timing());
  LinkActions out;
  link.set_pace(Pace::fast, at(0));
  link.start(at(0), out);
  CHECK(link.on_connected(at(0), out) == Change::ready);
  link.confirm();
  CHECK(link.on_failed(LinkFailure::lost, "end", at(0)) == Change::failed);
  CHECK(link.on_timer(at(0), out) == Change::none);
  CHECK(link.on_connected(at(0), out) == Change::ready);
  CHECK(link.on_failed(LinkFailure::lost, "end", at(0)) == Change::failed);
  CHECK(link.deadline() == at(50));
  link.hurry(at(1));
  CHECK(link.deadline() == at(50));
}

TEST_CASE("a link times out by its oldest command and matches replies in order", "[link]") {
  LinkFsm link({}, timing());
  LinkActions out;
  link.start(at(0), out);
  CHECK(link.on_connected(at(0), out) == Change::ready);
  link.send(7, {"ROLE"}, at(100), out);
  link.send(8, {"PING"}, at(200), out);
  CHECK(link.deadline() == at(1100));
  CHECK(link.take_tag() == 7);
  CHECK(link.deadline() == at(1200));
  CHECK(link.on_timer(at(1200), out) == Change::failed);
  CHECK(link.failure() == LinkFailure::timed_out);
  CHECK_FALSE(link.take_tag().has_value());
}

TEST_CASE("INFO fields are found by their whole name", "[link]") {
  const std::string info = "# Server\r\nredis_version:7.0.15\r\nrun_id:abc\r\nlast:1";
  CHECK(info_field(info, "run_id") == "abc");
  CHECK(info_field(info, "last") == "1");
  CHECK(info_field(info, "redis").empty());
  CHECK(info_field(info, "id").empty());
  CHECK(info_field("", "run_id").empty());
}
