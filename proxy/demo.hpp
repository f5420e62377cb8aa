// `fairlead demo`: a real master, two replicas and three Sentinels on free loopback ports in a temporary
// directory, with fairlead in front of them in this process. Called once by main, on the main thread, which
// becomes run_server's control thread. Never touches a server it did not start, and leaves no process and no
// file behind.
#pragma once

#include <cstdint>

namespace fairlead::proxy {

struct DemoOptions {
  std::uint16_t port = 6379;  // where clients connect; the next free port is taken when this one is not free
  std::uint16_t stats_port = 9000;  // the same for the stats listener
  std::uint32_t threads = 1;
};

/// Runs until Ctrl-C or SIGTERM. Returns the program's exit code: 0, or 1 when it could not start, after
/// having said why and what to do on standard error.
int run_demo(const DemoOptions& options);

}  // namespace fairlead::proxy
