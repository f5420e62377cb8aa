#include "proxy/process_limits.hpp"

#include <sys/resource.h>

#include <algorithm>

#include "proxy/commands.hpp"
#include "proxy/log.hpp"

namespace fairlead::proxy {

void raise_descriptor_limit(std::uint32_t clients_max) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  constexpr std::uint32_t reserve = 1024;
  if (limit.rlim_cur < clients_max + reserve) {
    log(LogLevel::warning,
        "fewer descriptors than max-clients needs; raise LimitNOFILE (ulimit -n) or lower max-clients",
        {{"descriptors", std::to_string(limit.rlim_cur)}, {"max_clients", std::to_string(clients_max)}});
  }
}

engine::EngineOptions options_of_worker(const Options& options, unsigned workers) {
  engine::EngineOptions mine = options.engine;
  mine.server_login = options.backend.server_login;
  mine.limits.hold_bytes_max = std::max<std::uint64_t>(1, mine.limits.hold_bytes_max / workers);
  mine.limits.memory_bytes_max = std::max<std::uint64_t>(1, mine.limits.memory_bytes_max / workers);
  mine.limits.leased_links_max = std::max<std::uint32_t>(1, mine.limits.leased_links_max / workers);
  mine.program_version = version();
  mine.links_per_server = std::max<std::uint32_t>(1, mine.links_per_server);
  // One that stands alone meets its clients one by one, and opens links for who comes.
  mine.warm_links = options.vrrp.in_pair() ? options.vrrp.warm_links : 0;
  return mine;
}

}  // namespace fairlead::proxy
