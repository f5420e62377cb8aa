// The `# Fairlead` section of INFO: when it belongs into a reply, what it says, and how a server's reply is
// made longer by it. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "resp/command_reader.hpp"
#include "resp/types.hpp"

namespace fairlead::engine {

enum class InfoNeed : std::uint8_t {
  server,  // fairlead has nothing to add
  both,    // the server's sections, and ours behind them
  ours,    // INFO fairlead
};

[[nodiscard]] InfoNeed info_need(const resp::CommandView& command);

/// Counts are those of the one worker that answers.
struct InfoFacts {
  std::string_view version;
  std::uint64_t worker = 0;
  std::uint64_t workers = 1;
  std::uint64_t clients = 0;
  std::uint64_t links = 0;
  std::uint64_t leases = 0;
  std::uint64_t held = 0;
  std::string route;  // host:port; empty before the first master
  std::string_view route_state;
  std::uint64_t term = 0;
  std::uint64_t uncertain = 0;
  std::string_view paused;
};

void append_info_section(std::string& out, const InfoFacts& facts);

/// `reply` is a whole bulk or verbatim string; the same with `section` (which may be empty) behind its text,
/// and with `blocked` more blocked_clients where it counts them. Any other reply is returned as it is.
[[nodiscard]] std::string with_section(std::string_view reply, std::string_view section,
                                       std::uint64_t blocked);

}  // namespace fairlead::engine
