#include "proxy/engine/local_reply.hpp"

#include <algorithm>
#include <charconv>

#include "proxy/engine/check.hpp"
#include "proxy/engine/client_command.hpp"
#include "resp/writer.hpp"

namespace fairlead::engine {

using resp::CommandId;
using resp::CommandView;

namespace {

constexpr std::string_view bad_name =
    "ERR Client names cannot contain spaces, newlines or special characters.";

/// What a C function sees of the bytes.
std::string_view c_string(std::string_view text) {
  return text.substr(0, text.find('\0'));
}

LocalAction auth(Session& session, const CommandView& command, const EngineOptions& options,
                 std::string& out) {
  if (command.size() > 3) {
    resp::append_error(out, "ERR syntax error");
    return LocalAction::none;
  }
  if (command.size() == 2 && options.client_password.empty()) {
    resp::append_error(
        out,
        "ERR AUTH <password> called without any password configured for the default user. Are you "
        "sure your configuration is correct?");
    return LocalAction::none;
  }
  const std::string_view user = command.size() == 3 ? command[1] : "default";
  if (!login_fits(user, command[command.size() - 1], options)) {
    append_wrong_password(out);
    return LocalAction::login_failed;
  }
  session.mode.authenticated = true;
  resp::append_simple(out, "OK");
  return LocalAction::none;
}

void set_name(Session& session, std::string_view name) {
  if (!name.empty() || session.extras_or_null() != nullptr) session.extras().name = name;
}

bool append_bad_name(std::string& out, std::string_view name) {
  if (is_client_name(name)) return false;
  resp::append_error(out, bad_name);
  return true;
}

LocalAction hello(Session& session, const CommandView& command, const LocalContext& context,
                  std::string& out) {
  const HelloArguments arguments = read_hello(command);
  if (!arguments.error.empty()) {
    resp::append_error(out, arguments.error);
    return LocalAction::none;
  }
  if (arguments.has_login) {
    if (!login_fits(arguments.username, arguments.password, context.options)) {
      append_wrong_password(out);
      return LocalAction::login_failed;
    }
    session.mode.authenticated = true;
  }
  if (arguments.name) set_name(session, *arguments.name);
  if (!session.mode.authenticated) {
    append_hello_needs_login(out);
    return LocalAction::none;
  }
  if (arguments.version != 0) {
    session.mode.version = arguments.version == 3 ? resp::Version::resp3 : resp::Version::resp2;
  }
  append_hello(out, session, context);
  return LocalAction::none;
}

void set_info(Session& session, const CommandView& command, std::string& out) {
  const bool lib_name = same_word(command[2], "LIB-NAME");
  if (!lib_name && !same_word(command[2], "LIB-VER")) {
    resp::append_error(out, "ERR Unrecognized option '" + std::string(command[2]) + "'");
    return;
  }
  if (!is_client_name(command[3])) {
    resp::append_error(out, std::string("ERR ") + (lib_name ? "lib-name" : "lib-ver") +
                                " cannot contain spaces, newlines or special characters.");
    return;
  }
  (lib_name ? session.extras().lib_name : session.extras().lib_version) = command[3];
  resp::append_simple(out, "OK");
}

/// Redis knows three words, and says nothing at all to OFF and SKIP.
void set_reply_mode(SessionMode& mode, std::string_view word, std::string& out) {
  if (same_word(word, "skip")) {
    mode.reply_skip_next = !mode.reply_off;
    return;
  }
  const std::optional<Switch> replies = parse_switch(word);
  if (!replies) {
    resp::append_error(out, "ERR syntax error");
  } else if (*replies == Switch::off) {
    mode.reply_off = true;
  } else {
    mode.reply_off = mode.reply_skip = false;
    resp::append_simple(out, "OK");
  }
}

/// CLIENT NO-EVICT and NO-TOUCH, which is ON or OFF or an error.
std::optional<Switch> switch_reply(std::string_view word, std::string& out) {
  const std::optional<Switch> wanted = parse_switch(word);
  if (wanted) {
    resp::append_simple(out, "OK");
  } else {
    resp::append_error(out, "ERR syntax error");
  }
  return wanted;
}

void ping(const Session& session, const CommandView& command, const resp::CommandSpec& spec,
          std::string& out) {
  if (command.size() > 2) {
    append_wrong_arity(out, spec);
  } else if (session.mode.in_hub && session.mode.version == resp::Version::resp2) {
    // Among messages, which are arrays too.
    resp::append_array_header(out, 2);
    resp::append_bulk(out, "pong");
    resp::append_bulk(out, command.size() == 2 ? command[1] : "");
  } else if (command.size() == 2) {
    resp::append_bulk(out, command[1]);
  } else {
    resp::append_simple(out, "PONG");
  }
}

}  // namespace

bool login_fits(std::string_view user, std::string_view password, const EngineOptions& options) {
  if (user != "default") return false;
  return options.client_password.empty() || equal_constant_time(password, options.client_password);
}

bool names_a_user(CommandId id, const CommandView& command) {
  if (id == CommandId::auth) return command.size() == 2 || command.size() == 3;
  return id == CommandId::hello && read_hello(command).has_login;
}

bool is_client_name(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '!' && c <= '~'; });
}

HelloArguments read_hello(const CommandView& command) {
  HelloArguments hello;
  if (command.size() >= 2) {
    const std::string_view text = command[1];
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), hello.version);
    if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) {
      hello.error = "ERR Protocol version is not an integer or out of range";
      return hello;
    }
    if (hello.version != 2 && hello.version != 3) {
      hello.error = "NOPROTO unsupported protocol version";
      return hello;
    }
  }
  for (std::uint32_t i = 2; i < command.size() && hello.error.empty(); ++i) {
    const std::uint32_t more = command.size() - 1 - i;
    if (same_word(command[i], "AUTH") && more >= 2) {
      hello.has_login = true;
      hello.username = command[i + 1];
      hello.password = command[i + 2];
      i += 2;
    } else if (same_word(command[i], "SETNAME") && more >= 1) {
      hello.name = command[++i];
      if (!is_client_name(*hello.name)) hello.error = bad_name;
    } else {
      hello.error = "ERR Syntax error in HELLO option '" + std::string(c_string(command[i])) + "'";
    }
  }
  return hello;
}

void append_hello(std::string& out, const Session& session, const LocalContext& context) {
  const resp::Version version = session.mode.version;
  resp::append_map_header(out, 7, version);
  resp::append_bulk(out, "server");
  resp::append_bulk(out, "redis");
  resp::append_bulk(out, "version");
  resp::append_bulk(out, context.redis_version);
  resp::append_bulk(out, "proto");
  resp::append_integer(out, static_cast<int>(version));
  resp::append_bulk(out, "id");
  resp::append_integer(out, static_cast<std::int64_t>(session.client_id));
  resp::append_bulk(out, "mode");
  resp::append_bulk(out, "standalone");
  resp::append_bulk(out, "role");
  resp::append_bulk(out, "master");
  resp::append_bulk(out, "modules");
  resp::append_array_header(out, 0);
}

LocalAction local_reply(Session& session, const resp::CommandSpec& spec, const CommandView& command,
                        const LocalContext& context, std::string& out) {
  switch (spec.id) {
    case CommandId::ping:
      ping(session, command, spec, out);
      return LocalAction::none;
    case CommandId::echo:
      resp::append_bulk(out, command[1]);
      return LocalAction::none;
    case CommandId::quit:
      resp::append_simple(out, "OK");
      return LocalAction::close;
    case CommandId::reset:
      resp::append_simple(out, "RESET");
      return LocalAction::reset;
    case CommandId::auth:
      return auth(session, command, context.options, out);
    case CommandId::hello:
      return hello(session, command, context, out);
    case CommandId::client_id:
      resp::append_integer(out, static_cast<std::int64_t>(session.client_id));
      return LocalAction::none;
    case CommandId::client_setname:
      if (!append_bad_name(out, command[2])) {
        set_name(session, command[2]);
        resp::append_simple(out, "OK");
      }
      return LocalAction::none;
    case CommandId::client_getname: {
      const SessionExtras* extras = session.extras_or_null();
      if (extras == nullptr || extras->name.empty()) {
        resp::append_null(out, session.mode.version);
      } else {
        resp::append_bulk(out, extras->name);
      }
      return LocalAction::none;
    }
    case CommandId::client_setinfo:
      set_info(session, command, out);
      return LocalAction::none;
    case CommandId::client_reply:
      set_reply_mode(session.mode, command[2], out);
      return LocalAction::none;
    case CommandId::client_no_evict:
      if (const auto wanted = switch_reply(command[2], out)) session.mode.no_evict = *wanted == Switch::on;
      return LocalAction::none;
    case CommandId::client_no_touch:
      // The server counts accesses by key; on a shared link it cannot tell whose they were.
      (void)switch_reply(command[2], out);
      return LocalAction::none;
    default:
      break;
  }
  FAIRLEAD_UNREACHABLE("a command that is routed here has its answer here");
}

namespace {

/// What is refused before it is executed. EXEC ends its transaction even so, and says it.
void append_rejection(std::string& out, const resp::CommandSpec& spec, const std::string& why) {
  const bool exec = spec.id == CommandId::exec;
  resp::append_error(out, (exec ? "EXECABORT Transaction discarded because of: " : "ERR ") + why);
}

}  // namespace

void append_wrong_password(std::string& out) {
  resp::append_error(out, "WRONGPASS invalid username-password pair or user is disabled.");
}

void append_hello_needs_login(std::string& out) {
  resp::append_error(out,
                     "NOAUTH HELLO must be called with the client already authenticated, otherwise the "
                     "HELLO AUTH <user> <pass> option can be used to authenticate the client and select the "
                     "RESP protocol version at the same time");
}

void append_unknown_command(std::string& out, const CommandView& command) {
  // As redis-server: the name cut at 128 bytes, arguments quoted until 128 bytes are reached, both as C
  // strings.
  std::string args;
  for (std::uint32_t i = 1; i < command.size() && args.size() < 128; ++i) {
    const std::size_t room = 128 - args.size();
    args += "'" + std::string(c_string(command[i]).substr(0, room)) + "' ";
  }
  resp::append_error(out, "ERR unknown command '" + std::string(c_string(command[0]).substr(0, 128)) +
                              "', with args beginning with: " + args);
}

void append_unknown_subcommand(std::string& out, const resp::CommandSpec& container, std::string_view given) {
  std::string name = container.name;
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  resp::append_error(out, "ERR unknown subcommand '" + std::string(c_string(given).substr(0, 128)) +
                              "'. Try " + name + " HELP.");
}

void append_not_while_subscribed(std::string& out, const resp::CommandSpec& spec) {
  append_rejection(out, spec,
                   "Can't execute '" + spec.name +
                       "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this "
                       "context");
}

void append_wrong_arity(std::string& out, const resp::CommandSpec& spec) {
  append_rejection(out, spec, "wrong number of arguments for '" + spec.name + "' command");
}

void append_no_permission(std::string& out, const resp::CommandSpec& spec) {
  resp::append_error(out, "NOPERM this user has no permissions to run the '" + spec.name + "' command");
}

bool equal_constant_time(std::string_view given, std::string_view secret) {
  // Every byte given is looked at, whatever the secret's length.
  unsigned difference = given.size() == secret.size() ? 0U : 1U;
  for (std::size_t i = 0; i < given.size(); ++i) {
    const char expected = secret.empty() ? '\0' : secret[i % secret.size()];
    difference |= static_cast<unsigned char>(given[i] ^ expected);
  }
  return difference == 0;
}

}  // namespace fairlead::engine
