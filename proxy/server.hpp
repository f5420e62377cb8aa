// The running proxy: control thread (monitor, stats listener, signals) and one worker thread per core.
// run_server is called by the `run` and `demo` subcommands on the main thread, which becomes the control
// thread.
#pragma once

#include <functional>

#include "health/event.hpp"
#include "proxy/config.hpp"
#include "proxy/options.hpp"

namespace fairlead::proxy {

/// Called on the control thread.
struct ServerHooks {
  std::function<void()> on_ready;                      // once: listeners open and the first route verified
  std::function<void(const health::Event&)> on_event;  // every event, beside the log
  std::function<ConfigResult()> load_config;           // SIGHUP: reads all sources again; empty: no reload
};

/// SIGHUP reloads the configuration, SIGUSR1 holds all commands, SIGUSR2 lets them go on and accepts a
/// restarted master. Runs until SIGTERM (drains first), SIGINT or SIGQUIT. Returns the program's exit code:
/// 0, or 1 when it could not start (port taken, bad address), after having said why on the log.
int run_server(const Options& options, const ServerHooks& hooks = {});

}  // namespace fairlead::proxy
