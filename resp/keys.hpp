// Where the keys of a command stand: first/last/step of COMMAND, and its key specifications for commands
// whose keys move (EVAL, XREAD STREAMS, MIGRATE ...).
#pragma once

#include <cstdint>
#include <vector>

#include "resp/command_table.hpp"

namespace fairlead::resp {

/// Appends the positions of the keys (0 is the command name) to `positions`, which is cleared first. Channels
/// of the sharded pub/sub commands count as keys, since they choose the slot alike. False when the arguments
/// do not fit the specification (a syntax error the server will report) or it is incomplete (SORT, MIGRATE);
/// `positions` then holds those that could be found.
[[nodiscard]] bool find_keys(const CommandSpec& spec, const CommandView& command,
                             std::vector<std::uint32_t>& positions);

}  // namespace fairlead::resp
