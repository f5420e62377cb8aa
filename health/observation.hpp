// What the watching machines have seen: one report per server and per Sentinel. RoleFsm and SentinelFsm write
// them, the Arbiter judges by them. Pure data on the control thread; a report never says what to do.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "health/topology.hpp"

namespace fairlead::health {

/// Why a control connection does not work. Each has its own remedy, so they are told apart up to the log
/// line.
enum class LinkFailure : std::uint8_t {
  none,
  connect_failed,  // refused, unreachable, name not found
  lost,            // end of file or reset on an established connection
  timed_out,       // no connection or no answer within its time
  login_refused,   // WRONGPASS, NOAUTH
  protocol,        // an answer that is no RESP, or to no question
};

struct ServerReport {
  bool reachable = false;  // the last probe was answered
  LinkFailure failure = LinkFailure::none;
  std::string last_error;      // of the connection, or what ROLE answered instead of a role
  int missed = 0;              // probes and connection attempts in a row that timed out
  std::uint64_t attempts = 0;  // probes answered or failed; 0: nothing is known yet
  Role role = Role::unknown;
  bool loading = false;  // refuses commands until its data set is loaded
  std::string run_id;
  std::string redis_version;
  std::int64_t offset = -1;
  bool append_only = false;  // it has an append-only file
  std::int64_t keys = -1;    // in all databases, when it connected or had loaded; -1: unknown
  resp::Address replica_of;  // role replica: its master, as it says
  TimePoint asked_at{};      // when the probe was sent that this answers
};

enum class SentinelStatus : std::uint8_t {
  unheard,         // no attempt has ended yet
  unreachable,     // see failure
  unknown_master,  // it does not watch a master of this name
  refused,         // it answers with another error: no Sentinel, no permission
  ok,
};

/// How far a failover that this Sentinel leads has come. By itself it only closes the gate.
enum class ElectionStage : std::uint8_t {
  none,
  candidate,  // +try-failover: it asks for votes, and may get none
  elected,    // +elected-leader and later: it is at work
};

struct SentinelPeer {
  resp::Address address;
  std::string run_id;
  friend bool operator==(const SentinelPeer&, const SentinelPeer&) = default;
};

struct SentinelReport {
  SentinelStatus status = SentinelStatus::unheard;
  LinkFailure failure = LinkFailure::none;
  std::string last_error;
  bool tilt = false;  // its clock jumped: it watches but must not be believed
  std::string run_id;
  resp::Address
      vote;  // GET-MASTER-ADDR-BY-NAME: already the promoted node while its failover is being finished
  resp::Address watching;  // SENTINEL MASTER: what its flags are about
  std::uint64_t config_epoch = 0;
  bool subjectively_down = false;
  bool objectively_down = false;
  ElectionStage election = ElectionStage::none;
  std::uint64_t election_epoch = 0;  // the config-epoch that its failover will have; 0: not heard
  resp::Address selected;   // the replica it promotes, +selected-slave and later; host empty: not heard
  resp::Address announced;  // +switch-master heard, not yet confirmed by a poll; host empty: none
  std::chrono::milliseconds down_after{0};  // SENTINEL MASTER: when it thinks that the master is down
  std::vector<resp::Address> replicas;
  std::vector<SentinelPeer> peers;
  std::vector<std::string> known_masters;  // unknown_master: the names it does watch
  TimePoint asked_at{};                    // when the last answered poll was sent

  [[nodiscard]] bool usable() const { return status == SentinelStatus::ok && !tilt && !vote.host.empty(); }
};

}  // namespace fairlead::health
