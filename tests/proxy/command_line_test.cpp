#include "proxy/command_line.hpp"

#include <catch2/catch.hpp>

#include "proxy/config.hpp"

namespace fairlead::proxy {
namespace {

using Words = std::vector<std::string>;

std::string error_of(Words words) {
  return read_command_line(std::move(words)).error;
}

/// `--listen=a,b` for each flag, to compare at a glance.
Words flags_of(Words words) {
  const CommandLine line = read_command_line(std::move(words));
  CHECK(line.error == "");
  Words result;
  for (const FlagValues& flag : line.flags) {
    std::string text = flag.flag + "=";
    for (const std::string& value : flag.values) text += (text.back() == '=' ? "" : "|") + value;
    result.push_back(text);
  }
  return result;
}

TEST_CASE("run is the default, and flags work before and after it") {
  const Words expected{"--listen=a:1", "--stats=b:2"};
  CHECK(read_command_line({}).command == Command::run);
  CHECK(read_command_line({"run"}).command == Command::run);
  CHECK(flags_of({"--listen", "a:1", "--stats", "b:2"}) == expected);
  CHECK(flags_of({"run", "--listen", "a:1", "--stats", "b:2"}) == expected);
  CHECK(flags_of({"--listen", "a:1", "run", "--stats", "b:2"}) == expected);
  CHECK(flags_of({"--listen=a:1", "--stats=b:2", "run"}) == expected);
}

TEST_CASE("lists are repeated; toggles need no value but may have one") {
  CHECK(flags_of({"--sentinel", "a", "--sentinel", "b", "run"}) == Words{"--sentinel=a|b"});
  CHECK(flags_of({"--freebind", "run"}) == Words{"--freebind=true"});
  CHECK(flags_of({"--freebind=false"}) == Words{"--freebind=false"});
  CHECK(flags_of({"--freebind=maybe"}) == Words{"--freebind=maybe"});  // load_config reports it
}

TEST_CASE("every option with a flag is on the command line and in the help") {
  const std::string help = read_command_line({"--help"}).help;
  for (const Option& option : option_list()) {
    if (option.flag.empty()) continue;
    CAPTURE(option.flag);
    CHECK(help.find("  " + std::string(option.flag) + " ") != std::string::npos);
    CHECK(flags_of({std::string(option.flag) + "=x"}) == Words{std::string(option.flag) + "=x"});
  }
}

TEST_CASE("check and keepalived take the same flags as run") {
  CHECK(read_command_line({"check", "--listen", "a:1"}).command == Command::check);
  CHECK(flags_of({"check", "--listen", "a:1"}) == Words{"--listen=a:1"});
  const CommandLine line = read_command_line({"keepalived", "--node", "b", "--vrrp-address", "10.0.0.1"});
  CHECK(line.command == Command::keepalived);
  CHECK(line.node == "b");
  CHECK(line.flags.size() == 1);
  CHECK(error_of({"keepalived"}).find("--node") != std::string::npos);
  CHECK(error_of({"keepalived", "--node", "c"}) == "--node is a or b, not 'c'");
  CHECK(error_of({"chek"}) == "unknown command 'chek'; did you mean 'check'?");
}

TEST_CASE("modes, and the file") {
  CHECK(read_command_line({"--check-config"}).command == Command::check_config);
  CHECK(read_command_line({"run", "--check-config"}).command == Command::check_config);
  CHECK(read_command_line({"--example-config"}).command == Command::example_config);
  CHECK(read_command_line({"--version"}).command == Command::version);
  CHECK(read_command_line({"--check-config", "--config", "x.toml"}).config_file == "x.toml");
  CHECK(read_command_line({"run", "-c", "x.toml"}).config_file == "x.toml");
  CHECK(error_of({"--check-config", "--version"}) ==
        "--check-config, --example-config and --version exclude each other");
}

TEST_CASE("help: of the program, of run, of demo") {
  for (const Words& words :
       {Words{"--help"}, Words{"-h"}, Words{"run", "--help"}, Words{"--help", "--threads", "1"}}) {
    const CommandLine line = read_command_line(words);
    CHECK(line.command == Command::help);
    CHECK(line.help.find("--max-clients") != std::string::npos);
  }
  const CommandLine demo = read_command_line({"demo", "--help"});
  CHECK(demo.command == Command::help);
  CHECK(demo.help.find("--stats-port") != std::string::npos);
  CHECK(demo.help.find("--max-clients") == std::string::npos);
}

TEST_CASE("demo has flags of its own and takes no others") {
  const CommandLine line =
      read_command_line({"demo", "--port", "7000", "--stats-port", "7001", "--threads", "2"});
  CHECK(line.error == "");
  CHECK(line.command == Command::demo);
  CHECK(line.demo.port == 7000);
  CHECK(line.demo.stats_port == 7001);
  CHECK(line.demo.threads == 2);
  CHECK(line.flags.empty());
  const std::string only = "demo takes --port, --stats-port and --threads, behind its name, and nothing else";
  CHECK(error_of({"--threads", "2", "demo"}) == only);
  CHECK(error_of({"--config", "x", "demo"}) == only);
  CHECK(error_of({"--check-config", "demo"}) == only);
  CHECK(error_of({"demo", "--prot", "7"}) == "unknown flag '--prot'; did you mean '--port'?");
  CHECK(error_of({"demo", "--port", "77777"}) != "");
  CHECK(error_of({"demo", "--port", "x"}) != "");
  CHECK(error_of({"demo", "--threads", "1025"}) != "");
}

TEST_CASE("wrong usage") {
  CHECK(error_of({"--max-client", "5"}) == "unknown flag '--max-client'; did you mean '--max-clients'?");
  CHECK(error_of({"--max-client=5"}) == "unknown flag '--max-client'; did you mean '--max-clients'?");
  CHECK(error_of({"--gold-digger"}) == "unknown flag '--gold-digger'");
  CHECK(error_of({"rnu"}) == "unknown command 'rnu'; did you mean 'run'?");
  CHECK(error_of({"start"}) == "unknown command 'start'");
  CHECK(read_command_line({"top", "--console", "127.0.0.1:1"}).command == Command::top);
  CHECK(error_of({"run", "demo"}) == "only one command can be given, not 'demo' too");
  CHECK(error_of({"--listen", "a", "b"}) == "unknown command 'b'");
  CHECK(error_of({"--threads"}) != "");
  CHECK(error_of({"--threads", "1", "--threads", "2"}) != "");
  CHECK(error_of({"--config", "a", "--config", "b"}) != "");
}

TEST_CASE("secrets have no flag") {
  CHECK(error_of({"--password", "x"}) ==
        "secrets have no flag, others could read them; use --password-file FILE or the environment");
  CHECK(error_of({"--sentinel-password=x"}) ==
        "secrets have no flag, others could read them; use --sentinel-password-file FILE or the environment");
}

}  // namespace
}  // namespace fairlead::proxy
