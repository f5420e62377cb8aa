// Scripts that clients have shown reach a new master before EVALSHA asks for them.
#include "engine_world.hpp"

#include "proxy/engine/script_cache.hpp"

using namespace fairlead;
using namespace fairlead::engine;

namespace {

constexpr const char* source = "return 1";
const std::string digest = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db";  // sha1sum says so

/// The master is lost, and another one takes over.
void fail_over(ReadyWorld& world) {
  world.engine.on_error(world.shared, "reset", world.now);
  world.turn();
  world.publish("b", 2);
  world.turn();
}

}  // namespace

TEST_CASE("the script cache knows scripts by text and digest, and is bounded") {
  ScriptCache cache(2048);
  bool is_new = false;
  ScriptCache::Script* script = cache.add(source, is_new);
  REQUIRE(script != nullptr);
  CHECK(is_new);
  CHECK(script->digest == digest);
  CHECK(cache.add(source, is_new) == script);
  CHECK_FALSE(is_new);
  CHECK(cache.find("E0E1F9FABFC9D4800C877A703B823AC0578FF8DB") == script);
  CHECK(cache.find("e0e1") == nullptr);
  CHECK(cache.add(std::string(3000, 'x'), is_new) == nullptr);
  CHECK(cache.find(digest) == script);
  (void)cache.add(std::string(1000, 'x'), is_new);
  (void)cache.add(std::string(700, 'y'), is_new);  // over 2048 with what a script costs beside its text
  CHECK(cache.find(digest) == nullptr);
  CHECK(cache.evicted() == 2);
  CHECK(cache.bytes() <= 2048);
  cache.clear();
  CHECK(cache.bytes() == 0);
}

TEST_CASE("EVALSHA on a new master brings its script along, once") {
  ReadyWorld world;
  const ConnId client = world.client();
  const std::string eval = std::string("EVAL \"") + source + "\" 0\r\n";
  const std::string load = std::string("SCRIPT LOAD \"") + source + "\"\r\n";
  world.feed(client, GENERATE(0, 1) == 0 ? eval : load);
  world.take(world.shared);
  world.feed(world.shared, ":1\r\n");
  world.take(client);
  world.feed(client, "EVALSHA " + digest + " 0\r\n");
  CHECK(world.got(world.shared) == Strings{"EVALSHA " + digest + " 0"});  // this server has it
  world.feed(world.shared, ":1\r\n");
  world.take(client);

  fail_over(world);
  world.feed(client, "EVALSHA " + digest + " 0\r\nEVALSHA " + digest + " 0\r\n");
  const ConnId next = world.log_in();
  const Strings healed{std::string("SCRIPT LOAD ") + source, "EVALSHA " + digest + " 0",
                       "EVALSHA " + digest + " 0"};
  CHECK(world.got(next) == healed);
  world.feed(next, "$40\r\n" + digest + "\r\n:1\r\n:1\r\n");
  CHECK(world.take(client) == ":1\r\n:1\r\n");
  CHECK(world.engine.stats().scripts_loaded == 1);
}

TEST_CASE("an EVALSHA that was held brings its script along") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, std::string("EVAL \"") + source + "\" 0\r\n");
  world.feed(world.shared, ":1\r\n");
  world.take(world.shared);
  world.io.at(world.shared).capacity = 0;
  world.feed(client, "EVALSHA " + digest + " 0\r\n");  // no byte of it leaves
  fail_over(world);
  const ConnId next = world.log_in();
  CHECK(world.got(next) == Strings{std::string("SCRIPT LOAD ") + source, "EVALSHA " + digest + " 0"});
}

TEST_CASE("SCRIPT FLUSH is meant") {
  ReadyWorld world;
  const ConnId client = world.client();
  world.feed(client, std::string("EVAL \"") + source + "\" 0\r\nSCRIPT FLUSH\r\n");
  world.feed(world.shared, ":1\r\n+OK\r\n");
  fail_over(world);
  world.feed(client, "EVALSHA " + digest + " 0\r\n");
  const ConnId next = world.log_in();
  CHECK(world.got(next) == Strings{"EVALSHA " + digest + " 0"});
}

TEST_CASE("other workers hear of a script") {
  ReadyWorld one;
  one.io.peers = 1;
  ReadyWorld two;
  const ConnId client = one.client();
  one.feed(client, std::string("EVAL \"") + source + "\" 0\r\nEVAL \"" + source + "\" 0\r\n");
  REQUIRE(one.io.queries.size() == 1);  // said once
  (void)two.engine.answer_query(one.io.queries.at(0), two.now);
  const ConnId other = two.client();
  two.feed(other, "EVALSHA " + digest + " 0\r\n");
  CHECK(two.got(two.shared) == Strings{"EVALSHA " + digest + " 0"});
  fail_over(two);
  two.feed(other, "EVALSHA " + digest + " 0\r\n");
  const ConnId next = two.log_in();
  CHECK(two.got(next) == Strings{std::string("SCRIPT LOAD ") + source, "EVALSHA " + digest + " 0"});
}
