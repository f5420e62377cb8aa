// A blocking command that is dispatched once more waits only for what is left of its timeout. Pure; knows
// where each of Redis' blocking commands (7.0: BLPOP family, XREAD, XREADGROUP, WAIT, WAITAOF) has its
// timeout.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace fairlead::engine {

/// `frame` (one whole canonical command) with its timeout shortened by `waited`, at least a millisecond: 0
/// would mean for ever. nullopt when it waits for ever, when nobody knows its timeout, or when it is no
/// number: then it is to be sent as it is.
[[nodiscard]] std::optional<std::string> with_remaining_timeout(std::string_view frame,
                                                                std::chrono::milliseconds waited);

}  // namespace fairlead::engine
