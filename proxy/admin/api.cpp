#include "proxy/admin/api.hpp"

#include <algorithm>
#include <boost/json.hpp>

#include "proxy/admin/api_parts.hpp"
#include "proxy/admin/haproxy_table.hpp"
#include "proxy/admin/text.hpp"
#include "proxy/metrics.hpp"

namespace fairlead::proxy {

namespace {

using boost::json::array;
using boost::json::object;
using std::chrono::duration_cast;
using std::chrono::milliseconds;

/// A moment of the machines' clock as wall time.
std::int64_t unix_ms(const AdminSnapshot& s, health::TimePoint at) {
  return to_unix_ms(s.taken) - duration_cast<milliseconds>(s.now - at).count();
}

std::string address_text(const resp::Address& address) {
  return address.host.empty() ? std::string() : printable(resp::to_string(address));
}

const health::Shard* shard_of(const AdminSnapshot& s) {
  return s.topology ? &s.topology->shards.front() : nullptr;
}

std::int64_t offset_of_master(const health::Shard& shard) {
  if (!shard.route) return -1;
  for (const health::ServerView& view : shard.servers) {
    if (view.address == shard.route->address) return view.offset;
  }
  return -1;
}

array servers_json(const AdminSnapshot& s) {
  array list;
  const health::Shard* shard = shard_of(s);
  if (shard == nullptr) return list;
  const std::int64_t master_offset = offset_of_master(*shard);
  for (const health::ServerView& view : shard->servers) {
    const bool is_master = shard->route && shard->route->address == view.address;
    const bool lag_known = !is_master && view.offset >= 0 && master_offset >= 0 && view.reachable;
    object row;
    row["address"] = address_text(view.address);
    row["role"] = health::to_string(view.role);
    row["is_route"] = is_master;
    row["reachable"] = view.reachable;
    row["rogue"] = view.rogue;
    row["standing"] = health::to_string(view.standing);
    row["run_id"] = printable(view.run_id);
    row["offset"] = view.offset;
    // Both are asked at different moments: a replica may seem to be ahead.
    row["lag_bytes"] = lag_known ? std::max<std::int64_t>(0, master_offset - view.offset) : -1;
    row["last_error"] = printable(view.last_error);
    if (is_master) row["term"] = shard->route->term;
    const auto found = s.servers.find(view.address);
    if (found != s.servers.end()) {
      row["changed_ms"] = unix_ms(s, found->second.changed_at);
      row["downs"] = found->second.downs;
      row["links"] = found->second.links.now;
      row["replies"] = found->second.replies;
    }
    list.push_back(std::move(row));
  }
  return list;
}

array sentinels_json(const AdminSnapshot& s) {
  array list;
  if (!s.topology) return list;
  for (const health::SentinelView& view : s.topology->sentinels) {
    list.push_back(object{{"address", address_text(view.address)},
                          {"reachable", view.reachable},
                          {"usable", view.usable},
                          {"run_id", printable(view.run_id)},
                          {"vote", address_text(view.vote)},
                          {"config_epoch", view.config_epoch},
                          {"last_error", printable(view.last_error)}});
  }
  return list;
}

array failovers_json(const AdminSnapshot& s) {
  array list;
  for (const Outage& outage : s.outages) {
    list.push_back(object{{"id", outage.id},
                          {"kind", outage.ongoing                        ? "ongoing"
                                   : outage.kind == OutageKind::failover ? "failover"
                                                                         : "interruption"},
                          {"from", printable(outage.from)},
                          {"to", printable(outage.to)},
                          {"cause", printable(outage.cause)},
                          {"term", outage.term},
                          {"detected_ms", to_unix_ms(outage.detected)},
                          {"until_named_ms", outage.until_named.count()},
                          {"until_released_ms", outage.until_released.count()},
                          {"held", outage.held},
                          {"uncertain", outage.uncertain},
                          {"master_down", outage.master_down},
                          {"redispatched", outage.redispatched},
                          {"transactions_lost", outage.transactions_lost}});
  }
  return list;
}

object quantiles(const engine::Histogram& histogram) {
  return {{"count", histogram.count()},
          {"p50_us", to_us(histogram.quantile(0.5))},
          {"p99_us", to_us(histogram.quantile(0.99))},
          {"p999_us", to_us(histogram.quantile(0.999))}};
}

array commands_json(const AdminSnapshot& s) {
  array list;
  for (const CommandRow& row : s.commands) {
    const engine::Histogram& recent = row.last_minute.count() > 0 ? row.last_minute : row.durations;
    list.push_back(object{{"name", printable(row.name)},
                          {"calls", row.calls},
                          {"errors", row.errors},
                          {"blocking", row.blocking},
                          {"rate", row.rate},
                          {"max_us", to_us(row.durations.max())},
                          {"recent", quantiles(recent)}});
  }
  return list;
}

array slow_json(const AdminSnapshot& s) {
  array list;
  for (const engine::SlowCommand& entry : s.slow) {
    array args;
    for (const std::string& arg : entry.args) args.push_back(boost::json::string(printable(arg)));
    list.push_back(object{{"at_ms", unix_ms(s, entry.at)},
                          {"duration_us", to_us(entry.duration_ns)},
                          {"args", std::move(args)},
                          {"client_id", entry.client_id},
                          {"client_name", printable(entry.client_name)}});
  }
  return list;
}

array hot_json(const AdminSnapshot& s) {
  array list;
  const double samples = std::max(1.0, static_cast<double>(s.hot_samples));
  for (const engine::HotKey& key : s.hot) {
    list.push_back(object{{"key", printable(key.key)},
                          {"samples", key.count},
                          {"error", key.error},
                          {"share", std::min(1.0, static_cast<double>(key.count) / samples)}});
  }
  return list;
}

array big_json(const AdminSnapshot& s) {
  array list;
  for (const engine::BigKey& key : s.big) {
    list.push_back(object{{"key", printable(key.key)},
                          {"command", printable(key.command)},
                          {"bytes", key.bytes},
                          {"seen_ms", unix_ms(s, key.seen_at)}});
  }
  return list;
}

array clients_json(const AdminSnapshot& s) {
  array list;
  for (const engine::ClientRow& row : s.client_rows) {
    list.push_back(object{{"id", row.id},
                          {"name", printable(row.name)},
                          {"address", printable(row.address)},
                          {"user", printable(row.user)},
                          {"db", row.db},
                          {"resp", row.resp_version},
                          {"in_flight", row.in_flight},
                          {"unread_bytes", row.unread_bytes},
                          {"unsent_bytes", row.unsent_bytes},
                          {"idle_ms", row.idle.count()},
                          {"state", row.state}});
  }
  return list;
}

array history_json(const AdminSnapshot& s, std::int64_t after_ms) {
  array list;
  for (const HistorySample& sample : s.history) {
    if (sample.unix_ms <= after_ms) continue;
    list.push_back(object{{"t", sample.unix_ms},
                          {"commands", sample.commands},
                          {"errors", sample.errors},
                          {"bytes_in", sample.bytes_in},
                          {"bytes_out", sample.bytes_out},
                          {"clients", sample.clients},
                          {"held", sample.held},
                          {"p50_us", to_us(sample.p50_ns)},
                          {"p99_us", to_us(sample.p99_ns)},
                          {"p999_us", to_us(sample.p999_ns)}});
  }
  return list;
}

const char* severity_name(health::Severity severity) {
  switch (severity) {
    case health::Severity::debug:
      return "debug";
    case health::Severity::info:
      return "info";
    case health::Severity::warning:
      return "warning";
    case health::Severity::error:
      break;
  }
  return "error";
}

array events_json(const AdminSnapshot& s) {
  array list;
  for (const TimedEvent& entry : s.events) {
    list.push_back(object{{"at_ms", to_unix_ms(entry.at)},
                          {"kind", health::to_string(entry.event.kind)},
                          {"severity", severity_name(entry.event.severity)},
                          {"subject", address_text(entry.event.subject)},
                          {"text", printable(entry.event.text)}});
  }
  return list;
}

/// HAProxy's rows, as objects without their empty columns.
array haproxy_table_json(const AdminSnapshot& s) {
  array list;
  const auto& columns = haproxy_columns();
  for (const HaproxyRow& row : haproxy_rows(s)) {
    object fields;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (!row.values[i].empty()) fields[columns[i]] = printable(row.values[i]);
    }
    list.push_back(std::move(fields));
  }
  return list;
}

object summary_json(const AdminSnapshot& s) {
  object summary;
  const Verdict verdict = verdict_of(s);
  summary["level"] = verdict.level;
  summary["text"] = printable(verdict.text);
  const health::Shard* shard = shard_of(s);
  summary["state"] = shard != nullptr ? health::to_string(shard->state) : "init";
  if (shard != nullptr && shard->route) {
    summary["master"] = object{{"address", address_text(shard->route->address)},
                               {"run_id", printable(shard->route->run_id)},
                               {"version", printable(shard->route->redis_version)},
                               {"term", shard->route->term},
                               {"since_ms", unix_ms(s, shard->route->since)}};
  }
  summary["failovers"] = s.failovers;
  summary["clients"] = s.clients.now;
  summary["clients_max"] = s.clients_max;
  summary["links"] = s.links.now;
  summary["leases"] = s.total.leases_now;
  summary["held"] = s.held.now;
  summary["buffer_bytes"] = s.buffer_bytes;
  summary["fault"] = printable(s.fault);
  summary["not_ready"] = printable(s.not_ready);
  return summary;
}

object counters_json(const AdminSnapshot& s) {
  object counters;
  for (const NamedCounter& counter : named_counters(s.total)) counters[counter.name] = counter.value;
  return counters;
}

struct Part {
  std::string_view name;
  boost::json::value (*make)(const AdminSnapshot&);
};

constexpr Part parts[] = {
    {"summary", [](const AdminSnapshot& s) -> boost::json::value { return summary_json(s); }},
    {"haproxy", [](const AdminSnapshot& s) -> boost::json::value { return haproxy_table_json(s); }},
    {"servers", [](const AdminSnapshot& s) -> boost::json::value { return servers_json(s); }},
    {"sentinels", [](const AdminSnapshot& s) -> boost::json::value { return sentinels_json(s); }},
    {"failovers", [](const AdminSnapshot& s) -> boost::json::value { return failovers_json(s); }},
    {"commands", [](const AdminSnapshot& s) -> boost::json::value { return commands_json(s); }},
    {"slow", [](const AdminSnapshot& s) -> boost::json::value { return slow_json(s); }},
    {"hot", [](const AdminSnapshot& s) -> boost::json::value { return hot_json(s); }},
    {"big", [](const AdminSnapshot& s) -> boost::json::value { return big_json(s); }},
    {"clients", [](const AdminSnapshot& s) -> boost::json::value { return clients_json(s); }},
    {"links", links_json},
    {"latency", latency_json},
    {"vrrp", vrrp_json},
    {"operator", operator_json},
    {"events", [](const AdminSnapshot& s) -> boost::json::value { return events_json(s); }},
    {"counters", [](const AdminSnapshot& s) -> boost::json::value { return counters_json(s); }},
    {"history", [](const AdminSnapshot& s) -> boost::json::value { return history_json(s, 0); }},
};

}  // namespace

std::string api_status(const AdminSnapshot& s, const ApiReader& reader) {
  object document;
  document["now_ms"] = to_unix_ms(s.taken);
  document["version"] = s.version;
  document["listen"] = printable(s.listen);
  document["uptime_s"] = s.uptime_s;
  document["workers"] = s.workers;
  document["may_act"] = reader.may_act;
  if (reader.may_act) document["token"] = reader.token;
  for (const Part& part : parts) {
    if (part.name == "latency") continue;  // long, and nothing of the page; /api/v1/latency has it
    document[part.name] = part.name == "history" ? history_json(s, reader.history_after_ms) : part.make(s);
  }
  return boost::json::serialize(document) + "\n";
}

boost::json::value api_value(const AdminSnapshot& s, std::string_view name) {
  for (const Part& part : parts) {
    if (part.name == name) return part.make(s);
  }
  return nullptr;
}

std::optional<std::string> api_part(const AdminSnapshot& s, std::string_view name) {
  const boost::json::value value = api_value(s, name);
  if (value.is_null()) return std::nullopt;
  return boost::json::serialize(value) + "\n";
}

}  // namespace fairlead::proxy
