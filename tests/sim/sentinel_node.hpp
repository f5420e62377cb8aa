// A model of one Sentinel, as redis 7.0 has them: it pings the servers, agrees with the others that the
// master is down, elects a leader, promotes a replica, tells the others by config-epoch, and turns masters
// that come back into replicas. Its clocks tick every 50 to 100 ms. What it says to proxies is in
// sentinel_answers.cpp, how it fails over in sentinel_failover.cpp.
//
// Owned by the World; one per Sentinel, over all of its restarts.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "resp/address.hpp"
#include "tests/sim/command_inbox.hpp"
#include "tests/sim/network.hpp"

namespace fairlead::sim {

class World;

enum class Failover : std::uint8_t {
  none,
  wait_start,
  select_replica,
  send_promotion,
  wait_promotion,
  reconf_replicas
};

class SentinelNode {
 public:
  SentinelNode(World& world, std::size_t index, HostId host);
  ~SentinelNode();

  void start();
  void kill();
  [[nodiscard]] bool alive() const { return alive_; }
  void enter_tilt(Microseconds time);
  [[nodiscard]] bool in_tilt() const;
  /// SENTINEL FAILOVER: without asking the others. False when one is under way or nobody can be promoted.
  bool force_failover();

  [[nodiscard]] HostId host() const { return host_; }
  [[nodiscard]] std::size_t index() const { return index_; }
  [[nodiscard]] const resp::Address& address() const { return address_; }
  [[nodiscard]] std::size_t master() const { return master_; }
  /// Whom it names to those who ask: already the promoted node while its own failover is being finished.
  [[nodiscard]] std::size_t named() const;
  [[nodiscard]] std::uint64_t config_epoch() const { return config_epoch_; }
  [[nodiscard]] std::uint64_t current_epoch() const { return current_epoch_; }
  [[nodiscard]] Failover failover() const { return failover_; }
  /// The replica that it has told to become a master, and not heard of since.
  [[nodiscard]] std::optional<std::size_t> promotes() const {
    if (!alive_ || failover_ != Failover::wait_promotion) return std::nullopt;
    return promoted_;
  }
  [[nodiscard]] bool believes_down() const { return subjectively_down_ || objectively_down_; }
  /// Since when it has been there, known of the config-epoch that it has now, and been out of TILT.
  [[nodiscard]] TimePoint usable_since() const { return std::max(epoch_since_, tilt_until_); }

 private:
  /// How far a replica is on its way to the promoted one, in a failover that this Sentinel leads.
  enum class Reconf : std::uint8_t { none, sent, in_progress, done };
  /// What it knows of one server.
  struct Seen {
    TimePoint answered_at{};
    TimePoint pinged_at{};
    std::optional<TimePoint> unanswered_since;  // the oldest ping without an answer
    TimePoint info_at{};
    TimePoint info_asked_at{};
    bool says_master = false;
    std::size_t says_follows = 0;
    bool link_up = false;
    TimePoint says_since{};  // when the role or the master it reports changed last
    std::size_t offset = 0;
    TimePoint ordered_at{};  // when it was last told whom to follow
    Reconf reconf = Reconf::none;
  };
  struct Opinion {
    bool down = false;
    TimePoint at{};
  };
  /// All that its answer to SENTINEL MASTER depends on.
  struct MasterView {
    std::size_t master = 0;
    bool subjectively_down = false;
    bool objectively_down = false;
    Failover failover = Failover::none;
    std::uint64_t config_epoch = 0;
    friend bool operator==(const MasterView&, const MasterView&) = default;
  };
  struct Session {
    CommandInbox inbox;
    bool subscribed = false;
  };
  struct Hello {
    std::uint64_t current_epoch = 0;
    std::uint64_t config_epoch = 0;
    std::size_t master = 0;
  };

  // sentinel_node.cpp
  void tick();
  void act();
  void look_at(std::size_t server);
  void on_info(std::size_t server, bool is_master, std::size_t follows, bool link_up, std::size_t offset);
  void judge_master();
  void ask_opinions();
  void say_hello();
  void on_hello(const Hello& hello);
  void adopt(std::size_t master);
  void correct_roles(std::size_t server);
  [[nodiscard]] bool master_is_replica() const;
  void order(std::size_t server, std::optional<std::size_t> master);
  [[nodiscard]] bool is_down(const Seen& seen) const;
  void post_to(const SentinelNode& peer, Schedule::Action action);

  // sentinel_failover.cpp
  void maybe_start_failover();
  void start_failover(bool forced);
  void ask_votes();
  [[nodiscard]] std::optional<std::size_t> on_vote_request(std::uint64_t epoch, std::size_t candidate);
  void on_vote(std::uint64_t epoch, std::size_t voter, std::size_t leader);
  void run_failover();
  void wait_start();
  void select_replica();
  void reconfigure();
  void reconfigure_next();
  void reconfigure_rest();
  void note_reconfigured(std::size_t server);
  [[nodiscard]] bool is_left_to_follow(std::size_t server) const;
  void abort_failover(const std::string& why);
  [[nodiscard]] std::optional<std::size_t> best_replica() const;

  // sentinel_answers.cpp
  [[nodiscard]] Handlers accept(ConnKey key);
  void on_bytes(ConnKey key, std::string_view bytes);
  void answer(Session& session, Words words, std::string& out);
  [[nodiscard]] const std::string& master_reply();
  [[nodiscard]] std::string render_master() const;
  [[nodiscard]] std::string replicas_reply() const;
  [[nodiscard]] std::string peers_reply() const;
  void announce(const std::string& channel, const std::string& payload);
  void announce_master(const std::string& channel);
  void announce_replica(const std::string& channel, std::size_t replica);

  World& world_;
  const std::size_t index_;
  const HostId host_;
  const resp::Address address_;
  bool alive_ = false;
  std::uint64_t life_ = 0;
  TimePoint tilt_until_{};
  TimePoint acted_at_{};

  std::size_t master_ = 0;
  std::uint64_t current_epoch_ = 0;
  std::uint64_t config_epoch_ = 0;
  TimePoint epoch_since_{};
  std::uint64_t voted_epoch_ = 0;
  std::size_t voted_for_ = 0;
  std::vector<Seen> seen_;
  std::map<std::size_t, Opinion> opinions_;
  bool subjectively_down_ = false;
  bool objectively_down_ = false;
  TimePoint asked_opinions_at_{};
  TimePoint said_hello_at_{};

  Failover failover_ = Failover::none;
  bool forced_ = false;
  std::uint64_t failover_epoch_ = 0;
  TimePoint failover_start_{};  // also when another's failover was voted for: not before twice the timeout
  TimePoint state_since_{};
  std::set<std::size_t> votes_;
  std::size_t promoted_ = 0;

  std::map<ConnKey, Session> sessions_;
  MasterView master_shown_;
  std::string master_said_;  // what was answered for master_shown_; empty: nothing yet
};

}  // namespace fairlead::sim
