#include "resp/keys.hpp"

#include <catch2/catch.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include "tests/resp/command_words.hpp"

using namespace fairlead::resp;
using namespace fairlead::resp::testing;

namespace {

using Positions = std::vector<std::uint32_t>;

struct Case {
  const char* line;
  Positions positions;
};

// tests/integration/command_table_check.py reads these rows and asks a live redis-server's COMMAND GETKEYS
// for the same.
// clang-format off
const std::vector<Case> complete_cases = {
  // first, last, step
  {"GET k", {1}},
  {"SET k v EX 10", {1}},
  {"DEL a b c", {1, 2, 3}},
  {"MSET a 1 b 2 c 3", {1, 3, 5}},
  {"MSETNX a 1 b 2", {1, 3}},
  {"RENAME a b", {1, 2}},
  {"BITOP AND d a b", {2, 3, 4}},
  {"LMOVE a b LEFT RIGHT", {1, 2}},
  {"BLMOVE a b LEFT RIGHT 0", {1, 2}},
  {"BLPOP a b 0", {1, 2}},
  {"BZPOPMIN a b c 0", {1, 2, 3}},
  {"SINTERSTORE d a b", {1, 2, 3}},
  {"PFMERGE d a b", {1, 2, 3}},
  {"GEOSEARCHSTORE d s FROMLONLAT 1 2 BYRADIUS 1 m", {1, 2}},
  {"WATCH a b", {1, 2}},
  // subcommands: positions count from the container's name
  {"OBJECT ENCODING k", {2}},
  {"XINFO STREAM k", {2}},
  {"XGROUP CREATE k g $", {2}},
  {"MEMORY USAGE k", {2}},
  // key specifications: a number of keys
  {"EVAL script 2 a b arg", {3, 4}},
  {"EVAL script 0 arg", {}},
  {"EVAL script 0", {}},
  {"EVAL_RO script 1 a", {3}},
  {"EVALSHA sha 3 a b c", {3, 4, 5}},
  {"EVALSHA_RO sha 1 a x", {3}},
  {"FCALL f 2 a b x", {3, 4}},
  {"FCALL_RO f 1 a", {3}},
  {"ZUNIONSTORE d 2 a b WEIGHTS 1 2", {1, 3, 4}},
  {"ZINTERSTORE d 1 a", {1, 3}},
  {"ZDIFFSTORE d 2 a b", {1, 3, 4}},
  {"ZUNION 2 a b WITHSCORES", {2, 3}},
  {"ZINTERCARD 2 a b LIMIT 1", {2, 3}},
  {"SINTERCARD 3 a b c", {2, 3, 4}},
  {"LMPOP 2 a b LEFT", {2, 3}},
  {"ZMPOP 1 a MIN", {2}},
  {"BLMPOP 0 2 a b LEFT", {3, 4}},
  {"BZMPOP 0 1 a MAX", {3}},
  // key specifications: a keyword
  {"XREAD STREAMS a 0", {2}},
  {"XREAD COUNT 2 BLOCK 0 STREAMS a b 0 $", {6, 7}},
  {"XREAD count 2 streams a b c 0 0 0", {4, 5, 6}},
  {"XREADGROUP GROUP g c STREAMS a b > >", {5, 6}},
  {"XREADGROUP GROUP streams c COUNT 1 STREAMS a >", {7}},
  {"GEORADIUS k 1 2 3 m", {1}},
  {"GEORADIUS k 1 2 3 m STORE d", {1, 7}},
  {"GEORADIUS k 1 2 3 m WITHDIST storedist d", {1, 8}},
  {"GEORADIUSBYMEMBER k m 3 km COUNT 1 STORE d", {1, 8}},
};
// clang-format on

bool find(const std::string& line, Positions& positions) {
  const CommandWords words(line);
  const CommandSpec* spec = CommandTable::built_in()->find(words.view());
  REQUIRE(spec != nullptr);
  return find_keys(*spec, words.view(), positions);
}

/// A command of any name with one key specification.
CommandSpec movable(KeySpec key_spec) {
  CommandSpec spec;
  spec.name = "x";
  spec.arity = -1;
  spec.flags = command_flag::movable_keys;
  spec.key_specs.push_back(std::move(key_spec));
  return spec;
}

}  // namespace

TEST_CASE("keys: positions of well-formed commands") {
  for (const Case& c : complete_cases) {
    CAPTURE(c.line);
    Positions positions{99};  // must be cleared
    CHECK(find(c.line, positions));
    CHECK(positions == c.positions);
  }
}

TEST_CASE("keys: commands without keys") {
  for (const char* line :
       {"PING", "INFO server", "FLUSHALL", "CONFIG GET x", "SUBSCRIBE a b", "PUBLISH c m", "SCAN 0"}) {
    CAPTURE(line);
    Positions positions{99};
    CHECK(find(line, positions));
    CHECK(positions.empty());
  }
}

TEST_CASE("keys: channels of sharded pub/sub choose the slot as keys do") {
  Positions positions;
  CHECK(find("SPUBLISH c m", positions));
  CHECK(positions == Positions{1});
  CHECK(find("SSUBSCRIBE a b", positions));
  CHECK(positions == Positions{1, 2});
  CHECK(find("SUNSUBSCRIBE", positions));
  CHECK(positions.empty());
}

TEST_CASE("keys: arguments that do not fit are a syntax error") {
  for (const char* line : {
           "GET",               // arity
           "GET a b",           //
           "BLPOP 0",           //
           "EVAL script 2 a",   // more keys announced than arguments
           "EVAL script -1 a",  //
           "EVAL script x a",   //
           "EVAL script '' a",  //
           "EVAL script 01 a",  // redis' string2ll takes no leading zero
           "EVAL script +1 a",  //
           "EVAL script 1x a",  //
           "EVAL script -0 a",  //
           "EVAL script 9223372036854775807 a", "EVAL script 9223372036854775808 a",
           "ZUNION 0 a b",             // needs one key at least
           "ZUNIONSTORE d 5 a b",      //
           "XREAD STREAMS a",          // one stream, no id: half of one is none
           "LMPOP 4294967297 a LEFT",  // does not wrap to 1
       }) {
    CAPTURE(line);
    Positions positions;
    CHECK_FALSE(find(line, positions));
  }
}

TEST_CASE("keys: incomplete specifications say so and give what they know") {
  Positions positions;
  CHECK_FALSE(find("SORT k BY w GET # STORE d", positions));
  CHECK(positions == Positions{1});
  CHECK_FALSE(find("SORT_RO k", positions));
  CHECK(positions == Positions{1});
  CHECK_FALSE(find("MIGRATE h 1 k 0 100", positions));
  CHECK(positions == Positions{3});
  CHECK_FALSE(find("MIGRATE h 1 '' 0 100 KEYS a b", positions));
  CHECK(positions == Positions{3, 7, 8});
}

TEST_CASE("keys: a module that tells its keys only when asked is incomplete") {
  CommandSpec spec;
  spec.name = "m.get";
  spec.arity = -2;
  spec.flags = command_flag::movable_keys | command_flag::module_command;
  const CommandWords words("m.get a b");
  Positions positions;
  CHECK_FALSE(find_keys(spec, words.view(), positions));
  CHECK(positions.empty());
}

TEST_CASE("keys: a keyword looked for from the end") {
  KeySpec key_spec;
  key_spec.begin = KeySpec::Begin::keyword;
  key_spec.keyword = "KEYS";
  key_spec.index = -2;
  key_spec.find = KeySpec::Find::range;
  key_spec.last_key = -1;
  const CommandSpec spec = movable(key_spec);
  Positions positions;
  const CommandWords last_wins("x keys a keys b c");
  CHECK(find_keys(spec, last_wins.view(), positions));
  CHECK(positions == Positions{4, 5});
  const CommandWords absent("x a b c");
  CHECK(find_keys(spec, absent.view(), positions));
  CHECK(positions.empty());
}

TEST_CASE("keys: steps between counted keys") {
  KeySpec key_spec;
  key_spec.begin = KeySpec::Begin::index;
  key_spec.index = 1;
  key_spec.find = KeySpec::Find::keynum;
  key_spec.first_key = 1;
  key_spec.step = 2;
  const CommandSpec spec = movable(key_spec);
  Positions positions;
  const CommandWords fits("x 2 a 1 b 2");
  CHECK(find_keys(spec, fits.view(), positions));
  CHECK(positions == Positions{2, 4});
  const CommandWords too_short("x 3 a 1 b 2");
  CHECK_FALSE(find_keys(spec, too_short.view(), positions));
}

TEST_CASE("keys: no specification leads outside of the arguments") {
  const CommandWords words("x 1 KEYS 2 a b");
  const auto argc = words.view().size();
  const std::vector<int> numbers = {-1'000'000, -7, -2, -1, 0, 1, 2, 6, 1'000'000};
  std::size_t found = 0;
  for (const auto begin : {KeySpec::Begin::unknown, KeySpec::Begin::index, KeySpec::Begin::keyword}) {
    for (const auto how : {KeySpec::Find::unknown, KeySpec::Find::range, KeySpec::Find::keynum}) {
      for (const int index : numbers) {
        for (const int a : numbers) {
          for (const int b : numbers) {
            for (const int step : numbers) {
              KeySpec key_spec{begin, how, false, index, "KEYS", a, step, b, a, b};
              Positions positions;
              if (!find_keys(movable(key_spec), words.view(), positions)) continue;
              found += positions.size();
              for (const std::uint32_t at : positions) REQUIRE((at >= 1 && at < argc));
            }
          }
        }
      }
    }
  }
  CHECK(found > 0);  // the loop above reached the successful paths too
}
