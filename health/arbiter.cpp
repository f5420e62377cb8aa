#include "health/arbiter.hpp"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace fairlead::health {

namespace {

using resp::to_string;

bool is_legal(GroupState from, GroupState to) {
  switch (from) {
    case GroupState::init:
      return to == GroupState::switching;
    case GroupState::steady:
      return to == GroupState::suspect || to == GroupState::switching || to == GroupState::isolated;
    case GroupState::suspect:
      return to == GroupState::steady || to == GroupState::switching || to == GroupState::restarted;
    case GroupState::switching:
      return to == GroupState::steady || to == GroupState::suspect || to == GroupState::init;
    case GroupState::restarted:
      return to == GroupState::steady || to == GroupState::suspect || to == GroupState::switching;
    case GroupState::isolated:
      return to == GroupState::suspect || to == GroupState::switching;
  }
  return false;
}

}  // namespace

Arbiter::Arbiter(Options options, std::optional<Remembered> memory)
    : options_(std::move(options)),
      memory_(std::move(memory)),
      commands_(resp::CommandTable::built_in()),
      confirm_next_(options_.suspect_confirm) {}

Arbiter::Outcome Arbiter::start(TimePoint now) {
  closed_at_ = now;
  const std::chrono::milliseconds first_report{1000};
  next_waiting_report_ = now + std::min(options_.waiting_report_interval, first_report);
  for (const auto& address : options_.servers) server_reports_.try_emplace(address);
  for (const auto& address : options_.sentinels) sentinel_reports_.try_emplace(address);
  outcome_.watch_changed = true;
  if (memory_) {
    say(EventKind::term_remembered, Severity::info, memory_->address,
        "the last master was " + to_string(memory_->address) + " at term " + std::to_string(memory_->term) +
            " (config-epoch " + std::to_string(memory_->epoch) + "); nothing older is followed at once");
  }
  return finish(now);
}

Arbiter::Outcome Arbiter::on_server(const resp::Address& address, const ServerReport& report, TimePoint now) {
  const auto found = server_reports_.find(address);
  if (found == server_reports_.end()) return {};
  narrate_server(address, found->second, report, outcome_.events);
  note_turn(address, found->second, report, now);
  found->second = report;
  if (route_ && route_->address == address) weigh_route(report, now);
  evaluate(now);
  return finish(now);
}

Arbiter::Outcome Arbiter::on_sentinel(const resp::Address& address, const SentinelReport& report,
                                      TimePoint now) {
  const auto found = sentinel_reports_.find(address);
  if (found == sentinel_reports_.end()) return {};
  const SentinelReport before = std::exchange(found->second, report);
  narrate_sentinel(address, before, report, options_, outcome_.events);
  refresh_watch();
  if (report.usable() && route_ && report.watching == route_->address) {
    const auto name = "Sentinel " + to_string(address);
    const bool newly_down = (report.subjectively_down && !before.subjectively_down) ||
                            (report.objectively_down && !before.objectively_down);
    if (newly_down) suspect(name + " says that it is down", now);
  }
  note_election(address, report, now);
  if (announced_elsewhere() && report.announced != before.announced) {
    suspect("Sentinel " + to_string(address) + " announces " + to_string(report.announced) + " as master",
            now);
    outcome_.look_now = true;
  }
  evaluate(now);
  return finish(now);
}

Arbiter::Outcome Arbiter::on_signal(const Signal& signal, TimePoint now) {
  const bool about_route = route_ && route_->address == signal.server && state_ == GroupState::steady;
  if (!about_route || signal.topology_version < steady_version_) return {};
  if (signal.kind == SignalKind::login_failed) {
    // The server is what it was; holding commands would not make the password right, and the control
    // connection, which is logged in, would open the gate again at once.
    say(EventKind::server_login_failed, Severity::error, signal.server,
        to_string(signal.server) + " refused the login of a data connection (" + signal.detail +
            "); check [backend] username and password");
    return finish(now);
  }
  suspect(std::string("a data connection reports ") + to_string(signal.kind) +
              (signal.detail.empty() ? "" : " (" + signal.detail + ")"),
          now);
  evaluate(now);
  return finish(now);
}

Arbiter::Outcome Arbiter::on_commands(const resp::Address& address, const resp::Value& reply, TimePoint now) {
  auto learnt = resp::CommandTable::learn(reply);
  if (!learnt || learnt->commands().empty()) {
    say(EventKind::command_table_refused, Severity::warning, address,
        to_string(address) + " did not answer COMMAND with a table (" + reply.text +
            "); the commands of redis 7.0 are assumed; let the login run COMMAND");
    return finish(now);
  }
  say(EventKind::command_table_learnt, Severity::info, address,
      "learnt " + std::to_string(learnt->commands().size()) + " commands from " + to_string(address));
  commands_ = std::move(learnt);
  return finish(now);
}

Arbiter::Outcome Arbiter::on_tick(TimePoint now) {
  evaluate(now);
  return finish(now);
}

void Arbiter::transition(GroupState next, TimePoint now) {
  // In release too: a state that nobody thought of could send commands to two masters.
  if (!is_legal(state_, next)) std::abort();
  if (state_ == GroupState::steady) {
    closed_at_ = now;
    next_waiting_report_ = now + options_.waiting_report_interval;
  }
  state_ = next;
  if (next != GroupState::switching) target_.reset();
  if (next != GroupState::suspect) {
    suspicion_.reset();
    if (next != GroupState::restarted) candidate_.reset();
  }
  if (next != GroupState::restarted) restart_.reset();
  if (next != GroupState::steady) outcome_.look_now = true;
}

void Arbiter::evaluate(TimePoint now) {
  keep_lease(now);
  follow_authority(now);
  if (state_ == GroupState::steady) watch_turn(now);
  if (state_ == GroupState::suspect || state_ == GroupState::restarted) try_promote(now);
  if (state_ == GroupState::suspect) try_reopen(now);
  if (state_ == GroupState::restarted) try_trust_restarted(now);
  if (state_ == GroupState::switching) try_verify(now);
  note_rogues();
  report_waiting(now);
}

void Arbiter::follow_authority(TimePoint now) {
  const Verdict verdict = with_sentinels() ? verdict_of_sentinels() : verdict_of_roles();
  if (verdict.conflict && !conflict_) {
    const auto kind = with_sentinels() ? EventKind::sentinels_disagree : EventKind::two_masters;
    say(kind, Severity::error, {},
        with_sentinels()
            ? "the Sentinels name different masters at the same config-epoch and none has a majority"
            : "more than one server says it is the master; make all but one a replica (REPLICAOF)");
  }
  conflict_ = verdict.conflict;
  if (conflict_) suspect("several masters are named", now);
  if (provision_) return follow_provision(verdict, now);
  const auto chosen = verdict.winner ? verdict.winner : outlasting(verdict, now);
  if (!chosen) {
    if (state_ == GroupState::switching) review_switch(now);
    return;
  }
  const Candidate& winner = *chosen;
  if (route_ && winner.address == route_->address) {
    epoch_ = std::max(epoch_, winner.epoch);
    route_->term = std::max(route_->term, epoch_);
    const bool elsewhere = target_ && target_->address != route_->address;
    if (state_ == GroupState::switching && elsewhere) {
      transition(GroupState::suspect, now);
      suspicion_ = Suspicion{now, "the Sentinels name it again", {}, 0, options_.suspect_confirm, false};
    }
    return;
  }
  aim_at(winner, now);
  if (state_ == GroupState::switching) review_switch(now);
}

Verdict Arbiter::verdict_of_sentinels() const {
  const auto all = votes();
  if (!route_) return not_below_memory(first_verdict(all, known_sentinels(), hearing()), all);
  // Until it is confirmed, a provisional route has no epoch of its own to be compared with.
  if (provision_) {
    return next_verdict(all, known_sentinels(), {provision_->former.address, epoch_});
  }
  return next_verdict(all, known_sentinels(), {route_->address, epoch_});
}

// Without Sentinel: exactly one configured server says master. A present route is kept as long as it says so
// itself; a server that said master beside it may be a returned old master with old data, and is not followed
// before it was somebody's replica.
Verdict Arbiter::verdict_of_roles() const {
  if (!route_ && hearing() == Hearing::incomplete) return {};
  if (route_ && (says_master(route_->address) || (suspicion_ && !suspicion_->failed))) return {};
  if (state_ == GroupState::steady) return {};
  std::vector<resp::Address> masters;
  for (const auto& address : options_.servers) {
    const bool current = route_ && route_->address == address;
    if (current || rogues_.contains(address) || standing_of(address) != Standing::ready) continue;
    if (says_master(address)) masters.push_back(address);
  }
  if (masters.size() > 1) return {std::nullopt, std::nullopt, true};
  if (masters.empty()) return {};
  std::uint64_t term = route_ ? route_->term + 1 : 1;
  // The same process as before is the same term.
  if (memory_) term = memory_->address == masters.front() ? memory_->term : memory_->term + 1;
  return {Candidate{masters.front(), term}, std::nullopt, false};
}

// An outdated majority is followed when the route itself says it is no master, or when nothing else was heard
// for long.
std::optional<Candidate> Arbiter::outlasting(const Verdict& verdict, TimePoint now) {
  if (!verdict.outdated) {
    outdated_.reset();
    return std::nullopt;
  }
  if (outdated_ != verdict.outdated->address) outdated_since_ = now;
  outdated_ = verdict.outdated->address;
  const auto route = route_ ? server_reports_.find(route_->address) : server_reports_.end();
  const bool demoted =
      route != server_reports_.end() && route->second.reachable && route->second.role == Role::replica;
  if (!demoted && now - outdated_since_ < options_.outdated_patience) return std::nullopt;
  return verdict.outdated;
}

void Arbiter::aim_at(const Candidate& candidate, TimePoint now) {
  if (target_ && target_->address == candidate.address) {
    target_->epoch = std::max(target_->epoch, candidate.epoch);
    return;
  }
  if (state_ != GroupState::switching) transition(GroupState::switching, now);
  target_ = Target{candidate.address, candidate.epoch, now, {}, std::nullopt};
  outcome_.look_now = true;
  refresh_watch();
  // A restart aims at the same address again and was told as such.
  if (route_ && route_->address == candidate.address) return;
  say(EventKind::route_switching, Severity::warning, candidate.address,
      (route_ ? "the master is no longer " + to_string(route_->address) + " but "
              : std::string("the master is ")) +
          to_string(candidate.address) + " (config-epoch " + std::to_string(candidate.epoch) +
          "); verifying it");
}

// A target that cannot be verified is kept while anybody names it or its namers merely fell silent: a leader
// may die right after it promoted. It is given up when the others contradict it for a while, and its vote is
// then ignored until the node itself says master.
void Arbiter::review_switch(TimePoint now) {
  if (!target_ || (route_ && target_->address == route_->address)) return;
  if (!with_sentinels()) {
    const bool gone = route_ ? says_master(route_->address) : !says_master(target_->address);
    if (!gone) return;
    transition(route_ ? GroupState::suspect : GroupState::init, now);
    if (route_) suspicion_ = Suspicion{now, "it says master again", {}, 0, options_.suspect_confirm, false};
    return;
  }
  const auto all = votes();
  bool outvoted = false;
  for (const auto& vote : all) {
    if (vote.address == target_->address) continue;
    outvoted = outvoted || is_majority(count_votes(all, vote.address), known_sentinels());
    outvoted = outvoted || count_votes(all, target_->address) == 0;
  }
  if (!outvoted) {
    target_->contradicted_since.reset();
    return;
  }
  if (!target_->contradicted_since) target_->contradicted_since = now;
  if (now - *target_->contradicted_since < options_.contradiction_max) return;
  disbelieved_ = Candidate{target_->address, target_->epoch};
  say(EventKind::route_refused, Severity::error, target_->address,
      to_string(target_->address) +
          " was named master but is none, and the other Sentinels contradict; giving it up");
  transition(route_ ? GroupState::suspect : GroupState::init, now);
  if (route_)
    suspicion_ = Suspicion{now, "back from a failed switch", {}, 0, options_.suspect_confirm, false};
}

void Arbiter::suspect(std::string why, TimePoint now) {
  if (state_ != GroupState::steady) return;
  // A route whose evidence comes back as soon as it was restored would flap at the pace of the probes.
  const bool flapping = now - restored_at_ < options_.flap_window && restored_at_ != TimePoint{};
  confirm_next_ = flapping ? std::min(confirm_next_ * 2, confirm_max) : options_.suspect_confirm;
  say(EventKind::route_suspect, Severity::warning, route_->address,
      "holding commands for " + to_string(route_->address) + ": " + why);
  transition(GroupState::suspect, now);
  suspicion_ = Suspicion{now, std::move(why), {}, 0, confirm_next_, false};
}

void Arbiter::weigh_route(const ServerReport& report, TimePoint now) {
  if (state_ == GroupState::suspect) return count_good_probe(report);
  if (state_ != GroupState::steady) return;
  if (!report.reachable) {
    const bool slow = report.failure == LinkFailure::timed_out && report.missed < options_.probes_missed_max;
    const bool login = report.failure == LinkFailure::login_refused;
    if (!slow && !login) suspect("it is not reachable: " + report.last_error, now);
    return;
  }
  const auto fault = fault_of_master(route_->address, report);
  if (!fault.empty()) return suspect(fault, now);
  if (report.run_id != route_->run_id) suspect("it was restarted: another run id answers", now);
}

void Arbiter::count_good_probe(const ServerReport& report) {
  Suspicion& suspicion = *suspicion_;
  if (!can_serve(report)) {
    suspicion.good = 0;
    suspicion.failed = true;
    return;
  }
  if (report.asked_at <= suspicion.since) return;
  if (report.run_id != suspicion.run_id) suspicion.good = 0;
  suspicion.run_id = report.run_id;
  ++suspicion.good;
}

void Arbiter::try_reopen(TimePoint now) {
  const Suspicion& suspicion = *suspicion_;
  if (suspicion.good < suspicion.needed || conflict_) return;
  if (election_active(now) || announced_elsewhere() || !authority_confirms(suspicion.run_id)) return;
  if (suspicion.run_id != route_->run_id) return enter_restarted(now);
  if (!lease_holds(now)) return;
  say(EventKind::route_restored, Severity::info, route_->address,
      to_string(route_->address) + " is good again after " + std::to_string(ms_between(closed_at_, now)) +
          " ms");
  restored_at_ = now;
  transition(GroupState::steady, now);
}

void Arbiter::try_verify(TimePoint now) {
  const auto found = server_reports_.find(target_->address);
  if (found == server_reports_.end() || conflict_ || !lease_holds(now)) return;
  // Its successor may have been promoted already: what is written to it from now on would be lost.
  if (is_failed_over(target_->address, now)) return;
  const ServerReport& report = found->second;
  if (can_serve(report) && report.asked_at > target_->since) return open_route(report, now);
  const bool answered = report.reachable && report.asked_at > target_->since;
  const bool login = report.failure == LinkFailure::login_refused;
  if (!answered && !login) return;
  auto fault = fault_of_master(target_->address, report);
  if (fault.empty() || fault == target_->refusal) return;
  say(EventKind::route_refused, Severity::warning, target_->address, fault);
  target_->refusal = std::move(fault);
}

void Arbiter::open_route(const ServerReport& report, TimePoint now) {
  const bool moved = route_ && route_->address != target_->address;
  const auto from = moved ? "from " + to_string(route_->address) + " to " : std::string();
  const char* since = route_ ? " ms after the gate was closed" : " ms after the start";
  epoch_ = target_->epoch;
  const std::uint64_t term = term_of({target_->address, epoch_});
  say(EventKind::route_verified, Severity::info, target_->address,
      "master " + from + to_string(target_->address) + " at term " + std::to_string(term) + ", " +
          std::to_string(ms_between(closed_at_, now)) + since);
  revoked_.reset();
  const resp::Address address = target_->address;
  const bool restarted =
      memory_ && memory_->address == address && memory_->epoch == epoch_ && memory_->run_id != report.run_id;
  if (restarted) {
    say(EventKind::route_restarted, Severity::warning, address,
        to_string(address) +
            " was restarted while fairlead was not running: what it had not written to disk is lost");
  }
  adopt(address, term, report, now);
}

/// The config-epoch, unless that would be less than what was, or another master's: an address may be heard
/// before its epoch is, and who configures Sentinels anew lets them begin at 0.
std::uint64_t Arbiter::term_of(const Candidate& candidate) const {
  if (route_) {
    return std::max(candidate.epoch, route_->term + (route_->address == candidate.address ? 0U : 1U));
  }
  if (!memory_) return candidate.epoch;
  if (memory_->address == candidate.address) {
    return std::max({candidate.epoch, memory_->term, memory_->promised});
  }
  // The term of a provisional route was the one of the master before it, who may be this one.
  return std::max(candidate.epoch, memory_->term + (memory_->promised == 0 ? 1U : 0U));
}

void Arbiter::adopt(const resp::Address& address, std::uint64_t term, const ServerReport& report,
                    TimePoint now) {
  route_ = Route{address, report.run_id, report.redis_version, term, now};
  disbelieved_.reset();
  outdated_.reset();
  turned_.clear();
  memory_.reset();
  rogues_.erase(route_->address);
  overrule_standing(route_->address);
  transition(GroupState::steady, now);
  if (commands_run_id_ != report.run_id) {
    commands_run_id_ = report.run_id;
    outcome_.learn_from = route_->address;
  }
}

void Arbiter::note_election(const resp::Address& sentinel, const SentinelReport& report, TimePoint now) {
  Election& election = elections_[sentinel];
  const bool against_route = route_ && report.watching == route_->address;
  const bool rises = report.election > election.stage && report.usable();
  if (report.election == ElectionStage::none) election = {};
  if (rises) {
    election.stage = report.election;
    election.since = now;
  }
  note_selection(election, sentinel, report, now);
  if (!against_route || !rises) return;
  const bool elected = report.election == ElectionStage::elected;
  say(EventKind::election_started, Severity::info, sentinel,
      "Sentinel " + to_string(sentinel) + (elected ? " leads" : " begins") + " a failover of " +
          to_string(route_->address));
  // At the first word: an ordered failover promotes two to three of Sentinel's rounds later, and the earlier
  // the gate closes the surer what is in flight is answered and replicated by then.
  suspect("Sentinel " + to_string(sentinel) +
              (elected ? " leads a failover of it" : " asks for votes to fail it over"),
          now);
}

bool Arbiter::election_active(TimePoint now) const {
  return route_ && is_failed_over(route_->address, now);
}

bool Arbiter::announced_elsewhere() const {
  return std::any_of(sentinel_reports_.begin(), sentinel_reports_.end(), [&](const auto& entry) {
    const auto& report = entry.second;
    return report.usable() && !report.announced.host.empty() && route_ && report.announced != route_->address;
  });
}

// Before the old route opens again, at least one Sentinel that can be asked must still name it, as of after
// the doubt. With none to ask, the same process is let in again; a new one is not.
bool Arbiter::authority_confirms(const std::string& run_id) const {
  if (!with_sentinels()) return true;
  bool any = false;
  for (const auto& [address, report] : sentinel_reports_) {
    if (!report.usable()) continue;
    any = true;
    if (report.asked_at > suspicion_->since && report.vote == route_->address) return true;
  }
  return !any && run_id == route_->run_id;
}

}  // namespace fairlead::health
