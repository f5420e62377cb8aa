#include "health/narration.hpp"

#include <catch2/catch.hpp>

#include "tests/health/arbiter_world.hpp"

using namespace fairlead::health;

namespace {

Options sentinel_options() {
  return World::options_for(2, 0);
}

}  // namespace

TEST_CASE("what is missing is said with its address and its remedy", "[narration]") {
  const auto options = sentinel_options();
  SentinelReports sentinels{{World::sentinel(0), World::silent()}, {World::sentinel(1), World::silent()}};
  ServerReports servers;
  Waiting waiting;
  SECTION("no Sentinel answers") {
    CHECK(
        explain_waiting(options, servers, sentinels, waiting) ==
        "no master: no Sentinel of 127.0.0.1:26379, 127.0.0.1:26380 is reachable (connection refused); check "
        "[backend] sentinels");
  }
  SECTION("the name is unknown") {
    for (auto& [address, report] : sentinels) report = SentinelReport{};
    auto& report = sentinels[World::sentinel(0)];
    report.status = SentinelStatus::unknown_master;
    report.known_masters = {"cache", "sessions"};
    sentinels.erase(World::sentinel(1));
    CHECK(explain_waiting(options, servers, sentinels, waiting) ==
          "no master: Sentinel 127.0.0.1:26379 does not know a master named 'mymaster' (it knows: cache, "
          "sessions); "
          "check [backend] master-name");
  }
  SECTION("a Sentinel wants a login, the other is in TILT") {
    sentinels[World::sentinel(0)].failure = LinkFailure::login_refused;
    sentinels[World::sentinel(0)].last_error = "NOAUTH Authentication required.";
    sentinels[World::sentinel(1)] = World::vote('A', 1);
    sentinels[World::sentinel(1)].tilt = true;
    CHECK(explain_waiting(options, servers, sentinels, waiting) ==
          "no master: Sentinel 127.0.0.1:26379 refused the login (NOAUTH Authentication required.); check "
          "[backend] "
          "sentinel-username and sentinel-password; Sentinel 127.0.0.1:26380 is in TILT mode, check its "
          "host's clock");
  }
  SECTION("the server refuses the password") {
    for (auto& [address, report] : sentinels) report = World::vote('B', 1);
    servers[World::server('B')] = World::failure(LinkFailure::login_refused, "WRONGPASS no");
    waiting.wanted = World::server('B');
    CHECK(explain_waiting(options, servers, sentinels, waiting) ==
          "no master: 127.0.0.1:7001 refused the password (WRONGPASS no); check [backend] username and "
          "password; it is "
          "named master by 2 of 2 Sentinels");
  }
  SECTION("the named master is a replica") {
    for (auto& [address, report] : sentinels) report = World::vote('B', 1);
    servers[World::server('B')] = World::answer('B', Role::replica);
    waiting.wanted = World::server('B');
    CHECK(explain_waiting(options, servers, sentinels, waiting) ==
          "no master: 127.0.0.1:7001 is named master by 2 of 2 Sentinels but says it is a replica of "
          "127.0.0.1:7000; "
          "nothing is sent to it");
  }
}

TEST_CASE("a Sentinel's troubles are different events", "[narration]") {
  const auto options = sentinel_options();
  struct Row {
    SentinelStatus status;
    LinkFailure failure;
    EventKind kind;
  };
  const auto row =
      GENERATE(Row{SentinelStatus::unreachable, LinkFailure::connect_failed, EventKind::sentinel_down},
               Row{SentinelStatus::unreachable, LinkFailure::login_refused, EventKind::sentinel_login_failed},
               Row{SentinelStatus::unknown_master, LinkFailure::none, EventKind::sentinel_unknown_master},
               Row{SentinelStatus::refused, LinkFailure::none, EventKind::sentinel_down},
               Row{SentinelStatus::ok, LinkFailure::none, EventKind::sentinel_up});
  SentinelReport after;
  after.status = row.status;
  after.failure = row.failure;
  std::vector<Event> events;
  narrate_sentinel(World::sentinel(0), {}, after, options, events);
  REQUIRE(events.size() == 1);
  CHECK(events.front().kind == row.kind);
  CHECK(events.front().subject == World::sentinel(0));
  CHECK(events.front().text.find("127.0.0.1:26379") != std::string::npos);
  narrate_sentinel(World::sentinel(0), after, after, options, events);
  CHECK(events.size() == 1);
}

TEST_CASE("a server's ups and downs are told once each", "[narration]") {
  std::vector<Event> events;
  ServerReport nothing;
  const auto up = World::answer('A', Role::master);
  const auto down = World::failure(LinkFailure::lost, "end of file");
  auto timed_out = World::failure(LinkFailure::timed_out, "no answer");
  narrate_server(World::server('A'), nothing, up, events);
  narrate_server(World::server('A'), up, up, events);
  narrate_server(World::server('A'), up, down, events);
  narrate_server(World::server('A'), down, timed_out, events);
  narrate_server(World::server('A'), timed_out, World::failure(LinkFailure::login_refused, "WRONGPASS"),
                 events);
  narrate_server(World::server('A'), down, World::answer('A', Role::replica), events);
  narrate_server(World::server('A'), World::answer('A', Role::replica), up, events);
  std::vector<EventKind> kinds;
  for (const auto& event : events) kinds.push_back(event.kind);
  CHECK(kinds == std::vector<EventKind>{EventKind::server_up, EventKind::server_down,
                                        EventKind::server_login_failed, EventKind::server_up,
                                        EventKind::server_role_changed});
}

TEST_CASE("every kind of event, signal, state and role has a name", "[narration]") {
  for (int i = 0; i <= static_cast<int>(EventKind::two_masters); ++i) {
    CHECK(std::string(to_string(static_cast<EventKind>(i))) != "unknown");
  }
  for (int i = 0; i <= static_cast<int>(SignalKind::not_master); ++i) {
    CHECK(std::string(to_string(static_cast<SignalKind>(i))) != "unknown");
  }
  for (int i = 0; i <= static_cast<int>(GroupState::isolated); ++i) {
    CHECK(std::string(to_string(static_cast<GroupState>(i))) != "unknown");
  }
  CHECK(std::string(to_string(Role::replica)) == "replica");
}
