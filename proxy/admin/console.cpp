#include "proxy/admin/console.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cstdlib>
#include <memory>
#include <optional>

#include "proxy/admin/api.hpp"
#include "proxy/admin/console_topics.hpp"
#include "proxy/admin/text.hpp"
#include "proxy/config_option.hpp"
#include "resp/writer.hpp"

namespace fairlead::proxy {

namespace {

using resp::Version;

struct Command {
  std::string_view name;
  std::string_view usage;
  std::string_view help;
};

constexpr Command commands[] = {
    {"SHOW", "SHOW topic", "tells a topic; HELP SHOW lists them"},
    {"SLOWLOG", "SLOWLOG GET [count] | LEN", "slow commands in the form of Redis"},
    {"LATENCY", "LATENCY HISTOGRAM [command ...]", "durations since the start in the form of Redis"},
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

/// Errors are one line in RESP: the details follow behind the sentence.
void append_result(std::string& out, const ActionResult& result) {
  if (!result.error.empty()) {
    std::string text = result.error;
    for (const std::string& line : result.lines) text += "; " + line;
    resp::append_error(out, "ERR " + printable(text));
    return;
  }
  const std::string text = result.text.empty() ? "OK" : "OK " + printable(result.text);
  if (result.lines.empty()) {
    resp::append_simple(out, text);
    return;
  }
  resp::append_array_header(out, result.lines.size() + 1);
  resp::append_simple(out, text);
  for (const std::string& line : result.lines) resp::append_simple(out, printable(line));
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

ConsoleDialog::Next ConsoleDialog::answer(const View& command, std::string& out, Later later) {
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
  } else if (name == "LATENCY") {
    latency(command, out);
  } else if (name == "SLOWLOG") {
    slow_log(command, out);
  } else if (name == "HELP") {
    help(command, out);
  } else if (name == "COMMAND") {
    resp::append_array_header(out, 0);  // redis-cli asks at start
  } else if (name == "CLIENT") {
    resp::append_simple(out, "OK");  // client libraries name themselves at start
  } else if (const ActionSpec* spec = find_action(name)) {
    return act(*spec, command, out, std::move(later));
  } else {
    resp::append_error(out, "ERR the console does not know this command; HELP lists what it knows");
  }
  return Next::go_on;
}

bool ConsoleDialog::log_in(std::string_view user, std::string_view password) {
  authenticated_ = login_is(provider_.login, user, password);
  user_ = authenticated_ ? printable(user) : std::string();
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
      std::find_if(topics().begin(), topics().end(), [&](const ConsoleTopic& t) { return t.name == name; });
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

/// What is done at once is answered at once; otherwise `later` is called with the answer.
ConsoleDialog::Next ConsoleDialog::act(const ActionSpec& spec, const View& command, std::string& out,
                                       Later later) {
  const std::size_t least = spec.argument == Argument::required ? 2 : 1;
  const std::size_t most = spec.argument == Argument::none ? 1 : 2;
  if (command.size() < least || command.size() > most) {
    resp::append_error(out, fmt::format("ERR usage: {}", spec.usage));
    return Next::go_on;
  }
  if (provider_.may_act == MayAct::no) {
    resp::append_error(out, "NOPERM actions are not allowed; set admin = true in [stats]");
    return Next::go_on;
  }
  struct Progress {
    bool waiting = false;
    std::optional<std::string> answer;
  };
  const auto progress = std::make_shared<Progress>();
  const std::string who = user_.empty() ? peer_ : user_ + " at " + peer_;
  const std::string argument = command.size() == 2 ? std::string(command[1]) : std::string();
  provider_.act({std::string(spec.name), argument, who + " (console)"},
                [progress, later = std::move(later)](const ActionResult& result) {
                  std::string answer;
                  append_result(answer, result);
                  if (progress->waiting) {
                    later(std::move(answer));
                  } else {
                    progress->answer = std::move(answer);
                  }
                });
  if (progress->answer) {
    out += *progress->answer;
    return Next::go_on;
  }
  progress->waiting = true;
  return Next::wait;
}

/// LATENCY HISTOGRAM of redis 7.0; its first entry is not a command but the turn of a worker's loop.
void ConsoleDialog::latency(const View& command, std::string& out) {
  if (command.size() < 2 || upper(command[1]) != "HISTOGRAM") {
    resp::append_error(out, "ERR usage: LATENCY HISTOGRAM [command ...]; SHOW LATENCY is a table");
    return;
  }
  const boost::json::value all = api_value(provider_.snapshot(), "latency");
  std::vector<const boost::json::object*> rows;
  for (const boost::json::value& row : all.get_array()) {
    const std::string name = upper(row.at("name").get_string());
    bool wanted = command.size() == 2;
    for (std::uint32_t i = 2; i < command.size(); ++i) wanted = wanted || upper(command[i]) == name;
    if (wanted) rows.push_back(&row.get_object());
  }
  resp::append_map_header(out, rows.size(), version_);
  for (const boost::json::object* row : rows) {
    resp::append_bulk(out, row->at("name").get_string());
    resp::append_map_header(out, 2, version_);
    resp::append_bulk(out, "calls");
    resp::append_integer(out, row->at("calls").to_number<std::int64_t>());
    resp::append_bulk(out, "histogram_usec");
    const boost::json::object& bounds = row->at("histogram_us").get_object();
    resp::append_map_header(out, bounds.size(), version_);
    for (const auto& [bound, count] : bounds) {
      resp::append_integer(out, std::strtoll(std::string(bound).c_str(), nullptr, 10));
      resp::append_integer(out, count.to_number<std::int64_t>());
    }
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
  for (const ActionSpec& action : action_list()) {
    if (name.empty() || upper(action.name) == name)
      lines.push_back(fmt::format("{:<34} {}", action.usage, action.help));
  }
  if (name == "SHOW") {
    for (const ConsoleTopic& topic : topics())
      lines.push_back(fmt::format("SHOW {:<29} {}", topic.name, topic.help));
  }
  if (lines.empty()) {
    resp::append_error(out, "ERR there is no help for this; HELP lists all commands");
    return;
  }
  append_lines(out, lines);
}

}  // namespace fairlead::proxy
