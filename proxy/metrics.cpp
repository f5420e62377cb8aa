#include "proxy/metrics.hpp"

#include <fmt/format.h>

#include <iterator>
#include <string_view>

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
    {"fairlead_uncertain_total", counter, "UNCERTAIN answers.", &Stats::uncertain},
    {"fairlead_masterdown_total", counter, "MASTERDOWN answers.", &Stats::master_down},
    {"fairlead_transactions_lost_total", counter, "Transactions discarded because their link was lost.",
     &Stats::transactions_lost},
    {"fairlead_replies_cut_total", counter, "Clients closed because a reply broke off half way.",
     &Stats::replies_cut},
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

/// Label values: backslash, quote and newline are escaped.
std::string label(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\\' || c == '"') escaped += '\\';
    if (c == '\n') {
      escaped += "\\n";
    } else {
      escaped += c;
    }
  }
  return escaped;
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
  if (topology.sentinels.empty()) return;
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

std::string render_metrics(const MetricsInput& input) {
  std::string text;
  const Out out(text);
  head(out, "fairlead_build_info", gauge, "Always 1; the version is the label.");
  fmt::format_to(out, "fairlead_build_info{{version=\"{}\"}} 1\n", label(input.version));
  head(out, "fairlead_uptime_seconds", gauge, "Seconds since the start.");
  fmt::format_to(out, "fairlead_uptime_seconds {:.3f}\n", input.uptime_s);
  head(out, "fairlead_workers", gauge, "Worker threads.");
  fmt::format_to(out, "fairlead_workers {}\n", input.workers.size());
  std::uint64_t buffer_bytes = 0;
  for (const WorkerReport& worker : input.workers) buffer_bytes += worker.buffer_bytes;
  head(out, "fairlead_buffer_bytes", gauge, "Bytes in buffers that hold data now.");
  fmt::format_to(out, "fairlead_buffer_bytes {}\n", buffer_bytes);
  const Stats total = sum(input.workers);
  for (const MetricRow& row : rows) {
    head(out, row.name, row.type, row.help);
    fmt::format_to(out, "{} {}\n", row.name, total.*row.field);
  }
  head(out, "fairlead_failovers_total", counter, "Times the route moved to another server.");
  fmt::format_to(out, "fairlead_failovers_total {}\n", input.failovers);
  head(out, "fairlead_promotions_revoked_total", counter,
       "Times a replica was followed before Sentinel announced it, and Sentinel did not.");
  fmt::format_to(out, "fairlead_promotions_revoked_total {}\n", input.promotions_revoked);
  head(out, "fairlead_paused", gauge, "1 while the operator holds all commands.");
  fmt::format_to(out, "fairlead_paused {}\n", input.paused ? 1 : 0);
  if (input.topology) render_topology(out, *input.topology);
  return text;
}

}  // namespace fairlead::proxy
