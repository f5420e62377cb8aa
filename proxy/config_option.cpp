#include "proxy/config_option.hpp"

#include <algorithm>
#include <array>
#include <cassert>

#include "proxy/config_option_kinds.hpp"

namespace fairlead::proxy {
namespace {

using engine::ClientLogin;
using engine::PoolMode;
using std::chrono::hours;
using std::chrono::milliseconds;

using List = std::vector<Option>;
using AddressList = std::vector<resp::Address>;

// Upper ends of the ranges: far beyond what is sensible, low enough that sums of them cannot overflow.
constexpr Range<std::uint64_t> connections{1, 1'000'000};
constexpr Range<std::uint64_t> buffer{1024, 1ULL << 40};

constexpr std::uint16_t redis_port = 6379;
constexpr std::uint16_t sentinel_port = 26379;
constexpr std::uint16_t stats_port = 9000;
constexpr std::uint16_t console_port = 6380;

void add_proxy(List& list) {
  list.push_back(
      make_addresses({"proxy", "listen", "--listen"},
                     "Where clients connect: host:port, [v6]:port or unix:/path; port 6379 is implied.",
                     {redis_port, AddressUse::listener, NoneAllowed::no},
                     [](Options& o) -> AddressList& { return o.listen; }));
  list.push_back(make_toggle({"proxy", "freebind", "--freebind"},
                             "Bind addresses that this node does not own yet (VRRP).",
                             [](Options& o) -> bool& { return o.freebind; }));
  list.push_back(make_count<std::uint32_t>({"proxy", "threads", "--threads"}, "Workers; 0 is one per core.",
                                           {0, 1024},
                                           [](Options& o) -> std::uint32_t& { return o.threads; }));
  list.push_back(make_count<std::uint32_t>(
      {"proxy", "max-clients", "--max-clients"}, "Client connections of the process; more are refused.",
      connections, [](Options& o) -> std::uint32_t& { return o.engine.limits.clients_max; }));
  list.push_back(make_choice<PoolMode>(
      {"proxy", "pool-mode", "--pool-mode"},
      "multiplex: clients share links to the servers; session: each client has one of its own.",
      {{"multiplex", PoolMode::multiplex}, {"session", PoolMode::session}},
      [](Options& o) -> PoolMode& { return o.engine.pool_mode; }));
  list.push_back(make_count<std::uint32_t>(
      {"proxy", "links-per-server", "--links-per-server"}, "Shared links of each worker to a server.",
      {1, 1024}, [](Options& o) -> std::uint32_t& { return o.engine.links_per_server; }));
  list.push_back(make_duration(
      {"proxy", "drain-timeout", "--drain-timeout"}, "After SIGTERM: how long commands in flight may take.",
      {milliseconds(0), hours(24)}, [](Options& o) -> milliseconds& { return o.drain_timeout; }));
}

void add_proxy_limits(List& list) {
  list.push_back(
      make_size({"proxy", "query-buffer", "--query-buffer"},
                "One unfinished command of one client (redis: client-query-buffer-limit).", buffer,
                [](Options& o) -> std::uint64_t& { return o.engine.limits.query_buffer_bytes_max; }));
  list.push_back(make_size(
      {"proxy", "proto-max-bulk-len", "--proto-max-bulk-len"},
      "One argument of a command, as in redis.conf; keep it equal to the servers'.", {1ULL << 20, 1ULL << 40},
      [](Options& o) -> std::uint64_t& { return o.engine.limits.command.bulk_bytes_max; }));
  list.push_back(
      make_size({"proxy", "output-buffer", "--output-buffer"},
                "Replies that a client has not read yet; beyond it the client is closed.", buffer,
                [](Options& o) -> std::uint64_t& { return o.engine.limits.output_buffer_bytes_max; }));
  list.push_back(make_size({"proxy", "output-pause", "--output-pause"},
                           "Unread replies of one client at which its next commands wait.", buffer,
                           [](Options& o) -> std::uint64_t& { return o.engine.limits.output_pause_bytes; }));
  list.push_back(make_count<std::uint32_t>(
      {"proxy", "pipeline-depth", "--pipeline-depth"},
      "Commands of one client in flight; then it is not read.", connections,
      [](Options& o) -> std::uint32_t& { return o.engine.limits.pipeline_depth_max; }));
  list.push_back(
      make_size({"proxy", "link-backlog", "--link-backlog"},
                "Commands that a server has not taken yet, on one link; then its clients are not read.",
                buffer, [](Options& o) -> std::uint64_t& { return o.engine.limits.link_backlog_bytes_max; }));
  list.push_back(
      make_size({"proxy", "memory", "--memory"},
                "All buffers of the process; beyond it clients that hold more than 64kb of them are closed.",
                {1ULL << 20, 1ULL << 50},
                [](Options& o) -> std::uint64_t& { return o.engine.limits.memory_bytes_max; }));
  list.push_back(
      make_size({"proxy", "script-cache", "--script-cache"},
                "Scripts of clients kept for a new master, by each worker; the oldest are forgotten.", buffer,
                [](Options& o) -> std::uint64_t& { return o.engine.limits.script_bytes_max; }));
  list.push_back(
      make_duration({"proxy", "idle", "--idle"},
                    "Closes clients that say nothing for so long and wait for nothing; 0 is never.",
                    {milliseconds(0), hours(24 * 365)},
                    [](Options& o) -> milliseconds& { return o.engine.limits.idle_max; }));
  list.push_back(make_duration({"proxy", "partial-command", "--partial-command"},
                               "Closes clients that stop in the middle of a command for so long; 0 is never.",
                               {milliseconds(0), hours(24)}, [](Options& o) -> milliseconds& {
                                 return o.engine.limits.partial_command_max;
                               }));
  list.push_back(make_count<std::uint32_t>(
      {"proxy", "leased-links", "--leased-links"},
      "Links leased to single clients (transactions, blocking commands, subscriptions); then leases wait.",
      connections, [](Options& o) -> std::uint32_t& { return o.engine.limits.leased_links_max; }));
}

void add_backend(List& list) {
  list.push_back(make_addresses(
      {"backend", "sentinels", "--sentinel"},
      "Sentinels to ask for the master, for example [\"10.0.0.1:26379\"]; port 26379 is implied.",
      {sentinel_port, AddressUse::peer, NoneAllowed::no},
      [](Options& o) -> AddressList& { return o.backend.sentinels; }, {{"SENTINEL_HOSTS", ""}}));
  list.push_back(make_name({"backend", "master-name", "--master-name"}, "The name of the master in Sentinel.",
                           [](Options& o) -> std::string& { return o.backend.master_name; },
                           {{"SENTINEL_MASTER", ""}}));
  list.push_back(make_addresses(
      {"backend", "servers", "--server"},
      "Without Sentinel: the Redis servers, whose roles are polled; port 6379 is implied.",
      {redis_port, AddressUse::peer, NoneAllowed::no},
      [](Options& o) -> AddressList& { return o.backend.servers; },
      {{"REDIS_HOSTS", ""}, {"REDIS_HOST", "REDIS_PORT"}, {"REDIS_MASTER_HOST", "REDIS_MASTER_PORT"}}));
}

void add_backend_logins(List& list) {
  list.push_back(make_text({"backend", "username", "--username"},
                           "ACL user for the login to the servers; empty: the password alone.",
                           [](Options& o) -> std::string& { return o.backend.server_login.username; }));
  const Field<std::string> password = [](Options& o) -> std::string& {
    return o.backend.server_login.password;
  };
  list.push_back(make_secret({"backend", "password", ""}, "Password for the login to the servers.", password,
                             {{"REDIS_PASSWORD", ""}}));
  list.push_back(
      make_secret_file({"backend", "password-file", "--password-file"}, "A file that holds it.", password));
  list.push_back(make_text({"backend", "sentinel-username", "--sentinel-username"},
                           "ACL user for the login to the Sentinels; empty: the password alone.",
                           [](Options& o) -> std::string& { return o.backend.sentinel_login.username; }));
  const Field<std::string> sentinel = [](Options& o) -> std::string& {
    return o.backend.sentinel_login.password;
  };
  list.push_back(make_secret({"backend", "sentinel-password", ""}, "Password for the login to the Sentinels.",
                             sentinel, {{"SENTINEL_PASSWORD", ""}}));
  list.push_back(make_secret_file({"backend", "sentinel-password-file", "--sentinel-password-file"},
                                  "A file that holds it.", sentinel));
}

void add_backend_times(List& list) {
  list.push_back(make_duration({"backend", "connect-timeout", "--connect-timeout"},
                               "Connecting and logging in to a server or Sentinel.",
                               {milliseconds(10), hours(1)},
                               [](Options& o) -> milliseconds& { return o.backend.connect_timeout; }));
  list.push_back(make_duration({"backend", "probe-interval", "--probe-interval"},
                               "How often servers and Sentinels are asked while all is well.",
                               {milliseconds(50), hours(1)},
                               [](Options& o) -> milliseconds& { return o.backend.probe_interval; }));
  list.push_back(make_duration({"backend", "probe-timeout", "--probe-timeout"},
                               "An answer that takes longer counts as missed.", {milliseconds(10), hours(1)},
                               [](Options& o) -> milliseconds& { return o.backend.probe_timeout; }));
  list.push_back(make_count<int>({"backend", "probe-misses", "--probe-misses"},
                                 "Answers missed in a row that put the master in doubt.", {1, 100},
                                 [](Options& o) -> int& { return o.backend.probes_missed_max; }));
}

void add_clients_and_failover(List& list) {
  const Field<std::string> password = [](Options& o) -> std::string& { return o.engine.client_password; };
  list.push_back(
      make_secret({"clients", "password", ""}, "What clients must say with AUTH; empty: nothing.", password));
  list.push_back(make_secret_file({"clients", "password-file", "--clients-password-file"},
                                  "A file that holds it.", password));
  list.push_back(make_choice<ClientLogin>(
      {"clients", "login", "--clients-login"},
      "Without a password above. open: clients use fairlead's own login to the servers until they say AUTH; "
      "server: they must say AUTH first, and the server judges it.",
      {{"open", ClientLogin::open}, {"server", ClientLogin::server}},
      [](Options& o) -> ClientLogin& { return o.engine.client_login; }));
  list.push_back(make_words({"clients", "deny", "--deny"},
                            "Commands refused with NOPERM; default is what ends, moves or rewires a server; "
                            "a container is all of it.",
                            [](Options& o) -> std::vector<std::string>& { return o.engine.deny; }));
  list.push_back(make_duration(
      {"failover", "hold", "--hold"}, "How long a command waits while there is no master; then it fails.",
      {milliseconds(0), hours(1)}, [](Options& o) -> milliseconds& { return o.engine.limits.hold_max; }));
  list.push_back(make_size({"failover", "hold-bytes", "--hold-bytes"},
                           "Bytes of all commands that wait; beyond it they fail at once.", {0, 1ULL << 40},
                           [](Options& o) -> std::uint64_t& { return o.engine.limits.hold_bytes_max; }));
  list.push_back(make_duration(
      {"failover", "drain-grace", "--drain-grace"},
      "How long replies are still awaited from a server that is no longer the master.",
      {milliseconds(0), hours(1)}, [](Options& o) -> milliseconds& { return o.engine.limits.drain_grace; }));
}

void add_failover_policy(List& list) {
  list.push_back(make_toggle({"failover", "early-promotion", "--early-promotion"},
                             "Follow the replica that an elected Sentinel promotes as soon as it says "
                             "master, a second before Sentinel "
                             "announces it.",
                             [](Options& o) -> bool& { return o.backend.early_promotion; }));
  list.push_back(make_toggle({"failover", "strict", "--strict"},
                             "Send nothing unless a majority of the Sentinels answered within the lease.",
                             [](Options& o) -> bool& { return o.backend.strict; }));
  list.push_back(make_duration(
      {"failover", "lease", "--lease"},
      "How long their word is good in strict mode; never longer than Sentinel's down-after-milliseconds.",
      {milliseconds(200), hours(1)}, [](Options& o) -> milliseconds& { return o.backend.lease; }));
  list.push_back(make_choice<health::RestartPolicy>(
      {"failover", "restarted", "--restarted"},
      "A master that was restarted before Sentinel noticed. verify: trusted when it has keys or an "
      "append-only "
      "file; accept: at once, for a cache.",
      {{"verify", health::RestartPolicy::verify}, {"accept", health::RestartPolicy::accept}},
      [](Options& o) -> health::RestartPolicy& { return o.backend.restarted; }));
  list.push_back(make_choice<engine::BlockingReplay>(
      {"failover", "blocking-replay", "--blocking-replay"},
      "Blocking commands whose connection was lost. again: they wait on at the next master for what is left "
      "of "
      "their timeout; never: they answer UNCERTAIN.",
      {{"again", engine::BlockingReplay::again}, {"never", engine::BlockingReplay::never}},
      [](Options& o) -> engine::BlockingReplay& { return o.engine.blocking_replay; }));
  list.push_back(make_text({"failover", "state-dir", "--state-dir"},
                           "A directory where the last master and its term are remembered; empty: nowhere.",
                           [](Options& o) -> std::string& { return o.state_dir; }));
}

void add_stats_and_log(List& list) {
  list.push_back(make_addresses({"stats", "listen", "--stats"},
                                "Where the stats page, /metrics and /healthz are served; port 9000 is "
                                "implied; [] or \"none\": nowhere.",
                                {stats_port, AddressUse::listener, NoneAllowed::yes},
                                [](Options& o) -> AddressList& { return o.stats.listen; }));
  list.push_back(make_text({"stats", "user", "--stats-user"}, "User of the stats listener; empty: any.",
                           [](Options& o) -> std::string& { return o.stats.user; },
                           {{"ADMIN_USERNAME", ""}}));
  const Field<std::string> password = [](Options& o) -> std::string& { return o.stats.password; };
  list.push_back(
      make_secret({"stats", "password", ""},
                  "Its password; needed to listen beyond loopback. /healthz and /readyz stay open.", password,
                  {{"ADMIN_PASSWORD", ""}}));
  list.push_back(make_secret_file({"stats", "password-file", "--stats-password-file"},
                                  "A file that holds it.", password));
  list.push_back(make_toggle({"stats", "admin", "--stats-admin"}, "Allow actions, not only looking.",
                             [](Options& o) -> bool& { return o.stats.admin; }));
  list.push_back(make_duration({"stats", "slow-command", "--slow-command"},
                               "Commands that take so long are listed as slow; 0 is none.",
                               {milliseconds(0), hours(1)},
                               [](Options& o) -> milliseconds& { return o.engine.slow_min; }));
  list.push_back(make_addresses(
      {"console", "listen", "--console"},
      "Where redis-cli finds the console, for example 127.0.0.1:6380 or unix:/run/fairlead.sock; [] or "
      "\"none\": nowhere.",
      {console_port, AddressUse::listener, NoneAllowed::yes},
      [](Options& o) -> AddressList& { return o.console.listen; }));
  list.push_back(make_choice<LogLevel>({"log", "level", "--log-level"}, "debug, info, warning or error.",
                                       {{"debug", LogLevel::debug},
                                        {"info", LogLevel::info},
                                        {"warning", LogLevel::warning},
                                        {"error", LogLevel::error}},
                                       [](Options& o) -> LogLevel& { return o.log.level; }));
  list.push_back(make_choice<LogFormat>({"log", "format", "--log-format"},
                                        "logfmt or json, on standard error.",
                                        {{"logfmt", LogFormat::logfmt}, {"json", LogFormat::json}},
                                        [](Options& o) -> LogFormat& { return o.log.format; }));
}

void add_vrrp(List& list) {
  list.push_back(make_text({"vrrp", "ready-file", "--vrrp-ready-file"},
                           "The file that keepalived tracks: 0 is fit, 1 is not; empty: none.",
                           [](Options& o) -> std::string& { return o.vrrp.ready_file; }));
  list.push_back(make_text({"vrrp", "notify-fifo", "--vrrp-notify-fifo"},
                           "keepalived's vrrp_notify_fifo; empty: none.",
                           [](Options& o) -> std::string& { return o.vrrp.notify_fifo; }));
  list.push_back(make_text({"vrrp", "address", "--vrrp-address"},
                           "The address that moves between the hosts, for example 10.0.0.100/24.",
                           [](Options& o) -> std::string& { return o.vrrp.address; }));
  list.push_back(make_name({"vrrp", "instance", "--vrrp-instance"}, "The vrrp_instance in keepalived.conf.",
                           [](Options& o) -> std::string& { return o.vrrp.instance; }));
  list.push_back(make_count<std::uint32_t>(
      {"vrrp", "warm-links", "--vrrp-warm-links"},
      "Links to the master that each worker keeps open for clients to come, up to links-per-server.",
      {0, 1024}, [](Options& o) -> std::uint32_t& { return o.vrrp.warm_links; }));
  list.push_back(make_text({"vrrp", "interface", "--vrrp-interface"},
                           "For `fairlead keepalived`, as all below: the interface that gets the address.",
                           [](Options& o) -> std::string& { return o.vrrp.interface; }));
  list.push_back(make_text({"vrrp", "node-a", "--vrrp-node-a"}, "The first host's own address.",
                           [](Options& o) -> std::string& { return o.vrrp.node_a; }));
  list.push_back(make_text({"vrrp", "node-b", "--vrrp-node-b"}, "The second host's own address.",
                           [](Options& o) -> std::string& { return o.vrrp.node_b; }));
  list.push_back(make_count<std::uint32_t>({"vrrp", "router-id", "--vrrp-router-id"},
                                           "virtual_router_id; no other pair of the network may have it.",
                                           {1, 255},
                                           [](Options& o) -> std::uint32_t& { return o.vrrp.router_id; }));
  list.push_back(make_duration({"vrrp", "advert-interval", "--vrrp-advert-interval"},
                               "How often the owner says so; the peer takes over after three of them.",
                               {milliseconds(30), milliseconds(10'000)},
                               [](Options& o) -> milliseconds& { return o.vrrp.advert_interval; }));
  list.push_back(make_name({"vrrp", "user", "--vrrp-user"}, "The user that runs fairlead.",
                           [](Options& o) -> std::string& { return o.vrrp.user; }));
}

List make_list() {
  List list;
  add_proxy(list);
  add_proxy_limits(list);
  add_backend(list);
  add_backend_logins(list);
  add_backend_times(list);
  add_clients_and_failover(list);
  add_failover_policy(list);
  add_stats_and_log(list);
  add_vrrp(list);
  return list;
}

}  // namespace

const std::vector<Option>& option_list() {
  static const List list = make_list();
  return list;
}

std::string_view section_help(std::string_view section) {
  struct SectionHelp {
    std::string_view section;
    std::string_view help;
  };
  static constexpr std::array<SectionHelp, 8> all{{
      {"proxy", "The proxy and what one client may use of it."},
      {"backend", "The Redis set behind it: give either sentinels or servers."},
      {"clients", "What clients must say."},
      {"failover", "What happens to commands while there is no confirmed master."},
      {"stats", "The HTTP listener for people, probes and Prometheus."},
      {"vrrp", "One of a pair beside keepalived, with one address for both."},
      {"console", "The operator's console: redis-cli -p 6380 HELP. It asks for the login of [stats]."},
      {"log", "Standard error; under systemd with priorities for the journal."},
  }};
  const auto* const found = std::find_if(all.begin(), all.end(),
                                         [&](const SectionHelp& entry) { return entry.section == section; });
  assert(found != all.end());
  return found->help;
}

std::string environment_name(const Option& option) {
  std::string name = "FAIRLEAD_";
  const bool left_out =
      option.section == "proxy" || option.section == "backend" || option.section == "failover";
  if (!left_out) name.append(option.section).append("_");
  name.append(option.key);
  for (char& c : name) {
    if (c == '-') c = '_';
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return name;
}

std::string item_error(const Item& item, std::string_view sentence) {
  return item.where + ": " + std::string(sentence);
}

void complete_options(Options& options) {
  options.engine.server_login = options.backend.server_login;
  options.engine.limits.connect_timeout = options.backend.connect_timeout;
  // In doubt about the master a connection attempt gets less time than usual, never more.
  options.backend.connect_timeout_suspect =
      std::min(options.backend.connect_timeout_suspect, options.backend.connect_timeout);
  options.backend.probe_interval_suspect =
      std::min(options.backend.probe_interval_suspect, options.backend.probe_interval);
}

}  // namespace fairlead::proxy
