// A set of servers and Sentinels as the Arbiter sees it, for tests: reports are built, changed and delivered;
// what the Arbiter publishes and says is kept and checked against the invariants after every step.
//
// Servers are A, B, C (ports 7000 ...), Sentinels 0, 1, 2 (ports 26379 ...).
#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <string>
#include <vector>

#include "health/arbiter.hpp"
#include "tests/health/machine_steps.hpp"

namespace fairlead::health {

class World {
 public:
  explicit World(int sentinel_count, int server_count = 3)
      : World(options_for(sentinel_count, server_count)) {}
  explicit World(const Options& options, std::optional<Remembered> memory = std::nullopt)
      : arbiter(options, std::move(memory)) {
    apply(arbiter.start(now));
  }

  static resp::Address server(char name) { return local(7000 + name - 'A'); }
  static resp::Address sentinel(int index) { return local(26379 + index); }

  static Options options_for(int sentinel_count, int server_count) {
    Options options;
    for (int i = 0; i < sentinel_count; ++i) options.sentinels.push_back(sentinel(i));
    if (sentinel_count == 0) {
      for (int i = 0; i < server_count; ++i) options.servers.push_back(server(static_cast<char>('A' + i)));
    }
    return options;
  }

  static ServerReport answer(char name, Role role) {
    ServerReport report;
    report.reachable = true;
    report.attempts = 1;
    report.role = role;
    report.run_id = std::string("run-") + name;
    if (role == Role::replica) report.replica_of = server('A');
    return report;
  }
  static ServerReport failure(LinkFailure kind, const std::string& text) {
    ServerReport report;
    report.attempts = 1;
    report.failure = kind;
    report.last_error = text;
    return report;
  }
  static SentinelReport vote(char name, std::uint64_t epoch) {
    SentinelReport report;
    report.status = SentinelStatus::ok;
    report.vote = server(name);
    report.watching = server(name);
    report.config_epoch = epoch;
    report.replicas = {server('A'), server('B'), server('C')};
    return report;
  }
  static SentinelReport silent() {
    SentinelReport report;
    report.status = SentinelStatus::unreachable;
    report.failure = LinkFailure::connect_failed;
    report.last_error = "connection refused";
    return report;
  }

  // Each delivery takes a millisecond, and its question was asked within it.
  void tell(char name, ServerReport report) {
    now += Milliseconds(1);
    report.asked_at = now;
    apply(arbiter.on_server(server(name), report, now));
  }
  void tell(int index, SentinelReport report) {
    now += Milliseconds(1);
    report.asked_at = now;
    if (report.run_id.empty()) report.run_id = "sentinel-" + std::to_string(index);
    apply(arbiter.on_sentinel(sentinel(index), report, now));
  }
  void master(char name) { tell(name, answer(name, Role::master)); }
  void replica(char name) { tell(name, answer(name, Role::replica)); }
  void lost(char name) { tell(name, failure(LinkFailure::lost, "end of file")); }
  void wait(int ms) {
    now += Milliseconds(ms);
    apply(arbiter.on_tick(now));
  }
  void accept_restart() {
    now += Milliseconds(1);
    apply(arbiter.on_restart_accepted(now));
  }
  std::string stand(char name, Standing standing) {
    now += Milliseconds(1);
    std::string why_not = arbiter.why_not(server(name), standing);
    apply(arbiter.on_standing(server(name), standing, now));
    return why_not;
  }
  void change_options(const Options& options) {
    now += Milliseconds(1);
    apply(arbiter.on_options(options, now));
  }
  void signal(SignalKind kind, char name, std::uint64_t version) {
    now += Milliseconds(1);
    apply(arbiter.on_signal({kind, server(name), version, ""}, now));
  }

  /// A is the verified master at `epoch`, B and C follow it, all Sentinels agree.
  void settle(std::uint64_t epoch, int sentinel_count = 3) {
    for (int i = 0; i < sentinel_count; ++i) tell(i, vote('A', epoch));
    master('A');
    replica('B');
    replica('C');
    REQUIRE(steady_on('A'));
    events.clear();
  }

  [[nodiscard]] GroupState state() const { return topology->shards.front().state; }
  [[nodiscard]] bool steady_on(char name) const {
    const auto& shard = topology->shards.front();
    return shard.state == GroupState::steady && shard.route && shard.route->address == server(name);
  }
  [[nodiscard]] std::uint64_t term() const { return topology->shards.front().route->term; }
  [[nodiscard]] int count(EventKind kind) const {
    return static_cast<int>(std::count_if(events.begin(), events.end(),
                                          [kind](const Event& event) { return event.kind == kind; }));
  }
  [[nodiscard]] std::string text_of(EventKind kind) const {
    for (const auto& event : events) {
      if (event.kind == kind) return event.text;
    }
    return {};
  }
  [[nodiscard]] const ServerView* view(char name) const {
    for (const auto& view : topology->shards.front().servers) {
      if (view.address == server(name)) return &view;
    }
    return nullptr;
  }

  Arbiter arbiter;
  TimePoint now = at(0);
  TopologyPtr topology;
  std::vector<Event> events;
  std::optional<resp::Address> learn_from;
  std::optional<Remembered> remembered;

 private:
  void apply(Arbiter::Outcome outcome) {
    for (auto& event : outcome.events) events.push_back(std::move(event));
    if (outcome.learn_from) learn_from = outcome.learn_from;
    if (outcome.remember) remembered = outcome.remember;
    if (!outcome.topology) return;
    const auto& next = *outcome.topology;
    REQUIRE(next.shards.size() == 1);
    REQUIRE(next.commands != nullptr);
    REQUIRE(next.shards.front().state == arbiter.state());
    if (next.shards.front().state == GroupState::steady) REQUIRE(next.shards.front().route.has_value());
    if (topology) {
      REQUIRE(next.version == topology->version + 1);
      const auto& before = topology->shards.front().route;
      if (before) REQUIRE(next.shards.front().route->term >= before->term);
    }
    topology = outcome.topology;
    const auto& shard = next.shards.front();
    if (shard.state != GroupState::steady || shard.provisional) return;
    const auto holder = term_holders.try_emplace(shard.route->term, shard.route->address).first;
    REQUIRE(holder->second == shard.route->address);
  }

  std::map<std::uint64_t, resp::Address> term_holders;
};

}  // namespace fairlead::health
