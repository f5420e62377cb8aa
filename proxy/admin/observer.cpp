#include "proxy/admin/observer.hpp"

#include <algorithm>
#include <utility>

namespace fairlead::proxy {

namespace {

using std::chrono::duration;
using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// Two baselines of half a minute: what is told of "the last minute" is of 30 to 60 seconds.
constexpr seconds baseline_interval{30};
constexpr std::size_t slow_shown_max = 128;
constexpr std::size_t keys_shown_max = 32;
constexpr std::size_t clients_shown_max = 256;
constexpr std::size_t links_shown_max = 256;

std::int64_t unix_ms(WallTime at) {
  return duration_cast<milliseconds>(at.time_since_epoch()).count();
}

double per_second(std::uint64_t before, std::uint64_t after, double elapsed_s) {
  return elapsed_s <= 0 || after < before ? 0 : static_cast<double>(after - before) / elapsed_s;
}

template <typename T, typename Less>
void sort_and_cut(std::vector<T>& items, std::size_t count_max, Less less) {
  std::stable_sort(items.begin(), items.end(), less);
  if (items.size() > count_max) items.resize(count_max);
}

}  // namespace

Observer::Observer(ObserverOptions options, OutageLog::Moment started)
    : options_(std::move(options)), started_(started), last_sample_at_(started.now) {
  older_.at = newer_.at = started.now;
}

void Observer::on_topology(const health::TopologyPtr& topology, OutageLog::Moment at) {
  kept_.topology = topology;
  outages_.on_topology(*topology, at);
  std::map<resp::Address, ServerHistory> servers;
  for (const health::ServerView& view : topology->shards.front().servers) {
    ServerHistory history;
    if (const auto known = kept_.servers.find(view.address); known != kept_.servers.end()) {
      history = known->second;
      kept_.servers.erase(known);
    } else if (const auto gone = gone_.find(view.address); gone != gone_.end()) {
      history = gone->second;
      gone_.erase(gone);
    } else {
      history.changed_at = at.now;
      history.reachable = view.reachable;
    }
    if (history.reachable != view.reachable) {
      if (view.reachable) {
        history.downtime += duration_cast<milliseconds>(at.now - history.changed_at);
      } else {
        ++history.downs;
      }
      history.reachable = view.reachable;
      history.changed_at = at.now;
    }
    servers.emplace(view.address, history);
  }
  if (gone_.size() + kept_.servers.size() <= gone_servers_max) gone_.merge(kept_.servers);
  kept_.servers = std::move(servers);
}

void Observer::on_event(const health::Event& event, WallTime at) {
  outages_.on_event(event);
  events_.push_front({at, event});
  if (events_.size() > events_max) events_.pop_back();
}

void Observer::on_reports(const std::vector<WorkerReport>& reports, OutageLog::Moment at) {
  const engine::Stats total = sum(reports);
  count_for_route(kept_.total, total);
  kept_.total = total;
  kept_.workers = reports.size();
  kept_.buffer_bytes = 0;
  for (const WorkerReport& report : reports) kept_.buffer_bytes += report.buffer_bytes;
  kept_.clients.set(total.clients_now);
  kept_.links.set(total.links_now);
  kept_.held.set(total.held_now);
  outages_.on_stats(total, at.now);
}

void Observer::count_for_route(const engine::Stats& before, const engine::Stats& after) {
  if (!kept_.topology || !kept_.topology->shards.front().route) return;
  const auto found = kept_.servers.find(kept_.topology->shards.front().route->address);
  for (auto& [address, server] : kept_.servers) {
    if (found == kept_.servers.end() || address != found->first) server.links.set(0);
  }
  if (found == kept_.servers.end()) return;
  ServerHistory& server = found->second;
  server.links.set(after.links_now);
  server.links_opened += after.links_opened - before.links_opened;
  server.links_failed += after.links_failed - before.links_failed;
  server.bytes_in += after.backend_bytes_out - before.backend_bytes_out;
  server.bytes_out += after.backend_bytes_in - before.backend_bytes_in;
  server.replies += after.replies - before.replies;
  server.error_replies += after.error_replies - before.error_replies;
  server.redispatched += after.redispatched - before.redispatched;
}

void Observer::on_telemetry(const std::vector<engine::TelemetrySnapshot>& workers, OutageLog::Moment at) {
  merge_commands(workers, at.now);
  merge_keys(workers);
  engine::Histogram all;
  for (const auto& [name, row] : commands_) {
    if (!row.blocking) all.merge(row.durations);
  }
  engine::Histogram since_last = all;
  since_last.subtract(all_at_last_sample_);
  all_at_last_sample_ = all;
  add_sample(since_last, at);
}

void Observer::merge_commands(const std::vector<engine::TelemetrySnapshot>& workers, health::TimePoint now) {
  std::map<std::string, CommandRow> merged;
  for (const auto& worker : workers) {
    for (const engine::CommandMeter& meter : worker.commands) {
      CommandRow& row = merged[meter.name];
      row.name = meter.name;
      row.calls += meter.calls;
      row.errors += meter.errors;
      row.blocking = meter.blocking;
      row.durations.merge(meter.durations);
    }
  }
  const double elapsed = duration<double>(now - older_.at).count();
  for (auto& [name, row] : merged) {
    const auto before = older_.commands.find(name);
    row.last_minute = row.durations;
    std::uint64_t calls_before = 0;
    if (before != older_.commands.end()) {
      row.last_minute.subtract(before->second.durations);
      calls_before = before->second.calls;
    }
    row.rate = per_second(calls_before, row.calls, elapsed);
  }
  commands_ = std::move(merged);
  if (now - newer_.at >= baseline_interval) {
    older_ = std::move(newer_);
    newer_ = {now, commands_};
  }
}

void Observer::merge_keys(const std::vector<engine::TelemetrySnapshot>& workers) {
  std::map<std::string, engine::HotKey> hot;
  std::map<std::string, engine::BigKey> big;
  kept_.hot_samples = 0;
  kept_.slow.clear();
  kept_.client_rows.clear();
  kept_.link_rows.clear();
  kept_.turns = {};
  for (const auto& worker : workers) {
    kept_.hot_samples += worker.hot_samples;
    for (const engine::HotKey& key : worker.hot) {
      engine::HotKey& sum_of = hot[key.key];
      sum_of = {key.key, sum_of.count + key.count, sum_of.error + key.error};
    }
    for (const engine::BigKey& key : worker.big) {
      engine::BigKey& largest = big[key.key];
      if (key.bytes > largest.bytes) largest = key;
    }
    kept_.slow.insert(kept_.slow.end(), worker.slow.begin(), worker.slow.end());
    kept_.client_rows.insert(kept_.client_rows.end(), worker.clients.begin(), worker.clients.end());
    kept_.link_rows.insert(kept_.link_rows.end(), worker.links.begin(), worker.links.end());
    kept_.turns.merge(worker.turns);
  }
  kept_.hot.clear();
  kept_.big.clear();
  for (auto& [key, entry] : hot) kept_.hot.push_back(std::move(entry));
  for (auto& [key, entry] : big) kept_.big.push_back(std::move(entry));
  sort_and_cut(kept_.hot, keys_shown_max, [](const auto& a, const auto& b) { return a.count > b.count; });
  sort_and_cut(kept_.big, keys_shown_max, [](const auto& a, const auto& b) { return a.bytes > b.bytes; });
  sort_and_cut(kept_.slow, slow_shown_max, [](const auto& a, const auto& b) { return a.at > b.at; });
  sort_and_cut(kept_.client_rows, clients_shown_max, [](const auto& a, const auto& b) {
    return a.in_flight + a.unread_bytes + a.unsent_bytes > b.in_flight + b.unread_bytes + b.unsent_bytes;
  });
  sort_and_cut(kept_.link_rows, links_shown_max, [](const auto& a, const auto& b) {
    return a.in_flight + a.unsent_bytes > b.in_flight + b.unsent_bytes;
  });
}

void Observer::add_sample(const engine::Histogram& since_last, OutageLog::Moment at) {
  const double elapsed = duration<double>(at.now - last_sample_at_).count();
  const engine::Stats& before = stats_at_last_sample_;
  const engine::Stats& after = kept_.total;
  HistorySample sample;
  sample.unix_ms = unix_ms(at.wall);
  sample.commands = per_second(before.commands, after.commands, elapsed);
  sample.errors = per_second(before.error_replies, after.error_replies, elapsed);
  sample.bytes_in = per_second(before.client_bytes_in, after.client_bytes_in, elapsed);
  sample.bytes_out = per_second(before.client_bytes_out, after.client_bytes_out, elapsed);
  sample.clients = after.clients_now;
  sample.held = after.held_now;
  sample.p50_ns = since_last.quantile(0.5);
  sample.p99_ns = since_last.quantile(0.99);
  sample.p999_ns = since_last.quantile(0.999);
  kept_.history.push_back(sample);
  if (kept_.history.size() > history_max) kept_.history.pop_front();
  const auto whole = [](double rate) { return static_cast<std::uint64_t>(rate + 0.5); };
  kept_.commands_rate.set(whole(sample.commands));
  kept_.clients_rate.set(whole(per_second(before.clients_accepted, after.clients_accepted, elapsed)));
  if (kept_.topology && kept_.topology->shards.front().route) {
    const auto found = kept_.servers.find(kept_.topology->shards.front().route->address);
    if (found != kept_.servers.end()) {
      found->second.rate.set(whole(per_second(before.links_opened, after.links_opened, elapsed)));
    }
  }
  stats_at_last_sample_ = after;
  last_sample_at_ = at.now;
}

AdminSnapshot Observer::snapshot(OutageLog::Moment at) const {
  AdminSnapshot copy = kept_;
  copy.taken = at.wall;
  copy.now = at.now;
  copy.uptime_s = duration<double>(at.now - started_.now).count();
  copy.version = options_.version;
  copy.clients_max = options_.clients_max;
  copy.leased_links_max = options_.leased_links_max;
  copy.failovers = outages_.failovers();
  copy.interruptions = outages_.interruptions();
  copy.failover_durations = outages_.durations();
  copy.outages.assign(outages_.outages().begin(), outages_.outages().end());
  copy.events.assign(events_.begin(), events_.end());
  for (const auto& [name, row] : commands_) copy.commands.push_back(row);
  std::stable_sort(copy.commands.begin(), copy.commands.end(),
                   [](const CommandRow& a, const CommandRow& b) { return a.calls > b.calls; });
  return copy;
}

}  // namespace fairlead::proxy
