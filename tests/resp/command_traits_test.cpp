#include "resp/command_traits.hpp"

#include <catch2/catch.hpp>

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/resp/command_words.hpp"

using namespace fairlead::resp;
using namespace fairlead::resp::testing;

namespace {

using Names = std::set<std::string>;

// What each command of redis 7.0 must be; every one that is not named here is shared.
const Names local_names = {"ping",
                           "echo",
                           "quit",
                           "select",
                           "hello",
                           "auth",
                           "reset",
                           "command",
                           "command|count",
                           "command|docs",
                           "command|getkeys",
                           "command|getkeysandflags",
                           "command|help",
                           "command|info",
                           "command|list",
                           "client",
                           "client|getname",
                           "client|getredir",
                           "client|help",
                           "client|id",
                           "client|info",
                           "client|kill",
                           "client|list",
                           "client|no-evict",
                           "client|no-touch",
                           "client|pause",
                           "client|reply",
                           "client|setinfo",
                           "client|setname",
                           "client|trackinginfo",
                           "client|unblock",
                           "client|unpause",
                           "post",
                           "host:"};
const Names transaction_names = {"multi", "watch"};
const Names subscription_names = {"subscribe",   "psubscribe",   "ssubscribe",
                                  "unsubscribe", "punsubscribe", "sunsubscribe"};
const Names one_reply_names = {
    "blpop",         "brpop",          "brpoplpush",   "blmove",         "blmpop",        "bzpopmin",
    "bzpopmax",      "bzmpop",         "xread",        "xreadgroup",     "wait",          "script|kill",
    "function|kill", "function|stats"};
const Names tracking_names = {"client|tracking", "client|caching"};
const Names rest_names = {"monitor", "script|debug"};
const std::map<std::string, LeaseSpan> refused_names = {{"shutdown", LeaseSpan::one_reply},
                                                        {"replicaof", LeaseSpan::none},
                                                        {"slaveof", LeaseSpan::none},
                                                        {"failover", LeaseSpan::none},
                                                        {"debug", LeaseSpan::none},
                                                        {"sync", LeaseSpan::rest},
                                                        {"psync", LeaseSpan::rest},
                                                        {"replconf", LeaseSpan::rest},
                                                        {"module|load", LeaseSpan::none},
                                                        {"module|loadex", LeaseSpan::none},
                                                        {"module|unload", LeaseSpan::none},
                                                        {"cluster|addslots", LeaseSpan::none},
                                                        {"cluster|addslotsrange", LeaseSpan::none},
                                                        {"cluster|bumpepoch", LeaseSpan::none},
                                                        {"cluster|delslots", LeaseSpan::none},
                                                        {"cluster|delslotsrange", LeaseSpan::none},
                                                        {"cluster|failover", LeaseSpan::none},
                                                        {"cluster|flushslots", LeaseSpan::none},
                                                        {"cluster|forget", LeaseSpan::none},
                                                        {"cluster|meet", LeaseSpan::none},
                                                        {"cluster|replicate", LeaseSpan::none},
                                                        {"cluster|reset", LeaseSpan::none},
                                                        {"cluster|saveconfig", LeaseSpan::none},
                                                        {"cluster|set-config-epoch", LeaseSpan::none},
                                                        {"cluster|setslot", LeaseSpan::none}};

std::pair<Affinity, LeaseSpan> expected(const std::string& name) {
  if (local_names.contains(name)) return {Affinity::local, LeaseSpan::none};
  if (transaction_names.contains(name)) return {Affinity::leased, LeaseSpan::transaction};
  if (subscription_names.contains(name)) return {Affinity::leased, LeaseSpan::subscription};
  if (one_reply_names.contains(name)) return {Affinity::leased, LeaseSpan::one_reply};
  if (tracking_names.contains(name)) return {Affinity::leased, LeaseSpan::tracking};
  if (rest_names.contains(name)) return {Affinity::leased, LeaseSpan::rest};
  if (refused_names.contains(name)) return {Affinity::refused, refused_names.at(name)};
  return {Affinity::shared, LeaseSpan::none};
}

std::vector<const CommandSpec*> all_specs() {
  std::vector<const CommandSpec*> specs;
  for (const CommandSpec& spec : CommandTable::built_in()->commands()) {
    specs.push_back(&spec);
    for (const CommandSpec& subcommand : spec.subcommands) specs.push_back(&subcommand);
  }
  return specs;
}

const CommandSpec& built_in(std::string_view name) {
  const CommandSpec* spec = CommandTable::built_in()->find(name);
  INFO(name);
  REQUIRE(spec != nullptr);
  return *spec;
}

CallTraits call(const char* line) {
  const CommandWords words(line);
  return traits_of_call(CommandTable::built_in()->find(words.view()), words.view());
}

CommandSpec made(std::string name, std::uint32_t flags) {
  CommandSpec spec;
  spec.name = std::move(name);
  spec.arity = -1;
  spec.flags = flags;
  assign_traits(spec);
  return spec;
}

}  // namespace

TEST_CASE("traits: every built-in command") {
  Names seen;
  for (const CommandSpec* spec : all_specs()) {
    CAPTURE(spec->name);
    seen.insert(spec->name);
    CHECK(spec->affinity == expected(spec->name).first);
    CHECK(spec->lease == expected(spec->name).second);
  }
  CHECK(seen.size() > 360);
  // No list above names a command that does not exist.
  for (const Names& names :
       {local_names, transaction_names, subscription_names, one_reply_names, rest_names}) {
    for (const std::string& name : names) CHECK(seen.count(name) == 1);
  }
  for (const auto& [name, lease] : refused_names) CHECK(seen.count(name) == 1);
}

TEST_CASE("traits: commands one might take for stateful are shared") {
  for (const char* line : {"EXEC",
                           "DISCARD",
                           "UNWATCH",
                           "ASKING",
                           "READONLY",
                           "READWRITE",
                           "EVAL s 0",
                           "EVALSHA s 0",
                           "FCALL f 0",
                           "SCRIPT LOAD s",
                           "FUNCTION LOAD f",
                           "CONFIG SET a b",
                           "ACL WHOAMI",
                           "LATENCY RESET",
                           "SLOWLOG GET",
                           "MEMORY DOCTOR",
                           "SAVE",
                           "BGSAVE",
                           "FLUSHALL",
                           "MIGRATE h 1 k 0 1",
                           "OBJECT FREQ k",
                           "SWAPDB 0 1",
                           "PUBLISH c m",
                           "SPUBLISH c m",
                           "PFDEBUG ENCODING k",
                           "LOLWUT",
                           "MODULE LIST",
                           "CLUSTER INFO",
                           "CLUSTER REPLICAS n",
                           "CLUSTER SLAVES n",
                           "CLUSTER COUNT-FAILURE-REPORTS n",
                           "PUBSUB CHANNELS"}) {
    CAPTURE(line);
    CHECK(call(line).affinity == Affinity::shared);
    CHECK(call(line).lease == LeaseSpan::none);
  }
}

TEST_CASE("traits: unknown commands are leased and their link is not used again") {
  CHECK(call("NOSUCH a b").affinity == Affinity::leased);
  CHECK(call("NOSUCH a b").lease == LeaseSpan::one_unknown);
  CHECK(call("WAITAOF 1 0 0").lease == LeaseSpan::one_unknown);  // redis 7.2; built in is 7.0
}

TEST_CASE("traits: an unknown CLIENT subcommand is answered here, any other container's by the server") {
  CHECK(call("CLIENT NOSUCH").affinity == Affinity::local);
  CHECK(call("CLIENT").affinity == Affinity::local);
  CHECK(call("CLIENT SETINFO LIB-NAME x").affinity == Affinity::local);
  CHECK(call("CONFIG NOSUCH").affinity == Affinity::shared);
}

TEST_CASE("traits: XREAD and XREADGROUP are leased only with BLOCK before STREAMS") {
  const std::vector<const char*> blocking = {
      "XREAD BLOCK 0 STREAMS s $",
      "xread count 1 block 10 streams s 0",
      "XREADGROUP GROUP g c BLOCK 0 STREAMS s >",
      "XREADGROUP GROUP g c NOACK COUNT 3 Block 0 STREAMS s >",
      "XREADGROUP BLOCK 0 GROUP g c STREAMS s >",
      "XREAD NEWOPTION BLOCK 0 STREAMS s $",
  };
  for (const char* line : blocking) {
    CAPTURE(line);
    CHECK(call(line).affinity == Affinity::leased);
    CHECK(call(line).lease == LeaseSpan::one_reply);
  }
  const std::vector<const char*> plain = {
      "XREAD STREAMS s 0",
      "XREAD COUNT 10 STREAMS block 0",
      "XREADGROUP GROUP block c STREAMS s >",
      "XREADGROUP GROUP g block STREAMS s >",
      "XREADGROUP GROUP g streams STREAMS s >",
      "XREAD STREAMS s BLOCK",
      "XREAD COUNT BLOCK STREAMS s 0",
      "XREAD BLOCKS 0 STREAM",
      "XREAD COUNT",
      "XREADGROUP GROUP",
      "XREAD",
  };
  for (const char* line : plain) {
    CAPTURE(line);
    CHECK(call(line).affinity == Affinity::shared);
    CHECK(call(line).lease == LeaseSpan::none);
  }
}

TEST_CASE("traits: flags decide for commands of newer servers and of modules") {
  namespace flag = command_flag;
  CHECK(made("bnewpop", flag::write | flag::blocking).lease == LeaseSpan::one_reply);
  CHECK(made("newget", flag::readonly | flag::fast).affinity == Affinity::shared);
  CHECK(made("waitaof", flag::noscript).lease == LeaseSpan::one_reply);
  CHECK(made("ft.search", flag::readonly | flag::module_command).affinity == Affinity::shared);
  CHECK(made("m.wait", flag::module_command | flag::blocking).lease == LeaseSpan::one_reply);
  CHECK(made("m.state", flag::module_command | flag::noscript).lease == LeaseSpan::one_unknown);
  CHECK(made("m.login", flag::module_command | flag::no_auth).lease == LeaseSpan::one_unknown);
  CHECK(made("m.state", flag::module_command | flag::noscript).affinity == Affinity::leased);
  CHECK(made("cluster|newwrite", flag::admin).affinity == Affinity::refused);
  CHECK(made("cluster|newread", flag::stale).affinity == Affinity::shared);
  CHECK(made("client|newstate", flag::noscript).affinity == Affinity::leased);
  CHECK(made("client|newstate", flag::noscript).lease == LeaseSpan::rest);
}

TEST_CASE("traits: ids") {
  CHECK(built_in("get").id == CommandId::other);
  CHECK(built_in("client").id == CommandId::client);
  CHECK(built_in("client|setname").id == CommandId::client_setname);
  CHECK(built_in("client|no-evict").id == CommandId::client_no_evict);
  CHECK(built_in("client|setinfo").id == CommandId::client_setinfo);
  CHECK(built_in("command|docs").id == CommandId::command);
  CHECK(built_in("script|load").id == CommandId::script_load);
  CHECK(built_in("script|exists").id == CommandId::script);
  CHECK(built_in("config|get").id == CommandId::config);
  CHECK(built_in("function|load").id == CommandId::function);
  CHECK(built_in("eval_ro").id == CommandId::eval);
  CHECK(built_in("evalsha_ro").id == CommandId::evalsha);
  CHECK(built_in("fcall").id == CommandId::other);
  CHECK(built_in("post").id == CommandId::post);
  CHECK(built_in("host:").id == CommandId::host);
  CHECK(built_in("cluster|info").id == CommandId::other);

  // Each id but `other` and `waitaof` (redis 7.2) belongs to some built-in command.
  std::set<CommandId> seen;
  for (const CommandSpec* spec : all_specs()) seen.insert(spec->id);
  for (int id = 0; id <= static_cast<int>(CommandId::shutdown); ++id) {
    CAPTURE(id);
    CHECK((seen.contains(static_cast<CommandId>(id)) || static_cast<CommandId>(id) == CommandId::waitaof));
  }
}

TEST_CASE("traits: what may be dispatched again") {
  CHECK_FALSE(is_repeatable(nullptr));
  for (const char* name :
       {"get", "mget", "hgetall", "scan", "exists", "ttl", "touch", "zrangebyscore", "object|freq",
        "memory|usage", "xinfo|stream", "bitfield_ro", "sort_ro", "pfcount", "dbsize", "lolwut"}) {
    CAPTURE(name);
    CHECK(is_repeatable(&built_in(name)));
  }
  for (const char* name : {"set",        "incr",     "bitfield",   "getdel",   "getex",         "sort",
                           "eval",       "eval_ro",  "evalsha_ro", "fcall_ro", "publish",       "script|load",
                           "config|set", "xread",    "xreadgroup", "blpop",    "ping",          "info",
                           "pfdebug",    "flushall", "exec",       "wait",     "function|list", "post"}) {
    CAPTURE(name);
    CHECK_FALSE(is_repeatable(&built_in(name)));
  }
  // Never both: what is repeatable is declared read-only, does not write, and is not sent to a lease by
  // itself.
  for (const CommandSpec* spec : all_specs()) {
    if (!is_repeatable(spec)) continue;
    CAPTURE(spec->name);
    CHECK(spec->is(command_flag::readonly));
    CHECK_FALSE(spec->is(command_flag::write));
    CHECK(spec->affinity == Affinity::shared);
  }
  CHECK_FALSE(made("odd", command_flag::readonly | command_flag::write).is_repeatable);
}
