// The Arbiter on guard: a master that was restarted faster than Sentinel noticed, the lease of strict mode,
// and what must be known again after a restart of the proxy itself.
#include <algorithm>
#include <set>
#include <utility>

#include "health/arbiter.hpp"

namespace fairlead::health {

using resp::to_string;

// --- Restarted

void Arbiter::enter_restarted(TimePoint now) {
  std::string run_id = suspicion_->run_id;
  say(EventKind::route_restarted, Severity::error, route_->address,
      to_string(route_->address) +
          " is another process than before (run id changed): what it had not written to "
          "disk is lost; let it persist, or restart slower than Sentinel's down-after");
  transition(GroupState::restarted, now);
  restart_ = Restart{std::move(run_id), false};
}

void Arbiter::try_trust_restarted(TimePoint now) {
  const auto found = server_reports_.find(route_->address);
  if (found == server_reports_.end()) return;
  const ServerReport& report = found->second;
  if (!can_serve(report) || report.run_id != restart_->run_id) {
    transition(GroupState::suspect, now);
    suspicion_ = Suspicion{now, "it was restarted and is not good", {}, 0, options_.suspect_confirm, true};
    return;
  }
  if (conflict_ || election_active(now) || announced_elsewhere()) return;
  const std::string reason = reason_to_trust(report);
  if (reason.empty()) {
    if (std::exchange(restart_->told, true)) return;
    say(EventKind::restart_held, Severity::error, route_->address,
        to_string(route_->address) +
            " has no keys and no append-only file after its restart: commands wait, so that nobody works on "
            "an "
            "empty data set; order a failover to a replica that still has the data (SENTINEL FAILOVER), or "
            "accept it as it is (kill -USR2 to fairlead), or set [failover] restarted = \"accept\" for a "
            "cache");
    return;
  }
  say(EventKind::restart_accepted, Severity::warning, route_->address,
      to_string(route_->address) + " is trusted again after its restart: " + reason);
  const Candidate same{route_->address, epoch_};
  aim_at(same, now);
}

// Keys alone prove little: a snapshot may be old. But then it is what Redis itself goes on with, and was
// configured so; only emptiness is certain to be wrong.
std::string Arbiter::reason_to_trust(const ServerReport& report) const {
  if (report.run_id == trusted_run_id_) return "the operator says so";
  if (options_.restarted == RestartPolicy::accept) return "[failover] restarted = accept";
  if (report.append_only) return "it has an append-only file";
  if (report.keys > 0) return "it has loaded " + std::to_string(report.keys) + " keys";
  const bool alone = std::none_of(server_reports_.begin(), server_reports_.end(),
                                  [&](const auto& entry) { return entry.first != route_->address; });
  return alone ? "no other server is known that could have more" : std::string();
}

Arbiter::Outcome Arbiter::on_restart_accepted(TimePoint now) {
  if (state_ != GroupState::restarted) return {};
  trusted_run_id_ = restart_->run_id;
  evaluate(now);
  return finish(now);
}

// --- Strict mode

// Never longer than a Sentinel's own patience: a majority that lost sight of the master when we lost sight of
// the majority elects another one after that.
std::chrono::milliseconds Arbiter::lease_length() const {
  auto length = options_.lease;
  for (const auto& [address, report] : sentinel_reports_) {
    if (report.down_after.count() > 0) length = std::min(length, report.down_after);
  }
  return length;
}

bool Arbiter::lease_holds(TimePoint now) const {
  return !options_.strict || !with_sentinels() || now < lease_until_;
}

void Arbiter::keep_lease(TimePoint now) {
  if (!options_.strict || !with_sentinels()) return;
  std::vector<TimePoint> heard;
  std::set<std::string> counted;
  for (const auto& [address, report] : sentinel_reports_) {
    const std::string who = report.run_id.empty() ? to_string(address) : report.run_id;
    if (report.usable() && counted.insert(who).second) heard.push_back(report.asked_at);
  }
  std::sort(heard.rbegin(), heard.rend());
  const std::size_t needed = known_sentinels() / 2;  // the last one of a majority, from 0
  if (heard.size() > needed) lease_until_ = std::max(lease_until_, heard[needed] + lease_length());
  if (state_ == GroupState::steady && now >= lease_until_) {
    say(EventKind::route_isolated, Severity::error, route_->address,
        "strict mode: no majority of the Sentinels answered within " +
            std::to_string(lease_length().count()) + " ms; nothing is sent to " + to_string(route_->address) +
            " until one does; check the network between fairlead and the Sentinels");
    transition(GroupState::isolated, now);
  } else if (state_ == GroupState::isolated && now < lease_until_) {
    transition(GroupState::suspect, now);
    suspicion_ = Suspicion{now, "the Sentinels answer again", {}, 0, options_.suspect_confirm, false};
  }
}

// --- Memory

// A majority that names a master of an older time is followed only when it stays with that: the Sentinels
// were configured anew. A single stale one is not followed at all.
Verdict Arbiter::not_below_memory(Verdict verdict, const std::vector<Vote>& votes) const {
  if (!memory_ || !verdict.winner) return verdict;
  // The route was provisional: the promotion may be true, and the Sentinel that led it can be the last to
  // answer.
  const bool before_promotion = verdict.winner->epoch < memory_->promised;
  const bool older_master = verdict.winner->address != memory_->address;
  if (before_promotion && older_master && hearing() == Hearing::incomplete) return {};
  if (verdict.winner->epoch >= memory_->epoch) return verdict;
  Verdict older;
  if (is_majority(count_votes(votes, verdict.winner->address), known_sentinels())) {
    older.outdated = verdict.winner;
  }
  return older;
}

// Told again whenever it changed; a provisional route is remembered with the former epoch, so that a process
// that is started meanwhile asks the Sentinels.
void Arbiter::note_route() {
  if (!route_ || state_ != GroupState::steady) return;
  Remembered now{route_->address, route_->run_id, route_->term, epoch_, provision_ ? promised_term() : 0};
  if (remembered_ == now) return;
  remembered_ = now;
  outcome_.remember = std::move(now);
}

// --- The operator's word about servers

std::string Arbiter::why_not(const resp::Address& address, Standing standing) const {
  const std::string name = to_string(address);
  if (!server_reports_.contains(address)) return "there is no server " + name + "; SHOW SERVERS lists them";
  if (standing == Standing::ready) return {};
  const bool is_route = route_ && route_->address == address;
  const bool becomes_route =
      (target_ && target_->address == address) || (candidate_ && *candidate_ == address);
  if (is_route && with_sentinels()) {
    return name + " is the master; FAILOVER makes a replica the master first";
  }
  if (is_route) return name + " is the master; make another server the master first (REPLICAOF)";
  if (becomes_route) return name + " is about to be the master; wait until that is settled";
  if (standing == Standing::drain && with_sentinels()) {
    return name +
           " is a replica, and no commands go to replicas: there is nothing to drain; MAINT says that "
           "it may be down";
  }
  return {};
}

Arbiter::Outcome Arbiter::on_standing(const resp::Address& address, Standing standing, TimePoint now) {
  if (!why_not(address, standing).empty() || standing_of(address) == standing) return {};
  std::string text = to_string(address);
  if (standing == Standing::ready) {
    standings_.erase(address);
    text += " is READY again";
  } else {
    standings_[address] = standing;
    text += standing == Standing::maint ? " is in MAINT" : " is in DRAIN";
    text += with_sentinels() ? ": that it is down is meant; Sentinel may still promote it, which CONFIG SET "
                               "replica-priority 0 on it prevents"
                             : ": it is not followed as a master until it is READY";
  }
  say(EventKind::server_standing, Severity::info, address, std::move(text));
  evaluate(now);
  return finish(now);
}

/// The Sentinels' word is stronger than the operator's mark: their master is the only one that there is.
void Arbiter::overrule_standing(const resp::Address& address) {
  if (standings_.erase(address) == 0) return;
  say(EventKind::server_standing, Severity::warning, address,
      to_string(address) +
          " is the master now, so it is READY again: the Sentinels promoted it although it "
          "was in MAINT");
}

// --- Options

Arbiter::Outcome Arbiter::on_options(Options options, TimePoint now) {
  options_ = std::move(options);
  for (const auto& address : options_.sentinels) sentinel_reports_.try_emplace(address);
  for (const auto& address : options_.servers) server_reports_.try_emplace(address);
  if (!with_sentinels()) {
    std::erase_if(server_reports_, [&](const auto& entry) {
      const auto& list = options_.servers;
      const bool wanted = std::find(list.begin(), list.end(), entry.first) != list.end();
      return !wanted && !(route_ && route_->address == entry.first);
    });
    std::erase_if(standings_, [&](const auto& entry) { return !server_reports_.contains(entry.first); });
  }
  refresh_watch();
  outcome_.watch_changed = true;
  evaluate(now);
  return finish(now);
}

}  // namespace fairlead::health
