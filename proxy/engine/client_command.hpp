// CLIENT LIST, KILL, UNBLOCK, PAUSE and UNPAUSE as text: from arguments to a query, from answers to the
// reply, with Redis' own words (redis 7.0.15, networking.c). Pure; knows no session.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "proxy/engine/client_query.hpp"
#include "resp/command_table.hpp"

namespace fairlead::engine {

/// The query that `command` asks for. nullopt when its arguments are wrong: then `error` has the whole error
/// reply. The number of arguments fits the command's arity.
[[nodiscard]] std::optional<ClientQuery> parse_client_query(resp::CommandId id,
                                                            const resp::CommandView& command,
                                                            std::string& error);

/// The reply, from the answers of all workers.
void append_query_reply(std::string& out, const ClientQuery& query, QueryAnswer& answer,
                        resp::Version version);

/// The same command with arguments that no server accepts: a user who may not say it hears NOPERM, which
/// Redis judges first, and nothing is done either way.
[[nodiscard]] std::string permission_probe(const ClientQuery& query);

/// ON or OFF and nothing else; nullopt is a syntax error.
enum class Switch : std::uint8_t { off, on };
[[nodiscard]] std::optional<Switch> parse_switch(std::string_view word);

/// ASCII, without regard to case.
[[nodiscard]] bool same_word(std::string_view a, std::string_view b);

}  // namespace fairlead::engine
