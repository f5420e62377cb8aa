// How a model Sentinel fails over: votes, the leader's steps, and what it announces at each of them.
#include <algorithm>

#include "tests/sim/sentinel_node.hpp"
#include "tests/sim/world.hpp"

namespace fairlead::sim {

namespace {

constexpr Milliseconds desynchronisation{1000};
constexpr Milliseconds election_timeout_max{10000};
constexpr std::size_t parallel_syncs = 1;  // Sentinel's default

}  // namespace

void SentinelNode::maybe_start_failover() {
  if (!objectively_down_ || failover_ != Failover::none) return;
  if (failover_start_ != TimePoint{} &&
      world_.now() - failover_start_ < world_.options().failover_timeout * 2) {
    return;
  }
  start_failover(false);
}

bool SentinelNode::force_failover() {
  if (!alive_ || in_tilt() || failover_ != Failover::none || !best_replica()) return false;
  start_failover(true);
  return true;
}

void SentinelNode::start_failover(bool forced) {
  forced_ = forced;
  failover_ = Failover::wait_start;
  failover_epoch_ = ++current_epoch_;
  failover_start_ = state_since_ = world_.now();
  if (!forced) failover_start_ += Microseconds(world_.random().between(0, desynchronisation.count() * 1000));
  votes_ = {};
  announce("+new-epoch", std::to_string(current_epoch_));
  announce_master("+try-failover");
  if (forced) return;
  votes_.insert(index_);
  voted_epoch_ = failover_epoch_;
  voted_for_ = index_;
  ask_votes();
}

void SentinelNode::ask_votes() {
  for (std::size_t i = 0; i < world_.options().sentinels; ++i) {
    if (i == index_) continue;
    SentinelNode& peer = world_.sentinel(i);
    post_to(peer, [this, &peer, epoch = failover_epoch_, life = life_] {
      if (!peer.alive_ || peer.in_tilt()) return;
      const auto leader = peer.on_vote_request(epoch, index_);
      if (!leader) return;
      peer.post_to(*this, [this, epoch, voter = peer.index_, leader = *leader, life] {
        if (alive_ && life == life_) on_vote(epoch, voter, leader);
      });
    });
  }
}

std::optional<std::size_t> SentinelNode::on_vote_request(std::uint64_t epoch, std::size_t candidate) {
  if (epoch > current_epoch_) {
    current_epoch_ = epoch;
    announce("+new-epoch", std::to_string(epoch));
  }
  if (voted_epoch_ < epoch && current_epoch_ <= epoch) {
    voted_epoch_ = epoch;
    voted_for_ = candidate;
    // Whoever voted for somebody does not try itself for a while.
    failover_start_ =
        world_.now() + Microseconds(world_.random().between(0, desynchronisation.count() * 1000));
  }
  if (voted_epoch_ != epoch) return std::nullopt;
  return voted_for_;
}

void SentinelNode::on_vote(std::uint64_t epoch, std::size_t voter, std::size_t leader) {
  if (failover_ == Failover::wait_start && epoch == failover_epoch_ && leader == index_) votes_.insert(voter);
}

void SentinelNode::run_failover() {
  const auto in_state = world_.now() - state_since_;
  switch (failover_) {
    case Failover::none:
      return;
    case Failover::wait_start:
      return wait_start();
    case Failover::select_replica:
      return select_replica();
    case Failover::send_promotion:
      failover_ = Failover::wait_promotion;
      state_since_ = world_.now();
      announce_replica("+failover-state-wait-promotion", promoted_);
      world_.note_promoting(promoted_);
      world_.note_order(failover_epoch_, promoted_);
      order(promoted_, std::nullopt);
      return;
    case Failover::wait_promotion:
      if (in_state > world_.options().failover_timeout) abort_failover("slave-timeout");
      return;
    case Failover::reconf_replicas:
      return reconfigure();
  }
}

void SentinelNode::wait_start() {
  const std::size_t needed = std::max(world_.options().sentinels / 2 + 1, world_.options().quorum());
  if (forced_ || votes_.size() >= needed) {
    failover_ = Failover::select_replica;
    state_since_ = world_.now();
    announce_master("+elected-leader");
    announce_master("+failover-state-select-slave");
    return;
  }
  const auto timeout = std::min<health::Duration>(election_timeout_max, world_.options().failover_timeout);
  if (world_.now() - state_since_ > timeout) {
    abort_failover("not-elected");
  } else if (world_.now() - asked_opinions_at_ < Milliseconds(100)) {
    ask_votes();  // who was asked whether the master is down is asked for its vote with the same message
  }
}

void SentinelNode::select_replica() {
  const auto best = best_replica();
  if (!best) return abort_failover("no-good-slave");
  promoted_ = *best;
  failover_ = Failover::send_promotion;
  state_since_ = world_.now();
  announce_replica("+selected-slave", promoted_);
  announce_replica("+failover-state-send-slaveof-noone", promoted_);
}

/// Those that answer and were seen lately; the most advanced of them.
std::optional<std::size_t> SentinelNode::best_replica() const {
  std::optional<std::size_t> best;
  const auto fresh = subjectively_down_ ? Milliseconds(5000) : Milliseconds(30000);
  for (std::size_t i = 0; i < seen_.size(); ++i) {
    const Seen& seen = seen_[i];
    if (i == master_ || is_down(seen) || seen.says_master || seen.says_follows != master_) continue;
    if (world_.now() - seen.info_at > fresh || world_.now() - seen.answered_at > Milliseconds(5000)) continue;
    if (!best || seen.offset > seen_[*best].offset) best = i;
  }
  return best;
}

/// A replica that the failover under way has yet to lead to the promoted one.
bool SentinelNode::is_left_to_follow(std::size_t server) const {
  return server != promoted_ && server != master_ && seen_[server].reconf != Reconf::done;
}

/// While the promoted one cannot be reached a failover does not end, not even with its time.
void SentinelNode::reconfigure() {
  reconfigure_next();
  if (is_down(seen_[promoted_])) return;
  bool done = true;
  for (std::size_t i = 0; i < seen_.size(); ++i) {
    if (is_left_to_follow(i) && !is_down(seen_[i])) done = false;
  }
  const bool late = world_.now() - state_since_ > world_.options().failover_timeout;
  if (!done && !late) return;
  if (late) announce_master("+failover-end-for-timeout");
  announce_master("+failover-end");
  if (late) reconfigure_rest();
  adopt(promoted_);
  say_hello();
}

/// Each is told once only. Whoever does not follow is not told again, so that no late order meets a replica
/// that another leader has promoted meanwhile; it is corrected when the failover is over.
void SentinelNode::reconfigure_next() {
  std::size_t under_way = 0;
  for (const Seen& seen : seen_) {
    if (seen.reconf == Reconf::sent || seen.reconf == Reconf::in_progress) ++under_way;
  }
  for (std::size_t i = 0; i < seen_.size() && under_way < parallel_syncs; ++i) {
    if (!is_left_to_follow(i) || seen_[i].reconf != Reconf::none || is_down(seen_[i])) continue;
    announce_replica("+slave-reconf-sent", i);
    seen_[i].reconf = Reconf::sent;
    order(i, promoted_);
    ++under_way;
  }
}

/// The best that can be done for the others when the time is over.
void SentinelNode::reconfigure_rest() {
  for (std::size_t i = 0; i < seen_.size(); ++i) {
    if (!is_left_to_follow(i) || seen_[i].reconf == Reconf::sent || is_down(seen_[i])) continue;
    announce_replica("+slave-reconf-sent-be", i);
    order(i, promoted_);
  }
}

void SentinelNode::note_reconfigured(std::size_t server) {
  Seen& seen = seen_[server];
  if (seen.says_master) return;
  if (seen.reconf == Reconf::sent && seen.says_follows == promoted_) {
    seen.reconf = Reconf::in_progress;
    announce_replica("+slave-reconf-inprog", server);
  }
  if (seen.reconf == Reconf::in_progress && seen.link_up) {
    seen.reconf = Reconf::done;
    announce_replica("+slave-reconf-done", server);
  }
}

void SentinelNode::abort_failover(const std::string& why) {
  announce_master("-failover-abort-" + why);
  failover_ = Failover::none;
  state_since_ = world_.now();
}

}  // namespace fairlead::sim
