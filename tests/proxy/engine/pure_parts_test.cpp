// The small pure parts of the engine: the router, the gate, login on a link, local answers.
#include <catch2/catch.hpp>

#include "proxy/engine/link_login.hpp"
#include "proxy/engine/local_reply.hpp"
#include "proxy/engine/router.hpp"
#include "proxy/engine/write_gate.hpp"
#include "resp/writer.hpp"

using namespace fairlead;
using namespace fairlead::engine;
using namespace std::chrono_literals;

namespace {

struct Command {
  explicit Command(const std::vector<std::string>& args) {
    resp::append_command(bytes, args);
    resp::CommandLimits limits;
    resp::CommandReader reader(limits);
    view = reader.read(bytes, scratch, resp::LoginState::authenticated).command;
  }
  std::string bytes;
  resp::CommandScratch scratch;
  resp::CommandView view;
};

RouteKind routed(const std::vector<std::string>& args, const SessionMode& mode) {
  const Command command(args);
  return route(resp::CommandTable::built_in()->find(command.view), command.view, mode).kind;
}

}  // namespace

TEST_CASE("the short way to a shared link is taken by nothing that has another way") {
  std::size_t plain = 0;
  const auto judge = [&plain](const resp::CommandSpec& spec, const std::vector<std::string>& args) {
    const Command command(args);
    for (unsigned bits = 0; bits < 128; ++bits) {
      SessionMode mode;
      mode.authenticated = (bits & 1U) != 0;
      mode.in_multi = (bits & 2U) != 0;
      mode.subscribed = (bits & 4U) != 0;
      mode.in_hub = (bits & 8U) != 0;
      mode.raw = (bits & 16U) != 0;
      mode.has_lease = (bits & 32U) != 0;
      mode.pinned = (bits & 64U) != 0;
      if (!is_plainly_shared(spec, mode)) continue;
      ++plain;
      const Routing routing = route(&spec, command.view, mode);
      INFO(spec.name);
      CHECK(routing.kind == RouteKind::shared);
      CHECK(routing.lease == resp::LeaseSpan::none);
    }
  };
  for (const resp::CommandSpec& spec : resp::CommandTable::built_in()->commands()) {
    judge(spec, {spec.name});
    judge(spec, {spec.name, "a", "b"});
    for (const resp::CommandSpec& sub : spec.subcommands) {
      judge(sub, {spec.name, sub.name.substr(spec.name.size() + 1)});
    }
  }
  CHECK(plain > 200);  // most commands are
}

TEST_CASE("routes by what the session is in the middle of") {
  SessionMode plain;
  plain.authenticated = true;
  SessionMode multi = plain;
  multi.in_multi = multi.has_lease = true;
  SessionMode lost = multi;
  lost.transaction_lost = true;
  SessionMode subscribed2 = plain;
  subscribed2.in_hub = true;
  SessionMode subscribed3 = subscribed2;
  subscribed3.version = resp::Version::resp3;
  SessionMode leased = plain;
  leased.has_lease = true;
  SessionMode raw = leased;
  raw.raw = true;
  SessionMode stranger;
  using R = RouteKind;
  struct Row {
    std::vector<std::string> command;
    R plain, multi, lost, subscribed2, subscribed3, leased, raw, stranger;
  };
  const Row rows[] = {
      {{"GET", "a"},
       R::shared,
       R::leased,
       R::discarded,
       R::not_while_subscribed,
       R::shared,
       R::leased,
       R::raw,
       R::unauthenticated},
      {{"PING"}, R::local, R::leased, R::discarded, R::local, R::local, R::local, R::raw, R::unauthenticated},
      {{"SELECT", "1"},
       R::select,
       R::leased,
       R::discarded,
       R::not_while_subscribed,
       R::select,
       R::leased,
       R::raw,
       R::unauthenticated},
      {{"AUTH", "x"},
       R::local,
       R::not_in_transaction,
       R::not_in_transaction,
       R::not_while_subscribed,
       R::local,
       R::local,
       R::raw,
       R::local},
      {{"QUIT"}, R::local, R::local, R::local, R::local, R::local, R::local, R::local, R::local},
      {{"RESET"}, R::local, R::local, R::local, R::local, R::local, R::local, R::local, R::local},
      {{"MULTI"},
       R::leased,
       R::leased,
       R::discarded,
       R::not_while_subscribed,
       R::leased,
       R::leased,
       R::raw,
       R::unauthenticated},
      {{"EXEC"},
       R::shared,
       R::leased,
       R::discarded,
       R::not_while_subscribed,
       R::shared,
       R::leased,
       R::raw,
       R::unauthenticated},
      {{"BLPOP", "q", "0"},
       R::leased,
       R::leased,
       R::discarded,
       R::not_while_subscribed,
       R::leased,
       R::leased,
       R::raw,
       R::unauthenticated},
      {{"SUBSCRIBE", "c"},
       R::subscription,
       R::not_in_transaction,
       R::not_in_transaction,
       R::subscription,
       R::subscription,
       R::subscription,
       R::raw,
       R::unauthenticated},
      {{"MONITOR"},
       R::raw,
       R::not_in_transaction,
       R::not_in_transaction,
       R::not_while_subscribed,
       R::raw,
       R::raw,
       R::raw,
       R::unauthenticated},
      {{"CLIENT", "REPLY", "OFF"},
       R::local,
       R::not_in_transaction,
       R::not_in_transaction,
       R::not_while_subscribed,
       R::local,
       R::local,
       R::raw,
       R::unauthenticated},
      {{"CLIENT", "LIST"},
       R::clients,
       R::leased,
       R::discarded,
       R::not_while_subscribed,
       R::clients,
       R::clients,
       R::raw,
       R::unauthenticated},
      {{"CLIENT", "KILL"},
       R::wrong_arity,
       R::wrong_arity,
       R::wrong_arity,
       R::wrong_arity,
       R::wrong_arity,
       R::wrong_arity,
       R::raw,
       R::wrong_arity},
      {{"CLIENT", "HELP"},
       R::shared,
       R::leased,
       R::discarded,
       R::not_while_subscribed,
       R::shared,
       R::leased,
       R::raw,
       R::unauthenticated},
      {{"CLIENT", "NOSUCH"},
       R::shared,
       R::leased,
       R::discarded,
       R::unknown_before_login,
       R::shared,
       R::leased,
       R::raw,
       R::unauthenticated},
      {{"SHUTDOWN"},
       R::refused,
       R::refused,
       R::refused,
       R::refused,
       R::refused,
       R::refused,
       R::raw,
       R::unauthenticated},
      {{"NOSUCH"},
       R::leased,
       R::leased,
       R::discarded,
       R::unknown_before_login,
       R::leased,
       R::leased,
       R::raw,
       R::unknown_before_login},
      {{"ECHO"},
       R::wrong_arity,
       R::wrong_arity,
       R::wrong_arity,
       R::wrong_arity,
       R::wrong_arity,
       R::wrong_arity,
       R::raw,
       R::wrong_arity},
      {{"POST", "/"},
       R::hang_up,
       R::hang_up,
       R::hang_up,
       R::hang_up,
       R::hang_up,
       R::hang_up,
       R::hang_up,
       R::hang_up},
  };
  for (const Row& row : rows) {
    INFO(row.command[0]);
    CHECK(routed(row.command, plain) == row.plain);
    CHECK(routed(row.command, multi) == row.multi);
    CHECK(routed(row.command, lost) == row.lost);
    CHECK(routed(row.command, subscribed2) == row.subscribed2);
    CHECK(routed(row.command, subscribed3) == row.subscribed3);
    CHECK(routed(row.command, leased) == row.leased);
    CHECK(routed(row.command, raw) == row.raw);
    CHECK(routed(row.command, stranger) == row.stranger);
  }
}

TEST_CASE("in pool-mode session a subscription belongs on the client's own link") {
  SessionMode pinned;
  pinned.authenticated = pinned.pinned = true;
  CHECK(routed({"SUBSCRIBE", "c"}, pinned) == RouteKind::leased);
  CHECK(routed({"UNSUBSCRIBE"}, pinned) == RouteKind::leased);
}

TEST_CASE("a RESP2 subscriber hears of unknown commands and wrong arguments first, as from Redis") {
  SessionMode mode;
  mode.authenticated = mode.in_hub = true;
  CHECK(routed({"GET"}, mode) == RouteKind::wrong_arity);
  CHECK(routed({"CONFIG", "NOSUCH"}, mode) == RouteKind::unknown_before_login);
  CHECK(routed({"CONFIG", "GET", "*"}, mode) == RouteKind::not_while_subscribed);
  CHECK(routed({"SUBSCRIBE"}, mode) == RouteKind::wrong_arity);
  CHECK(routed({"SUNSUBSCRIBE"}, mode) == RouteKind::subscription);
  CHECK(routed({"RESET"}, mode) == RouteKind::local);
}

TEST_CASE("the gate: closed at first, opened by a steady topology only, timed from its closing") {
  const health::TimePoint start{1h};
  WriteGate gate(10s, start);
  health::Topology topology;
  topology.shards.emplace_back();
  const auto publish = [&](health::GroupState state, std::uint64_t term, health::TimePoint now) {
    ++topology.version;
    topology.shards[0].state = state;
    const std::string run_id = term < 3 ? "run" : "another";
    if (term != 0) topology.shards[0].route = health::Route{{"a", 1, false}, run_id, "7", term, now};
    return gate.on_topology(topology, now);
  };
  using S = health::GroupState;
  CHECK(gate.verdict(start) == GateVerdict::hold);
  CHECK(gate.verdict(start + 10s) == GateVerdict::fail);
  CHECK_FALSE(publish(S::steady, 0, start + 1s));  // no route
  CHECK(publish(S::steady, 1, start + 2s));
  CHECK(gate.verdict(start + 60s) == GateVerdict::dispatch);
  CHECK(gate.doubt(start + 60s));
  CHECK_FALSE(gate.doubt(start + 65s));  // the clock of the hold does not begin anew
  CHECK_FALSE(gate.on_topology(topology, start + 61s));
  CHECK_FALSE(publish(S::steady, 1, start + 61s));  // the same route, and nobody has looked
  CHECK(gate.doubted());
  CHECK(gate.verdict(start + 69s) == GateVerdict::hold);
  CHECK(gate.verdict(start + 70s) == GateVerdict::fail);
  CHECK_FALSE(publish(S::suspect, 1, start + 71s));
  CHECK_FALSE(gate.doubted());
  CHECK(publish(S::steady, 1, start + 72s));
  CHECK(gate.doubt(start + 73s));
  CHECK_FALSE(publish(S::steady, 2, start + 74s));  // a higher term for the same process says nothing of it
  CHECK(publish(S::steady, 3, start + 74s));        // another process
  CHECK_FALSE(publish(S::suspect, 3, start + 75s));
  CHECK_FALSE(gate.open());
}

TEST_CASE("the gate: the operator's hand is one of three") {
  const health::TimePoint start{1h};
  WriteGate gate(10s, start);
  health::Topology topology;
  topology.shards.emplace_back();
  const auto publish = [&](health::GroupState state, health::TimePoint now,
                           health::TimePoint lease = health::TimePoint::max()) {
    ++topology.version;
    topology.shards[0].state = state;
    topology.shards[0].lease_until = lease;
    topology.shards[0].route = health::Route{{"a", 1, false}, "run", "7", 1, now};
    return gate.on_topology(topology, now);
  };
  using S = health::GroupState;
  CHECK(publish(S::steady, start));
  SECTION("paused and resumed") {
    CHECK(gate.pause(start + 1s));
    CHECK_FALSE(gate.pause(start + 2s));
    CHECK_FALSE(gate.open());
    CHECK(gate.verdict(start + 10s) == GateVerdict::hold);
    CHECK(gate.verdict(start + 11s) == GateVerdict::fail);
    gate.resume();
    CHECK(gate.open());
    CHECK(gate.verdict(start + 11s) == GateVerdict::dispatch);
  }
  SECTION("resuming opens nothing while there is no master, nor a master while it is paused") {
    CHECK(gate.pause(start + 1s));
    CHECK_FALSE(publish(S::suspect, start + 2s));
    gate.resume();
    CHECK_FALSE(gate.open());
    CHECK(gate.hold_deadline() == start + 12s);
    CHECK_FALSE(gate.pause(start + 3s));
    CHECK_FALSE(publish(S::steady, start + 4s));
    CHECK(gate.verdict(start + 4s) == GateVerdict::hold);
    gate.resume();
    CHECK(gate.open());
  }
  SECTION("a lease that never was does not use up the hold time") {
    CHECK_FALSE(publish(S::suspect, start + 5s, health::TimePoint{}));
    CHECK(gate.verdict(start + 6s) == GateVerdict::hold);
    CHECK(gate.hold_deadline() == start + 15s);
  }
  SECTION("the lease: over by itself, without any message, and renewed by one") {
    CHECK_FALSE(publish(S::steady, start + 1s, start + 2s));
    CHECK(gate.verdict(start + 1999ms) == GateVerdict::dispatch);
    CHECK(gate.verdict(start + 2s) == GateVerdict::hold);
    CHECK(gate.verdict(start + 12s) == GateVerdict::fail);
    gate.look_at_lease(start + 2s);
    CHECK_FALSE(gate.open());
    CHECK(gate.hold_deadline() == start + 12s);
    CHECK_FALSE(publish(S::isolated, start + 3s, start + 2s));
    CHECK_FALSE(publish(S::steady, start + 4s, start + 4s));  // too late to be of use
    CHECK(publish(S::steady, start + 5s, start + 6s));
    CHECK(gate.verdict(start + 5s) == GateVerdict::dispatch);
  }
}

namespace {
LoginResult replies(LinkLogin& login, std::string_view bytes) {
  resp::ReplyScanner scanner;
  LoginResult last = LoginResult::in_progress;
  while (!bytes.empty()) {
    const auto r = scanner.scan(bytes);
    REQUIRE(r.status == resp::ScanStatus::complete);
    bytes.remove_prefix(r.consumed);
    last = login.on_reply(scanner);
  }
  return last;
}
constexpr std::string_view master = "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n";
}  // namespace

TEST_CASE("login on a link: what is said, and what each answer means") {
  LinkLogin login;
  std::string expected;
  resp::append_command(expected, {"AUTH", "u", "p"});
  resp::append_command(expected, {"HELLO", "3"});
  resp::append_command(expected, {"SELECT", "5"});
  resp::append_command(expected, {"ROLE"});
  CHECK(login.begin({"u", "p"}, nullptr, resp::Version::resp3, 5, LinkUse::shared) == expected);
  CHECK(replies(login, "+OK\r\n%0\r\n+OK\r\n") == LoginResult::in_progress);
  CHECK(replies(login, master) == LoginResult::ready);

  expected.clear();
  resp::append_command(expected, {"AUTH", "p"});
  resp::append_command(expected, {"ROLE"});
  CHECK(login.begin({"", "p"}, nullptr, resp::Version::resp2, 0, LinkUse::shared) == expected);
  CHECK(replies(login, "-WRONGPASS no\r\n") == LoginResult::refused);
  CHECK(login.error() == "WRONGPASS no");

  (void)login.begin({}, nullptr, resp::Version::resp2, 9, LinkUse::shared);
  CHECK(replies(login, "-ERR DB index is out of range\r\n") == LoginResult::bad_database);
  (void)login.begin({}, nullptr, resp::Version::resp2, 0, LinkUse::shared);
  CHECK(replies(login, "*1\r\n$5\r\nslave\r\n") == LoginResult::not_master);
  (void)login.begin({}, nullptr, resp::Version::resp2, 0, LinkUse::shared);
  CHECK(replies(login, "-LOADING Redis is loading the dataset in memory\r\n") == LoginResult::loading);
  (void)login.begin({}, nullptr, resp::Version::resp2, 0, LinkUse::shared);
  CHECK(replies(login, "-NOPERM this user has no permissions to run the 'role' command\r\n") ==
        LoginResult::ready);
}

TEST_CASE("login as a user who is in a database already that he may not SELECT") {
  LinkLogin login;
  const health::Login own{"", "own"};
  const std::string denied = "-NOPERM this user has no permissions to run the 'select' command\r\n";
  std::string expected;
  resp::append_command(expected, {"AUTH", "own"});
  resp::append_command(expected, {"SELECT", "9"});
  resp::append_command(expected, {"AUTH", "u", "p"});
  resp::append_command(expected, {"SELECT", "9"});
  resp::append_command(expected, {"ROLE"});
  CHECK(login.begin({"u", "p"}, &own, resp::Version::resp2, 9, LinkUse::shared) == expected);
  SECTION("fairlead's own login has selected it") {
    CHECK(replies(login, "+OK\r\n+OK\r\n+OK\r\n" + denied) == LoginResult::in_progress);
    CHECK(replies(login, master) == LoginResult::ready);
  }
  SECTION("fairlead has no login of its own: the user's right decides") {
    const std::string nobody = "-WRONGPASS x\r\n-NOAUTH Authentication required.\r\n+OK\r\n";
    CHECK(replies(login, nobody) == LoginResult::in_progress);
    SECTION("he may") {
      CHECK(replies(login, "+OK\r\n" + std::string(master)) == LoginResult::ready);
    }
    SECTION("he may not") {
      CHECK(replies(login, denied) == LoginResult::bad_database);
    }
  }
}

TEST_CASE("login while a script runs for too long") {
  LinkLogin login;
  const std::string busy = "-BUSY Redis is busy running a script.\r\n";
  (void)login.begin({}, nullptr, resp::Version::resp2, 0, LinkUse::shared);
  CHECK(replies(login, busy) == LoginResult::ready);
  (void)login.begin({}, nullptr, resp::Version::resp2, 3, LinkUse::shared);
  CHECK(replies(login, busy) == LoginResult::busy);
}

TEST_CASE("login on a leased link asks how the server calls it") {
  LinkLogin login;
  std::string expected;
  resp::append_command(expected, {"CLIENT", "ID"});
  resp::append_command(expected, {"ROLE"});
  CHECK(login.begin({}, nullptr, resp::Version::resp2, 0, LinkUse::leased) == expected);
  CHECK(login.server_client_id() == 0);
  CHECK(replies(login, ":77\r\n") == LoginResult::in_progress);
  CHECK(replies(login, master) == LoginResult::ready);
  CHECK(login.server_client_id() == 77);
  // A user who may not ask gets the link all the same; and a name of the past is forgotten.
  (void)login.begin({}, nullptr, resp::Version::resp2, 0, LinkUse::leased);
  CHECK(replies(login, "-NOPERM this user has no permissions to run the 'client|id' command\r\n") ==
        LoginResult::in_progress);
  CHECK(replies(login, master) == LoginResult::ready);
  CHECK(login.server_client_id() == 0);
}

TEST_CASE("secrets are compared whole") {
  CHECK(equal_constant_time("secret", "secret"));
  CHECK_FALSE(equal_constant_time("secre", "secret"));
  CHECK_FALSE(equal_constant_time("secretsecret", "secret"));
  CHECK_FALSE(equal_constant_time("", "secret"));
  CHECK_FALSE(equal_constant_time("Secret", "secret"));
}

TEST_CASE("local answers, word for word") {
  EngineOptions options;
  const LocalContext context{options, "7.0.15"};
  resp::CommandLimits limits;
  Session session({0, 1, Side::client}, 42, limits);
  session.mode.authenticated = true;
  const auto say = [&](const std::vector<std::string>& args) {
    const Command command(args);
    const resp::CommandSpec* spec = resp::CommandTable::built_in()->find(command.view);
    REQUIRE(spec != nullptr);
    std::string out;
    (void)local_reply(session, *spec, command.view, context, out);
    return out;
  };
  CHECK(say({"PING"}) == "+PONG\r\n");
  CHECK(say({"PING", "x"}) == "$1\r\nx\r\n");
  CHECK(say({"PING", "x", "y"}) == "-ERR wrong number of arguments for 'ping' command\r\n");
  CHECK(say({"ECHO", "a b"}) == "$3\r\na b\r\n");
  CHECK(say({"CLIENT", "ID"}) == ":42\r\n");
  CHECK(say({"CLIENT", "GETNAME"}) == "$-1\r\n");
  CHECK(say({"CLIENT", "SETNAME", "me"}) == "+OK\r\n");
  CHECK(say({"CLIENT", "GETNAME"}) == "$2\r\nme\r\n");
  CHECK(say({"CLIENT", "SETNAME", "a b"}) ==
        "-ERR Client names cannot contain spaces, newlines or special characters.\r\n");
  CHECK(say({"CLIENT", "SETINFO", "LIB-NAME", "redis-py"}) == "+OK\r\n");
  CHECK(say({"CLIENT", "SETINFO", "lib-ver", "1\n2"}) ==
        "-ERR lib-ver cannot contain spaces, newlines or special characters.\r\n");
  CHECK(say({"CLIENT", "SETINFO", "x", "y"}) == "-ERR Unrecognized option 'x'\r\n");
  CHECK(say({"HELLO", "4"}) == "-NOPROTO unsupported protocol version\r\n");
  CHECK(say({"HELLO", "x"}) == "-ERR Protocol version is not an integer or out of range\r\n");
  CHECK(say({"HELLO", "3", "NONSENSE"}) == "-ERR Syntax error in HELLO option 'NONSENSE'\r\n");
  CHECK(say({"AUTH", "x"}) ==
        "-ERR AUTH <password> called without any password configured for the default user. Are you sure your "
        "configuration is correct?\r\n");
  CHECK(say({"AUTH", "default", "anything"}) == "+OK\r\n");
  CHECK(say({"AUTH", "someone", "x"}) ==
        "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
  CHECK(say({"AUTH", "a", "b", "c"}) == "-ERR syntax error\r\n");
  CHECK(say({"HELLO", "3"}) ==
        "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:3\r\n$"
        "2\r\nid\r\n:42\r\n"
        "$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n");
  CHECK(say({"CLIENT", "SETNAME", ""}) == "+OK\r\n");
  CHECK(say({"CLIENT", "GETNAME"}) == "_\r\n");
}
