// The Arbiter's other half: what it watches and counts, what it publishes and says. No state changes here.
#include <algorithm>
#include <set>
#include <utility>

#include "health/arbiter.hpp"

namespace fairlead::health {

namespace {

using resp::to_string;

bool same_offsets(const Topology& left, const Topology& right) {
  const auto same = [](const ServerView& a, const ServerView& b) { return a.offset == b.offset; };
  const auto& a = left.shards.front().servers;
  const auto& b = right.shards.front().servers;
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), same);
}

bool same_but_offsets(const Topology& left, const Topology& right) {
  const auto same_route = [](const std::optional<Route>& a, const std::optional<Route>& b) {
    if (a.has_value() != b.has_value()) return false;
    return !a ||
           (a->address == b->address && a->run_id == b->run_id && a->term == b->term && a->since == b->since);
  };
  const auto same_server = [](const ServerView& a, const ServerView& b) {
    return a.address == b.address && a.role == b.role && a.reachable == b.reachable && a.rogue == b.rogue &&
           a.run_id == b.run_id && a.last_error == b.last_error && a.standing == b.standing;
  };
  const auto same_sentinel = [](const SentinelView& a, const SentinelView& b) {
    return a.address == b.address && a.reachable == b.reachable && a.usable == b.usable &&
           a.run_id == b.run_id && a.vote == b.vote && a.config_epoch == b.config_epoch &&
           a.last_error == b.last_error;
  };
  const Shard& a = left.shards.front();
  const Shard& b = right.shards.front();
  return a.state == b.state && a.provisional == b.provisional && same_route(a.route, b.route) &&
         left.commands == right.commands &&
         std::equal(a.servers.begin(), a.servers.end(), b.servers.begin(), b.servers.end(), same_server) &&
         std::equal(left.sentinels.begin(), left.sentinels.end(), right.sentinels.begin(),
                    right.sentinels.end(), same_sentinel);
}

// A Sentinel met under two addresses (a name and an IP) is one Sentinel; its run id says so once it is known.
// True for the first of them only. There are sentinels_max at most, so they are simply compared.
bool is_first_met(const SentinelReport& report, std::vector<const SentinelReport*>& met) {
  const auto same = [&report](const SentinelReport* other) { return other->run_id == report.run_id; };
  if (!report.run_id.empty() && std::any_of(met.begin(), met.end(), same)) return false;
  met.push_back(&report);
  return true;
}

}  // namespace

std::vector<resp::Address> Arbiter::servers() const {
  std::vector<resp::Address> list;
  for (const auto& entry : server_reports_) list.push_back(entry.first);
  return list;
}

std::vector<resp::Address> Arbiter::sentinels() const {
  std::vector<resp::Address> list;
  for (const auto& entry : sentinel_reports_) list.push_back(entry.first);
  return list;
}

std::vector<Vote> Arbiter::votes() const {
  std::vector<Vote> list;
  std::vector<const SentinelReport*> counted;
  list.reserve(sentinel_reports_.size());
  counted.reserve(sentinel_reports_.size());
  for (const auto& [address, report] : sentinel_reports_) {
    if (!report.usable() || !is_first_met(report, counted)) continue;
    const bool disbelieved = disbelieved_ && report.vote == disbelieved_->address &&
                             report.config_epoch <= disbelieved_->epoch && !says_master(report.vote);
    if (!disbelieved) list.push_back({report.vote, report.config_epoch});
  }
  return list;
}

std::size_t Arbiter::known_sentinels() const {
  std::vector<const SentinelReport*> known;
  known.reserve(sentinel_reports_.size());
  for (const auto& [address, report] : sentinel_reports_) static_cast<void>(is_first_met(report, known));
  return known.size();
}

Hearing Arbiter::hearing() const {
  bool complete = true;
  if (with_sentinels()) {
    for (const auto& [address, report] : sentinel_reports_)
      complete &= report.status != SentinelStatus::unheard;
  } else {
    for (const auto& [address, report] : server_reports_) complete &= report.attempts > 0;
  }
  return complete ? Hearing::complete : Hearing::incomplete;
}

bool Arbiter::says_master(const resp::Address& address) const {
  const auto found = server_reports_.find(address);
  return found != server_reports_.end() && found->second.reachable && found->second.role == Role::master;
}

Standing Arbiter::standing_of(const resp::Address& address) const {
  const auto found = standings_.find(address);
  return found == standings_.end() ? Standing::ready : found->second;
}

bool Arbiter::is_rogue(const resp::Address& address) const {
  if (!route_ || route_->address == address || (target_ && target_->address == address)) return false;
  return says_master(address);
}

bool Arbiter::majority_is_ok() const {
  const auto ok = std::count_if(sentinel_reports_.begin(), sentinel_reports_.end(),
                                [](const auto& entry) { return entry.second.status == SentinelStatus::ok; });
  return is_majority(static_cast<std::size_t>(ok), sentinel_reports_.size());
}

void Arbiter::refresh_watch() {
  if (!with_sentinels()) return;
  refresh_sentinels();
  refresh_servers();
}

// Lists of unreachable Sentinels count as long as no majority answers: forgetting a Sentinel makes majorities
// easier to reach, so only a majority may forget.
void Arbiter::refresh_sentinels() {
  std::set<resp::Address> wanted(options_.sentinels.begin(), options_.sentinels.end());
  std::set<std::string> met;
  for (const auto& [address, report] : sentinel_reports_) {
    if (!report.run_id.empty() && wanted.contains(address)) met.insert(report.run_id);
  }
  const bool only_ok = majority_is_ok();
  for (const auto& [address, report] : sentinel_reports_) {
    if (only_ok && report.status != SentinelStatus::ok) continue;
    for (const auto& peer : report.peers) {
      if (!peer.run_id.empty() && met.contains(peer.run_id)) continue;
      if (wanted.size() < sentinels_max) wanted.insert(peer.address);
    }
  }
  for (const auto& address : wanted) {
    if (!sentinel_reports_.try_emplace(address).second) continue;
    outcome_.watch_changed = true;
    say(EventKind::sentinel_discovered, Severity::info, address, "discovered Sentinel " + to_string(address));
  }
  const auto dropped =
      std::erase_if(sentinel_reports_, [&](const auto& entry) { return !wanted.contains(entry.first); });
  std::erase_if(elections_, [&](const auto& entry) { return !wanted.contains(entry.first); });
  if (dropped > 0) outcome_.watch_changed = true;
}

void Arbiter::refresh_servers() {
  std::set<resp::Address> wanted;
  if (route_) wanted.insert(route_->address);
  if (target_) wanted.insert(target_->address);
  const auto want = [&](const resp::Address& address) {
    if (!address.host.empty() && wanted.size() < servers_max) wanted.insert(address);
  };
  const bool only_ok = majority_is_ok();
  for (const auto& [address, report] : sentinel_reports_) {
    if (only_ok && report.status != SentinelStatus::ok) continue;
    want(report.vote);
    want(report.watching);
    want(report.announced);
    want(report.selected);
    for (const auto& replica : report.replicas) want(replica);
  }
  for (const auto& address : wanted) {
    if (!server_reports_.try_emplace(address).second) continue;
    outcome_.watch_changed = true;
    say(EventKind::server_discovered, Severity::info, address, "discovered server " + to_string(address));
  }
  const auto dropped =
      std::erase_if(server_reports_, [&](const auto& entry) { return !wanted.contains(entry.first); });
  std::erase_if(rogues_, [&](const auto& entry) { return !wanted.contains(entry.first); });
  std::erase_if(turned_, [&](const auto& entry) { return !wanted.contains(entry.first); });
  std::erase_if(standings_, [&](const auto& entry) { return !wanted.contains(entry.first); });
  if (dropped > 0) outcome_.watch_changed = true;
}

// Told once per server and appearance, and only beside a steady route: during a failover the promoted node is
// a master before anybody announces it.
void Arbiter::note_rogues() {
  for (const auto& [address, report] : server_reports_) {
    if (report.reachable && report.role == Role::replica) rogues_.erase(address);
    if (state_ != GroupState::steady || !is_rogue(address)) continue;
    const bool first = rogues_.empty();
    const bool news = rogues_.insert_or_assign(address, report.run_id).second;
    if (!news) continue;
    say(EventKind::server_rogue, Severity::warning, address,
        to_string(address) + " says it is a master, but the route is " + to_string(route_->address) +
            "; nothing is sent to it");
    if (!with_sentinels() && first) {
      say(EventKind::two_masters, Severity::error, address,
          "both " + to_string(route_->address) + " and " + to_string(address) +
              " say they are the master; staying with " + to_string(route_->address) +
              "; make the other a replica (REPLICAOF)");
    }
  }
}

void Arbiter::report_waiting(TimePoint now) {
  if (state_ == GroupState::steady || now < next_waiting_report_) return;
  next_waiting_report_ = now + options_.waiting_report_interval;
  Waiting waiting;
  if (target_) waiting.wanted = target_->address;
  if (!target_ && route_) waiting.wanted = route_->address;
  if (suspicion_) waiting.why_suspect = suspicion_->why;
  if (restart_)
    waiting.why_suspect = to_string(route_->address) + " was restarted and may have lost its data";
  if (target_ && is_failed_over(target_->address, now)) {
    waiting.why_suspect = "a Sentinel is failing " + to_string(target_->address) + " over";
  }
  if (!lease_holds(now)) waiting.why_suspect = "strict mode: no majority of the Sentinels answers";
  if (conflict_) waiting.why_suspect = "several masters are named and none has a majority";
  auto text = explain_waiting(options_, server_reports_, sentinel_reports_, waiting);
  if (!with_sentinels() && !rogues_.empty()) {
    text += "; " + to_string(rogues_.begin()->first) +
            " says master but did so beside the lost one, and its data may be old: it is followed only after "
            "it was made "
            "a replica, or when fairlead is started again";
  }
  for (const auto& [address, standing] : standings_) {
    if (with_sentinels() || !says_master(address)) continue;
    text += "; " + to_string(address) + " says master, but the operator keeps it out (" +
            health::to_string(standing) + "); READY lets it be followed";
  }
  say(EventKind::no_master_waiting, Severity::error, waiting.wanted.value_or(resp::Address{}),
      std::move(text));
}

void Arbiter::say(EventKind kind, Severity severity, const resp::Address& subject, std::string text) {
  outcome_.events.push_back({kind, severity, subject, std::move(text)});
}

Topology Arbiter::draw() const {
  Topology picture;
  Shard shard;
  shard.state = state_;
  shard.route = route_;
  if (options_.strict && with_sentinels()) shard.lease_until = lease_until_;
  shard.provisional = state_ == GroupState::steady && provision_.has_value();
  shard.servers.reserve(server_reports_.size());
  picture.sentinels.reserve(sentinel_reports_.size());
  for (const auto& [address, report] : server_reports_) {
    ServerView view;
    view.address = address;
    view.role = report.reachable ? report.role : Role::unknown;
    view.reachable = report.reachable;
    view.rogue = is_rogue(address);
    view.standing = standing_of(address);
    view.run_id = report.run_id;
    view.offset = report.offset;
    view.last_error = report.last_error;
    if (view.last_error.empty() && report.loading) view.last_error = "loading its data set";
    shard.servers.push_back(std::move(view));
  }
  picture.shards.push_back(std::move(shard));
  for (const auto& [address, report] : sentinel_reports_) {
    SentinelView view;
    view.address = address;
    view.reachable = report.status != SentinelStatus::unheard && report.status != SentinelStatus::unreachable;
    view.usable = report.usable();
    view.run_id = report.run_id;
    view.vote = report.vote;
    view.config_epoch = report.config_epoch;
    view.last_error = report.last_error;
    if (view.last_error.empty() && report.tilt) view.last_error = "in TILT mode";
    picture.sentinels.push_back(std::move(view));
  }
  picture.commands = commands_;
  return picture;
}

void Arbiter::publish(TimePoint now) {
  Topology next = draw();
  const auto lease_gained =
      topology_ ? next.shards.front().lease_until - topology_->shards.front().lease_until : Duration{0};
  if (topology_ && same_but_offsets(*topology_, next) && lease_gained < options_.lease / 8) {
    // Offsets move with every write; alone they are worth a publication only now and then.
    if (same_offsets(*topology_, next) || now - published_at_ < options_.probe_interval) return;
  }
  next.version = topology_ ? topology_->version + 1 : 1;
  const bool was_steady = topology_ && topology_->shards.front().state == GroupState::steady;
  if (state_ == GroupState::steady && !was_steady) steady_version_ = next.version;
  published_at_ = now;
  topology_ = std::make_shared<const Topology>(std::move(next));
  outcome_.topology = topology_;
}

Arbiter::Outcome Arbiter::finish(TimePoint now) {
  note_route();
  publish(now);
  return std::exchange(outcome_, Outcome{});
}

}  // namespace fairlead::health
