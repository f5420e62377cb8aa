// Who is the master: reports of servers and Sentinels, signals of the data path and the time go in; the
// Topology that all workers route by, and typed events, come out. FAILOVER design, section 2.
//
//            authority names a master              verified
//     INIT ---------------------------> SWITCHING ----------> STEADY(route)
//       ^ \____ nobody names it any more ___/  ^  \             |      ^
//                                   another    |   \ given up   | evidence, election
//                                   master     |    v           v      | good probes, nothing against it
//                                              `--- SUSPECT(route) ----'
//
// Commands flow in STEADY only. Signals and elections can only close; only a ROLE=master that was asked after
// the decision opens. Terms never decrease.
//
// Early promotion (arbiter_promotion.cpp): from SUSPECT, the replica that an elected Sentinel promotes
// becomes the route as soon as it says master. That route is provisional until a Sentinel names it at a
// higher config-epoch, and is taken back when none does.
//
// RESTARTED (arbiter_guard.cpp): SUSPECT finds another process at the route's address; it is verified like a
// new master once its data can be trusted. ISOLATED: strict mode, STEADY until the lease of a majority of
// Sentinels ran out; then SUSPECT. That the hold time is over (the design's DOWN) is known to each worker's
// gate, and changes nothing here.
//
// Owned by the Monitor, control thread. Pure: no clock, no socket, no logging; the same input gives the same
// output.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "health/ballot.hpp"
#include "health/event.hpp"
#include "health/link_fsm.hpp"
#include "health/narration.hpp"
#include "health/observation.hpp"
#include "health/options.hpp"
#include "health/signal.hpp"
#include "health/topology.hpp"

namespace fairlead::health {

class Arbiter {
 public:
  /// What the shell has to do after a call.
  struct Outcome {
    TopologyPtr topology;  // publish it; null: nothing changed
    std::vector<Event> events;
    std::optional<resp::Address> learn_from;  // ask this server for COMMAND
    bool look_now = false;                    // probe every server and poll every Sentinel at once
    bool watch_changed = false;               // servers() or sentinels() changed
    std::optional<Remembered> remember;       // to be kept over a restart of the process
  };

  /// `memory` is what an earlier process remembered.
  explicit Arbiter(Options options, std::optional<Remembered> memory = std::nullopt);

  /// The first topology: INIT, built-in command table.
  [[nodiscard]] Outcome start(TimePoint now);
  [[nodiscard]] Outcome on_server(const resp::Address& address, const ServerReport& report, TimePoint now);
  [[nodiscard]] Outcome on_sentinel(const resp::Address& address, const SentinelReport& report,
                                    TimePoint now);
  [[nodiscard]] Outcome on_signal(const Signal& signal, TimePoint now);
  /// The answer to COMMAND from `address`, or an error that stands for it.
  [[nodiscard]] Outcome on_commands(const resp::Address& address, const resp::Value& reply, TimePoint now);
  /// The operator trusts a restarted master as it is. No effect in any other state.
  [[nodiscard]] Outcome on_restart_accepted(TimePoint now);
  /// Why the operator cannot give this server that standing, and what to do instead; empty: on_standing() may
  /// be called.
  [[nodiscard]] std::string why_not(const resp::Address& address, Standing standing) const;
  [[nodiscard]] Outcome on_standing(const resp::Address& address, Standing standing, TimePoint now);
  /// Other options of the same kind (Sentinels, or servers); the route stays.
  [[nodiscard]] Outcome on_options(Options options, TimePoint now);
  /// To be called about every probe interval of the present pace: bounds run out, reports fall due.
  [[nodiscard]] Outcome on_tick(TimePoint now);

  [[nodiscard]] Pace pace() const {
    return state_ == GroupState::steady && !provision_ ? Pace::normal : Pace::fast;
  }
  /// The replica that is being promoted, to be watched at Pace::closest; nullopt: none.
  [[nodiscard]] const std::optional<resp::Address>& candidate() const { return candidate_; }
  [[nodiscard]] GroupState state() const { return state_; }
  [[nodiscard]] const std::optional<Route>& route() const { return route_; }
  /// Good probes in a row that end SUSPECT: more when evidence came back soon after the last one. 0: not
  /// suspect.
  [[nodiscard]] int probes_needed() const { return suspicion_ ? suspicion_->needed : 0; }
  /// What to watch now; the shell opens and closes connections accordingly.
  [[nodiscard]] std::vector<resp::Address> servers() const;
  [[nodiscard]] std::vector<resp::Address> sentinels() const;

  static constexpr std::size_t servers_max = 128;
  static constexpr std::size_t sentinels_max = 32;
  static constexpr int confirm_max = 16;

 private:
  struct Target {
    resp::Address address;
    std::uint64_t epoch = 0;
    TimePoint since{};    // a role asked earlier proves nothing
    std::string refusal;  // the last reason told for not opening it
    std::optional<TimePoint> contradicted_since;
  };
  struct Suspicion {
    TimePoint since{};
    std::string why;
    std::string run_id;  // of the good probes counted so far
    int good = 0;
    int needed = 0;
    bool failed = false;  // the route answered badly or not at all since
  };
  struct Restart {
    std::string run_id;
    bool told = false;
  };
  struct Election {
    ElectionStage stage = ElectionStage::none;
    TimePoint since{};
    std::uint64_t epoch = 0;  // 0: not heard
    resp::Address selected;   // host empty: not heard
    TimePoint selected_since{};
  };
  /// What an election says about the next master.
  struct Promotion {
    resp::Address replica;
    resp::Address sentinel;
    std::uint64_t epoch = 0;  // 0: not heard
    TimePoint since{};        // a role asked earlier proves nothing
  };
  /// What a provisional route goes back to.
  struct Provision {
    Route former;  // and its epoch is still epoch_
    Promotion promotion;
    TimePoint since{};
  };

  // arbiter.cpp: evidence, authority, transitions.
  void transition(GroupState next, TimePoint now);
  void evaluate(TimePoint now);
  void follow_authority(TimePoint now);
  [[nodiscard]] Verdict verdict_of_sentinels() const;
  [[nodiscard]] Verdict verdict_of_roles() const;
  [[nodiscard]] std::optional<Candidate> outlasting(const Verdict& verdict, TimePoint now);
  void aim_at(const Candidate& candidate, TimePoint now);
  void review_switch(TimePoint now);
  void suspect(std::string why, TimePoint now);
  void weigh_route(const ServerReport& report, TimePoint now);
  void count_good_probe(const ServerReport& report);
  void try_reopen(TimePoint now);
  void try_verify(TimePoint now);
  void open_route(const ServerReport& report, TimePoint now);
  [[nodiscard]] std::uint64_t term_of(const Candidate& candidate) const;
  void adopt(const resp::Address& address, std::uint64_t term, const ServerReport& report, TimePoint now);
  void note_election(const resp::Address& sentinel, const SentinelReport& report, TimePoint now);
  [[nodiscard]] bool election_active(TimePoint now) const;
  [[nodiscard]] bool announced_elsewhere() const;
  [[nodiscard]] bool authority_confirms(const std::string& run_id) const;

  // arbiter_promotion.cpp: the replica that is being promoted, before Sentinel announces it.
  void note_selection(Election& election, const resp::Address& sentinel, const SentinelReport& report,
                      TimePoint now);
  void note_turn(const resp::Address& address, const ServerReport& before, const ServerReport& after,
                 TimePoint now);
  [[nodiscard]] bool is_against(const resp::Address& master, const Election& election,
                                const resp::Address& sentinel, TimePoint now) const;
  [[nodiscard]] bool is_current(const Election& election, const resp::Address& sentinel, TimePoint now) const;
  [[nodiscard]] bool is_failed_over(const resp::Address& master, TimePoint now) const;
  [[nodiscard]] std::optional<Promotion> promotion_under_way(TimePoint now) const;
  [[nodiscard]] std::optional<Promotion> promotion_seen(TimePoint now) const;
  void watch_turn(TimePoint now);
  void try_promote(TimePoint now);
  void follow_provision(const Verdict& verdict, TimePoint now);
  [[nodiscard]] bool leader_gave_up() const;
  [[nodiscard]] std::uint64_t promised_term() const;
  void confirm_provision(const Candidate& winner);
  void take_back_provision(std::string why, TimePoint now);

  // arbiter_guard.cpp: restarted masters, the lease of strict mode, what is remembered.
  void enter_restarted(TimePoint now);
  void try_trust_restarted(TimePoint now);
  [[nodiscard]] std::string reason_to_trust(const ServerReport& report) const;
  void keep_lease(TimePoint now);
  [[nodiscard]] bool lease_holds(TimePoint now) const;
  [[nodiscard]] std::chrono::milliseconds lease_length() const;
  [[nodiscard]] Verdict not_below_memory(Verdict verdict, const std::vector<Vote>& votes) const;
  void note_route();
  void overrule_standing(const resp::Address& address);

  // arbiter_view.cpp: what is watched, what is counted, what is published and said.
  [[nodiscard]] bool with_sentinels() const { return !options_.sentinels.empty(); }
  [[nodiscard]] std::vector<Vote> votes() const;
  [[nodiscard]] std::size_t known_sentinels() const;
  [[nodiscard]] Hearing hearing() const;
  [[nodiscard]] bool says_master(const resp::Address& address) const;
  [[nodiscard]] Standing standing_of(const resp::Address& address) const;
  [[nodiscard]] bool is_rogue(const resp::Address& address) const;
  [[nodiscard]] bool majority_is_ok() const;
  void refresh_watch();
  void refresh_servers();
  void refresh_sentinels();
  void note_rogues();
  void report_waiting(TimePoint now);
  void say(EventKind kind, Severity severity, const resp::Address& subject, std::string text);
  [[nodiscard]] Topology draw() const;
  void publish(TimePoint now);
  [[nodiscard]] Outcome finish(TimePoint now);

  Options options_;
  GroupState state_ = GroupState::init;
  std::optional<Route> route_;
  std::optional<Target> target_;          // while switching
  std::optional<Suspicion> suspicion_;    // while suspect
  std::optional<Restart> restart_;        // while restarted
  std::string trusted_run_id_;            // a restarted process that the operator trusts
  std::optional<Remembered> memory_;      // of the process before this one, until the first route
  std::optional<Remembered> remembered_;  // what was told to be kept last
  TimePoint lease_until_{};               // strict mode
  std::optional<Candidate> disbelieved_;  // a vote that was contradicted and could not be verified
  // The config-epoch the route was adopted at: what votes are compared with. The route's term is the highest
  // ever seen, and the two differ only after an operator made Sentinels begin anew at a lower epoch.
  std::uint64_t epoch_ = 0;
  std::optional<resp::Address> outdated_;  // see Verdict; named since outdated_since_
  TimePoint outdated_since_{};
  bool conflict_ = false;                      // several masters named, nobody with a majority
  std::optional<Provision> provision_;         // while the route is provisional
  std::optional<resp::Address> candidate_;     // while suspect: the replica that is being promoted
  std::optional<Candidate> revoked_;           // a provisional route that was taken back, and its election
  std::map<resp::Address, TimePoint> turned_;  // replicas that became masters, and when that was seen
  ServerReports server_reports_;
  SentinelReports sentinel_reports_;
  std::map<resp::Address, Election> elections_;
  std::map<resp::Address, std::string> rogues_;  // said master beside a steady route, until they say replica
  std::map<resp::Address, Standing> standings_;  // those that are not ready, by the operator's word
  std::shared_ptr<const resp::CommandTable> commands_;
  std::string commands_run_id_;  // the process the table was asked of

  TopologyPtr topology_;
  std::uint64_t steady_version_ =
      0;  // the publication that opened the route; older signals are about another one
  TimePoint published_at_{};
  TimePoint closed_at_{};    // when the last STEADY ended, or the start
  TimePoint restored_at_{};  // when the last SUSPECT ended well
  int confirm_next_ = 0;     // good probes the next SUSPECT needs
  TimePoint next_waiting_report_{};
  Outcome outcome_;  // of the call under way
};

}  // namespace fairlead::health
