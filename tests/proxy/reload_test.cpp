// What a reload changes, what it refuses; what is remembered on disk.
#include "proxy/reload.hpp"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "proxy/state_file.hpp"

using namespace fairlead;
using namespace fairlead::proxy;

namespace {

Options running_options() {
  Options options;
  options.backend.sentinels = {{"s1", 26379, false}};
  return options;
}

struct Directory {
  Directory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "fairlead-state-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path = pattern;
  }
  ~Directory() { std::filesystem::remove_all(path); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  std::filesystem::path path;
};

const health::Remembered seven{{"10.0.0.1", 6379, false}, "0123abcd", 6, 6, 7};

}  // namespace

TEST_CASE("a reload without a change plans nothing", "[reload]") {
  const ReloadPlan plan = plan_reload(running_options(), running_options());
  CHECK(plan.changed.empty());
  CHECK(plan.refused.empty());
  CHECK(plan.backend == BackendChange::none);
}

TEST_CASE("a reload changes limits, logins and what is watched", "[reload]") {
  Options wanted = running_options();
  wanted.engine.limits.hold_max = std::chrono::milliseconds(5000);
  wanted.log.level = LogLevel::debug;
  SECTION("without the backend") {
    const ReloadPlan plan = plan_reload(running_options(), wanted);
    CHECK(plan.changed == std::vector<std::string>{"[failover] hold: \"10s\" -> \"5s\"",
                                                   "[log] level: \"info\" -> \"debug\""});
    CHECK(plan.refused.empty());
    CHECK(plan.backend == BackendChange::none);
    CHECK(plan.options.engine.limits.hold_max.count() == 5000);
    CHECK(plan.options.log.level == LogLevel::debug);
  }
  SECTION("the Sentinels") {
    wanted.backend.sentinels.push_back({"s2", 26379, false});
    const ReloadPlan plan = plan_reload(running_options(), wanted);
    CHECK(plan.changed.size() == 3);
    CHECK(plan.backend == BackendChange::changed);
    CHECK(plan.options.backend.sentinels.size() == 2);
  }
  SECTION("a password, which is not told") {
    wanted.backend.server_login.password = "top";
    const ReloadPlan plan = plan_reload(running_options(), wanted);
    CHECK(plan.changed.front() == "[backend] password");
    CHECK(plan.backend == BackendChange::changed);
    CHECK(plan.options.engine.server_login.password == "top");
  }
  SECTION("strict mode is the Monitor's business") {
    wanted.backend.strict = true;
    CHECK(plan_reload(running_options(), wanted).backend == BackendChange::changed);
  }
}

TEST_CASE("a reload leaves the pair as it is", "[reload]") {
  Options running = running_options();
  running.vrrp.address = "10.0.0.100/24";
  Options wanted = running;
  wanted.vrrp.ready_file = "/run/x/ready";
  wanted.vrrp.notify_fifo = "/run/x/fifo";
  wanted.vrrp.address = "10.0.0.101/24";
  wanted.vrrp.instance = "other";
  wanted.vrrp.warm_links = 3;
  const ReloadPlan plan = plan_reload(running, wanted);
  CHECK(plan.refused.size() == 5);
  CHECK(plan.changed.empty());
  CHECK(plan.options.vrrp.ready_file.empty());
  CHECK(plan.options.vrrp.notify_fifo.empty());
  CHECK(plan.options.vrrp.address == "10.0.0.100/24");
  CHECK(plan.options.vrrp.instance == "fairlead");
  CHECK(plan.options.vrrp.warm_links == running.vrrp.warm_links);
}

TEST_CASE("a reload refuses what is made at start", "[reload]") {
  Options wanted = running_options();
  wanted.threads = 7;
  wanted.listen = {{"0.0.0.0", 1, false}};
  wanted.backend.master_name = "other";
  wanted.state_dir = "/somewhere";
  wanted.stats.password = "x";
  wanted.drain_timeout = std::chrono::milliseconds(1);
  const ReloadPlan plan = plan_reload(running_options(), wanted);
  CHECK(plan.refused.size() == 5);
  CHECK(plan.changed.size() == 1);
  const Options before = running_options();
  CHECK(plan.options.threads == before.threads);
  CHECK(plan.options.listen == before.listen);
  CHECK(plan.options.backend.master_name == before.backend.master_name);
  CHECK(plan.options.state_dir == before.state_dir);
  CHECK(plan.options.stats.password.empty());
  CHECK(plan.options.drain_timeout.count() == 1);
}

TEST_CASE("a reload does not go from Sentinels to servers", "[reload]") {
  Options wanted = running_options();
  wanted.backend.sentinels.clear();
  wanted.backend.servers = {{"r1", 6379, false}};
  const ReloadPlan plan = plan_reload(running_options(), wanted);
  CHECK(plan.refused.size() == 2);
  CHECK(plan.options.backend.sentinels == running_options().backend.sentinels);
  CHECK(plan.options.backend.servers.empty());
  CHECK(plan.backend == BackendChange::none);
}

TEST_CASE("what is remembered survives as text", "[state]") {
  const std::string text = format_state(seven, "mymaster");
  CHECK(parse_state(text, "mymaster") == seven);
  CHECK_FALSE(parse_state(text, "other").has_value());
  for (std::size_t size = 0; size + 1 < text.size(); ++size) {
    CAPTURE(size);
    CHECK_FALSE(parse_state(text.substr(0, size), "mymaster").has_value());
  }
  CHECK_FALSE(parse_state("something else", "mymaster").has_value());
}

TEST_CASE("the state file is written by a thread of its own and read at the next start", "[state]") {
  const Directory directory;
  const std::string place = (directory.path / "made").string();
  {
    StateFile file(place, "mymaster");
    REQUIRE(file.open().empty());
    CHECK_FALSE(file.last().has_value());
    file.keep({{"10.0.0.1", 6379, false}, "0123abcd", 6, 6});
    file.keep(seven);
  }
  StateFile again(place, "mymaster");
  REQUIRE(again.open().empty());
  CHECK(again.last() == seven);
}

TEST_CASE(
    "a state file that cannot be understood counts as none; a directory that cannot be used is an error",
    "[state]") {
  const Directory directory;
  std::ofstream(directory.path / "route") << "garbage";
  StateFile file(directory.path.string(), "mymaster");
  REQUIRE(file.open().empty());
  CHECK_FALSE(file.last().has_value());
  StateFile impossible((directory.path / "route" / "below-a-file").string(), "mymaster");
  CHECK(impossible.open().find("state-dir") != std::string::npos);
}
