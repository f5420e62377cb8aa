// The Arbiter's early promotion: the replica that an elected Sentinel promotes is the route as soon as it
// says master. Sentinel announces it about a second later, when it has read the replica's INFO; until then
// the route is provisional.
#include <algorithm>
#include <utility>

#include "health/arbiter.hpp"

namespace fairlead::health {

using resp::to_string;

void Arbiter::note_selection(Election& election, const resp::Address& sentinel, const SentinelReport& report,
                             TimePoint now) {
  if (election.stage == ElectionStage::none || !report.usable()) return;
  election.epoch = std::max(election.epoch, report.election_epoch);
  if (report.selected == election.selected) return;
  election.selected = report.selected;
  election.selected_since = now;
  if (election.selected.host.empty()) return;
  say(EventKind::replica_selected, Severity::info, election.selected,
      "Sentinel " + to_string(sentinel) + " promotes " + to_string(election.selected));
}

void Arbiter::note_turn(const resp::Address& address, const ServerReport& before, const ServerReport& after,
                        TimePoint now) {
  if (!after.reachable) return;
  if (after.role != Role::master) {
    turned_.erase(address);
  } else if (before.role == Role::replica) {
    turned_.insert_or_assign(address, now);
  }
}

// An election against this master, by a Sentinel that may be believed, within its time.
bool Arbiter::is_against(const resp::Address& master, const Election& election, const resp::Address& sentinel,
                         TimePoint now) const {
  if (election.stage == ElectionStage::none) return false;
  const auto report = sentinel_reports_.find(sentinel);
  if (report == sentinel_reports_.end() || report->second.watching != master) return false;
  const bool elected = election.stage == ElectionStage::elected;
  return now - election.since < (elected ? options_.election_hold_max : options_.candidate_hold_max);
}

bool Arbiter::is_current(const Election& election, const resp::Address& sentinel, TimePoint now) const {
  return route_ && is_against(route_->address, election, sentinel, now);
}

bool Arbiter::is_failed_over(const resp::Address& master, TimePoint now) const {
  return std::any_of(elections_.begin(), elections_.end(),
                     [&](const auto& entry) { return is_against(master, entry.second, entry.first, now); });
}

// Of several leaders the one with the latest election: each of them had a majority, or an operator's order.
std::optional<Arbiter::Promotion> Arbiter::promotion_under_way(TimePoint now) const {
  std::optional<Promotion> best;
  for (const auto& [sentinel, election] : elections_) {
    if (election.selected.host.empty() || !is_current(election, sentinel, now)) continue;
    if (!sentinel_reports_.at(sentinel).usable() || election.selected == route_->address) continue;
    if (best && best->epoch >= election.epoch) continue;
    best = Promotion{election.selected, sentinel, election.epoch, election.selected_since};
  }
  return best ? best : promotion_seen(now);
}

// Without the leader's word, because its announcements are late or it cannot be reached from here: while a
// failover is under way, the one replica that turned into a master since it began, or shortly before it was
// heard of.
std::optional<Arbiter::Promotion> Arbiter::promotion_seen(TimePoint now) const {
  const Election* first = nullptr;
  resp::Address sentinel;
  std::uint64_t epoch = 0;
  for (const auto& [address, election] : elections_) {
    if (!is_current(election, address, now) || !sentinel_reports_.at(address).usable()) continue;
    epoch = std::max(epoch, election.epoch);
    if (first != nullptr && first->since <= election.since) continue;
    first = &election;
    sentinel = address;
  }
  if (first == nullptr) return std::nullopt;
  std::optional<Promotion> found;
  for (const auto& [address, when] : turned_) {
    if (address == route_->address || when + options_.candidate_hold_max < first->since) continue;
    if (found) return std::nullopt;  // two of them: whom Sentinel means is not to be guessed
    found = Promotion{address, sentinel, epoch, std::min(when, first->since)};
  }
  return found;
}

// Its leader was not heard, but a failover that was begun has made a master of a replica.
void Arbiter::watch_turn(TimePoint now) {
  if (provision_ || !with_sentinels()) return;
  const auto promotion = promotion_seen(now);
  if (promotion) suspect("its replica " + to_string(promotion->replica) + " became a master", now);
}

void Arbiter::try_promote(TimePoint now) {
  if (!options_.early_promotion || !with_sentinels() || conflict_ || provision_ || !lease_holds(now)) return;
  const auto promotion = promotion_under_way(now);
  const bool again =
      promotion && revoked_ && revoked_->address == promotion->replica && revoked_->epoch >= promotion->epoch;
  if (!promotion || again) {
    candidate_.reset();
    return;
  }
  candidate_ = promotion->replica;
  const auto found = server_reports_.find(promotion->replica);
  if (found == server_reports_.end()) return;
  const ServerReport& report = found->second;
  if (!can_serve(report) || report.asked_at <= promotion->since) return;
  say(EventKind::route_provisional, Severity::info, promotion->replica,
      "master from " + to_string(route_->address) + " to " + to_string(promotion->replica) + ", " +
          std::to_string(ms_between(closed_at_, now)) + " ms after the gate was closed; Sentinel " +
          to_string(promotion->sentinel) + " promotes it and has yet to announce it");
  provision_ = Provision{*route_, *promotion, now};
  // The term is the Sentinels' to give. One that was taken before they announced it would stay when the route
  // is taken back, and be the former master's as well.
  adopt(promotion->replica, route_->term, report, now);
}

/// Of the provisional route, once it is announced.
std::uint64_t Arbiter::promised_term() const {
  return std::max(provision_->former.term + 1, provision_->promotion.epoch);
}

void Arbiter::follow_provision(const Verdict& verdict, TimePoint now) {
  if (verdict.winner && verdict.winner->address == route_->address) return confirm_provision(*verdict.winner);
  if (verdict.winner) {
    take_back_provision("the Sentinels name " + to_string(verdict.winner->address), now);
    return follow_authority(now);
  }
  if (leader_gave_up()) return take_back_provision("the Sentinel that promoted it gave up", now);
  if (now - provision_->since >= options_.promotion_confirm_max) {
    take_back_provision(
        "no Sentinel announced it within " + std::to_string(options_.promotion_confirm_max.count()) + " ms",
        now);
  }
}

// It was asked after the promotion, leads no failover any more and still names the former master. A leader
// that succeeded names the promoted node from then on.
bool Arbiter::leader_gave_up() const {
  const auto found = sentinel_reports_.find(provision_->promotion.sentinel);
  if (found == sentinel_reports_.end()) return false;
  const SentinelReport& report = found->second;
  return report.usable() && report.asked_at > provision_->since && report.election == ElectionStage::none &&
         report.vote == provision_->former.address;
}

void Arbiter::confirm_provision(const Candidate& winner) {
  epoch_ = winner.epoch;
  // Who names it may not have said its epoch yet.
  route_->term = std::max(promised_term(), epoch_);
  provision_.reset();
  say(EventKind::route_confirmed, Severity::info, route_->address,
      "Sentinel announces " + to_string(route_->address) + " at config-epoch " + std::to_string(epoch_));
}

void Arbiter::take_back_provision(std::string why, TimePoint now) {
  const resp::Address address = route_->address;
  revoked_ = Candidate{address, std::max(provision_->promotion.epoch, epoch_)};
  say(EventKind::route_revoked, Severity::error, address,
      to_string(address) + " was followed before Sentinel announced it, and " + why +
          "; what was written there since may be lost; holding commands for " +
          to_string(provision_->former.address));
  route_ = provision_->former;
  provision_.reset();
  if (state_ != GroupState::suspect) transition(GroupState::suspect, now);
  suspicion_ = Suspicion{now, std::move(why), {}, 0, options_.suspect_confirm, false};
  outcome_.look_now = true;
}

}  // namespace fairlead::health
