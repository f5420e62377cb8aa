// What fairlead knows of Redis' commands: learnt from the server's own COMMAND reply when a master is
// adopted, with a built-in table (redis 7.0) until then. Immutable once built; shared between threads as
// shared_ptr<const CommandTable> inside a Topology.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "resp/command_reader.hpp"
#include "resp/name_fold.hpp"
#include "resp/value.hpp"

namespace fairlead::resp {

/// Redis' command flags, as COMMAND names them.
namespace command_flag {
enum : std::uint32_t {
  write = 1U << 0,
  readonly = 1U << 1,
  denyoom = 1U << 2,
  admin = 1U << 3,
  pubsub = 1U << 4,
  noscript = 1U << 5,
  blocking = 1U << 6,
  loading = 1U << 7,
  stale = 1U << 8,
  fast = 1U << 9,
  no_auth = 1U << 10,
  may_replicate = 1U << 11,
  no_multi = 1U << 12,
  movable_keys = 1U << 13,
  no_async_loading = 1U << 14,
  allow_busy = 1U << 15,
  module_command = 1U << 16,
  skip_monitor = 1U << 17,
  skip_slowlog = 1U << 18,
  asking = 1U << 19,
  no_mandatory_keys = 1U << 20,
  protected_command = 1U << 21,
  sentinel = 1U << 22,
  only_sentinel = 1U << 23,
};
}  // namespace command_flag

/// Where a command is executed. Assigned by command_traits.
enum class Affinity : std::uint8_t {
  local,    // answered by fairlead, in its place in the order
  shared,   // on the pipelined link of {server, version, db, user}
  leased,   // on a link of the session's own, for as long as needed
  refused,  // answered with NOPERM
};

/// How long a leased link stays with the session. Assigned by command_traits.
enum class LeaseSpan : std::uint8_t {
  none,
  one_reply,     // until its reply came: blocking commands; link stays clean
  one_unknown,   // until its reply came; the link is closed then, since the command may have left state on it
  transaction,   // MULTI, WATCH: until EXEC, DISCARD, UNWATCH
  subscription,  // until the last channel is unsubscribed
  tracking,      // until CLIENT TRACKING OFF
  rest,          // until the session ends or is RESET: MONITOR, SCRIPT DEBUG ...
};

/// Commands that fairlead treats by name. Everything else is `other`.
enum class CommandId : std::uint8_t {
  other,
  ping,
  echo,
  quit,
  select,
  hello,
  auth,
  reset,
  command,
  client,
  client_id,
  client_info,
  client_list,
  client_kill,
  client_setname,
  client_getname,
  client_setinfo,
  client_reply,
  client_no_evict,
  client_no_touch,
  client_tracking,
  client_caching,
  client_getredir,
  client_trackinginfo,
  client_pause,
  client_unpause,
  client_unblock,
  client_help,
  multi,
  exec,
  discard,
  watch,
  unwatch,
  subscribe,
  unsubscribe,
  psubscribe,
  punsubscribe,
  ssubscribe,
  sunsubscribe,
  monitor,
  wait,
  waitaof,
  info,
  script,
  script_load,
  script_flush,
  eval,
  evalsha,
  function,
  xread,
  xreadgroup,
  post,
  host,
  asking,
  readonly,
  readwrite,
  publish,
  spublish,
  role,
  config,
  debug,
  shutdown
};

/// One entry of COMMAND's key specifications (redis 7.0): where keys begin and how many there are.
struct KeySpec {
  enum class Begin : std::uint8_t { unknown, index, keyword };
  enum class Find : std::uint8_t { unknown, range, keynum };
  Begin begin = Begin::unknown;
  Find find = Find::unknown;
  bool incomplete = false;
  int index = 0;  // begin index: position; keyword: where to start looking (negative: from the end)
  std::string keyword;
  int last_key = 0;      // range: relative to begin; -1 last argument, -2 ... as COMMAND says
  int step = 1;          // range, keynum
  int limit = 0;         // range: 2 = half of the remaining arguments, ...
  int keynum_index = 0;  // keynum: where the number of keys stands, relative to begin
  int first_key = 0;     // keynum: where the first key stands, relative to begin
};

struct CommandSpec {
  std::string name;  // lower case; subcommands as `client|setname`, at most one level deep
  int arity = 0;     // as COMMAND: n exactly, -n at least
  std::uint32_t flags = 0;
  int first_key = 0;
  int last_key = 0;
  int key_step = 0;
  std::vector<KeySpec>
      key_specs;  // needed and always there only with movable_keys; else first, last, step suffice
  std::vector<std::string> categories;  // ACL categories, without '@'
  std::vector<CommandSpec> subcommands;
  CommandId id = CommandId::other;
  Affinity affinity = Affinity::shared;
  /// How long a lease lasts. For a refused command: how it must be run when the operator allows it (none =
  /// shared).
  LeaseSpan lease = LeaseSpan::none;
  bool is_repeatable = false;  // see is_repeatable() in command_traits.hpp
  bool is_hidden =
      false;  // known to fairlead, but not named by the server: to be left out of COMMAND replies
  std::uint64_t name_word = 0;  // the name in one word, where it has room and is all of the command; else 0

  [[nodiscard]] bool is(std::uint32_t flag) const { return (flags & flag) != 0; }
  /// True when `argc` (command name included) satisfies the arity.
  [[nodiscard]] bool arity_fits(std::uint32_t argc) const {
    return arity >= 0 ? argc == static_cast<std::uint32_t>(arity)
                      : argc >= static_cast<std::uint32_t>(-arity);
  }
};

class CommandTable {
 public:
  CommandTable() = default;
  CommandTable(const CommandTable&) = delete;  // slots_ points into commands_
  CommandTable& operator=(const CommandTable&) = delete;

  /// The table of redis 7.0, written down in command_table_builtin.cpp.
  [[nodiscard]] static std::shared_ptr<const CommandTable> built_in();

  /// Learns from a COMMAND reply of redis 5.0 or newer. Entries and subcommands of a shape it does not know,
  /// and second ones of the same name, are skipped and counted. Null when the reply holds no command at all.
  /// Sets the traits (affinity, lease, id) of every entry, and adds hidden entries for what the traits must
  /// know but the server does not say: `post`, `host:`, and subcommands where the server names only the
  /// container (redis 6.2).
  [[nodiscard]] static std::shared_ptr<const CommandTable> learn(const Value& command_reply);

  /// The same commands with another list of refused ones. A container's name refuses all its subcommands;
  /// what is refused here and not named is run as its spec says (`lease`).
  [[nodiscard]] std::shared_ptr<const CommandTable> with_denied(const std::vector<std::string>& names) const;

  /// The spec of `command`, its subcommand's if it has one; nullptr for an unknown command. O(1),
  /// case-insensitive, without allocation. An unknown subcommand of a known container yields the container.
  [[nodiscard]] const CommandSpec* find(const CommandView& command) const;
  /// The same, at a fifth of the cost when it is `likely` once more, which is a spec of this table or null:
  /// clients say the same command again and again.
  [[nodiscard]] const CommandSpec* find(const CommandView& command, const CommandSpec* likely) const {
    if (likely != nullptr && likely->name_word != 0 && !command.empty()) {
      const std::string_view name = command[0];
      if (name.size() == likely->name.size() &&
          fold(load_up_to_8(name.data(), name.size())) == likely->name_word) {
        return likely;
      }
    }
    return find(command);
  }
  /// The spec of the command that begins with this one word, when the word is all of its name; nullptr for an
  /// unknown command and for one with subcommands.
  [[nodiscard]] const CommandSpec* find_word(std::string_view name) const {
    const Slice word{0, static_cast<std::uint32_t>(name.size())};
    const CommandSpec* const spec = find(CommandView(name.data(), &word, 1));
    return spec != nullptr && spec->name_word != 0 ? spec : nullptr;
  }
  /// By name: `get`, `CLIENT`, `client|setname`.
  [[nodiscard]] const CommandSpec* find(std::string_view name) const;

  [[nodiscard]] const std::vector<CommandSpec>& commands() const { return commands_; }
  /// How many entries of the COMMAND reply were not understood. For the log, once per adopted master.
  [[nodiscard]] std::size_t skipped() const { return skipped_; }

 private:
  struct Slot {
    std::uint64_t hash = 0;
    std::string_view name;                // of spec, within its parent: `setname`
    const CommandSpec* spec = nullptr;    // null: the slot is free
    const CommandSpec* parent = nullptr;  // the container when spec is a subcommand
  };

  void finish(const std::vector<CommandSpec>& reference);
  void index_all();
  void insert(const CommandSpec& spec, const CommandSpec* parent);
  [[nodiscard]] const CommandSpec* find_in(const CommandSpec* parent, std::string_view name) const;

  std::vector<CommandSpec> commands_;  // never changed once indexed: specs are handed out by pointer
  std::vector<Slot> slots_;            // open addressing, linear probing, at most half full
  std::size_t slot_mask_ = 0;          // slots_.size() - 1; the size is a power of two
  std::size_t name_bytes_max_ = 0;     // longer names cannot be in the table and are not even hashed
  std::size_t skipped_ = 0;
};

/// The commands that are refused unless the operator says otherwise: what ends, moves or rewires a server.
/// In the order of their names.
[[nodiscard]] std::vector<std::string> denied_by_default();

}  // namespace fairlead::resp
