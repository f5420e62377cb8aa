// The sources of configuration against each other: precedence, names, secrets, and rules between options.
#include "proxy/config.hpp"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>

#include <catch2/catch.hpp>

namespace fairlead::proxy {
namespace {

using Errors = std::vector<std::string>;
using Variables = std::map<std::string, std::string>;

struct Input {
  std::vector<FlagValues> flags;
  Variables variables;
  std::string file;
};

ConfigResult load(const Input& input) {
  ConfigSources sources;
  sources.flags = input.flags;
  sources.file = "fairlead.toml";
  sources.file_text = input.file;
  sources.environment = [&input](const char* name) -> const char* {
    const auto found = input.variables.find(name);
    return found == input.variables.end() ? nullptr : found->second.c_str();
  };
  return load_config(sources);
}

Options load_valid(const Input& input) {
  ConfigResult result = load(input);
  CHECK(result.errors == Errors{});
  return result.options;
}

/// A file of its own that is gone with the test.
class SecretFile {
 public:
  explicit SecretFile(std::string_view content) {
    const int fd = mkstemp(path_.data());
    REQUIRE(fd >= 0);
    std::FILE* const file = fdopen(fd, "w");
    REQUIRE(std::fwrite(content.data(), 1, content.size(), file) == content.size());
    std::fclose(file);
  }
  ~SecretFile() { std::filesystem::remove(path_); }
  SecretFile(const SecretFile&) = delete;
  SecretFile& operator=(const SecretFile&) = delete;

  [[nodiscard]] std::string path() const { return path_; }

 private:
  std::string path_ = std::filesystem::temp_directory_path() / "fairlead_config_XXXXXX";
};

const std::string servers_file = "[backend]\nservers = [\"10.0.0.1\"]\n";

TEST_CASE("precedence of each pair of sources") {
  const FlagValues flag{"--threads", {"4"}};
  const Variables variable{{"FAIRLEAD_THREADS", "3"}, {"FAIRLEAD_SERVERS", "a"}};
  const Variables no_variable{{"FAIRLEAD_SERVERS", "a"}};
  const std::string file = "[proxy]\nthreads = 2\n";
  CHECK(load_valid({{}, no_variable, ""}).threads == 0);
  CHECK(load_valid({{}, no_variable, file}).threads == 2);
  CHECK(load_valid({{}, variable, ""}).threads == 3);
  CHECK(load_valid({{}, variable, file}).threads == 3);
  CHECK(load_valid({{flag}, no_variable, ""}).threads == 4);
  CHECK(load_valid({{flag}, no_variable, file}).threads == 4);
  CHECK(load_valid({{flag}, variable, ""}).threads == 4);
  CHECK(load_valid({{flag}, variable, file}).threads == 4);
}

TEST_CASE("a stronger source replaces a list, it does not add to it") {
  const std::string file = "[proxy]\nlisten = [\"127.0.0.1:1\", \"127.0.0.1:2\"]\n" + servers_file;
  CHECK(load_valid({{}, {}, file}).listen.size() == 2);
  const Options options = load_valid({{{"--listen", {"127.0.0.1:3"}}}, {}, file});
  CHECK(options.listen == std::vector<resp::Address>{{"127.0.0.1", 3, false}});
}

TEST_CASE("lists: repeated flags, commas, an array or one string") {
  const std::vector<resp::Address> both{{"a", 26379, false}, {"b", 7, false}};
  CHECK(load_valid({{{"--sentinel", {"a", "b:7"}}}, {}, ""}).backend.sentinels == both);
  CHECK(load_valid({{{"--sentinel", {"a,b:7"}}}, {}, ""}).backend.sentinels == both);
  CHECK(load_valid({{}, {{"FAIRLEAD_SENTINELS", "a, b:7"}}, ""}).backend.sentinels == both);
  CHECK(load_valid({{}, {}, "[backend]\nsentinels = [\"a\", \"b:7\"]"}).backend.sentinels == both);
  CHECK(load_valid({{}, {}, "[backend]\nsentinels = \"a\""}).backend.sentinels ==
        std::vector<resp::Address>{{"a", 26379, false}});
}

TEST_CASE("an empty variable counts as not set") {
  const Options options = load_valid({{}, {{"FAIRLEAD_THREADS", ""}, {"REDIS_PASSWORD", ""}}, servers_file});
  CHECK(options.threads == 0);
  CHECK(options.backend.server_login.password.empty());
}

TEST_CASE("the names of existing deployments") {
  const Options sentinel = load_valid({{},
                                       {{"SENTINEL_HOSTS", "s1,s2:7"},
                                        {"SENTINEL_MASTER", "cache"},
                                        {"SENTINEL_PASSWORD", "sp"},
                                        {"REDIS_PASSWORD", "rp"},
                                        {"ADMIN_USERNAME", "admin"},
                                        {"ADMIN_PASSWORD", "ap"}},
                                       ""});
  CHECK(sentinel.backend.sentinels == std::vector<resp::Address>{{"s1", 26379, false}, {"s2", 7, false}});
  CHECK(sentinel.backend.master_name == "cache");
  CHECK(sentinel.backend.sentinel_login.password == "sp");
  CHECK(sentinel.backend.server_login.password == "rp");
  CHECK(sentinel.engine.server_login.password == "rp");
  CHECK(sentinel.stats.user == "admin");
  CHECK(sentinel.stats.password == "ap");
}

TEST_CASE("REDIS_HOSTS, REDIS_HOST and REDIS_MASTER_HOST with their ports") {
  const auto servers = [](const Variables& variables) {
    return load_valid({{}, variables, ""}).backend.servers;
  };
  using List = std::vector<resp::Address>;
  CHECK(servers({{"REDIS_HOSTS", "a,b:7"}}) == List{{"a", 6379, false}, {"b", 7, false}});
  CHECK(servers({{"REDIS_HOST", "a"}}) == List{{"a", 6379, false}});
  CHECK(servers({{"REDIS_HOST", "a"}, {"REDIS_PORT", "7"}}) == List{{"a", 7, false}});
  CHECK(servers({{"REDIS_HOST", "a:8"}, {"REDIS_PORT", "7"}}) == List{{"a", 8, false}});
  CHECK(servers({{"REDIS_HOST", "::1"}, {"REDIS_PORT", "7"}}) == List{{"::1", 7, false}});
  CHECK(servers({{"REDIS_MASTER_HOST", "a"}, {"REDIS_MASTER_PORT", "7"}}) == List{{"a", 7, false}});
  CHECK(servers({{"REDIS_HOSTS", "a"}, {"REDIS_HOST", "b"}}) == List{{"a", 6379, false}});
  CHECK(servers({{"REDIS_HOST", "a"}, {"REDIS_MASTER_HOST", "b"}}) == List{{"a", 6379, false}});
}

TEST_CASE("Kubernetes' REDIS_PORT of a service called redis is no port") {
  const Options options = load_valid({{}, {{"REDIS_HOST", "a"}, {"REDIS_PORT", "tcp://10.96.0.1:6379"}}, ""});
  CHECK(options.backend.servers == std::vector<resp::Address>{{"a", 6379, false}});
}

TEST_CASE("a wrong REDIS_PORT is reported with the host it spoils") {
  CHECK(load({{}, {{"REDIS_HOST", "a"}, {"REDIS_PORT", "99999"}}, ""}).errors ==
        Errors{"REDIS_HOST: 'a:99999' is not an address; write host:port, [v6]:port or unix:/path"});
}

TEST_CASE("fairlead's own names win over the compatible ones") {
  const Options options = load_valid({{},
                                      {{"FAIRLEAD_SERVERS", "own"},
                                       {"REDIS_HOSTS", "other"},
                                       {"FAIRLEAD_PASSWORD", "own"},
                                       {"REDIS_PASSWORD", "other"}},
                                      ""});
  CHECK(options.backend.servers == std::vector<resp::Address>{{"own", 6379, false}});
  CHECK(options.backend.server_login.password == "own");
}

TEST_CASE(
    "with Sentinels the compatible names of servers are passed over, wherever the Sentinels come from") {
  const Variables master{{"REDIS_MASTER_HOST", "redis-0"}};
  CHECK(load_valid({{{"--sentinel", {"s"}}}, master, ""}).backend.servers.empty());
  CHECK(load_valid({{}, master, "[backend]\nsentinels = [\"s\"]"}).backend.servers.empty());
  CHECK(load_valid({{}, {{"REDIS_MASTER_HOST", "m"}, {"SENTINEL_HOSTS", "s"}}, ""}).backend.servers.empty());
}

TEST_CASE("sentinels and servers: one of them, and not both") {
  CHECK(load({{{"--server", {"a"}}}, {}, "[backend]\nsentinels = [\"s\"]"}).errors ==
        Errors{"sentinels (fairlead.toml:2:1) and servers (--server) are both given; remove one: Sentinels "
               "name the "
               "servers themselves"});
  CHECK(load({{}, {}, ""}).errors ==
        Errors{
            "no Redis to stand in front of: give the Sentinels (--sentinel HOST:PORT, FAIRLEAD_SENTINELS, or "
            "'sentinels' in [backend]) or, without Sentinel, the servers (--server HOST:PORT, "
            "FAIRLEAD_SERVERS, or "
            "'servers' in [backend])"});
}

TEST_CASE("a wrong list of Sentinels is one error, not two") {
  CHECK(load({{{"--sentinel", {"a b"}}}, {}, ""}).errors ==
        Errors{"--sentinel: 'a b' is not an address; write host:port, [v6]:port or unix:/path"});
}

TEST_CASE("the console beyond loopback needs the password of the stats listener") {
  const FlagValues wide{"--console", {"0.0.0.0"}};
  CHECK(
      load({{wide}, {}, servers_file}).errors ==
      Errors{"--console: [console] listens on 0.0.0.0:6380, which others can reach, without a password; set "
             "'password' or 'password-file' in [stats], or listen on 127.0.0.1"});
  CHECK(load({{{"--console", {"127.0.0.1", "unix:/run/console"}}}, {}, servers_file}).errors == Errors{});
}

TEST_CASE("the stats listener beyond loopback needs a password") {
  const FlagValues wide{"--stats", {"0.0.0.0:9000"}};
  CHECK(load({{wide}, {}, servers_file}).errors ==
        Errors{"--stats: [stats] listens on 0.0.0.0:9000, which others can reach, without a password; set "
               "'password' "
               "or 'password-file' in [stats] (FAIRLEAD_STATS_PASSWORD), or listen on 127.0.0.1"});
  CHECK(load_valid({{wide}, {{"FAIRLEAD_STATS_PASSWORD", "x"}}, servers_file}).stats.password == "x");
  CHECK(load_valid({{{"--stats", {"unix:/run/stats.sock"}}}, {}, servers_file}).stats.listen.front().is_unix);
}

TEST_CASE("the stats listener can be switched off") {
  CHECK(load_valid({{{"--stats", {"none"}}}, {}, servers_file}).stats.listen.empty());
  CHECK(load_valid({{}, {}, servers_file + "[stats]\nlisten = []"}).stats.listen.empty());
}

TEST_CASE("rules between options") {
  CHECK(load({{}, {}, servers_file + "[proxy]\nlisten = []"}).errors ==
        Errors{"fairlead.toml:4:1: 'listen' in [proxy] is empty; name at least one address, for example "
               "127.0.0.1:6379"});
  CHECK(load({{{"--stats", {"127.0.0.1:6379"}}}, {}, servers_file}).errors ==
        Errors{"--stats: [stats] and [proxy] both listen on 127.0.0.1:6379; give one of them another port"});
  CHECK(load({{{"--username", {"u"}}}, {}, servers_file}).errors ==
        Errors{"--username: 'username' in [backend] needs a password; set 'password' or 'password-file' in "
               "[backend]"});
  CHECK(load({{{"--sentinel-username", {"u"}}}, {}, servers_file}).errors ==
        Errors{"--sentinel-username: 'sentinel-username' in [backend] needs a password; set "
               "'sentinel-password' or "
               "'sentinel-password-file' in [backend]"});
  CHECK(load({{}, {{"ADMIN_USERNAME", "u"}}, servers_file}).errors ==
        Errors{"ADMIN_USERNAME: 'user' in [stats] needs a password; set 'password' or 'password-file' in "
               "[stats]"});
  CHECK(load({{{"--output-pause", {"2mb"}}}, {{"FAIRLEAD_OUTPUT_BUFFER", "1mb"}}, servers_file}).errors ==
        Errors{"output-pause (2mb, --output-pause) is larger than output-buffer (1mb, "
               "FAIRLEAD_OUTPUT_BUFFER); a client "
               "would be closed before its commands wait"});
}

TEST_CASE("one value is seen by all modules that keep it") {
  const Options options = load_valid({{{"--connect-timeout", {"100ms"}}, {"--probe-interval", {"60ms"}}},
                                      {{"FAIRLEAD_USERNAME", "u"}, {"FAIRLEAD_PASSWORD", "p"}},
                                      servers_file});
  CHECK(options.backend.connect_timeout.count() == 100);
  CHECK(options.backend.connect_timeout_suspect.count() == 100);
  CHECK(options.backend.probe_interval_suspect.count() == 50);
  CHECK(options.engine.limits.connect_timeout.count() == 100);
  CHECK(options.engine.server_login.username == "u");
  CHECK(options.engine.server_login.password == "p");
}

TEST_CASE("secrets from files") {
  const SecretFile file("s3cret\n");
  CHECK(load_valid({{{"--password-file", {file.path()}}}, {}, servers_file}).backend.server_login.password ==
        "s3cret");
  CHECK(load_valid({{}, {{"FAIRLEAD_CLIENTS_PASSWORD_FILE", file.path()}}, servers_file})
            .engine.client_password == "s3cret");
  const std::string toml = servers_file + "[stats]\npassword-file = \"" + file.path() + "\"\n";
  CHECK(load_valid({{}, {}, toml}).stats.password == "s3cret");
}

TEST_CASE("of a secret and its file the stronger source counts; from one source they are an error") {
  const SecretFile file("from-file");
  const std::string toml = servers_file + "password = \"from-toml\"\n";
  CHECK(load_valid({{{"--password-file", {file.path()}}}, {}, toml}).backend.server_login.password ==
        "from-file");
  const std::string with_file = servers_file + "password-file = \"" + file.path() + "\"\n";
  CHECK(load_valid({{}, {{"REDIS_PASSWORD", "env"}}, with_file}).backend.server_login.password == "env");
  CHECK(load({{}, {}, with_file + "password = \"x\"\n"}).errors ==
        Errors{"fairlead.toml:4:12: 'password' in [backend]: the same secret is given by fairlead.toml:3:1; "
               "keep one of "
               "them"});
}

TEST_CASE("files that hold no secret") {
  const auto error = [](const std::string& path) {
    const auto result = load({{{"--password-file", {path}}}, {}, servers_file});
    REQUIRE(result.errors.size() == 1);
    return result.errors.front();
  };
  CHECK(error("/nonexistent/secret") ==
        "--password-file: '/nonexistent/secret' cannot be read: No such file or directory");
  const SecretFile empty("\n");
  CHECK(error(empty.path()) == "--password-file: '" + empty.path() + "' is empty; write the secret into it");
  const SecretFile lines("a\nb\n");
  CHECK(error(lines.path()) ==
        "--password-file: '" + lines.path() + "' has more than one line; it must hold the secret alone");
  const SecretFile large(std::string(4097, 'x'));
  CHECK(error(large.path()) ==
        "--password-file: '" + large.path() + "' is larger than 4096 bytes; it must hold the secret alone");
  const SecretFile longest(std::string(4096, 'x'));
  CHECK(load({{{"--password-file", {longest.path()}}}, {}, servers_file}).errors.empty());
}

TEST_CASE("no secret is shown, not even in an error") {
  const Variables variables{{"FAIRLEAD_PASSWORD", "s3cret"},
                            {"FAIRLEAD_SENTINEL_PASSWORD", "s3cret"},
                            {"FAIRLEAD_CLIENTS_PASSWORD", "s3cret"},
                            {"FAIRLEAD_STATS_PASSWORD", "s3cret"}};
  const ConfigResult result = load({{}, variables, servers_file + "[clients]\npassword = 7\n"});
  const std::string shown = effective_config(result);
  CHECK(shown.find("s3cret") == std::string::npos);
  CHECK(shown.find("# password is set (FAIRLEAD_STATS_PASSWORD)") != std::string::npos);
  CHECK(result.errors ==
        Errors{"fairlead.toml:4:12: 'password' in [clients]: expects a string, not an integer"});
}

TEST_CASE("the summary tells values with their origins and can be loaded again") {
  const ConfigResult result =
      load({{{"--threads", {"4"}}}, {{"REDIS_HOST", "a"}}, "[failover]\nhold = \"3s\""});
  const std::string shown = effective_config(result);
  CHECK(shown.find("threads = 4                                      # --threads\n") != std::string::npos);
  CHECK(shown.find("hold = \"3s\"                                      # fairlead.toml:2:1\n") !=
        std::string::npos);
  CHECK(shown.find("servers = [\"a:6379\"]                             # REDIS_HOST\n") != std::string::npos);
  const ConfigResult again = load({{}, {}, shown});
  CHECK(again.errors == Errors{});
  for (const Option& option : option_list()) CHECK(option.show(again.options) == option.show(result.options));
}

TEST_CASE("flags: given twice, unknown, wrong") {
  CHECK(load({{{"--threads", {"1", "2"}}, {"--nonsense", {"1"}}, {"--hold", {"10"}}}, {}, servers_file})
            .errors == Errors{"--threads: given 2 times; give it once", "--nonsense: unknown flag",
                              "--hold: '10' has no unit; write 10ms, 10s, 10m or 10h"});
}

TEST_CASE("errors of all sources come at once, the file's first") {
  const Input input{
      {{"--threads", {"x"}}}, {{"FAIRLEAD_HOLD", "soon"}}, servers_file + "[log]\nlevel = \"loud\""};
  CHECK(load(input).errors ==
        Errors{"fairlead.toml:4:9: 'level' in [log]: 'loud' is none of debug, info, warning, error",
               "FAIRLEAD_HOLD: 'soon' is not a duration; write for example 500ms, 10s, 5m or 1h",
               "--threads: 'x' is not a whole number; write 0 to 1024"});
}

TEST_CASE("every option: names are unique, each source reaches it, its help is a sentence") {
  std::set<std::string> keys;
  std::set<std::string> variables;
  std::set<std::string_view> flags;
  for (const Option& option : option_list()) {
    CAPTURE(option.section, option.key);
    CHECK(keys.insert(std::string(option.section) + "." + std::string(option.key)).second);
    CHECK(variables.insert(environment_name(option)).second);
    CHECK((option.flag.empty() || flags.insert(option.flag).second));
    CHECK(option.flag.empty() == (option.kind == OptionKind::secret));
    CHECK(option.help.ends_with('.'));
    CHECK_FALSE(section_help(option.section).empty());
    if (option.kind == OptionKind::secret) {
      CHECK(find_option(option.section, std::string(option.key) + "-file") != nullptr);
    }
  }
}

}  // namespace
}  // namespace fairlead::proxy
