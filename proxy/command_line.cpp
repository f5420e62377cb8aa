#include "proxy/command_line.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "proxy/config_suggest.hpp"

namespace fairlead::proxy {
namespace {

const char* value_name(OptionKind kind) {
  switch (kind) {
    case OptionKind::addresses:
      return "HOST:PORT";
    case OptionKind::words:
      return "WORD";
    case OptionKind::secret_file:
      return "FILE";
    case OptionKind::count:
      return "N";
    case OptionKind::duration:
      return "DURATION";
    case OptionKind::size:
      return "SIZE";
    case OptionKind::choice:
      return "WORD";
    case OptionKind::text:
    case OptionKind::secret:
    case OptionKind::toggle:
      break;
  }
  return "TEXT";
}

std::string flag_help(const Option& option) {
  std::string help(option.help);
  if (is_list(option.kind)) help += " Repeatable.";
  const std::string value = option.show(Options{});
  const bool shown = option.kind != OptionKind::secret_file && value != "\"\"" && value != "[]";
  return shown ? fmt::format("{} Default: {}", help, value) : help;
}

class Reader {
 public:
  Reader();
  [[nodiscard]] CommandLine read(std::vector<std::string> arguments);

 private:
  void add_options();
  void add_commands();
  [[nodiscard]] std::string unexpected() const;
  [[nodiscard]] std::string help() const;
  [[nodiscard]] std::vector<FlagValues> given_flags() const;
  void check_combination(CommandLine& line) const;

  CLI::App app_{"A Redis-aware TCP proxy that follows the master.", "fairlead"};
  CLI::App* run_ = nullptr;
  CLI::App* demo_ = nullptr;
  CLI::App* check_ = nullptr;
  CLI::App* keepalived_ = nullptr;
  CLI::App* top_ = nullptr;
  std::vector<std::pair<const Option*, CLI::Option*>> options_;
  // CLI11 wants a variable for every flag; the values are taken from its own results, as they were typed.
  std::vector<std::string> ignored_list_;
  std::string ignored_text_;
  std::string config_file_;
  DemoOptions demo_options_;
  std::string node_;
  bool check_config_ = false;
  bool example_config_ = false;
  bool version_ = false;
};

Reader::Reader() {
  app_.require_subcommand(0, 1);
  add_options();
  add_commands();
}

void Reader::add_options() {
  app_.set_help_flag("-h,--help", "Print this help and exit.");
  app_.add_flag("--version", version_, "Print the version with build details and exit.");
  app_.add_flag("--check-config", check_config_,
                "Check the configuration, print what is in force, and exit.");
  app_.add_flag("--example-config", example_config_, "Print a commented configuration file and exit.");
  app_.add_option("-c,--config", config_file_,
                  "The configuration file (TOML). Default: FAIRLEAD_CONFIG, or none.")
      ->type_name("FILE");
  for (const Option& option : option_list()) {
    if (option.flag.empty()) continue;
    const std::string flag(option.flag);
    CLI::Option* made = nullptr;
    if (option.kind == OptionKind::toggle) {
      made = app_.add_flag(flag, ignored_text_, flag_help(option));
    } else if (is_list(option.kind)) {
      made = app_.add_option(flag, ignored_list_, flag_help(option))->allow_extra_args(false);
    } else {
      made = app_.add_option(flag, ignored_text_, flag_help(option));
    }
    if (option.kind != OptionKind::toggle) made->type_name(value_name(option.kind));
    made->group(fmt::format("[{}]", option.section));
    options_.emplace_back(&option, made);
  }
}

void Reader::add_commands() {
  run_ = app_.add_subcommand("run", "The proxy, in the foreground (also without this word).");
  run_->fallthrough();
  run_->set_help_flag();
  check_ = app_.add_subcommand(
      "check", "Is the instance of this configuration, on this host, fit? Exits with 0 or 69.");
  check_->fallthrough();
  check_->set_help_flag();
  keepalived_ =
      app_.add_subcommand("keepalived", "Prints keepalived.conf of one node of the pair in [vrrp].");
  keepalived_->fallthrough();
  keepalived_->set_help_flag();
  keepalived_->add_option("--node", node_, "Which node: a or b.")->type_name("a|b")->required();
  top_ = app_.add_subcommand("top", "A live view of a running fairlead, from its console.");
  top_->fallthrough();
  top_->set_help_flag();
  demo_ = app_.add_subcommand("demo", "A real local set of Redis and Sentinel with the proxy in front.");
  demo_->set_help_flag("-h,--help", "Print this help and exit.");
  demo_
      ->add_option("--port", demo_options_.port,
                   "Where clients connect, or the next free port. Default: 6379")
      ->type_name("PORT");
  demo_
      ->add_option("--stats-port", demo_options_.stats_port,
                   "The stats listener, or the next free port. Default: 9000")
      ->type_name("PORT");
  demo_->add_option("--threads", demo_options_.threads, "Workers; 0 is one per core. Default: 1")
      ->type_name("N")
      ->check(CLI::Range(0, 1024));
}

/// The first word that CLI11 could not place.
std::string Reader::unexpected() const {
  const auto words = app_.remaining(true);
  if (words.empty()) return "wrong usage";
  const std::string name = words.front().substr(0, words.front().find('='));
  std::vector<std::string> known{"--config", "--check-config", "--example-config", "--version", "--help"};
  const bool is_flag = name.starts_with('-');
  if (is_flag && demo_->parsed()) known = {"--port", "--stats-port", "--threads", "--help"};
  if (is_flag && !demo_->parsed()) {
    for (const auto& [option, made] : options_) known.emplace_back(option->flag);
  }
  const std::vector<std::string> commands{"run", "demo", "check", "keepalived", "top"};
  if (std::find(commands.begin(), commands.end(), name) != commands.end())
    return fmt::format("only one command can be given, not '{}' too", name);
  if (!is_flag) known = commands;
  for (const Option& option : option_list()) {
    const bool secret = option.kind == OptionKind::secret && name == fmt::format("--{}", option.key);
    if (secret) {
      return fmt::format("secrets have no flag, others could read them; use --{}-file FILE or {}", option.key,
                         "the environment");
    }
  }
  const std::string near = suggest(name, known);
  const std::string question = near.empty() ? "" : fmt::format("; did you mean '{}'?", near);
  return fmt::format("unknown {} '{}'{}", is_flag ? "flag" : "command", name, question);
}

/// CLI11 would print the empty help of `run`.
std::string Reader::help() const {
  if (demo_->parsed()) return demo_->help("fairlead");
  return app_.get_formatter()->make_help(&app_, "fairlead", CLI::AppFormatMode::Normal);
}

std::vector<FlagValues> Reader::given_flags() const {
  std::vector<FlagValues> flags;
  for (const auto& [option, made] : options_) {
    if (made->count() > 0) flags.push_back({std::string(option->flag), made->results()});
  }
  return flags;
}

void Reader::check_combination(CommandLine& line) const {
  const int modes =
      static_cast<int>(check_config_) + static_cast<int>(example_config_) + static_cast<int>(version_);
  if (keepalived_->parsed() && node_ != "a" && node_ != "b") {
    line.error = fmt::format("--node is a or b, not '{}'", node_);
  } else if (modes > 1) {
    line.error = "--check-config, --example-config and --version exclude each other";
  } else if (demo_->parsed() && (modes > 0 || !config_file_.empty() || !line.flags.empty())) {
    line.error = "demo takes --port, --stats-port and --threads, behind its name, and nothing else";
  }
}

CommandLine Reader::read(std::vector<std::string> arguments) {
  CommandLine line;
  std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
  // CLI11 reports everything by exceptions; none leaves this function.
  try {
    app_.parse(std::move(arguments));
  } catch (const CLI::CallForHelp&) {
    line.command = Command::help;
    line.help = help();
    return line;
  } catch (const CLI::ExtrasError&) {
    line.error = unexpected();
    return line;
  } catch (const CLI::Error& error) {
    line.error = error.what();
    return line;
  }
  line.flags = given_flags();
  line.config_file = config_file_;
  line.demo = demo_options_;
  line.node = node_;
  if (demo_->parsed()) line.command = Command::demo;
  if (check_->parsed()) line.command = Command::check;
  if (keepalived_->parsed()) line.command = Command::keepalived;
  if (top_->parsed()) line.command = Command::top;
  if (check_config_) line.command = Command::check_config;
  if (example_config_) line.command = Command::example_config;
  if (version_) line.command = Command::version;
  check_combination(line);
  return line;
}

}  // namespace

CommandLine read_command_line(std::vector<std::string> arguments) {
  return Reader().read(std::move(arguments));
}

}  // namespace fairlead::proxy
