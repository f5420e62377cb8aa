// What one worker asks all workers about their clients, and what each answers: CLIENT LIST, KILL, UNBLOCK,
// PAUSE and UNPAUSE concern every client of the process, and each worker knows only its own.
//
// Pure data, copied from thread to thread by the shell's posted messages; never holds a pointer.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace fairlead::engine {

enum class QueryKind : std::uint8_t {
  list,
  kill,
  unblock,
  pause,
  unpause,
  learn_script,    // EVAL, SCRIPT LOAD
  forget_scripts,  // SCRIPT FLUSH
  locate,          // which of the server's connections is the client's own link
};

/// Redis' classes of clients. fairlead has no masters among its clients; those match nobody.
enum class ClientType : std::uint8_t { normal, pubsub, replica, master };

struct ClientFilter {
  std::vector<std::int64_t> ids;  // empty: every id
  std::optional<std::string> address;
  std::optional<std::string> local_address;
  std::optional<ClientType> type;
  std::optional<std::string> user;
};

enum class SkipAsker : std::uint8_t { no, yes };
enum class KillForm : std::uint8_t {
  address,  // CLIENT KILL addr: answers OK or an error
  filters,  // CLIENT KILL ID ... : answers how many
};
enum class UnblockMode : std::uint8_t { timeout, error };
enum class PauseScope : std::uint8_t { none, write, all };  // in ascending strictness

struct ClientQuery {
  QueryKind kind = QueryKind::list;
  std::uint64_t id = 0;                    // of the query, unique within the asking worker
  std::uint64_t asker = 0;                 // CLIENT ID of who asked
  std::uint64_t asker_argument_bytes = 0;  // of the command that asks, for its own line
  ClientFilter filter;
  SkipAsker skip_asker = SkipAsker::yes;
  KillForm kill_form = KillForm::filters;
  UnblockMode unblock_mode = UnblockMode::timeout;
  PauseScope pause_scope = PauseScope::none;
  std::chrono::milliseconds pause_for{0};
  std::string script;  // learn_script
};

struct ClientEntry {
  std::uint64_t id = 0;
  std::string line;  // with its line feed
};

struct QueryAnswer {
  std::vector<ClientEntry> clients;  // list
  std::uint64_t killed = 0;          // kill
  bool user_is_known = false;        // kill: somebody is logged in as the user of the filter
  bool asker_is_hit = false;         // kill: the asker is one of them; it is closed when it has its answer
  std::uint64_t link_server_id = 0;  // unblock, locate: what the server calls the client's link; 0: nobody
  bool link_pending = false;         // locate: the client gets a link just now; ask again
  std::string link_run_id;           // and which server that is

  /// Adds what another worker answered.
  void merge(QueryAnswer&& other);
};

}  // namespace fairlead::engine
