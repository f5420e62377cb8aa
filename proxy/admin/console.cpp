#include "proxy/admin/console.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cstdlib>

#include "proxy/admin/api.hpp"
#include "proxy/admin/console_table.hpp"
#include "proxy/config_option.hpp"
#include "resp/writer.hpp"

namespace fairlead::proxy {

namespace {

using resp::Version;

struct Topic {
  std::string_view name;
  std::string_view part;  // of the API
  std::string_view help;
  std::vector<ConsoleColumn> columns;  // empty: lines of name and value
};

const std::vector<Topic>& topics() {
  static const std::vector<Topic> list = {
      {"SUMMARY", "summary", "who is master, and is all well", {}},
      {"SERVERS",
       "servers",
       "the Redis servers",
       {{"SERVER", "address"},
        {"ROLE", "role"},
        {"ROUTE", "is_route"},
        {"ANSWERS", "reachable"},
        {"OFFSET", "offset"},
        {"LAG", "lag_bytes"},
        {"LINKS", "links"},
        {"TERM", "term"},
        {"RUN-ID", "run_id"},
        {"ERROR", "last_error"}}},
      {"SENTINELS",
       "sentinels",
       "the Sentinels and whom they vote for",
       {{"SENTINEL", "address"},
        {"COUNTS", "usable"},
        {"VOTE", "vote"},
        {"EPOCH", "config_epoch"},
        {"ERROR", "last_error"}}},
      {"CLIENTS",
       "clients",
       "the clients with the most to do",
       {{"ID", "id"},
        {"ADDRESS", "address"},
        {"STATE", "state"},
        {"DB", "db"},
        {"RESP", "resp"},
        {"IN-FLIGHT", "in_flight"},
        {"UNREAD", "unread_bytes"},
        {"UNSENT", "unsent_bytes"},
        {"IDLE-MS", "idle_ms"},
        {"USER", "user"},
        {"NAME", "name"}}},
      {"COMMANDS",
       "commands",
       "commands with rates and percentiles of the last minute",
       {{"COMMAND", "name"},
        {"RATE", "rate"},
        {"CALLS", "calls"},
        {"ERRORS", "errors"},
        {"P50-US", "recent.p50_us"},
        {"P99-US", "recent.p99_us"},
        {"P999-US", "recent.p999_us"},
        {"MAX-US", "max_us"}}},
      {"SLOW",
       "slow",
       "slow commands, newest first",
       {{"AT-MS", "at_ms"},
        {"US", "duration_us"},
        {"CLIENT", "client_id"},
        {"NAME", "client_name"},
        {"COMMAND", "args"}}},
      {"HOT",
       "hot",
       "keys that are asked for most, by samples",
       {{"SHARE", "share"}, {"SAMPLES", "samples"}, {"ERROR", "error"}, {"KEY", "key"}}},
      {"BIG",
       "big",
       "keys whose values are large",
       {{"BYTES", "bytes"}, {"COMMAND", "command"}, {"KEY", "key"}}},
      {"FAILOVERS",
       "failovers",
       "the timeline of failovers, newest first",
       {{"ID", "id"},
        {"KIND", "kind"},
        {"FROM", "from"},
        {"TO", "to"},
        {"TERM", "term"},
        {"PAUSE-MS", "until_released_ms"},
        {"HELD", "held"},
        {"AGAIN", "redispatched"},
        {"UNCERTAIN", "uncertain"},
        {"FAILED", "master_down"},
        {"CAUSE", "cause"}}},
      {"TRAFFIC",
       "haproxy",
       "HAProxy's table in short",
       {{"NAME", "svname"},
        {"STATUS", "status"},
        {"CUR", "scur"},
        {"MAX", "smax"},
        {"TOTAL", "stot"},
        {"IN", "bin"},
        {"OUT", "bout"},
        {"ERR-CONN", "econ"},
        {"ERR-RESP", "eresp"},
        {"RETRIES", "wretr"},
        {"DOWNTIME", "downtime"}}},
      {"STATS", "counters", "all counters, by the names of /metrics", {}},
      {"EVENTS",
       "events",
       "what happened, newest first",
       {{"AT-MS", "at_ms"}, {"SEVERITY", "severity"}, {"EVENT", "kind"}, {"TEXT", "text"}}},
      {"CONFIG", "", "the options in force; secrets are not told", {}},
  };
  return list;
}

struct Command {
  std::string_view name;
  std::string_view usage;
  std::string_view help;
};

constexpr Command commands[] = {
    {"SHOW", "SHOW topic", "tells a topic; HELP SHOW lists them"},
    {"KILL", "KILL id", "closes a client; its id is in SHOW CLIENTS. Needs admin = true in [stats]"},
    {"SLOWLOG", "SLOWLOG GET [count] | LEN", "slow commands in the form of Redis"},
    {"AUTH", "AUTH [user] password", "the login of [stats]"},
    {"HELLO", "HELLO [2|3] [AUTH user password]", "3: maps for programs instead of tables for people"},
    {"PING", "PING", "answers PONG"},
    {"QUIT", "QUIT", "ends the connection"},
    {"HELP", "HELP [command]", "this list"},
};

std::string upper(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return result;
}

boost::json::value config_json(const Options& options) {
  boost::json::object all;
  for (const Option& option : option_list()) {
    const bool secret = option.kind == OptionKind::secret || option.kind == OptionKind::secret_file;
    if (secret) continue;
    all[fmt::format("{}.{}", option.section, option.key)] = option.show(options);
  }
  return all;
}

}  // namespace

ConsoleDialog::Next ConsoleDialog::answer(const View& command, std::string& out) {
  const std::string name = upper(command[0]);
  if (name == "QUIT") {
    resp::append_simple(out, "OK");
    return Next::close;
  }
  if (name == "AUTH") {
    auth(command, out);
  } else if (name == "HELLO") {
    hello(command, out);
  } else if (!authenticated_) {
    resp::append_error(out, "NOAUTH Authentication required: AUTH with user and password of [stats]");
  } else if (name == "PING") {
    resp::append_simple(out, "PONG");
  } else if (name == "SHOW") {
    show(command, out);
  } else if (name == "KILL") {
    kill(command, out);
  } else if (name == "SLOWLOG") {
    slow_log(command, out);
  } else if (name == "HELP") {
    help(command, out);
  } else if (name == "COMMAND") {
    resp::append_array_header(out, 0);  // redis-cli asks at start
  } else if (name == "CLIENT") {
    resp::append_simple(out, "OK");  // client libraries name themselves at start
  } else {
    resp::append_error(out, "ERR the console does not know this command; HELP lists what it knows");
  }
  return Next::go_on;
}

bool ConsoleDialog::log_in(std::string_view user, std::string_view password) {
  authenticated_ = login_is(provider_.login, user, password);
  return authenticated_;
}

void ConsoleDialog::auth(const View& command, std::string& out) {
  if (command.size() < 2 || command.size() > 3) {
    resp::append_error(out, "ERR wrong number of arguments for 'auth' command");
    return;
  }
  const std::string_view user = command.size() == 3 ? command[1] : std::string_view(provider_.login.user);
  if (log_in(user, command[command.size() - 1])) {
    resp::append_simple(out, "OK");
  } else {
    resp::append_error(out, "WRONGPASS invalid username-password pair");
  }
}

void ConsoleDialog::hello(const View& command, std::string& out) {
  Version version = version_;
  if (command.size() >= 2) {
    if (command[1] != "2" && command[1] != "3") {
      resp::append_error(out, "NOPROTO unsupported protocol version");
      return;
    }
    version = command[1] == "3" ? Version::resp3 : Version::resp2;
  }
  for (std::uint32_t i = 2; i < command.size(); ++i) {
    const std::string word = upper(command[i]);
    if (word == "AUTH" && i + 2 < command.size()) {
      if (!log_in(command[i + 1], command[i + 2])) {
        resp::append_error(out, "WRONGPASS invalid username-password pair");
        return;
      }
      i += 2;
    } else if (word == "SETNAME" && i + 1 < command.size()) {
      ++i;
    } else {
      resp::append_error(out, "ERR syntax error in HELLO");
      return;
    }
  }
  if (!authenticated_) {
    resp::append_error(out, "NOAUTH HELLO must be called with AUTH here");
    return;
  }
  version_ = version;
  resp::append_map_header(out, 3, version_);
  resp::append_bulk(out, "server");
  resp::append_bulk(out, "fairlead console");
  resp::append_bulk(out, "version");
  resp::append_bulk(out, provider_.snapshot().version);
  resp::append_bulk(out, "proto");
  resp::append_integer(out, version_ == Version::resp3 ? 3 : 2);
}

void ConsoleDialog::append_lines(std::string& out, const std::vector<std::string>& lines) const {
  resp::append_array_header(out, lines.size());
  for (const std::string& line : lines) resp::append_simple(out, line);
}

void ConsoleDialog::show(const View& command, std::string& out) {
  const std::string name = command.size() == 2 ? upper(command[1]) : std::string();
  const auto topic =
      std::find_if(topics().begin(), topics().end(), [&](const Topic& t) { return t.name == name; });
  if (topic == topics().end()) {
    resp::append_error(out, "ERR SHOW needs one topic; HELP SHOW lists them");
    return;
  }
  const boost::json::value value =
      topic->part.empty() ? config_json(*provider_.options) : api_value(provider_.snapshot(), topic->part);
  if (version_ == Version::resp3) {
    append_json(out, value);
  } else {
    append_lines(out, table_lines(value, topic->columns));
  }
}

void ConsoleDialog::kill(const View& command, std::string& out) {
  if (command.size() != 2) {
    resp::append_error(out, "ERR usage: KILL id");
    return;
  }
  if (provider_.may_act == MayAct::no) {
    resp::append_error(out, "NOPERM actions are not allowed; set admin = true in [stats]");
    return;
  }
  const std::string failure = provider_.act({"kill", std::string(command[1])});
  if (failure.empty()) {
    resp::append_simple(out, "OK");
  } else {
    resp::append_error(out, "ERR " + failure);
  }
}

/// As SLOWLOG GET of redis 7.0: id, time, microseconds, arguments, client's address, its name.
void ConsoleDialog::slow_log(const View& command, std::string& out) {
  const AdminSnapshot snapshot = provider_.snapshot();
  const std::string word = command.size() >= 2 ? upper(command[1]) : std::string();
  if (word == "LEN") {
    resp::append_integer(out, static_cast<std::int64_t>(snapshot.slow.size()));
    return;
  }
  if (word != "GET") {
    resp::append_error(out, "ERR usage: SLOWLOG GET [count] | LEN");
    return;
  }
  std::size_t count = 10;
  if (command.size() == 3) {
    const std::string text(command[2]);
    count = static_cast<std::size_t>(std::strtoul(text.c_str(), nullptr, 10));
  }
  count = std::min(count, snapshot.slow.size());
  resp::append_array_header(out, count);
  for (std::size_t i = 0; i < count; ++i) {
    const engine::SlowCommand& entry = snapshot.slow[i];
    const auto at = snapshot.taken - (snapshot.now - entry.at);
    const auto at_s = std::chrono::duration_cast<std::chrono::seconds>(at.time_since_epoch()).count();
    resp::append_array_header(out, 6);
    resp::append_integer(out, static_cast<std::int64_t>(entry.id));
    resp::append_integer(out, at_s);
    resp::append_integer(out, static_cast<std::int64_t>(entry.duration_ns / 1000));
    resp::append_array_header(out, entry.args.size());
    for (const std::string& arg : entry.args) resp::append_bulk(out, arg);
    resp::append_bulk(out, fmt::format("id={}", entry.client_id));
    resp::append_bulk(out, entry.client_name);
  }
}

void ConsoleDialog::help(const View& command, std::string& out) {
  std::vector<std::string> lines;
  const std::string name = command.size() >= 2 ? upper(command[1]) : std::string();
  for (const Command& known : commands) {
    if (name.empty() || known.name == name)
      lines.push_back(fmt::format("{:<34} {}", known.usage, known.help));
  }
  if (name == "SHOW") {
    for (const Topic& topic : topics())
      lines.push_back(fmt::format("SHOW {:<29} {}", topic.name, topic.help));
  }
  if (lines.empty()) {
    resp::append_error(out, "ERR there is no help for this; HELP lists all commands");
    return;
  }
  append_lines(out, lines);
}

}  // namespace fairlead::proxy
