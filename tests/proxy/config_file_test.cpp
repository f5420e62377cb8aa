// The configuration file: every error with its place, and the example file.
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <catch2/catch.hpp>

#include "proxy/config.hpp"

namespace fairlead::proxy {
namespace {

using Errors = std::vector<std::string>;

ConfigResult load_file(std::string text) {
  ConfigSources sources;
  sources.file = "fairlead.toml";
  sources.file_text = std::move(text);
  return load_config(sources);
}

/// The errors of a text behind `[backend] servers`, which takes the first two lines.
Errors errors_of(const std::string& text) {
  return load_file("[backend]\nservers = [\"a\"]\n" + text).errors;
}

TEST_CASE("every value can be set by the file") {
  const auto result = load_file(R"(
[proxy]
listen = ["0.0.0.0:7000", "unix:/run/fairlead.sock"]
freebind = true
threads = 3
max-clients = 500
pool-mode = "session"
links-per-server = 2
drain-timeout = "1m"
query-buffer = "2mb"
proto-max-bulk-len = 1048576
output-buffer = "4mb"
output-pause = "64kb"
pipeline-depth = 7
leased-links = 8
link-backlog = "1mb"
memory = "1gb"
script-cache = "2mb"
idle = "5m"
partial-command = "30s"
[backend]
sentinels = ["s1", "s2:7"]
master-name = "cache"
username = "u"
password = "p"
sentinel-username = "su"
sentinel-password = "sp"
connect-timeout = "200ms"
probe-interval = "2s"
probe-timeout = "900ms"
probe-misses = 4
[clients]
password = "cp"
login = "open"
deny = ["default", "FlushAll"]
[failover]
hold = 0
hold-bytes = "1mb"
drain-grace = "3s"
early-promotion = false
strict = true
lease = "700ms"
restarted = "accept"
blocking-replay = "never"
state-dir = "/var/lib/fairlead"
[stats]
listen = ["[::]:9100"]
user = "admin"
password = "x"
admin = true
slow-command = "25ms"
[vrrp]
ready-file = "/run/x/ready"
notify-fifo = "/run/x/fifo"
address = "10.0.0.100/24"
instance = "cache"
warm-links = 3
interface = "eth7"
node-a = "10.0.0.11"
node-b = "10.0.0.12"
router-id = 77
advert-interval = "100ms"
user = "proxy"
[console]
listen = ["unix:/run/console"]
[log]
level = "debug"
format = "json"
)");
  REQUIRE(result.errors == Errors{});
  const Options& options = result.options;
  CHECK(options.listen ==
        std::vector<resp::Address>{{"0.0.0.0", 7000, false}, {"/run/fairlead.sock", 0, true}});
  CHECK(options.freebind);
  CHECK(options.threads == 3);
  CHECK(options.drain_timeout.count() == 60'000);
  const auto& limits = options.engine.limits;
  CHECK(limits.clients_max == 500);
  CHECK(options.engine.pool_mode == engine::PoolMode::session);
  CHECK(options.engine.links_per_server == 2);
  CHECK(limits.query_buffer_bytes_max == 2U << 20);
  CHECK(limits.command.bulk_bytes_max == 1U << 20);
  CHECK(limits.output_buffer_bytes_max == 4U << 20);
  CHECK(limits.output_pause_bytes == 64U << 10);
  CHECK(limits.pipeline_depth_max == 7);
  CHECK(limits.leased_links_max == 8);
  CHECK(limits.connect_timeout.count() == 200);
  CHECK(limits.drain_grace.count() == 3000);
  CHECK(limits.link_backlog_bytes_max == 1U << 20);
  CHECK(limits.hold_max.count() == 0);
  CHECK(limits.hold_bytes_max == 1U << 20);
  CHECK_FALSE(options.backend.early_promotion);
  CHECK(options.backend.strict);
  CHECK(options.backend.lease.count() == 700);
  CHECK(options.backend.restarted == health::RestartPolicy::accept);
  CHECK(options.engine.blocking_replay == engine::BlockingReplay::never);
  CHECK(options.state_dir == "/var/lib/fairlead");
  CHECK(options.engine.client_password == "cp");
  CHECK(options.engine.deny == std::vector<std::string>{"default", "flushall"});
  CHECK(limits.memory_bytes_max == 1ULL << 30);
  CHECK(limits.script_bytes_max == 2U << 20);
  CHECK(limits.idle_max.count() == 300'000);
  CHECK(limits.partial_command_max.count() == 30'000);
  const auto& backend = options.backend;
  CHECK(backend.sentinels == std::vector<resp::Address>{{"s1", 26379, false}, {"s2", 7, false}});
  CHECK(backend.master_name == "cache");
  CHECK(backend.server_login.username == "u");
  CHECK(backend.server_login.password == "p");
  CHECK(backend.sentinel_login.username == "su");
  CHECK(backend.sentinel_login.password == "sp");
  CHECK(backend.connect_timeout.count() == 200);
  CHECK(backend.probe_interval.count() == 2000);
  CHECK(backend.probe_timeout.count() == 900);
  CHECK(backend.probes_missed_max == 4);
  CHECK(options.stats.listen == std::vector<resp::Address>{{"::", 9100, false}});
  CHECK(options.stats.user == "admin");
  CHECK(options.stats.password == "x");
  CHECK(options.stats.admin);
  CHECK(options.vrrp.in_pair());
  CHECK(options.vrrp.ready_file == "/run/x/ready");
  CHECK(options.vrrp.notify_fifo == "/run/x/fifo");
  CHECK(options.vrrp.host() == "10.0.0.100");
  CHECK(options.vrrp.instance == "cache");
  CHECK(options.vrrp.warm_links == 3);
  CHECK(options.vrrp.interface == "eth7");
  CHECK(options.vrrp.node_a == "10.0.0.11");
  CHECK(options.vrrp.node_b == "10.0.0.12");
  CHECK(options.vrrp.router_id == 77);
  CHECK(options.vrrp.advert_interval.count() == 100);
  CHECK(options.vrrp.user == "proxy");
  CHECK(options.engine.slow_min.count() == 25);
  CHECK(options.console.listen == std::vector<resp::Address>{{"/run/console", 0, true}});
  CHECK(options.log.level == LogLevel::debug);
  CHECK(options.log.format == LogFormat::json);
  CHECK(options.config_file == "fairlead.toml");
  for (const Option& option : option_list()) {
    CAPTURE(option.section, option.key);
    // Nothing that is in the list was left out above, but for the file forms of the secrets and the servers.
    const bool left_out = option.kind == OptionKind::secret_file || option.key == "servers";
    CHECK(result.mentions.count(&option) == (left_out ? 0U : 1U));
  }
}

TEST_CASE("unknown keys and sections, with what was meant") {
  CHECK(errors_of("[proxy]\nmax-client = 10") ==
        Errors{"fairlead.toml:4:1: unknown key 'max-client' in [proxy]; did you mean 'max-clients'?"});
  CHECK(errors_of("[proxy]\n  gold-digger = 10") ==
        Errors{"fairlead.toml:4:3: unknown key 'gold-digger' in [proxy]"});
  CHECK(errors_of("[proxy]\nhold = \"1s\"") ==
        Errors{"fairlead.toml:4:1: unknown key 'hold' in [proxy]; it belongs in [failover]"});
  CHECK(errors_of("[proxy]\npassword = \"p\"") ==
        Errors{"fairlead.toml:4:1: unknown key 'password' in [proxy]; it belongs in [backend], [clients] or "
               "[stats]"});
  CHECK(errors_of("[proxi]\nlisten = []") ==
        Errors{"fairlead.toml:3:2: unknown section [proxi]; did you mean [proxy]?"});
  CHECK(errors_of("[quorum]\nready-file = \"x\"") == Errors{"fairlead.toml:3:2: unknown section [quorum]"});
  CHECK(errors_of("[[proxy]]\nthreads = 1") ==
        Errors{"fairlead.toml:3:1: 'proxy' is a section; write [proxy]"});
  CHECK(load_file("threads = 1\n[backend]\nservers = \"a\"").errors ==
        Errors{"fairlead.toml:1:1: unknown key 'threads' outside of a section; it belongs in [proxy]"});
  CHECK(load_file("thread = 1\n[backend]\nservers = \"a\"").errors ==
        Errors{"fairlead.toml:1:1: unknown key 'thread' outside of a section; did you mean 'threads' in "
               "[proxy]?"});
  CHECK(load_file("proxy = 1\n[backend]\nservers = \"a\"").errors ==
        Errors{"fairlead.toml:1:9: 'proxy' is a section; write [proxy]"});
}

TEST_CASE("wrong types") {
  CHECK(errors_of("[proxy]\nthreads = \"4\"") ==
        Errors{"fairlead.toml:4:11: 'threads' in [proxy]: expects an integer without quotes, not a string"});
  CHECK(errors_of("[proxy]\nthreads = 4.0") == Errors{"fairlead.toml:4:11: 'threads' in [proxy]: expects an "
                                                      "integer without quotes, not a floating-point number"});
  CHECK(errors_of("[proxy]\nfreebind = \"yes\"") ==
        Errors{
            "fairlead.toml:4:12: 'freebind' in [proxy]: expects true or false without quotes, not a string"});
  CHECK(errors_of("[proxy]\nlisten = 6379") ==
        Errors{"fairlead.toml:4:10: 'listen' in [proxy]: expects an array of strings, not an integer"});
  CHECK(errors_of("[proxy]\npool-mode = [\"session\"]") ==
        Errors{"fairlead.toml:4:13: 'pool-mode' in [proxy]: expects a string, not an array"});
  CHECK(errors_of("[proxy]\nquery-buffer = true") ==
        Errors{"fairlead.toml:4:16: 'query-buffer' in [proxy]: expects a string with a unit, for example "
               "\"64mb\", or an "
               "integer of bytes, not a boolean"});
  CHECK(
      errors_of("[failover]\nhold = 1.5") ==
      Errors{
          "fairlead.toml:4:8: 'hold' in [failover]: expects a string with a unit, for example \"10s\", not a "
          "floating-point number"});
  CHECK(errors_of("[log]\nlevel = 2026-01-01") ==
        Errors{"fairlead.toml:4:9: 'level' in [log]: expects a string, not a date or time"});
  CHECK(errors_of("[stats]\nuser = {a = 1}\npassword = \"x\"") ==
        Errors{"fairlead.toml:4:8: 'user' in [stats]: expects a string, not a table"});
}

TEST_CASE("wrong values") {
  CHECK(errors_of("[failover]\nhold = 10") ==
        Errors{"fairlead.toml:4:8: 'hold' in [failover]: '10' has no unit; write 10ms, 10s, 10m or 10h"});
  CHECK(errors_of("[failover]\nhold = \"10 s\"") ==
        Errors{"fairlead.toml:4:8: 'hold' in [failover]: '10 s' is not a duration; write for example 500ms, "
               "10s, 5m or 1h"});
  CHECK(errors_of("[failover]\nhold = \"2h\"") ==
        Errors{"fairlead.toml:4:8: 'hold' in [failover]: '2h' is out of range; write 0 to 1h"});
  CHECK(errors_of("[failover]\nhold-bytes = \"64 mb\"") ==
        Errors{"fairlead.toml:4:14: 'hold-bytes' in [failover]: '64 mb' is not a size; write for example "
               "65536, 64kb, 10mb "
               "or 1gb"});
  CHECK(errors_of("[failover]\nhold-bytes = -1") ==
        Errors{"fairlead.toml:4:14: 'hold-bytes' in [failover]: '-1' is not a size; write for example 65536, "
               "64kb, 10mb or "
               "1gb"});
  CHECK(errors_of("[proxy]\nthreads = -1") ==
        Errors{"fairlead.toml:4:11: 'threads' in [proxy]: '-1' is not a whole number; write 0 to 1024"});
  CHECK(errors_of("[proxy]\nmax-clients = 0") ==
        Errors{"fairlead.toml:4:15: 'max-clients' in [proxy]: '0' is out of range; write 1 to 1000000"});
  CHECK(errors_of("[proxy]\npool-mode = \"sesion\"") ==
        Errors{"fairlead.toml:4:13: 'pool-mode' in [proxy]: 'sesion' is none of multiplex, session; did you "
               "mean 'session'?"});
  CHECK(errors_of("[proxy]\nlisten = [\"127.0.0.1:1\", \"x:99999\", 3]") ==
        Errors{"fairlead.toml:4:37: 'listen' in [proxy]: expects strings in the array, not an integer",
               "fairlead.toml:4:26: 'listen' in [proxy]: 'x:99999' is not an address; write host:port, "
               "[v6]:port or "
               "unix:/path"});
  CHECK(load_file("[backend]\nsentinels = [\"s\"]\nmaster-name = \"\"").errors ==
        Errors{"fairlead.toml:3:15: 'master-name' in [backend]: '' is not a name; write one without spaces"});
}

TEST_CASE("what the pair needs") {
  CHECK_FALSE(load_file("[backend]\nservers = \"a\"").options.vrrp.in_pair());
  CHECK(errors_of("[vrrp]\nready-file = \"ready\"") ==
        Errors{"fairlead.toml:4:1: 'ready-file' in [vrrp] is 'ready'; write an absolute path"});
  CHECK(errors_of("[vrrp]\naddress = \"vip\"") ==
        Errors{"fairlead.toml:4:1: 'address' in [vrrp] is 'vip'; write an address such as 10.0.0.100 or "
               "10.0.0.100/24"});
  CHECK(errors_of("[vrrp]\nnotify-fifo = \"/run/x\"") ==
        Errors{"fairlead.toml:4:1: 'notify-fifo' in [vrrp] needs 'address', to know which clients an owner "
               "loses"});
  CHECK(errors_of("[vrrp]\naddress = \"fd00::100/64\"\nnotify-fifo = \"/run/x\"") == Errors{});
}

TEST_CASE("all errors of a file come at once, in its order") {
  CHECK(
      load_file("[stats]\nadmin = 1\n[backend]\nservers = \"a\"\nx = 1\n[log]\nformat = \"xml\"\n").errors ==
      Errors{"fairlead.toml:2:9: 'admin' in [stats]: expects true or false without quotes, not an integer",
             "fairlead.toml:5:1: unknown key 'x' in [backend]",
             "fairlead.toml:7:10: 'format' in [log]: 'xml' is none of logfmt, json"});
}

TEST_CASE("a file that is no TOML is one error with its position, without guesses about the rest") {
  const auto expect_position = [](const std::string& text, std::string_view position) {
    const auto errors = load_file(text).errors;
    REQUIRE(errors.size() == 1);
    CAPTURE(errors.front());
    CHECK(errors.front().starts_with(position));
    CHECK(errors.front().size() > position.size() + 10);
  };
  expect_position("[proxy]\nlisten = [\"a\"\nthreads = 1", "fairlead.toml:3:1: ");
  expect_position("[proxy\n", "fairlead.toml:1:7: ");
  expect_position("[proxy]\nthreads = 1\nthreads = 2\n", "fairlead.toml:3:");
  expect_position("[proxy]\nthreads = \xff\n", "fairlead.toml:2:");
  expect_position("[stats]\nuser = \"u\n", "fairlead.toml:2:");
  expect_position(std::string("[proxy]\n\0x", 10), "fairlead.toml:2:");
}

TEST_CASE("a deeply nested file ends in an error, not in the stack's end") {
  CHECK(load_file("x = " + std::string(100'000, '[')).errors.size() == 1);
}

TEST_CASE("files that cannot be read") {
  ConfigSources sources;
  sources.file = "/nonexistent/fairlead.toml";
  CHECK(load_config(sources).errors ==
        Errors{"/nonexistent/fairlead.toml: cannot be read: No such file or directory"});
  sources.file = "/";
  CHECK(load_config(sources).errors == Errors{"/: cannot be read: Is a directory"});
  sources.file = "/dev/zero";
  CHECK(load_config(sources).errors == Errors{"/dev/zero: is larger than 1mb; is it the right file?"});
}

TEST_CASE("FAIRLEAD_CONFIG names the file, unless a flag does") {
  ConfigSources sources;
  sources.environment = [](const char* name) {
    return std::string_view(name) == "FAIRLEAD_CONFIG" ? "/nonexistent/environment" : nullptr;
  };
  CHECK(load_config(sources).errors ==
        Errors{"/nonexistent/environment: cannot be read: No such file or directory"});
  sources.file = "/nonexistent/flag";
  CHECK(load_config(sources).errors ==
        Errors{"/nonexistent/flag: cannot be read: No such file or directory"});
}

/// Takes the sign # away from the lines that are settings.
std::string uncommented(const std::string& example) {
  std::string result = example;
  for (const Option& option : option_list()) {
    const std::string key = std::string(option.key) + " = ";
    std::size_t at = 0;
    while ((at = result.find("\n#" + key, at)) != std::string::npos) result.erase(at + 1, 1);
  }
  return result;
}

void check_defaults(std::string text) {
  ConfigSources sources;
  sources.file_text = std::move(text);
  sources.flags = {{"--server", {"a"}}};
  const auto result = load_config(sources);
  CHECK(result.errors == Errors{});
  Options defaults;
  defaults.backend.servers = {{"a", 6379, false}};
  for (const Option& option : option_list()) {
    CAPTURE(option.section, option.key);
    CHECK(option.show(result.options) == option.show(defaults));
  }
  CHECK(result.options.backend.server_login.password.empty());
  CHECK(result.options.backend.sentinel_login.password.empty());
  CHECK(result.options.engine.client_password.empty());
  CHECK(result.options.stats.password.empty());
}

TEST_CASE("the example file changes nothing, with the comment signs and without them") {
  const std::string example = example_config();
  check_defaults(example);
  const std::string settings = uncommented(example);
  check_defaults(settings);
  CHECK(static_cast<std::size_t>(std::count(settings.begin(), settings.end(), '\n')) > option_list().size());
  // The second half of the test would prove nothing if no sign had been taken away.
  CHECK(example.size() - settings.size() == option_list().size());
}

TEST_CASE("the example file's lines fit a terminal and name every flag and variable") {
  const std::string example = example_config();
  for (const Option& option : option_list()) {
    CHECK(example.find(environment_name(option)) != std::string::npos);
    CHECK(example.find(option.flag) != std::string::npos);
  }
  std::size_t begin = 0;
  while (begin < example.size()) {
    const std::size_t end = example.find('\n', begin);
    REQUIRE(end != std::string::npos);
    CHECK(end - begin <= 110);
    begin = end + 1;
  }
}

}  // namespace
}  // namespace fairlead::proxy
