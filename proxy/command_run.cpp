#include "proxy/commands.hpp"
#include "proxy/log.hpp"
#include "proxy/server.hpp"

namespace fairlead::proxy {

int command_run(const CommandLine& line) {
  const ConfigResult result = load_config_of(line);
  if (!result.errors.empty()) {
    print_config_errors(result);
    return exit_config;
  }
  start_log(result.options.log);
  ServerHooks hooks;
  hooks.load_config = [&line] { return load_config_of(line); };
  const int code = run_server(result.options, hooks);
  flush_log();
  return code;
}

}  // namespace fairlead::proxy
