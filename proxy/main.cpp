// Chooses the subcommand; everything else is in the command_*.cpp files.
#include <cstdio>
#include <exception>

#include <fmt/format.h>

#include "proxy/commands.hpp"
#include "proxy/demo.hpp"

namespace {

int run_command(int argc, char** argv) {
  using namespace fairlead::proxy;
  const CommandLine line =
      read_command_line(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc));
  if (!line.error.empty()) {
    fmt::print(stderr, "fairlead: {}\nTry 'fairlead --help'.\n", line.error);
    return exit_usage;
  }
  switch (line.command) {
    case Command::run:
      return command_run(line);
    case Command::demo:
      return run_demo(line.demo);
    case Command::check:
      return command_check(line);
    case Command::keepalived:
      return command_keepalived(line);
    case Command::top:
      return command_top(line);
    case Command::check_config:
      return command_check_config(line);
    case Command::example_config:
      return command_example_config();
    case Command::version:
      return command_version();
    case Command::help:
      fmt::print("{}", line.help);
      return exit_success;
  }
  return exit_usage;
}

}  // namespace

int main(int argc, char** argv) {
  // No module lets an exception out; what still comes here is the machine's lack of memory or threads.
  try {
    return run_command(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "fairlead: %s\n", error.what());
    return fairlead::proxy::exit_failure;
  }
}
