#include <cstdio>
#include <cstdlib>

#include <fmt/format.h>

#include "proxy/commands.hpp"

namespace fairlead::proxy {

ConfigResult load_config_of(const CommandLine& line) {
  ConfigSources sources;
  sources.flags = line.flags;
  sources.file = line.config_file;
  sources.environment = [](const char* name) { return std::getenv(name); };
  return load_config(sources);
}

void print_config_errors(const ConfigResult& result) {
  for (const std::string& error : result.errors) fmt::print(stderr, "{}\n", error);
  fmt::print(stderr, "fairlead: the configuration has {} {}\n", result.errors.size(),
             result.errors.size() == 1 ? "error" : "errors");
}

int command_check_config(const CommandLine& line) {
  const ConfigResult result = load_config_of(line);
  if (!result.errors.empty()) {
    print_config_errors(result);
    return exit_config;
  }
  fmt::print("configuration is valid\n\n{}", effective_config(result));
  return exit_success;
}

int command_example_config() {
  fmt::print("{}", example_config());
  return exit_success;
}

}  // namespace fairlead::proxy
