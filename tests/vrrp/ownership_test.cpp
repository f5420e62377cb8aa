// keepalived's word and the kernel's, in every order they can come in.
#include "vrrp/ownership.hpp"

#include <catch2/catch.hpp>

namespace fairlead::vrrp {
namespace {

using std::chrono::milliseconds;

struct World {
  Ownership ownership;
  TimePoint now{std::chrono::hours(1)};

  std::vector<ChangeKind> changes() {
    std::vector<ChangeKind> kinds;
    for (const Change& change : ownership.take_changes()) {
      CHECK_FALSE(change.text.empty());
      kinds.push_back(change.kind);
    }
    return kinds;
  }
  void say(State state) { ownership.on_state(state, 250, now); }
  void kernel(Presence presence) { ownership.on_address(presence, now); }
  void pass(milliseconds time) {
    now += time;
    ownership.on_time(now);
  }
};

using Kinds = std::vector<ChangeKind>;
using enum ChangeKind;

TEST_CASE("gaining: keepalived says it first, the kernel confirms") {
  World world;
  world.kernel(Presence::absent);
  world.say(State::backup);
  CHECK(world.changes() == Kinds{state});
  world.say(State::master);
  CHECK_FALSE(world.ownership.holds());
  CHECK(world.changes() == Kinds{state});
  world.kernel(Presence::present);
  CHECK(world.ownership.holds());
  CHECK(world.changes() == Kinds{gained});
  CHECK_FALSE(world.ownership.next_deadline().has_value());
}

TEST_CASE("losing: the kernel is first, keepalived's line makes it final") {
  World world;
  world.say(State::master);
  world.kernel(Presence::present);
  world.changes();
  world.kernel(Presence::absent);
  CHECK(world.ownership.holds());
  CHECK(world.ownership.next_deadline() == world.now + Ownership::loss_delay);
  world.say(State::fault);
  CHECK_FALSE(world.ownership.holds());
  CHECK(world.changes() == Kinds{state, lost});
  CHECK_FALSE(world.ownership.next_deadline().has_value());
}

TEST_CASE("losing: keepalived's line is first, nothing is done before the kernel confirms it") {
  World world;
  world.say(State::master);
  world.kernel(Presence::present);
  world.changes();
  world.say(State::backup);
  CHECK(world.ownership.holds());
  CHECK(world.changes() == Kinds{state});
  world.kernel(Presence::absent);
  CHECK_FALSE(world.ownership.holds());
  CHECK(world.changes() == Kinds{lost});
}

TEST_CASE("an address that comes back within the delay was never lost") {
  World world;
  world.say(State::master);
  world.kernel(Presence::present);
  world.changes();
  world.kernel(Presence::absent);
  world.pass(Ownership::loss_delay - milliseconds(1));
  world.kernel(Presence::present);
  world.pass(milliseconds(5000));
  CHECK(world.ownership.holds());
  CHECK(world.changes() == Kinds{});
}

TEST_CASE("an address removed by hand is lost after the delay, and said once") {
  World world;
  world.say(State::master);
  world.kernel(Presence::present);
  world.changes();
  world.kernel(Presence::absent);
  world.pass(Ownership::loss_delay);
  CHECK_FALSE(world.ownership.holds());
  CHECK(world.changes() == Kinds{lost});
  world.pass(Ownership::contradiction_delay);
  CHECK(world.changes() == Kinds{contradiction});
  world.pass(Ownership::contradiction_delay);
  CHECK(world.changes() == Kinds{});
}

TEST_CASE("kill -9 of keepalived leaves the address: this node goes on serving it") {
  World world;
  world.say(State::master);
  world.kernel(Presence::present);
  world.changes();
  world.ownership.on_keepalived_gone(world.now);
  CHECK(world.ownership.holds());
  CHECK(world.ownership.state() == State::unknown);
  CHECK(world.changes() == Kinds{gone});
  world.pass(std::chrono::minutes(1));
  CHECK(world.changes() == Kinds{});
  // keepalived is back, cleans up and says so.
  world.kernel(Presence::absent);
  CHECK(world.changes() == Kinds{lost});
  world.say(State::backup);
  CHECK(world.changes() == Kinds{state});
}

TEST_CASE("keepalived ends politely: the address goes, then the FIFO") {
  World world;
  world.say(State::master);
  world.kernel(Presence::present);
  world.changes();
  world.kernel(Presence::absent);
  world.ownership.on_keepalived_gone(world.now);
  CHECK_FALSE(world.ownership.holds());
  CHECK(world.changes() == Kinds{gone, lost});
}

TEST_CASE("an address without keepalived's word is held and lost all the same") {
  World world;
  world.kernel(Presence::present);
  CHECK(world.changes() == Kinds{gained});
  world.kernel(Presence::absent);
  CHECK(world.changes() == Kinds{lost});
}

TEST_CASE("a disagreement that lasts is told, one that a change makes is not") {
  World world;
  world.say(State::master);
  world.pass(Ownership::contradiction_delay - milliseconds(1));
  world.kernel(Presence::present);
  world.pass(milliseconds(5000));
  CHECK(world.changes() == Kinds{state, gained});
  world.say(State::backup);
  world.pass(Ownership::contradiction_delay);
  CHECK(world.changes() == Kinds{state, contradiction});
  CHECK(world.ownership.holds());
}

TEST_CASE("what a FIFO kept while nobody read it ends in its last word") {
  World world;
  world.kernel(Presence::present);
  world.changes();
  for (const State old : {State::backup, State::master, State::fault, State::backup, State::master})
    world.say(old);
  CHECK(world.ownership.holds());
  CHECK(world.changes() == Kinds{state, state, state, state, state});
  world.pass(milliseconds(5000));
  CHECK(world.changes() == Kinds{});
}

}  // namespace
}  // namespace fairlead::vrrp
