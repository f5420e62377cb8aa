#include "proxy/metrics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string_view>

#include "proxy/admin/text.hpp"

namespace fairlead::proxy {

using engine::Stats;

namespace {

enum class MetricType : std::uint8_t { counter, gauge };

/// One line per counter of the engine: its metric, its help, its place.
struct MetricRow {
  std::string_view name;
  MetricType type;
  std::string_view help;
  std::uint64_t Stats::*field;
};

constexpr auto counter = MetricType::counter;
constexpr auto gauge = MetricType::gauge;

constexpr MetricRow rows[] = {
    {"fairlead_frontend_connections_total", counter, "Clients accepted.", &Stats::clients_accepted},
    {"fairlead_frontend_connections_refused_total", counter, "Clients turned away over max-clients.",
     &Stats::clients_refused},
    {"fairlead_frontend_current_sessions", gauge, "Clients connected now.", &Stats::clients_now},
    {"fairlead_frontend_bytes_in_total", counter, "Bytes received from clients.", &Stats::client_bytes_in},
    {"fairlead_frontend_bytes_out_total", counter, "Bytes sent to clients.", &Stats::client_bytes_out},
    {"fairlead_frontend_commands_total", counter, "Whole commands read from clients.", &Stats::commands},
    {"fairlead_commands_local_total", counter, "Commands answered by fairlead itself.",
     &Stats::commands_local},
    {"fairlead_commands_shared_total", counter, "Commands sent on shared links.", &Stats::commands_shared},
    {"fairlead_commands_leased_total", counter, "Commands sent on leased links.", &Stats::commands_leased},
    {"fairlead_commands_refused_total", counter,
     "Commands refused by fairlead (NOPERM, NOAUTH, wrong arity).", &Stats::commands_refused},
    {"fairlead_protocol_errors_total", counter, "Clients closed for a protocol error.",
     &Stats::protocol_errors},
    {"fairlead_login_failures_total", counter, "Wrong passwords given by clients.", &Stats::login_failures},
    {"fairlead_limit_query_buffer_total", counter, "Clients closed at query-buffer.",
     &Stats::query_buffer_closed},
    {"fairlead_limit_output_buffer_total", counter, "Clients closed at output-buffer.",
     &Stats::output_buffer_closed},
    {"fairlead_limit_output_pause_total", counter,
     "Times a client's commands waited for it to read its replies.", &Stats::output_pauses},
    {"fairlead_limit_pipeline_depth_total", counter, "Times a client's commands waited at pipeline-depth.",
     &Stats::pipeline_pauses},
    {"fairlead_limit_link_backlog_total", counter,
     "Times commands waited because a link had too much to write.", &Stats::backlog_pauses},
    {"fairlead_limit_replies_due_total", counter,
     "Times commands waited because a server owed many large replies.", &Stats::reply_pauses},
    {"fairlead_limit_leased_links_total", counter, "Times a lease waited at leased-links.",
     &Stats::lease_waits},
    {"fairlead_limit_hold_bytes_total", counter, "Commands not held because hold-bytes was reached.",
     &Stats::hold_overflows},
    {"fairlead_limit_memory_total", counter, "Clients closed at memory.", &Stats::memory_closed},
    {"fairlead_limit_idle_total", counter, "Clients closed at idle.", &Stats::idle_closed},
    {"fairlead_limit_partial_command_total", counter, "Clients closed at partial-command.",
     &Stats::partial_closed},
    {"fairlead_limit_script_cache_total", counter, "Scripts forgotten at script-cache.",
     &Stats::scripts_evicted},
    {"fairlead_transaction_bytes", gauge, "Open transactions kept to be said again to a new master.",
     &Stats::transaction_bytes_now},
    {"fairlead_script_cache_bytes", gauge, "Scripts of clients kept for a new master.",
     &Stats::script_bytes_now},
    {"fairlead_scripts_loaded_total", counter, "Scripts loaded on a master that lacked them.",
     &Stats::scripts_loaded},
    {"fairlead_bulk_moves_total", counter, "Times a client moved to the link for large values.",
     &Stats::bulk_moves},
    {"fairlead_backend_links_opened_total", counter, "Connections to servers opened.", &Stats::links_opened},
    {"fairlead_backend_links_failed_total", counter,
     "Connections to servers that failed to connect or log in.", &Stats::links_failed},
    {"fairlead_backend_links_lost_total", counter, "Connections to servers lost after they were ready.",
     &Stats::links_lost},
    {"fairlead_backend_current_links", gauge, "Connections to servers now.", &Stats::links_now},
    {"fairlead_backend_current_leases", gauge, "Links leased to one client now.", &Stats::leases_now},
    {"fairlead_backend_leases_total", counter, "Leases begun.", &Stats::leases_begun},
    {"fairlead_backend_bytes_in_total", counter, "Bytes received from servers.", &Stats::backend_bytes_in},
    {"fairlead_backend_bytes_out_total", counter, "Bytes sent to servers.", &Stats::backend_bytes_out},
    {"fairlead_backend_replies_total", counter, "Replies received from servers.", &Stats::replies},
    {"fairlead_backend_error_replies_total", counter, "Server errors passed on to clients.",
     &Stats::error_replies},
    {"fairlead_backend_desyncs_total", counter, "Links closed because of an unexpected or malformed reply.",
     &Stats::desyncs},
    {"fairlead_backend_pushes_dropped_total", counter, "Pushes that nobody asked for.",
     &Stats::pushes_dropped},
    {"fairlead_gate_closed_total", counter, "Times commands began to be held, summed over workers.",
     &Stats::gate_closed},
    {"fairlead_held_total", counter, "Commands that had to wait for a master.", &Stats::held},
    {"fairlead_held_requests", gauge, "Clients whose commands wait for a master now.", &Stats::held_now},
    {"fairlead_redispatched_total", counter, "Commands dispatched once more, surely not executed before.",
     &Stats::redispatched},
    {"fairlead_replica_waits_total", counter,
     "Commands that waited for the replicas of a new master (NOREPLICAS).", &Stats::replica_waits},
    {"fairlead_uncertain_total", counter, "UNCERTAIN answers.", &Stats::uncertain},
    {"fairlead_masterdown_total", counter, "MASTERDOWN answers.", &Stats::master_down},
    {"fairlead_transactions_lost_total", counter, "Transactions discarded because their link was lost.",
     &Stats::transactions_lost},
    {"fairlead_transactions_replayed_total", counter, "Open transactions said again on another link.",
     &Stats::transactions_replayed},
    {"fairlead_transactions_unkept_total", counter,
     "Open transactions too long, or without memory, to be kept for a new master.",
     &Stats::transactions_unkept},
    {"fairlead_replies_cut_total", counter, "Clients closed because a reply broke off half way.",
     &Stats::replies_cut},
    {"fairlead_blocked_moved_total", counter,
     "Blocking commands that the former master was asked to give back, and that wait at the new one.",
     &Stats::blocked_moved},
    {"fairlead_blocked_answered_total", counter,
     "Blocking commands that the former master answered while it was asked, passed on to the client.",
     &Stats::blocked_answered},
    {"fairlead_blocked_unanswered_total", counter,
     "Blocking commands of which the former master said nothing in time.", &Stats::blocked_unanswered},
    {"fairlead_raw_closed_total", counter,
     "Clients closed because their own link was lost (MONITOR and its like).", &Stats::raw_closed},
    {"fairlead_pubsub_messages_in_total", counter, "Messages received for shared subscriptions.",
     &Stats::messages_in},
    {"fairlead_pubsub_messages_out_total", counter, "Messages passed on to subscribed clients.",
     &Stats::messages_out},
    {"fairlead_pubsub_subscribers", gauge, "Clients with a shared subscription now.",
     &Stats::subscribers_now},
    {"fairlead_pubsub_upstream_subscriptions", gauge,
     "Channels and patterns subscribed to at the server now.", &Stats::hub_subscriptions_now},
    {"fairlead_subscriptions_lost_total", counter,
     "Clients closed because a new master refused their subscription.", &Stats::subscriptions_lost},
    {"fairlead_resubscribed_total", counter, "Sessions whose subscriptions were made again.",
     &Stats::resubscribed},
};

using Out = std::back_insert_iterator<std::string>;

void head(Out out, std::string_view name, MetricType type, std::string_view help) {
  fmt::format_to(out, "# HELP {} {}\n# TYPE {} {}\n", name, help, name,
                 type == MetricType::counter ? "counter" : "gauge");
}

/// Label values: made printable, then backslash and quote are escaped.
std::string label(std::string_view text) {
  std::string escaped;
  for (const char c : printable(text)) {
    if (c == '\\' || c == '"') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

void value(Out out, std::string_view name, MetricType type, std::string_view help, double number) {
  head(out, name, type, help);
  fmt::format_to(out, "{} {}\n", name, number);
}

void value(Out out, std::string_view name, MetricType type, std::string_view help, std::uint64_t number) {
  head(out, name, type, help);
  fmt::format_to(out, "{} {}\n", name, number);
}

/// Bounds of the histograms, in nanoseconds; a power of ten has three.
constexpr std::uint64_t bounds_ns[] = {
    50'000,      100'000,       250'000,       500'000,       1'000'000,      2'500'000,
    5'000'000,   10'000'000,    25'000'000,    50'000'000,    100'000'000,    250'000'000,
    500'000'000, 1'000'000'000, 2'500'000'000, 5'000'000'000, 10'000'000'000, 30'000'000'000};

double seconds(std::uint64_t nanoseconds) {
  return static_cast<double>(nanoseconds) / 1e9;
}

/// `labels`: `command="get",` or nothing.
void histogram(Out out, std::string_view name, const std::string& labels, const engine::Histogram& data) {
  for (const std::uint64_t bound : bounds_ns) {
    fmt::format_to(out, "{}_bucket{{{}le=\"{}\"}} {}\n", name, labels, seconds(bound),
                   data.count_up_to(bound));
  }
  fmt::format_to(out, "{}_bucket{{{}le=\"+Inf\"}} {}\n", name, labels, data.count());
  const std::string alone = labels.empty() ? std::string() : "{" + labels.substr(0, labels.size() - 1) + "}";
  fmt::format_to(out, "{}_sum{} {}\n{}_count{} {}\n", name, alone, seconds(data.sum()), name, alone,
                 data.count());
}

void render_commands(Out out, const AdminSnapshot& s) {
  head(out, "fairlead_commands_total", counter, "Commands answered, by name.");
  for (const CommandRow& row : s.commands) {
    fmt::format_to(out, "fairlead_commands_total{{command=\"{}\"}} {}\n", label(row.name), row.calls);
  }
  head(out, "fairlead_command_errors_total", counter, "Commands that a server answered with an error.");
  for (const CommandRow& row : s.commands) {
    fmt::format_to(out, "fairlead_command_errors_total{{command=\"{}\"}} {}\n", label(row.name), row.errors);
  }
  constexpr std::string_view name = "fairlead_command_duration_seconds";
  fmt::format_to(out, "# HELP {} From a command's dispatch, or its first wait for a master, to its reply.\n",
                 name);
  fmt::format_to(out, "# TYPE {} histogram\n", name);
  for (const CommandRow& row : s.commands) {
    if (row.durations.count() == 0 || row.blocking) continue;
    histogram(out, name, fmt::format("command=\"{}\",", label(row.name)), row.durations);
  }
}

void render_failovers(Out out, const AdminSnapshot& s) {
  value(out, "fairlead_failovers_total", counter, "Times the route moved to another server.", s.failovers);
  constexpr std::string_view name = "fairlead_failover_duration_seconds";
  fmt::format_to(out, "# HELP {} How long commands were held for a failover.\n# TYPE {} histogram\n", name,
                 name);
  histogram(out, name, "", s.failover_durations);
  value(out, "fairlead_interruptions_total", counter, "Times commands were held and the same master went on.",
        s.interruptions);
}

struct ServerMetric {
  std::string_view name;
  MetricType type;
  std::string_view help;
  std::uint64_t (*read)(const ServerHistory&);
};

constexpr ServerMetric server_metrics[] = {
    {"fairlead_server_current_sessions", gauge, "Links to the server now.",
     [](const ServerHistory& s) { return s.links.now; }},
    {"fairlead_server_max_sessions", gauge, "Most links to the server at once.",
     [](const ServerHistory& s) { return s.links.max; }},
    {"fairlead_server_sessions_total", counter, "Links opened to the server.",
     [](const ServerHistory& s) { return s.links_opened; }},
    {"fairlead_server_bytes_in_total", counter, "Bytes sent to the server.",
     [](const ServerHistory& s) { return s.bytes_in; }},
    {"fairlead_server_bytes_out_total", counter, "Bytes received from the server.",
     [](const ServerHistory& s) { return s.bytes_out; }},
    {"fairlead_server_connection_errors_total", counter, "Links to the server that could not be made.",
     [](const ServerHistory& s) { return s.links_failed; }},
    {"fairlead_server_response_errors_total", counter, "Errors that the server answered.",
     [](const ServerHistory& s) { return s.error_replies; }},
    {"fairlead_server_retry_warnings_total", counter, "Commands sent once more after this server.",
     [](const ServerHistory& s) { return s.redispatched; }},
    {"fairlead_server_check_failures_total", counter, "Times the server stopped answering.",
     [](const ServerHistory& s) { return s.downs; }},
};

void render_servers(Out out, const AdminSnapshot& s) {
  for (const ServerMetric& metric : server_metrics) {
    head(out, metric.name, metric.type, metric.help);
    for (const auto& [address, server] : s.servers) {
      fmt::format_to(out, "{}{{proxy=\"redis\",server=\"{}\"}} {}\n", metric.name,
                     label(resp::to_string(address)), metric.read(server));
    }
  }
}

void render_lag(Out out, const health::Shard& shard) {
  if (!shard.route) return;
  std::int64_t master_offset = -1;
  for (const health::ServerView& view : shard.servers) {
    if (view.address == shard.route->address) master_offset = view.offset;
  }
  head(out, "fairlead_replica_lag_bytes", gauge,
       "Bytes of replication a server is behind the master, asked at slightly different moments.");
  for (const health::ServerView& view : shard.servers) {
    if (view.address == shard.route->address || view.offset < 0 || master_offset < 0) continue;
    fmt::format_to(out, "fairlead_replica_lag_bytes{{server=\"{}\"}} {}\n",
                   label(resp::to_string(view.address)),
                   std::max<std::int64_t>(0, master_offset - view.offset));
  }
}

void render_topology(Out out, const health::Topology& topology) {
  const health::Shard& shard = topology.shards.front();
  head(out, "fairlead_route_steady", gauge, "1 while there is a confirmed master.");
  fmt::format_to(out, "fairlead_route_steady {}\n", shard.state == health::GroupState::steady ? 1 : 0);
  head(out, "fairlead_route_provisional", gauge, "1 while Sentinel has yet to announce the present route.");
  fmt::format_to(out, "fairlead_route_provisional {}\n", shard.provisional ? 1 : 0);
  head(out, "fairlead_route_term", gauge, "Config-epoch of the present route.");
  fmt::format_to(out, "fairlead_route_term {}\n", shard.route ? shard.route->term : 0);
  head(out, "fairlead_server_up", gauge, "1 if the server answers.");
  for (const health::ServerView& server : shard.servers) {
    fmt::format_to(out, "fairlead_server_up{{server=\"{}\"}} {}\n", label(resp::to_string(server.address)),
                   server.reachable ? 1 : 0);
  }
  head(out, "fairlead_server_maintenance", gauge, "1 while the operator has the server in MAINT.");
  for (const health::ServerView& server : shard.servers) {
    fmt::format_to(out, "fairlead_server_maintenance{{server=\"{}\"}} {}\n",
                   label(resp::to_string(server.address)),
                   server.standing == health::Standing::maint ? 1 : 0);
  }
  head(out, "fairlead_server_role", gauge, "1 for the role that the server says it has.");
  for (const health::ServerView& server : shard.servers) {
    fmt::format_to(out, "fairlead_server_role{{server=\"{}\",role=\"{}\"}} 1\n",
                   label(resp::to_string(server.address)), health::to_string(server.role));
  }
  head(out, "fairlead_server_rogue", gauge, "1 if the server says master and is not the route.");
  for (const health::ServerView& server : shard.servers) {
    fmt::format_to(out, "fairlead_server_rogue{{server=\"{}\"}} {}\n", label(resp::to_string(server.address)),
                   server.rogue ? 1 : 0);
  }
  render_lag(out, shard);
  if (topology.sentinels.empty()) return;
  const auto usable = std::count_if(topology.sentinels.begin(), topology.sentinels.end(),
                                    [](const health::SentinelView& view) { return view.usable; });
  head(out, "fairlead_sentinel_quorum_ok", gauge, "1 while more than half of the known Sentinels answer.");
  fmt::format_to(out, "fairlead_sentinel_quorum_ok {}\n",
                 static_cast<std::size_t>(usable) * 2 > topology.sentinels.size() ? 1 : 0);
  head(out, "fairlead_sentinel_up", gauge, "1 if the Sentinel answers for this master and is not in TILT.");
  for (const health::SentinelView& sentinel : topology.sentinels) {
    fmt::format_to(out, "fairlead_sentinel_up{{sentinel=\"{}\"}} {}\n",
                   label(resp::to_string(sentinel.address)), sentinel.usable ? 1 : 0);
  }
}

}  // namespace

Stats sum(const std::vector<WorkerReport>& workers) {
  Stats total;
  for (const WorkerReport& worker : workers) {
    for (const MetricRow& row : rows) total.*row.field += worker.stats.*row.field;
  }
  return total;
}

std::vector<NamedCounter> named_counters(const Stats& stats) {
  std::vector<NamedCounter> list;
  for (const MetricRow& row : rows) list.push_back({std::string(row.name), stats.*row.field});
  return list;
}

std::string render_metrics(const AdminSnapshot& s) {
  std::string text;
  const Out out(text);
  head(out, "fairlead_build_info", gauge, "Always 1; the version is the label.");
  fmt::format_to(out, "fairlead_build_info{{version=\"{}\"}} 1\n", label(s.version));
  value(out, "fairlead_uptime_seconds", gauge, "Seconds since the start.", s.uptime_s);
  value(out, "fairlead_workers", gauge, "Worker threads.", std::uint64_t{s.workers});
  value(out, "fairlead_healthy", gauge, "1 while /healthz says so.",
        std::uint64_t{s.fault.empty() ? 1U : 0U});
  value(out, "fairlead_config_last_reload_successful", gauge,
        "0 after a SIGHUP whose configuration was not taken over.", std::uint64_t{s.reload_ok ? 1U : 0U});
  value(out, "fairlead_buffer_bytes", gauge, "Bytes in buffers that hold data now.", s.buffer_bytes);
  for (const MetricRow& row : rows) value(out, row.name, row.type, row.help, s.total.*row.field);
  value(out, "fairlead_frontend_limit_sessions", gauge, "Most clients at once (max-clients).",
        std::uint64_t{s.clients_max});
  value(out, "fairlead_frontend_max_sessions", gauge, "Most clients there ever were at once.", s.clients.max);
  value(out, "fairlead_frontend_max_session_rate", gauge, "Most clients accepted in a second.",
        s.clients_rate.max);
  value(out, "fairlead_promotions_revoked_total", counter,
        "Times a replica was followed before Sentinel announced it, and Sentinel did not.",
        s.promotions_revoked);
  value(out, "fairlead_paused", gauge, "1 while the operator holds all commands.",
        std::uint64_t{s.paused.given ? 1U : 0U});
  value(out, "fairlead_drained", gauge, "1 while the operator keeps this instance from being chosen.",
        std::uint64_t{s.drained.given ? 1U : 0U});
  render_commands(out, s);
  render_failovers(out, s);
  render_servers(out, s);
  if (s.topology) render_topology(out, *s.topology);
  return text;
}

}  // namespace fairlead::proxy
