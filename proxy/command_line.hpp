// What was typed: the command and its flags, read by CLI11 from the one list of options. It opens no file,
// reads no environment and prints nothing; the values of flags are text for load_config. Called once, by
// main.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "proxy/config_source.hpp"
#include "proxy/demo.hpp"

namespace fairlead::proxy {

enum class Command : std::uint8_t {
  run,
  demo,
  check,
  keepalived,
  top,
  check_config,
  example_config,
  version,
  help
};

struct CommandLine {
  Command command = Command::run;
  std::vector<FlagValues> flags;  // run, check_config
  std::string config_file;        // --config; empty: not given
  DemoOptions demo;
  std::string node;   // keepalived: a or b
  std::string help;   // the text to print, when command is help
  std::string error;  // not empty: wrong usage, and nothing else here counts
};

/// `arguments` without the program's name.
[[nodiscard]] CommandLine read_command_line(std::vector<std::string> arguments);

}  // namespace fairlead::proxy
