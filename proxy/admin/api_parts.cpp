#include "proxy/admin/api_parts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "proxy/admin/api.hpp"
#include "proxy/admin/text.hpp"

namespace fairlead::proxy {

namespace {

using boost::json::array;
using boost::json::object;
using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// As Redis' LATENCY HISTOGRAM: how many took at most 1, 2, 4 ... microseconds, from the first bound with any
/// to the first with all.
object cumulative(const engine::Histogram& histogram) {
  object bounds;
  for (std::uint64_t us = 1; histogram.count() > 0; us *= 2) {
    const std::uint64_t below = histogram.count_up_to(us * 1000);
    if (below > 0) bounds[std::to_string(us)] = below;
    if (us * 1000 >= histogram.max() || below == histogram.count()) break;
  }
  return bounds;
}

object latency_row(std::string name, std::uint64_t calls, const engine::Histogram& histogram) {
  return {{"name", std::move(name)},
          {"calls", calls},
          {"p50_us", to_us(histogram.quantile(0.5))},
          {"p99_us", to_us(histogram.quantile(0.99))},
          {"p999_us", to_us(histogram.quantile(0.999))},
          {"max_us", to_us(histogram.max())},
          {"histogram_us", cumulative(histogram)}};
}

object order_json(const OperatorOrder& order) {
  if (!order.given) return {{"given", false}};
  return {{"given", true}, {"since_ms", to_unix_ms(order.since)}, {"by", printable(order.by)}};
}

std::string told_by(const OperatorOrder& order, const AdminSnapshot& s) {
  const auto age = duration_cast<seconds>(s.taken - order.since).count();
  return fmt::format("by {}, {} s ago", order.by, std::max<std::int64_t>(0, age));
}

std::string when_not_ready(const AdminSnapshot& s) {
  std::string text = s.not_ready;
  if (!s.outages.empty() && s.outages.front().ongoing && !s.outages.front().cause.empty()) {
    text = "No confirmed master: " + s.outages.front().cause;
  }
  if (s.held.now > 0) text += fmt::format("; {} clients wait", s.held.now);
  return text;
}

std::string when_paused(const AdminSnapshot& s) {
  const auto left = s.hold_max - duration_cast<milliseconds>(s.taken - s.paused.since);
  std::string text = "Paused " + told_by(s.paused, s);
  text += left.count() > 0 ? fmt::format("; commands wait, for {} s more", left.count() / 1000 + 1)
                           : std::string("; longer than 'hold': commands fail");
  if (s.held.now > 0) text += fmt::format("; {} clients wait", s.held.now);
  return text;
}

/// What does not stop anybody and should not stay so.
std::string warnings_of(const AdminSnapshot& s) {
  std::string warnings;
  const auto warn = [&](const std::string& text) { warnings += (warnings.empty() ? "" : "; ") + text; };
  if (s.drained.given) warn("this instance is drained, " + told_by(s.drained, s));
  const health::Shard& shard = s.topology->shards.front();
  std::size_t missing = 0;
  for (const health::ServerView& view : shard.servers) {
    if (view.rogue) warn(resp::to_string(view.address) + " says it is a master too; nothing is sent to it");
    missing += !view.reachable && view.standing != health::Standing::maint ? 1U : 0U;
  }
  if (missing > 0) warn(fmt::format("{} of {} servers do not answer", missing, shard.servers.size()));
  const auto& sentinels = s.topology->sentinels;
  const auto usable =
      std::count_if(sentinels.begin(), sentinels.end(), [](const auto& view) { return view.usable; });
  const auto known = static_cast<std::ptrdiff_t>(sentinels.size());
  if (usable * 2 <= known && known > 0) {
    warn(fmt::format("only {} of {} Sentinels answer: no majority for a failover", usable, known));
  } else if (usable < known) {
    warn(fmt::format("{} of {} Sentinels do not answer", known - usable, known));
  }
  if (s.clients_max > 0 && s.clients.now * 10 >= std::uint64_t{s.clients_max} * 9) {
    warn(fmt::format("{} of at most {} clients", s.clients.now, s.clients_max));
  }
  if (s.vrrp && !s.vrrp->fit && !s.drained.given) warn("unfit to have the pair's address: " + s.vrrp->reason);
  if (!s.reload_ok) warn("the last reload failed: the configuration file has errors");
  return warnings;
}

}  // namespace

std::int64_t to_unix_ms(WallTime at) {
  return duration_cast<milliseconds>(at.time_since_epoch()).count();
}

double to_us(std::uint64_t ns) {
  return static_cast<double>(ns) / 1000.0;
}

boost::json::value links_json(const AdminSnapshot& s) {
  array list;
  for (const engine::LinkRow& row : s.link_rows) {
    list.push_back(
        object{{"id", fmt::format("{}.{}.{}", row.worker + 1, row.conn.index, row.conn.generation)},
               {"server", printable(row.server)},
               {"kind", row.kind},
               {"state", row.state},
               {"worker", row.worker + 1},
               {"user", printable(row.user)},
               {"db", row.db},
               {"resp", row.resp_version},
               {"client_id", row.owner_id},
               {"in_flight", row.in_flight},
               {"unsent_bytes", row.unsent_bytes},
               {"sent_bytes", row.sent_bytes},
               {"received_bytes", row.received_bytes},
               {"age_ms", row.age.count()}});
  }
  return list;
}

boost::json::value latency_json(const AdminSnapshot& s) {
  array list;
  list.push_back(latency_row("(turn)", s.turns.count(), s.turns));
  for (const CommandRow& row : s.commands) {
    if (row.durations.count() == 0) continue;
    list.push_back(latency_row(printable(row.name), row.calls, row.durations));
  }
  return list;
}

boost::json::value vrrp_json(const AdminSnapshot& s) {
  object all;
  all["in_pair"] = s.vrrp.has_value();
  if (!s.vrrp) return all;
  for (const auto& [name, value] : vrrp::describe(*s.vrrp)) all[name] = printable(value);
  return all;
}

boost::json::value operator_json(const AdminSnapshot& s) {
  return object{
      {"paused", order_json(s.paused)}, {"drained", order_json(s.drained)}, {"hold_ms", s.hold_max.count()}};
}

Verdict verdict_of(const AdminSnapshot& s) {
  if (!s.fault.empty()) return {"down", s.fault};
  if (s.paused.given) return {"down", when_paused(s)};
  if (!s.not_ready.empty()) return {"down", when_not_ready(s)};
  const std::string warnings = warnings_of(s);
  if (!warnings.empty()) return {"warn", "Serving. " + warnings};
  return {"ok", "All well: the master and all servers and Sentinels answer"};
}

}  // namespace fairlead::proxy
