#include "resp/command_traits.hpp"

#include <algorithm>
#include <optional>
#include <string_view>

namespace fairlead::resp {
namespace {

// Short names, so that the lists below read as tables.
constexpr auto local = Affinity::local;
constexpr auto shared = Affinity::shared;
constexpr auto leased = Affinity::leased;
constexpr auto refused = Affinity::refused;
using Span = LeaseSpan;
using Id = CommandId;

/// What a command's flags do not say.
struct Override {
  std::string_view name;
  Affinity affinity;
  LeaseSpan lease;
};

constexpr Override overrides[] = {
    // Answered here: what they ask or change belongs to the client's own connection, and on a shared link
    // they would
    // ask or change everybody's. QUIT has to end the client's connection, not the link.
    {"ping", local, Span::none},
    {"echo", local, Span::none},
    {"quit", local, Span::none},
    {"select", local, Span::none},
    {"hello", local, Span::none},
    {"auth", local, Span::none},
    {"reset", local, Span::none},
    // From the learnt table, so that it can be answered while there is no master: clients ask it at connect.
    {"command", local, Span::none},
    {"command|count", local, Span::none},
    {"command|docs", local, Span::none},
    {"command|getkeys", local, Span::none},
    {"command|getkeysandflags", local, Span::none},
    {"command|help", local, Span::none},
    {"command|info", local, Span::none},
    {"command|list", local, Span::none},
    // The container stands for subcommands that the server does not know: fairlead answers that error itself.
    {"client", local, Span::none},
    {"client|getname", local, Span::none},
    {"client|getredir", local, Span::none},
    {"client|help", local, Span::none},
    {"client|id", local, Span::none},
    {"client|info", local, Span::none},
    {"client|kill", local, Span::none},
    {"client|list", local, Span::none},
    {"client|no-evict", local, Span::none},
    {"client|no-touch", local, Span::none},
    {"client|pause", local, Span::none},
    {"client|reply", local, Span::none},
    {"client|setinfo", local, Span::none},
    {"client|setname", local, Span::none},
    {"client|trackinginfo", local, Span::none},
    {"client|unblock", local, Span::none},
    {"client|unpause", local, Span::none},
    // The cross-protocol guard: closed without a reply. Redis has no COMMAND entry for them.
    {"post", local, Span::none},
    {"host:", local, Span::none},

    // State that ends with EXEC, DISCARD or UNWATCH. Those three are shared: inside a transaction the session
    // sends
    // them down its lease, outside they change nothing and the server has the right answer.
    {"multi", leased, Span::transaction},
    {"watch", leased, Span::transaction},

    // Pushes arrive until the last channel is unsubscribed. An UNSUBSCRIBE without a subscription is answered
    // in the
    // same form, as a push in RESP3, so it must not run on a shared link either.
    {"subscribe", leased, Span::subscription},
    {"psubscribe", leased, Span::subscription},
    {"ssubscribe", leased, Span::subscription},
    {"unsubscribe", leased, Span::subscription},
    {"punsubscribe", leased, Span::subscription},
    {"sunsubscribe", leased, Span::subscription},

    // These wait for replicas, and stop reading the connection meanwhile, but 7.0 does not flag WAIT as
    // blocking.
    {"wait", leased, Span::one_reply},
    {"waitaof", leased, Span::one_reply},
    // A script that hangs keeps the server from reading the connection it came on (script.c, protectClient).
    // Its end
    // must come on another one, or it would wait behind the script forever.
    {"script|kill", leased, Span::one_reply},
    {"function|kill", leased, Span::one_reply},
    {"function|stats", leased, Span::one_reply},

    // They turn the connection into something else, and nothing but RESET or its end turns it back.
    {"monitor", leased, Span::rest},
    {"client|tracking", leased, Span::tracking},
    {"client|caching", leased, Span::tracking},
    {"script|debug", leased, Span::rest},

    // They change who is master, or end the server: the business of Sentinel and of the operator, who may
    // allow them.
    {"shutdown", refused, Span::one_reply},  // waits for the replicas to catch up
    {"replicaof", refused, Span::none},
    {"slaveof", refused, Span::none},
    {"failover", refused, Span::none},
    {"debug", refused, Span::none},
    // They turn the connection into a replica's.
    {"sync", refused, Span::rest},
    {"psync", refused, Span::rest},
    {"replconf", refused, Span::rest},
    // Code from the server's disk, and commands that vanish while the table still has them.
    {"module|load", refused, Span::none},
    {"module|loadex", refused, Span::none},
    {"module|unload", refused, Span::none},
    // The topology is not the clients' to write. Newer ones are found by their flags; these are for
    // redis 6.2, which
    // does not name subcommands.
    {"cluster|addslots", refused, Span::none},
    {"cluster|addslotsrange", refused, Span::none},
    {"cluster|bumpepoch", refused, Span::none},
    {"cluster|delslots", refused, Span::none},
    {"cluster|delslotsrange", refused, Span::none},
    {"cluster|failover", refused, Span::none},
    {"cluster|flushslots", refused, Span::none},
    {"cluster|forget", refused, Span::none},
    {"cluster|meet", refused, Span::none},
    {"cluster|replicate", refused, Span::none},
    {"cluster|reset", refused, Span::none},
    {"cluster|saveconfig", refused, Span::none},
    {"cluster|set-config-epoch", refused, Span::none},
    {"cluster|setslot", refused, Span::none},
    // Flagged `admin` like the writes, but they only read.
    {"cluster|count-failure-reports", shared, Span::none},
    {"cluster|replicas", shared, Span::none},
    {"cluster|slaves", shared, Span::none},
};

struct NamedId {
  std::string_view name;
  CommandId id;
};

constexpr NamedId ids[] = {
    {"asking", Id::asking},
    {"auth", Id::auth},
    {"client", Id::client},
    {"client|caching", Id::client_caching},
    {"client|getname", Id::client_getname},
    {"client|getredir", Id::client_getredir},
    {"client|help", Id::client_help},
    {"client|id", Id::client_id},
    {"client|info", Id::client_info},
    {"client|kill", Id::client_kill},
    {"client|list", Id::client_list},
    {"client|no-evict", Id::client_no_evict},
    {"client|no-touch", Id::client_no_touch},
    {"client|pause", Id::client_pause},
    {"client|reply", Id::client_reply},
    {"client|setinfo", Id::client_setinfo},
    {"client|setname", Id::client_setname},
    {"client|tracking", Id::client_tracking},
    {"client|trackinginfo", Id::client_trackinginfo},
    {"client|unblock", Id::client_unblock},
    {"client|unpause", Id::client_unpause},
    {"command", Id::command},
    {"config", Id::config},
    {"debug", Id::debug},
    {"discard", Id::discard},
    {"echo", Id::echo},
    {"eval", Id::eval},
    {"eval_ro",
     Id::eval},  // the read-only forms differ in what the script may do, not in how they are handled
    {"evalsha", Id::evalsha},
    {"evalsha_ro", Id::evalsha},
    {"exec", Id::exec},
    {"function", Id::function},
    {"hello", Id::hello},
    {"host:", Id::host},
    {"info", Id::info},
    {"info", Id::info},
    {"monitor", Id::monitor},
    {"multi", Id::multi},
    {"ping", Id::ping},
    {"post", Id::post},
    {"psubscribe", Id::psubscribe},
    {"publish", Id::publish},
    {"punsubscribe", Id::punsubscribe},
    {"quit", Id::quit},
    {"readonly", Id::readonly},
    {"readwrite", Id::readwrite},
    {"reset", Id::reset},
    {"role", Id::role},
    {"script", Id::script},
    {"script|load", Id::script_load},
    {"script|flush", Id::script_flush},
    {"select", Id::select},
    {"shutdown", Id::shutdown},
    {"spublish", Id::spublish},
    {"ssubscribe", Id::ssubscribe},
    {"subscribe", Id::subscribe},
    {"sunsubscribe", Id::sunsubscribe},
    {"unsubscribe", Id::unsubscribe},
    {"unwatch", Id::unwatch},
    {"wait", Id::wait},
    {"waitaof", Id::waitaof},
    {"watch", Id::watch},
    {"xread", Id::xread},
    {"xreadgroup", Id::xreadgroup},
};

/// The rows are few and read only when a table is built: no index.
template <typename Row, std::size_t N>
const Row* find_row(const Row (&rows)[N], std::string_view name) {
  const Row* found = std::find_if(rows, rows + N, [name](const Row& row) { return row.name == name; });
  return found == rows + N ? nullptr : found;
}

bool has_category(const CommandSpec& spec, std::string_view name) {
  return std::find(spec.categories.begin(), spec.categories.end(), name) != spec.categories.end();
}

CallTraits traits_from_flags(const CommandSpec& spec) {
  using namespace command_flag;
  const std::string_view name = spec.name;
  if (name.starts_with("cluster|") && spec.is(admin)) return {refused, Span::none};
  // A newer server's CLIENT subcommand may set any state on its connection: it gets one to keep.
  if (name.starts_with("client|")) return {leased, Span::rest};
  if (spec.is(blocking)) return {leased, Span::one_reply};
  // A module's command is shared like any other: modules have no transactions or subscriptions of their own,
  // and one that blocks without saying so delays a link, but breaks no reply's order. Two kinds may leave
  // state on the connection: what a script may not run (`noscript`), because scripts have no client behind
  // them, and what may run before a login (`no_auth`), because it is a login itself.
  if (spec.is(module_command) && spec.is(noscript | no_auth)) return {leased, Span::one_unknown};
  return {shared, Span::none};
}

/// Scripts are never repeated: a read-only one may still PUBLISH, and one that ran half way is not known as
/// such.
bool is_script(const CommandSpec& spec) {
  return spec.id == Id::eval || spec.id == Id::evalsha || has_category(spec, "scripting");
}

void assign_one(CommandSpec& spec, CommandId inherited) {
  const NamedId* named = find_row(ids, spec.name);
  spec.id = named != nullptr ? named->id : inherited;
  const Override* own = find_row(overrides, spec.name);
  const CallTraits traits = own != nullptr ? CallTraits{own->affinity, own->lease} : traits_from_flags(spec);
  spec.affinity = traits.affinity;
  spec.lease = traits.lease;
  spec.is_repeatable = spec.is(command_flag::readonly) &&
                       !spec.is(command_flag::write | command_flag::blocking) && !is_script(spec);
}

bool equals_option(std::string_view argument, std::string_view option) {
  return std::equal(argument.begin(), argument.end(), option.begin(), option.end(), [](char a, char upper) {
    return a == upper || (a >= 'a' && a <= 'z' && a - 'a' + 'A' == upper);
  });
}

/// XREAD and XREADGROUP: is there a BLOCK before STREAMS? Values of the known options are skipped, since a
/// group may be called `block`; an option of a newer server is passed word by word, which at worst finds a
/// BLOCK that is none.
bool blocks(const CommandView& command) {
  for (std::uint32_t at = 1; at < command.size(); ++at) {
    const std::string_view argument = command[at];
    if (equals_option(argument, "STREAMS")) return false;
    if (equals_option(argument, "BLOCK")) return true;
    if (equals_option(argument, "COUNT")) at += 1;
    if (equals_option(argument, "GROUP")) at += 2;
  }
  return false;
}

}  // namespace

void assign_traits(CommandSpec& spec) {
  assign_one(spec, CommandId::other);
  for (CommandSpec& subcommand : spec.subcommands) assign_one(subcommand, spec.id);
}

CallTraits traits_of_call(const CommandSpec* spec, const CommandView& command) {
  if (spec == nullptr) return {Affinity::leased, LeaseSpan::one_unknown};
  const bool may_block = spec->id == CommandId::xread || spec->id == CommandId::xreadgroup;
  if (may_block && !blocks(command)) return {Affinity::shared, LeaseSpan::none};
  return {spec->affinity, spec->lease};
}

bool is_repeatable(const CommandSpec* spec) {
  return spec != nullptr && spec->is_repeatable;
}

}  // namespace fairlead::resp
