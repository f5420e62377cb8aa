// One seed's world: servers, Sentinels, proxies, clients, what goes wrong, and the judgement at the end.
// Pure: the same seed gives the same story, event by event. Owned by a Run; one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/client_model.hpp"
#include "tests/sim/ledger.hpp"
#include "tests/sim/network.hpp"
#include "tests/sim/proxy_model.hpp"
#include "tests/sim/redis_node.hpp"
#include "tests/sim/schedule.hpp"
#include "tests/sim/sentinel_node.hpp"
#include "tests/sim/world_options.hpp"

namespace fairlead::sim {

/// What happened in a world, for the summary of many.
struct Counts {
  std::uint64_t writes_done = 0;
  std::uint64_t uncertain = 0;
  std::uint64_t master_down = 0;
  std::uint64_t refusals_passed = 0;  // READONLY and its like that a client saw
  std::uint64_t replica_waits = 0;    // said again because a fresh master had no replicas yet
  std::uint64_t no_replicas = 0;      // NOREPLICAS that a client saw
  std::uint64_t promotions = 0;
  std::uint64_t lost_excused = 0;  // acknowledged, and lost as asynchronous replication loses
  std::uint64_t lost_unheard =
      0;  // ... acknowledged by an old master whose successor the proxy could not know
  std::uint64_t lost_erased = 0;  // ... by a master that was restarted without its data
  std::uint64_t disconnects = 0;  // with a counted reason
  std::uint64_t proxy_restarts = 0;
  std::uint64_t promotions_followed = 0;  // by a proxy that nothing hindered
  std::uint64_t promotions_late = 0;      // ... but not in time
  std::uint64_t blocks_replayed = 0;
  std::uint64_t isolations = 0;  // strict mode: the lease ran out
  std::uint64_t events = 0;
  std::uint64_t digest = 0;            // of the history; of several worlds, the sum
  std::vector<std::int64_t> ready_ms;  // from a master that could be verified to STEADY
};

class World {
 public:
  using Trace = std::function<void(const std::string&)>;

  World(std::uint64_t seed, Trace trace);
  ~World();

  /// Plays the whole story. The reason why it is broken; empty when all is well.
  [[nodiscard]] std::string run();

  // For the parts.
  [[nodiscard]] TimePoint now() const { return schedule_.now(); }
  [[nodiscard]] Schedule& schedule() { return schedule_; }
  [[nodiscard]] Network& network() { return network_; }
  [[nodiscard]] Random& random() { return random_; }
  [[nodiscard]] Ledger& ledger() { return ledger_; }
  [[nodiscard]] const WorldOptions& options() const { return options_; }
  [[nodiscard]] RedisNode& server(std::size_t i) { return *servers_[i]; }
  [[nodiscard]] SentinelNode& sentinel(std::size_t i) { return *sentinels_[i]; }
  [[nodiscard]] const resp::Address& server_address(std::size_t i) const { return server_addresses_[i]; }
  [[nodiscard]] const resp::Address& sentinel_address(std::size_t i) const { return sentinel_addresses_[i]; }
  [[nodiscard]] std::size_t server_at(const resp::Address& address) const;
  [[nodiscard]] HostId host_at(const resp::Address& address) const;
  [[nodiscard]] HostId client_host() const { return client_host_; }
  [[nodiscard]] const std::string& master_name() const { return options_.health.master_name; }
  [[nodiscard]] health::Options health_options() const;
  [[nodiscard]] std::uint64_t next_client_id() { return ++client_ids_; }
  [[nodiscard]] Counts& count() { return counts_; }
  [[nodiscard]] const Counts& counts() const { return counts_; }
  [[nodiscard]] const std::vector<std::unique_ptr<ProxyModel>>& proxies() const { return proxies_; }
  [[nodiscard]] const std::vector<Mishap>& mishaps() const { return mishaps_; }

  void trace(const std::string& what);
  [[nodiscard]] bool traces() const { return static_cast<bool>(trace_); }
  /// The first reason counts; the story ends.
  void fail(const std::string& why);

  /// What a proxy said has reached its client by then.
  static constexpr Milliseconds last_word_arrives{2000};

  // What is noted as it happens, and judged.
  void note_promotion(std::size_t server);
  /// A leader is at it: it has told this replica to become a master, and has not heard yet that it is one.
  void note_promoting(std::size_t server) { promoting_at_[server] = now(); }
  /// A leader of that epoch tells a replica to become a master.
  void note_order(std::uint64_t epoch, std::size_t server) { promoted_of_[epoch].insert(server); }
  void note_route(std::size_t proxy, const health::Route& route);
  void note_dispatch(HostId proxy, std::size_t server, const health::Topology& topology,
                     std::string_view command);
  void note_disconnect(std::size_t client, HostId proxy, const std::string& what);
  /// Strict mode's lease, and the process that was verified: whether a command may begin to leave now.
  void check_authority(HostId proxy, std::size_t server, const health::Topology& topology);
  void remember(std::size_t proxy, const health::Remembered& memory) { memories_[proxy] = memory; }
  void check_hold_over(HostId proxy, TimePoint said_at);
  /// A client is told NOREPLICAS: only a fresh route's replicas may have been waited for.
  void note_no_replicas(HostId proxy, TimePoint said_at);
  [[nodiscard]] health::Duration stopped_since(TimePoint since) const;
  /// A worker of the proxy may have given up waiting for a master lately, so that what was said at `said_at`
  /// may have been answered MASTERDOWN: one of the process of now, or of the one that was killed since.
  [[nodiscard]] bool hold_is_over(HostId proxy, TimePoint said_at) const;
  void note_mishap(Milliseconds length, std::string what);

 private:
  /// A server became a master, and which writes it had then.
  struct Promotion {
    TimePoint at{};
    std::size_t server = 0;
    std::vector<bool> has;
  };

  /// Whom a proxy followed at some term.
  struct Bearer {
    std::size_t proxy = 0;
    resp::Address address;
  };

  /// A proxy that is not STEADY although a master could be verified.
  struct Readiness {
    std::optional<TimePoint> waits_since;
    bool calm = false;      // it did not know of anything wrong at some moment since
    int probes_needed = 0;  // the most that it wanted since
  };
  /// What was lost in a cut that is mended comes again, or is given up by who waits for it.
  static constexpr Milliseconds path_recovers{1500};

  void build();
  void add_client(Habit habit);
  void add_proxy(std::size_t index);
  void kill_proxy(std::size_t index, Milliseconds away);
  void note_proxy(const ProxyModel& proxy);
  void run_until(TimePoint until);
  bool run_until(TimePoint deadline, const std::function<bool()>& condition);
  void mend();
  [[nodiscard]] std::uint64_t digest();

  // readiness.cpp
  void watch();
  void watch_readiness(const ProxyModel& proxy, std::size_t master, Readiness& readiness);
  [[nodiscard]] std::optional<std::size_t> verified_master() const;
  [[nodiscard]] bool proxy_can_know(const ProxyModel& proxy, std::size_t master) const;
  [[nodiscard]] Milliseconds ready_max(const Readiness& readiness) const;

  // judgement.cpp
  [[nodiscard]] bool nothing_hinders(const ProxyModel& proxy, std::size_t server, TimePoint since) const;
  void expect_dispatch(std::size_t index, std::size_t server);
  [[nodiscard]] bool promoted_twice() const;
  [[nodiscard]] bool follows_promotion(std::size_t server, const health::Shard& shard) const;
  void settle();
  void end_disagreement();
  void last_words();
  void judge();
  void judge_writes(const Ledger::Writes& writes);
  void judge_lost(const std::string& tag, const Write& write);
  [[nodiscard]] bool trouble_between(TimePoint begin, TimePoint end) const;

  const std::uint64_t seed_;
  const Trace trace_;
  Random random_;
  WorldOptions options_;
  Schedule schedule_;
  Network network_;
  Ledger ledger_;
  std::vector<resp::Address> server_addresses_;
  std::vector<resp::Address> sentinel_addresses_;
  std::vector<std::unique_ptr<RedisNode>> servers_;
  std::vector<std::unique_ptr<SentinelNode>> sentinels_;
  std::vector<std::unique_ptr<ProxyModel>> proxies_;
  std::vector<std::unique_ptr<ProxyModel>> ended_proxies_;  // something may still be scheduled for them
  std::vector<std::optional<health::Remembered>> memories_;
  std::set<std::size_t> orphans_;                   // clients whose proxy was killed
  std::map<HostId, TimePoint> gave_up_and_killed_;  // when a proxy was, whose hold time was over
  std::vector<std::unique_ptr<ClientModel>> clients_;
  HostId client_host_ = 0;
  std::uint64_t client_ids_ = 0;
  std::string broken_;
  TimePoint begin_{};
  TimePoint mended_at_{};
  Counts counts_;
  std::vector<Mishap> mishaps_;
  std::vector<Promotion> promotions_;
  std::vector<TimePoint> promoting_at_;  // by server: when a leader was last seen promoting it
  std::map<std::uint64_t, std::set<std::size_t>> promoted_of_;  // by epoch: servers
  std::vector<TimePoint> erased_;                               // a master was restarted without its data
  std::map<std::uint64_t, std::vector<Bearer>> routes_;         // by term
  std::vector<Readiness> readiness_;                            // by proxy
  int watches_ = 0;
  TimePoint slow_until_{};
  std::size_t final_master_ = 0;
  friend class Trouble;
};

}  // namespace fairlead::sim
