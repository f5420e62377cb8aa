// The last slow commands, as Redis' SLOWLOG keeps them: bounded in number, in arguments and in bytes of each
// (redis: slowlog.c, 32 arguments of 128 bytes). Owned by the Telemetry of one Engine; lives on its thread.
// What it says is the time from the client's side: waiting for a master, the network and the server together.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "health/topology.hpp"
#include "resp/command_table.hpp"

namespace fairlead::engine {

struct SlowCommand {
  std::uint64_t id = 0;  // counts up within its worker
  health::TimePoint at{};
  std::uint64_t duration_ns = 0;
  std::vector<std::string> args;
  std::uint64_t client_id = 0;
  std::string client_name;
};

class SlowLog {
 public:
  static constexpr std::size_t length_max = 128;
  static constexpr std::uint32_t args_max = 32;
  static constexpr std::size_t arg_bytes_max = 128;

  void add(SlowCommand entry);
  [[nodiscard]] const std::deque<SlowCommand>& entries() const { return entries_; }

 private:
  std::deque<SlowCommand> entries_;  // newest first
  std::uint64_t next_id_ = 0;
};

/// The arguments as they are shown. Of commands that may carry a secret (AUTH, HELLO, CONFIG, ACL, MIGRATE
/// and all that Redis keeps out of its own log) only the name.
[[nodiscard]] std::vector<std::string> shown_args(const resp::CommandSpec* spec,
                                                  const resp::CommandView& command);

}  // namespace fairlead::engine
