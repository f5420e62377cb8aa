// The commands that fairlead answers itself, with Redis' own words (redis 7.0.15). Changes the session's mode
// and names; never touches a link.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "proxy/engine/limits.hpp"
#include "proxy/engine/session.hpp"
#include "resp/command_table.hpp"

namespace fairlead::engine {

/// What the Engine must do besides sending the reply.
enum class LocalAction : std::uint8_t {
  none,
  close,         // QUIT
  reset,         // RESET: the session begins anew
  login_failed,  // a wrong password was given
};

struct LocalContext {
  const EngineOptions& options;
  std::string_view redis_version;  // of the master; HELLO repeats it
};

/// Appends the whole reply to `out`.
LocalAction local_reply(Session& session, const resp::CommandSpec& spec, const resp::CommandView& command,
                        const LocalContext& context, std::string& out);

/// HELLO's arguments; views into the command.
struct HelloArguments {
  std::string error;  // what to answer when they are wrong
  int version = 0;    // 0: unchanged
  bool has_login = false;
  std::string_view username;
  std::string_view password;
  std::optional<std::string_view> name;
};
/// Redis' rule for names that appear in CLIENT LIST: printable ASCII without spaces.
[[nodiscard]] bool is_client_name(std::string_view text);
[[nodiscard]] HelloArguments read_hello(const resp::CommandView& command);
void append_hello(std::string& out, const Session& session, const LocalContext& context);

/// Whether fairlead's own password is the one given; it has one user, "default".
[[nodiscard]] bool login_fits(std::string_view user, std::string_view password, const EngineOptions& options);

/// AUTH, or HELLO with AUTH: somebody must judge a password.
[[nodiscard]] bool names_a_user(resp::CommandId id, const resp::CommandView& command);

/// Redis' refusals.
void append_wrong_password(std::string& out);
void append_hello_needs_login(std::string& out);
void append_unknown_command(std::string& out, const resp::CommandView& command);
void append_unknown_subcommand(std::string& out, const resp::CommandSpec& container, std::string_view given);
void append_not_while_subscribed(std::string& out, const resp::CommandSpec& spec);
void append_wrong_arity(std::string& out, const resp::CommandSpec& spec);
void append_no_permission(std::string& out, const resp::CommandSpec& spec);

/// Compares without telling by its duration how much was right.
[[nodiscard]] bool equal_constant_time(std::string_view given, std::string_view secret);

}  // namespace fairlead::engine
