// The pure parts of client administration: arguments, lines, answers, INFO's section, the pause.
#include <catch2/catch.hpp>

#include "proxy/engine/client_command.hpp"
#include "proxy/engine/client_line.hpp"
#include "proxy/engine/client_pause.hpp"
#include "proxy/engine/info_section.hpp"
#include "tests/resp/command_words.hpp"

using namespace fairlead;
using namespace fairlead::engine;
using namespace std::chrono_literals;
using resp::CommandId;
using resp::Version;
using resp::testing::CommandWords;

namespace {

std::optional<ClientQuery> parsed(CommandId id, const std::string& line) {
  std::string error;
  const CommandWords words(line);
  auto query = parse_client_query(id, words.view(), error);
  CHECK(error.empty() == query.has_value());
  return query;
}

std::string refused(CommandId id, const std::string& line) {
  std::string error;
  const CommandWords words(line);
  CHECK_FALSE(parse_client_query(id, words.view(), error).has_value());
  return error;
}

std::string replied(const ClientQuery& query, QueryAnswer answer, Version version = Version::resp2) {
  std::string out;
  append_query_reply(out, query, answer, version);
  return out;
}

const resp::CommandSpec* spec(std::string_view name) {
  static const auto table = resp::CommandTable::built_in();
  const resp::CommandSpec* found = table->find(name);
  REQUIRE(found != nullptr);
  return found;
}

}  // namespace

TEST_CASE("CLIENT LIST: what may be asked") {
  CHECK(parsed(CommandId::client_list, "client list")->filter.ids.empty());
  CHECK_FALSE(parsed(CommandId::client_list, "client list")->filter.type.has_value());
  CHECK(parsed(CommandId::client_list, "client list TYPE PubSub")->filter.type == ClientType::pubsub);
  CHECK(parsed(CommandId::client_list, "client list type slave")->filter.type == ClientType::replica);
  CHECK(parsed(CommandId::client_list, "client list id 5 -3 5")->filter.ids ==
        std::vector<std::int64_t>{5, -3, 5});
  CHECK(refused(CommandId::client_list, "client list type none") == "-ERR Unknown client type 'none'\r\n");
  CHECK(refused(CommandId::client_list, "client list id 1 x") == "-ERR Invalid client ID\r\n");
  CHECK(refused(CommandId::client_list, "client list id 01") == "-ERR Invalid client ID\r\n");
  CHECK(refused(CommandId::client_list, "client list id") == "-ERR syntax error\r\n");
  CHECK(refused(CommandId::client_list, "client list type normal normal") == "-ERR syntax error\r\n");
}

TEST_CASE("CLIENT KILL: both forms, and every filter") {
  const auto old_form = parsed(CommandId::client_kill, "client kill 127.0.0.1:1");
  CHECK(old_form->kill_form == KillForm::address);
  CHECK(old_form->skip_asker == SkipAsker::no);
  CHECK(old_form->filter.address == "127.0.0.1:1");
  const auto all = parsed(CommandId::client_kill,
                          "client kill ID 7 addr a:1 LADDR b:2 type normal user default skipme NO");
  CHECK(all->kill_form == KillForm::filters);
  CHECK(all->filter.ids == std::vector<std::int64_t>{7});
  CHECK(all->filter.address == "a:1");
  CHECK(all->filter.local_address == "b:2");
  CHECK(all->filter.type == ClientType::normal);
  CHECK(all->skip_asker == SkipAsker::no);
  CHECK(all->filter.user == "default");
  CHECK(parsed(CommandId::client_kill, "client kill skipme yes")->skip_asker == SkipAsker::yes);
  CHECK(parsed(CommandId::client_kill, "client kill addr ''")->filter.address == "");

  CHECK(refused(CommandId::client_kill, "client kill id 10 wrong_arg") == "-ERR syntax error\r\n");
  CHECK(refused(CommandId::client_kill, "client kill maxage 10") == "-ERR syntax error\r\n");
  CHECK(refused(CommandId::client_kill, "client kill skipme yes_or_no") == "-ERR syntax error\r\n");
  for (const std::string id : {"str", "-1", "0", "9223372036854775808"}) {
    CHECK(refused(CommandId::client_kill, "client kill id " + id) ==
          "-ERR client-id should be greater than 0\r\n");
  }
  CHECK(refused(CommandId::client_kill, "client kill type wrong") == "-ERR Unknown client type 'wrong'\r\n");
}

TEST_CASE("CLIENT UNBLOCK and PAUSE: their arguments are judged in Redis' order") {
  CHECK(parsed(CommandId::client_unblock, "client unblock 3")->unblock_mode == UnblockMode::timeout);
  CHECK(parsed(CommandId::client_unblock, "client unblock 3 Error")->unblock_mode == UnblockMode::error);
  CHECK(refused(CommandId::client_unblock, "client unblock x y") ==
        "-ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR\r\n");
  CHECK(refused(CommandId::client_unblock, "client unblock x") ==
        "-ERR value is not an integer or out of range\r\n");
  CHECK(refused(CommandId::client_unblock, "client UNBLOCK 1 error more") ==
        "-ERR unknown subcommand or wrong number of arguments for 'UNBLOCK'. Try CLIENT HELP.\r\n");

  const auto pause = parsed(CommandId::client_pause, "client pause 100");
  CHECK(pause->pause_scope == PauseScope::all);
  CHECK(pause->pause_for == 100ms);
  CHECK(parsed(CommandId::client_pause, "client pause 0 write")->pause_scope == PauseScope::write);
  CHECK(parsed(CommandId::client_pause, "client pause 9223372036854775807")->pause_for > 24h * 36500);
  CHECK(refused(CommandId::client_pause, "client pause x reads") ==
        "-ERR CLIENT PAUSE mode must be WRITE or ALL\r\n");
  CHECK(refused(CommandId::client_pause, "client pause 1.5") ==
        "-ERR timeout is not an integer or out of range\r\n");
  CHECK(refused(CommandId::client_pause, "client pause -1 all") == "-ERR timeout is negative\r\n");
  CHECK(refused(CommandId::client_pause, "client pause 1 all more") ==
        "-ERR unknown subcommand or wrong number of arguments for 'pause'. Try CLIENT HELP.\r\n");
}

TEST_CASE("answers of several workers become one reply") {
  QueryAnswer answer;
  answer.clients = {{3, "three\n"}, {1, "one\n"}};
  QueryAnswer other;
  other.clients = {{2, "two\n"}};
  other.killed = 2;
  other.asker_is_hit = true;
  other.link_server_id = 9;
  other.link_run_id = "r";
  answer.killed = 1;
  answer.merge(std::move(other));
  CHECK(answer.asker_is_hit);
  CHECK(answer.link_server_id == 9);
  CHECK(answer.link_run_id == "r");

  ClientQuery query;
  CHECK(replied(query, answer) == "$14\r\none\ntwo\nthree\n\r\n");
  CHECK(replied(query, answer, Version::resp3) == "=18\r\ntxt:one\ntwo\nthree\n\r\n");
  query.filter.ids = {3, 8, 1, -1, 3};
  CHECK(replied(query, answer) == "$16\r\nthree\none\nthree\n\r\n");
  query.kind = QueryKind::kill;
  CHECK(replied(query, answer) == ":3\r\n");
  CHECK(replied(query, {}) == ":0\r\n");
  query.filter.user = "nobody";
  CHECK(replied(query, {}) == "-ERR No such user 'nobody'\r\n");
  QueryAnswer somebody;
  somebody.user_is_known = true;
  CHECK(replied(query, somebody) == ":0\r\n");
  query.filter.user = "default";
  CHECK(replied(query, {}) == ":0\r\n");
  query.kill_form = KillForm::address;
  CHECK(replied(query, answer) == "+OK\r\n");
  CHECK(replied(query, {}) == "-ERR No such client\r\n");
  query.kind = QueryKind::unblock;
  CHECK(replied(query, {}) == ":0\r\n");
  query.kind = QueryKind::pause;
  CHECK(replied(query, {}) == "+OK\r\n");
}

TEST_CASE("a line of CLIENT LIST has Redis' fields in Redis' order") {
  ClientFacts facts;
  facts.id = 7;
  facts.names = {"1.2.3.4:5", "6.7.8.9:10", 11, false};
  std::string line;
  append_client_line(line, facts);
  CHECK(
      line ==
      "id=7 addr=1.2.3.4:5 laddr=6.7.8.9:10 fd=11 name= age=0 idle=0 flags=N db=0 sub=0 psub=0 ssub=0 "
      "multi=-1 qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=0 tot-mem=0 events=r "
      "cmd=NULL user=default redir=-1 resp=2\n");

  facts.names.is_unix = true;
  facts.name = "n";
  facts.age_s = 12;
  facts.idle_s = 3;
  facts.db = 4;
  facts.channels = 1;
  facts.patterns = 2;
  facts.shard_channels = 3;
  facts.queued = 5;
  facts.query_bytes = 26;
  facts.query_bytes_free = 100;
  facts.argument_bytes = 10;
  facts.reply_bytes = 8;
  facts.reply_pieces = 2;
  facts.memory_bytes = 999;
  facts.command = "client|list";
  facts.version = Version::resp3;
  facts.monitor = facts.in_multi = facts.blocked = facts.tracking = facts.watch_failed = facts.closing = true;
  facts.no_evict = facts.waits_to_write = true;
  facts.reads = false;
  line.clear();
  append_client_line(line, facts);
  CHECK(line ==
        "id=7 addr=1.2.3.4:5 laddr=6.7.8.9:10 fd=11 name=n age=12 idle=3 flags=OPxbtdcUe db=4 sub=1 psub=2 "
        "ssub=3 multi=5 qbuf=26 qbuf-free=100 argv-mem=10 multi-mem=0 rbs=0 rbp=0 obl=0 oll=2 omem=8 "
        "tot-mem=999 events=w cmd=client|list user=default redir=0 resp=3\n");
}

TEST_CASE("a pause: what it stops, and when it ends") {
  const health::TimePoint start{1h};
  const SessionMode idle;
  SessionMode reading;
  reading.in_multi = true;
  SessionMode writing = reading;
  writing.transaction_writes = true;
  ClientPause pause;
  const CommandWords words("any");
  const auto stops = [&](const resp::CommandSpec* command, const SessionMode& mode) {
    return pause.stops(command, words.view(), mode);
  };
  CHECK_FALSE(stops(spec("set"), idle));
  pause.begin(PauseScope::write, 100ms, start);
  for (const char* name : {"set", "publish", "pfcount", "eval", "evalsha", "fcall", "blpop"}) {
    INFO(name);
    CHECK(stops(spec(name), idle));
  }
  for (const char* name : {"get", "ping", "eval_ro", "multi", "subscribe", "exec", "client|list"}) {
    INFO(name);
    CHECK_FALSE(stops(spec(name), idle));
  }
  CHECK(stops(nullptr, idle));  // nobody knows what it does
  CHECK_FALSE(stops(spec("exec"), reading));
  CHECK(stops(spec("exec"), writing));

  SECTION("a script may declare that it does not write") {
    const auto script = [&](std::string_view text) {
      CommandWords eval("EVAL");
      eval.add(text);
      eval.add("0");
      return pause.stops(spec("eval"), eval.view(), idle);
    };
    CHECK_FALSE(script("#!lua flags=no-writes\nreturn 1"));
    CHECK_FALSE(script("#!lua name=x flags=allow-stale,no-writes"));
    CHECK(script("#!lua\nreturn 'flags=no-writes'"));
    CHECK(script("#!lua flags=no-writes-at-all\n"));
    CHECK(script("return 1 -- #!lua flags=no-writes"));
  }
  SECTION("a second one makes it longer and stricter, never shorter or milder") {
    pause.begin(PauseScope::all, 50ms, start);
    CHECK(stops(spec("get"), idle));
    CHECK(pause.until() == start + 100ms);
    pause.begin(PauseScope::write, 200ms, start);
    CHECK(pause.scope() == PauseScope::all);
    CHECK_FALSE(pause.expire(start + 199ms));
    CHECK(pause.expire(start + 200ms));
    CHECK_FALSE(pause.active());
    CHECK_FALSE(pause.expire(start + 201ms));
  }
  SECTION("UNPAUSE ends it at once, and a pause of no time is none") {
    pause.end();
    CHECK_FALSE(pause.active());
    pause.begin(PauseScope::all, 0ms, start + 1h);
    CHECK(pause.expire(start + 1h));
  }
}

TEST_CASE("INFO: when the section belongs into it") {
  const auto need = [](const char* line) {
    const CommandWords words(line);
    return info_need(words.view());
  };
  CHECK(need("INFO") == InfoNeed::both);
  for (const char* line :
       {"INFO all", "info DEFAULT", "INFO everything", "INFO server Fairlead", "INFO fairlead cpu"}) {
    INFO(line);
    CHECK(need(line) == InfoNeed::both);
  }
  CHECK(need("INFO FAIRLEAD") == InfoNeed::ours);
  CHECK(need("INFO replication") == InfoNeed::server);
  CHECK(need("INFO ''") == InfoNeed::server);
}

TEST_CASE("INFO: the server's reply is made longer and stays well formed") {
  const std::string ours = "# Fairlead\r\nx:1\r\n";
  CHECK(with_section("$10\r\n# A\r\na:1\r\n\r\n", ours, 0) ==
        "$29\r\n# A\r\na:1\r\n\r\n# Fairlead\r\nx:1\r\n\r\n");
  CHECK(with_section("=14\r\ntxt:# A\r\na:1\r\n\r\n", ours, 0) ==
        "=33\r\ntxt:# A\r\na:1\r\n\r\n# Fairlead\r\nx:1\r\n\r\n");
  CHECK(with_section("$0\r\n\r\n", ours, 0) == "$17\r\n# Fairlead\r\nx:1\r\n\r\n");
  for (const char* other : {"+OK\r\n", "$-1\r\n", ":1\r\n", "_\r\n", ""})
    CHECK(with_section(other, ours, 0) == other);
}

TEST_CASE("INFO: who waits here is counted as blocked") {
  const std::string reply = "$35\r\n# Clients\r\nblocked_clients:9\r\nx:1\r\n\r\n";
  CHECK(with_section(reply, "", 0) == reply);
  CHECK(with_section(reply, "", 2) == "$36\r\n# Clients\r\nblocked_clients:11\r\nx:1\r\n\r\n");
  CHECK(with_section("$3\r\na:1\r\n", "", 2) == "$3\r\na:1\r\n");
}
