#include "resp/command_table.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "resp/command_traits.hpp"
#include "tests/resp/allocation_count.hpp"
#include "tests/resp/command_replies.hpp"
#include "tests/resp/command_words.hpp"

using namespace fairlead::resp;
using namespace fairlead::resp::testing;

namespace {

bool same_key_spec(const KeySpec& a, const KeySpec& b) {
  return a.begin == b.begin && a.find == b.find && a.incomplete == b.incomplete && a.index == b.index &&
         a.keyword == b.keyword && a.last_key == b.last_key && a.step == b.step && a.limit == b.limit &&
         a.keynum_index == b.keynum_index && a.first_key == b.first_key;
}

void check_same(const CommandSpec& a, const CommandSpec& b) {
  CAPTURE(a.name);
  CHECK(a.name == b.name);
  CHECK(a.arity == b.arity);
  CHECK(a.flags == b.flags);
  CHECK(a.first_key == b.first_key);
  CHECK(a.last_key == b.last_key);
  CHECK(a.key_step == b.key_step);
  CHECK(a.categories == b.categories);
  CHECK(std::equal(a.key_specs.begin(), a.key_specs.end(), b.key_specs.begin(), b.key_specs.end(),
                   same_key_spec));
  CHECK(a.id == b.id);
  CHECK(a.affinity == b.affinity);
  CHECK(a.lease == b.lease);
  CHECK(a.is_repeatable == b.is_repeatable);
}

const CommandSpec* find_call(const CommandTable& table, std::string_view line) {
  const CommandWords words(line);
  return table.find(words.view());
}

const CommandSpec* find_call(const CommandTable& table, std::string_view line, const CommandSpec* likely) {
  const CommandWords words(line);
  return table.find(words.view(), likely);
}

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

}  // namespace

// --- Lookup ---

TEST_CASE("table: each built-in command is found by name and by call, in any case") {
  const auto table = CommandTable::built_in();
  std::size_t seen = 0;
  for (const CommandSpec& spec : table->commands()) {
    CAPTURE(spec.name);
    CHECK(table->find(spec.name) == &spec);
    CHECK(table->find(upper(spec.name)) == &spec);
    CHECK(find_call(*table, upper(spec.name)) == &spec);
    ++seen;
    for (const CommandSpec& subcommand : spec.subcommands) {
      CAPTURE(subcommand.name);
      CHECK(table->find(upper(subcommand.name)) == &subcommand);
      std::string line = upper(subcommand.name);
      std::replace(line.begin(), line.end(), '|', ' ');
      CHECK(find_call(*table, line) == &subcommand);
      CHECK(find_call(*table, line + " x y") == &subcommand);
      ++seen;
    }
  }
  CHECK(seen == 366 + 4);  // COMMAND of 7.0.15, and post, host:, client|setinfo, client|no-touch
  CHECK(table->skipped() == 0);
}

TEST_CASE("table: containers and subcommands") {
  const auto table = CommandTable::built_in();
  const CommandSpec* client = table->find("client");
  REQUIRE(client != nullptr);
  CHECK(find_call(*table, "CLIENT") == client);
  CHECK(find_call(*table, "CLIENT NOSUCH") == client);
  CHECK(find_call(*table, "CLIENT ''") == client);
  CHECK(find_call(*table, "CLIENT setname|x") == client);
  CHECK(find_call(*table, "Client SetName x") == table->find("client|setname"));
  // As in redis, `client|setname` is a name for people, not a command.
  CHECK(find_call(*table, "client|setname x") == nullptr);
  CHECK(find_call(*table, "setname x") == nullptr);
  CHECK(table->find("setname") == nullptr);
  CHECK(table->find("client|nosuch") == nullptr);
  CHECK(table->find("client|") == nullptr);
  CHECK(table->find("|setname") == nullptr);
  CHECK(table->find("nosuch|setname") == nullptr);
  // A command without subcommands takes any second argument.
  CHECK(find_call(*table, "GET setname") == table->find("get"));
  // The same subcommand of different containers.
  for (const char* name : {"acl", "client", "cluster", "command", "config", "memory", "script", "xinfo"}) {
    const CommandSpec* help = table->find(std::string(name) + "|help");
    REQUIRE(help != nullptr);
    CHECK(help->name == std::string(name) + "|help");
  }
}

TEST_CASE("table: a command of one word") {
  const auto table = CommandTable::built_in();
  REQUIRE(table->find_word("GeT") != nullptr);
  CHECK(table->find_word("GeT") == table->find("get"));
  for (const char* other : {"", "nosuch", "config", "config|set", "client|setname", "object"}) {
    CAPTURE(other);
    CHECK(table->find_word(other) == nullptr);
  }
}

TEST_CASE("table: what is not there is not found") {
  const auto table = CommandTable::built_in();
  CHECK(table->find(CommandView()) == nullptr);
  CHECK(table->find("") == nullptr);
  CHECK(find_call(*table, "''") == nullptr);
  CHECK(table->find("waitaof") == nullptr);
  CHECK(table->find(std::string(64 << 20, 'g')) == nullptr);
  CHECK(CommandTable().find("get") == nullptr);
  std::size_t checked = 0;
  for (const CommandSpec& spec : table->commands()) {
    for (std::size_t at = 0; at < spec.name.size(); ++at) {
      std::string other = spec.name;
      other[at] = static_cast<char>(other[at] ^ 0x80);
      CHECK(table->find(other) == nullptr);
      other = spec.name;
      other[at] = '\0';
      CHECK(table->find(other) == nullptr);
      ++checked;
    }
    CHECK(table->find(spec.name + '\0') == nullptr);
    CHECK(table->find(spec.name + ' ') == nullptr);
    CHECK(table->find("qq" + spec.name) == nullptr);
  }
  CHECK(checked > 1000);
}

TEST_CASE("table: names of every length, folded by ASCII letters only") {
  // All sizes of the last eight-byte word, twice over; and the bytes next to A, Z, a and z.
  std::vector<std::string> names;
  for (std::size_t size = 1; size <= 40; ++size) names.emplace_back(size, 'q');
  names.insert(names.end(), {"x@", "x[", "x\xc1", "x\xfa", std::string("x\0", 2)});
  const auto table = CommandTable::learn(reply_named(names));
  REQUIRE(table != nullptr);
  CHECK(table->skipped() == 0);
  for (const std::string& name : names) {
    CAPTURE(name);
    const CommandSpec* spec = table->find(name);
    REQUIRE(spec != nullptr);
    CHECK(spec->name == name);
    for (std::size_t at = 0; at < name.size(); ++at) {
      if (name[at] != 'q') continue;
      std::string other = name;
      other[at] = 'Q';
      CHECK(table->find(other) == spec);
      other[at] = 'r';
      CHECK(table->find(other) == nullptr);
    }
  }
  CHECK(table->find("x`") == nullptr);     // '@' + 32
  CHECK(table->find("x{") == nullptr);     // '[' + 32
  CHECK(table->find("x\xe1") == nullptr);  // 0xc1 + 32
  CHECK(table->find("x\xda") == nullptr);  // 0xfa - 32
  CHECK(table->find("x ") == nullptr);     // 0 + 32
  CHECK(table->find("X@") == table->find("x@"));
  CHECK(table->find(std::string(41, 'q')) == nullptr);
}

TEST_CASE("table: what was said before never changes what is found") {
  const auto table = CommandTable::built_in();
  std::vector<const CommandSpec*> likely = {nullptr};
  std::vector<std::string> lines = {"nosuch",        "ge",     "gets", "GE\xd4", "''", "client",
                                    "client nosuch", "object", "set"};
  for (const CommandSpec& spec : table->commands()) {
    likely.push_back(&spec);
    lines.push_back(upper(spec.name) + " a");
    for (const CommandSpec& subcommand : spec.subcommands) {
      likely.push_back(&subcommand);
      lines.push_back(subcommand.name);
      std::replace(lines.back().begin(), lines.back().end(), '|', ' ');
      lines.push_back(subcommand.name);  // a name for people
    }
  }
  std::size_t wrong = 0;
  std::size_t found_at_once = 0;
  for (const std::string& line : lines) {
    const CommandSpec* expected = find_call(*table, line);
    for (const CommandSpec* spec : likely) {
      if (find_call(*table, line, spec) != expected) ++wrong;
      if (spec != nullptr && spec == expected && spec->name_word != 0) ++found_at_once;
    }
  }
  CHECK(wrong == 0);
  CHECK(found_at_once > 150);
}

TEST_CASE("table: a lookup allocates nothing") {
  const auto table = CommandTable::built_in();
  const CommandWords words("CLIENT TRACKINGINFO");
  const std::string huge(1 << 20, 'g');
  const std::size_t before = allocations_made();
  const CommandSpec* by_call = table->find(words.view());
  const CommandSpec* by_name = table->find("ZREVRANGEBYSCORE");
  const CommandSpec* unknown = table->find(huge);
  const CallTraits traits = traits_of_call(by_call, words.view());
  const std::size_t after = allocations_made();
  CHECK(after == before);
  CHECK(by_call != nullptr);
  CHECK(by_name != nullptr);
  CHECK(unknown == nullptr);
  CHECK(traits.affinity == Affinity::local);
}

TEST_CASE("table: thousands of commands, as a server with many modules has") {
  std::vector<std::string> names;
  for (int i = 0; i < 5000; ++i) names.push_back("m" + std::to_string(i));
  const auto table = CommandTable::learn(reply_named(names));
  REQUIRE(table != nullptr);
  for (const std::string& name : names) {
    const CommandSpec* spec = table->find(upper(name));
    REQUIRE(spec != nullptr);
    REQUIRE(spec->name == name);
  }
  CHECK(table->find("m5000") == nullptr);
}

// --- Learning ---

TEST_CASE("table: learns from redis 7, in both protocols, all that is built in") {
  for (const Shape shape : {Shape::redis_7_resp2, Shape::redis_7_resp3}) {
    const auto built_in = CommandTable::built_in();
    const auto learnt = CommandTable::learn(reply_of(shape));
    REQUIRE(learnt != nullptr);
    CHECK(learnt->skipped() == 0);
    CHECK(learnt->commands().size() == built_in->commands().size());
    for (const CommandSpec& spec : built_in->commands()) {
      CAPTURE(spec.name);
      const CommandSpec* other = learnt->find(spec.name);
      REQUIRE(other != nullptr);
      check_same(spec, *other);
      CHECK(other->is_hidden == spec.is_hidden);
      CHECK(other->subcommands.size() == spec.subcommands.size());
      for (const CommandSpec& subcommand : spec.subcommands) {
        const CommandSpec* other_subcommand = learnt->find(subcommand.name);
        REQUIRE(other_subcommand != nullptr);
        check_same(subcommand, *other_subcommand);
        CHECK(other_subcommand->is_hidden == subcommand.is_hidden);
      }
    }
  }
}

TEST_CASE("table: learns from redis 6.2 and 5.0, which say less") {
  for (const Shape shape : {Shape::redis_6_2, Shape::redis_5_0}) {
    const auto built_in = CommandTable::built_in();
    const auto learnt = CommandTable::learn(reply_of(shape));
    REQUIRE(learnt != nullptr);
    CHECK(learnt->skipped() == 0);
    for (const CommandSpec& spec : built_in->commands()) {
      const CommandSpec* other = learnt->find(spec.name);
      REQUIRE(other != nullptr);
      check_same(spec, *other);
      // Subcommands that need special treatment are there although the server did not name them, others are
      // not.
      for (const CommandSpec& subcommand : spec.subcommands) {
        CAPTURE(subcommand.name);
        const CommandSpec* found = learnt->find(subcommand.name);
        if (subcommand.affinity == Affinity::shared) {
          CHECK(found == nullptr);
        } else {
          REQUIRE(found != nullptr);
          check_same(subcommand, *found);
          CHECK(found->is_hidden);
        }
      }
    }
    CHECK(find_call(*learnt, "CONFIG GET x") == learnt->find("config"));
  }
}

TEST_CASE("table: adds what the server hides, and only that") {
  const auto table = CommandTable::learn(reply_named({"get", "post", "script", "cluster"}));
  REQUIRE(table != nullptr);
  // Redis 6.2 names POST itself, and no QUIT.
  CHECK_FALSE(table->find("post")->is_hidden);
  CHECK(table->find("post")->id == CommandId::post);
  for (const char* name : {"host:", "quit", "client|setinfo", "script|debug", "cluster|meet", "shutdown"}) {
    CAPTURE(name);
    REQUIRE(table->find(name) != nullptr);
    CHECK(table->find(name)->is_hidden);
  }
  // The server does not know these, and its own error is the right answer.
  for (const char* name : {"set", "multi", "subscribe", "monitor", "script|load", "function|kill"}) {
    CAPTURE(name);
    CHECK(table->find(name) == nullptr);
  }
  CHECK_FALSE(table->find("get")->is_hidden);
}

TEST_CASE("table: unknown flags, categories and members of newer servers do no harm") {
  Value entry = entry_value(named("NewCommand"), Shape::redis_7_resp3);
  entry.items[2].items = {simple("write"), simple("from_the_future"), integer(3)};
  entry.items[6].items = {simple("@future"), simple("plain"), integer(1)};
  entry.items.push_back(bulk("an eleventh member"));
  const auto table = CommandTable::learn(array({entry}));
  REQUIRE(table != nullptr);
  const CommandSpec* spec = table->find("newcommand");
  REQUIRE(spec != nullptr);
  CHECK(spec->name == "newcommand");
  CHECK(spec->flags == command_flag::write);
  CHECK(spec->categories == std::vector<std::string>{"future", "plain"});
}

TEST_CASE("table: a key specification of an unknown kind stays unknown") {
  KeySpec range;
  range.begin = KeySpec::Begin::index;
  range.find = KeySpec::Find::range;
  range.index = 1;
  CommandSpec command = named("m.x");
  command.key_specs = {range};
  Value entry = entry_value(command, Shape::redis_7_resp3);
  Value& key_specs = entry.items[8];
  key_specs.items[0].items[5].items[1] = bulk("by-oracle");  // begin_search, type
  key_specs.items.push_back(integer(7));
  const auto table = CommandTable::learn(array({entry}));
  REQUIRE(table != nullptr);
  const auto& learnt = table->find("m.x")->key_specs;
  REQUIRE(learnt.size() == 2);
  CHECK(learnt[0].begin == KeySpec::Begin::unknown);
  CHECK(learnt[0].find == KeySpec::Find::range);
  CHECK(learnt[1].begin == KeySpec::Begin::unknown);
  CHECK(learnt[1].find == KeySpec::Find::unknown);
}

// --- Hostile replies ---

TEST_CASE("table: a reply that is no array of commands is no table") {
  CHECK(CommandTable::learn(Value()) == nullptr);
  CHECK(CommandTable::learn(bulk("get")) == nullptr);
  CHECK(CommandTable::learn({ValueType::error, "NOPERM no", 0, {}}) == nullptr);
  CHECK(CommandTable::learn(array({})) == nullptr);
  CHECK(CommandTable::learn(array({integer(1), Value(), array({})})) == nullptr);
  Value map = reply_named({"get"});
  map.type = ValueType::map;
  CHECK(CommandTable::learn(map) == nullptr);
}

TEST_CASE("table: entries of a wrong shape are skipped and counted") {
  const Value good = entry_value(named("good"), Shape::redis_7_resp2);
  std::vector<Value> bad = {Value(), integer(1), bulk("get"), array({}), good};  // the last: a second `good`
  for (std::size_t size = 0; size < 6; ++size) {
    bad.push_back(entry_value(named("bad"), Shape::redis_7_resp2));
    bad.back().items.resize(size);
  }
  for (const std::size_t member : {0U, 1U, 2U, 3U, 4U, 5U, 6U, 8U}) {
    bad.push_back(entry_value(named("bad"), Shape::redis_7_resp2));
    bad.back().items[member] = Value();
  }
  for (const std::int64_t number : {std::int64_t{1} << 40, INT64_MIN, INT64_MAX, std::int64_t{1'000'001}}) {
    bad.push_back(entry_value(named("bad"), Shape::redis_7_resp2));
    bad.back().items[3] = integer(number);
  }
  bad.push_back(entry_value(named(""), Shape::redis_7_resp2));

  std::vector<Value> entries = {good};
  entries.insert(entries.end(), bad.begin(), bad.end());
  const auto table = CommandTable::learn(array(entries));
  REQUIRE(table != nullptr);
  CHECK(table->skipped() == bad.size());
  CHECK(table->find("good") != nullptr);
  CHECK(table->find("bad") == nullptr);
}

TEST_CASE("table: subcommands of a wrong shape are skipped and counted, their container stays") {
  Value entry = entry_value(named("box"), Shape::redis_7_resp2);
  entry.items[9] = array({
      entry_value(named("box|in"), Shape::redis_7_resp2),
      entry_value(named("BOX|IN"), Shape::redis_7_resp2),    // a second one
      entry_value(named("chest|in"), Shape::redis_7_resp2),  // another container's
      entry_value(named("box|"), Shape::redis_7_resp2),
      entry_value(named("in"), Shape::redis_7_resp2),
      integer(1),
  });
  Value second = entry_value(named("crate"), Shape::redis_7_resp2);
  second.items[9] = integer(5);
  const auto table = CommandTable::learn(array({entry, second}));
  REQUIRE(table != nullptr);
  CHECK(table->skipped() == 5 + 1);
  REQUIRE(table->find("box|in") != nullptr);
  CHECK(find_call(*table, "box in") == table->find("box|in"));
  CHECK(find_call(*table, "box out") == table->find("box"));
  CHECK(table->find("crate") != nullptr);
  CHECK(table->find("chest") == nullptr);
}

namespace {

/// Any value of the tree, found by walking down at random.
Value& any_value(Value& root, std::mt19937& random) {
  Value* at = &root;
  while (!at->items.empty() && random() % 4 != 0) at = &at->items[random() % at->items.size()];
  return *at;
}

}  // namespace

TEST_CASE("table: random damage to a reply never makes a table that breaks") {
  Value reply = reply_of(Shape::redis_7_resp3);
  Value small = array({});
  for (const Value& entry : reply.items) {
    const std::string& name = entry.items[0].text;
    if (name == "get" || name == "client" || name == "xread" || name == "eval") small.items.push_back(entry);
  }
  std::mt19937 random(20231);  // any seed; the same one each time
  std::size_t tables = 0, damaged = 0;
  for (int round = 0; round < 3000; ++round) {
    Value copy = small;
    for (int change = 0; change < 4; ++change) {
      Value& value = any_value(copy, random);
      switch (random() % 5) {
        case 0:
          value.type = static_cast<ValueType>(random() % 13);
          break;
        case 1:
          value.text.resize(random() % 9, '|');
          break;
        case 2:
          value.integer = static_cast<std::int64_t>(random()) << (random() % 32);
          break;
        case 3:
          value.items.resize(random() % 12);
          break;
        default:
          value = any_value(copy, random).items.empty() ? Value() : Value(any_value(copy, random));
          break;
      }
    }
    const auto table = CommandTable::learn(copy);
    if (table == nullptr) continue;
    ++tables;
    damaged += table->skipped() > 0 ? 1U : 0U;
    for (const CommandSpec& spec : table->commands()) {
      CommandWords words(spec.name);  // as a call, since the damage may have put a '|' into the name
      REQUIRE(table->find(words.view()) == &spec);
    }
    REQUIRE(find_call(*table, "PING")->affinity == Affinity::local);
  }
  CHECK(tables > 1000);
  CHECK(damaged > 100);
}
