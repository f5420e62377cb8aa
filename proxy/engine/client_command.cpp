#include "proxy/engine/client_command.hpp"

#include <algorithm>
#include <limits>

#include "proxy/engine/check.hpp"
#include "resp/decimal.hpp"
#include "resp/writer.hpp"

namespace fairlead::engine {

using resp::CommandId;
using resp::CommandView;

namespace {

constexpr std::string_view syntax_error = "ERR syntax error";
/// Longer pauses would overflow a clock; a hundred years is as good as for ever.
constexpr std::int64_t pause_ms_max = 100LL * 366 * 24 * 3600 * 1000;

/// What a C function sees of the bytes.
std::string_view c_string(std::string_view text) {
  return text.substr(0, text.find('\0'));
}

std::optional<ClientType> parse_type(std::string_view word, std::string& error) {
  if (same_word(word, "normal")) return ClientType::normal;
  if (same_word(word, "slave") || same_word(word, "replica")) return ClientType::replica;
  if (same_word(word, "pubsub")) return ClientType::pubsub;
  if (same_word(word, "master")) return ClientType::master;
  resp::append_error(error, "ERR Unknown client type '" + std::string(c_string(word)) + "'");
  return std::nullopt;
}

bool parse_list(const CommandView& command, ClientQuery& query, std::string& error) {
  if (command.size() == 4 && same_word(command[2], "type")) {
    query.filter.type = parse_type(command[3], error);
    return query.filter.type.has_value();
  }
  if (command.size() > 3 && same_word(command[2], "id")) {
    for (std::uint32_t i = 3; i < command.size(); ++i) {
      const std::optional<std::int64_t> id = resp::parse_decimal(command[i]);
      if (!id) {
        resp::append_error(error, "ERR Invalid client ID");
        return false;
      }
      query.filter.ids.push_back(*id);
    }
    return true;
  }
  if (command.size() == 2) return true;
  resp::append_error(error, syntax_error);
  return false;
}

/// One option of CLIENT KILL and its value.
bool parse_kill_option(std::string_view option, std::string_view value, ClientQuery& query,
                       std::string& error) {
  ClientFilter& filter = query.filter;
  if (same_word(option, "id")) {
    const std::optional<std::int64_t> id = resp::parse_decimal(value);
    if (!id || *id < 1) {
      resp::append_error(error, "ERR client-id should be greater than 0");
      return false;
    }
    filter.ids.assign(1, *id);
  } else if (same_word(option, "type")) {
    filter.type = parse_type(value, error);
    return filter.type.has_value();
  } else if (same_word(option, "addr")) {
    filter.address = c_string(value);
  } else if (same_word(option, "laddr")) {
    filter.local_address = c_string(value);
  } else if (same_word(option, "user")) {
    filter.user = value;
  } else if (same_word(option, "skipme") && (same_word(value, "yes") || same_word(value, "no"))) {
    query.skip_asker = same_word(value, "yes") ? SkipAsker::yes : SkipAsker::no;
  } else {
    resp::append_error(error, syntax_error);
    return false;
  }
  return true;
}

bool parse_kill(const CommandView& command, ClientQuery& query, std::string& error) {
  if (command.size() == 3) {
    query.kill_form = KillForm::address;
    query.skip_asker = SkipAsker::no;
    query.filter.address = c_string(command[2]);
    return true;
  }
  for (std::uint32_t i = 2; i < command.size(); i += 2) {
    if (i + 1 == command.size()) {
      resp::append_error(error, syntax_error);
      return false;
    }
    if (!parse_kill_option(command[i], command[i + 1], query, error)) return false;
  }
  return true;
}

bool append_bad_count(const CommandView& command, std::string& error) {
  if (command.size() == 3 || command.size() == 4) return false;
  resp::append_error(error, "ERR unknown subcommand or wrong number of arguments for '" +
                                std::string(c_string(command[1]).substr(0, 128)) + "'. Try CLIENT HELP.");
  return true;
}

bool parse_unblock(const CommandView& command, ClientQuery& query, std::string& error) {
  if (append_bad_count(command, error)) return false;
  if (command.size() == 4) {
    if (same_word(command[3], "error")) {
      query.unblock_mode = UnblockMode::error;
    } else if (!same_word(command[3], "timeout")) {
      resp::append_error(error, "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
      return false;
    }
  }
  const std::optional<std::int64_t> id = resp::parse_decimal(command[2]);
  if (!id) {
    resp::append_error(error, "ERR value is not an integer or out of range");
    return false;
  }
  query.filter.ids.assign(1, *id);
  return true;
}

bool parse_pause(const CommandView& command, ClientQuery& query, std::string& error) {
  if (append_bad_count(command, error)) return false;
  query.pause_scope = PauseScope::all;
  if (command.size() == 4) {
    if (same_word(command[3], "write")) {
      query.pause_scope = PauseScope::write;
    } else if (!same_word(command[3], "all")) {
      resp::append_error(error, "ERR CLIENT PAUSE mode must be WRITE or ALL");
      return false;
    }
  }
  const std::optional<std::int64_t> time = resp::parse_decimal(command[2]);
  if (!time) {
    resp::append_error(error, "ERR timeout is not an integer or out of range");
    return false;
  }
  if (*time < 0) {
    resp::append_error(error, "ERR timeout is negative");
    return false;
  }
  query.pause_for = std::chrono::milliseconds(std::min(*time, pause_ms_max));
  return true;
}

void append_list(std::string& out, const ClientQuery& query, QueryAnswer& answer, resp::Version version) {
  const auto by_id = [](const ClientEntry& a, const ClientEntry& b) { return a.id < b.id; };
  std::sort(answer.clients.begin(), answer.clients.end(), by_id);
  std::string text;
  if (query.filter.ids.empty()) {
    for (const ClientEntry& entry : answer.clients) text += entry.line;
  }
  // Ids that were asked for come in the order in which they were asked for, as often as they were.
  for (const std::int64_t id : query.filter.ids) {
    if (id < 0) continue;
    const ClientEntry wanted{static_cast<std::uint64_t>(id), {}};
    const auto found = std::lower_bound(answer.clients.begin(), answer.clients.end(), wanted, by_id);
    if (found != answer.clients.end() && found->id == wanted.id) text += found->line;
  }
  resp::append_verbatim(out, text, version);
}

}  // namespace

void QueryAnswer::merge(QueryAnswer&& other) {
  clients.insert(clients.end(), std::make_move_iterator(other.clients.begin()),
                 std::make_move_iterator(other.clients.end()));
  killed += other.killed;
  user_is_known = user_is_known || other.user_is_known;
  asker_is_hit = asker_is_hit || other.asker_is_hit;
  link_pending = link_pending || other.link_pending;
  if (other.link_server_id != 0) {
    link_server_id = other.link_server_id;
    link_run_id = std::move(other.link_run_id);
  }
}

std::optional<ClientQuery> parse_client_query(CommandId id, const CommandView& command, std::string& error) {
  ClientQuery query;
  bool fits = false;
  switch (id) {
    case CommandId::client_list:
      query.kind = QueryKind::list;
      fits = parse_list(command, query, error);
      break;
    case CommandId::client_kill:
      query.kind = QueryKind::kill;
      fits = parse_kill(command, query, error);
      break;
    case CommandId::client_unblock:
      query.kind = QueryKind::unblock;
      fits = parse_unblock(command, query, error);
      break;
    case CommandId::client_pause:
      query.kind = QueryKind::pause;
      fits = parse_pause(command, query, error);
      break;
    case CommandId::client_unpause:
      query.kind = QueryKind::unpause;
      fits = true;
      break;
    default:
      FAIRLEAD_UNREACHABLE("only commands that ask all workers come here");
  }
  if (!fits) return std::nullopt;
  return query;
}

void append_query_reply(std::string& out, const ClientQuery& query, QueryAnswer& answer,
                        resp::Version version) {
  switch (query.kind) {
    case QueryKind::list:
      append_list(out, query, answer, version);
      break;
    case QueryKind::kill:
      // Which users there are is the server's knowledge; here those are known who have clients.
      if (query.filter.user && *query.filter.user != "default" && !answer.user_is_known) {
        resp::append_error(out, "ERR No such user '" + std::string(c_string(*query.filter.user)) + "'");
      } else if (query.kill_form == KillForm::filters) {
        resp::append_integer(out, static_cast<std::int64_t>(answer.killed));
      } else if (answer.killed == 0) {
        resp::append_error(out, "ERR No such client");
      } else {
        resp::append_simple(out, "OK");
      }
      break;
    case QueryKind::unblock:
      resp::append_integer(out, 0);  // somebody who is blocked is asked of the server, which answers itself
      break;
    case QueryKind::pause:
    case QueryKind::unpause:
      resp::append_simple(out, "OK");
      break;
    case QueryKind::learn_script:
    case QueryKind::forget_scripts:
    case QueryKind::locate:
      break;  // the Engine asks for itself
  }
}

std::string permission_probe(const ClientQuery& query) {
  std::string probe;
  switch (query.kind) {
    case QueryKind::list:
      resp::append_command(probe, {"CLIENT", "LIST", "ID", "x"});
      break;
    case QueryKind::kill:
      resp::append_command(probe, {"CLIENT", "KILL", "ID", "x"});
      break;
    case QueryKind::unblock:
      resp::append_command(probe, {"CLIENT", "UNBLOCK", "x"});
      break;
    case QueryKind::pause:
    case QueryKind::unpause:  // has no wrong arguments: who may pause may end it
      resp::append_command(probe, {"CLIENT", "PAUSE", "x"});
      break;
    case QueryKind::learn_script:
    case QueryKind::forget_scripts:
    case QueryKind::locate:
      break;
  }
  return probe;
}

std::optional<Switch> parse_switch(std::string_view word) {
  if (same_word(word, "on")) return Switch::on;
  if (same_word(word, "off")) return Switch::off;
  return std::nullopt;
}

bool same_word(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [lower](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace fairlead::engine
