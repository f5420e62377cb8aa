// Who may act, on the page and in the console, and how orders are passed on and answered.
#include <catch2/catch.hpp>

#include <fmt/format.h>

#include <boost/json.hpp>

#include "proxy/admin/console.hpp"
#include "proxy/admin/pages.hpp"
#include "tests/proxy/admin_world.hpp"

using namespace fairlead;
using namespace fairlead::proxy;

namespace {

struct Pages {
  explicit Pages(MayAct may_act) {
    PageProvider provider{[this] { return watched.snapshot(); },
                          [this](const AdminAction& action, const ActionDone& done) {
                            acted.push_back(action.name + " " + action.argument + " " + action.by);
                            if (action.name == "failover") {
                              waiting = done;
                            } else {
                              done({action.argument == "8" ? "gone" : "", "text", {}});
                            }
                          },
                          may_act, "secret-token"};
    handler = make_pages(std::move(provider));
    watched.publish("a", health::GroupState::steady);
  }
  HttpReply get(std::string_view target) { return handler({"GET", target, {}, {}, "h:1", {}, {}}); }
  HttpReply kill(std::string_view origin, std::string_view token, std::string_view client = "9") {
    return post("/api/v1/actions/kill?client=" + std::string(client), origin, token);
  }
  /// A reply that comes later is the present one when it has come; status 0 until then.
  HttpReply post(const std::string& target, std::string_view origin = "http://h:1",
                 std::string_view token = "secret-token") {
    HttpReply reply = handler({"POST", target, "Basic YW5uOnB3", {}, "h:1", origin, token, "10.0.0.7"});
    if (!reply.later) return reply;
    late.status = 0;
    reply.later([this](HttpReply done) { late = std::move(done); });
    return late;
  }

  Watched watched;
  std::vector<std::string> acted;
  ActionDone waiting;
  HttpReply late;
  HttpHandler handler;
};

}  // namespace

TEST_CASE("actions need permission, the page's origin and its token") {
  Pages pages(MayAct::yes);
  CHECK(pages.kill("http://h:1", "secret-token").status == 200);
  CHECK(pages.acted == std::vector<std::string>{"kill 9 ann at 10.0.0.7 (page)"});
  pages.acted.clear();
  CHECK(pages.kill("", "secret-token").status == 403);
  CHECK(pages.kill("http://evil:1", "secret-token").status == 403);
  CHECK(pages.kill("http://h:1", "").status == 403);
  CHECK(pages.kill("http://h:1", "secret-tokex").status == 403);
  CHECK(pages.get("/api/v1/actions/kill?client=9").status == 405);
  CHECK(pages.post("/api/v1/actions/flush").status == 404);
  CHECK(pages.post("/api/v1/actions/kill").status == 400);
  CHECK(pages.post("/api/v1/actions/maint").status == 400);
  CHECK(pages.acted.empty());
  CHECK(pages.kill("http://h:1", "secret-token", "8").status == 409);
  CHECK(boost::json::parse(pages.get("/api/v1/status").body).at("token").as_string() == "secret-token");

  Pages readers(MayAct::no);
  CHECK(readers.kill("http://h:1", "secret-token").status == 403);
  CHECK(readers.acted.empty());
  CHECK(readers.get("/api/v1/status").body.find("secret-token") == std::string::npos);
}

TEST_CASE("the page under its names, with HAProxy's options") {
  Pages pages(MayAct::no);
  for (const char* target : {"/", "/stats", "/haproxy_stats", "/stats;norefresh", "/haproxy?stats;up"}) {
    const HttpReply reply = pages.get(target);
    CHECK(reply.status == 200);
    CHECK(reply.content_type == "text/html; charset=utf-8");
    CHECK(reply.body.find("<title>fairlead</title>") != std::string::npos);
    const auto policy = std::find_if(reply.headers.begin(), reply.headers.end(),
                                     [](const auto& h) { return h.first == "Content-Security-Policy"; });
    REQUIRE(policy != reply.headers.end());
    CHECK(policy->second.find("default-src 'self'") == 0);
  }
  CHECK(pages.get("/stats;csv").body.rfind("# pxname,", 0) == 0);
  CHECK(pages.get("/haproxy?stats;csv;norefresh").body.rfind("# pxname,", 0) == 0);
  CHECK(boost::json::parse(pages.get("/stats;json").body).is_array());
  for (const char* name : {"app.js", "actions.js", "view.js", "charts.js", "style.css", "favicon.svg"}) {
    CHECK(pages.get(std::string("/assets/") + name).status == 200);
  }
  for (const char* target :
       {"/assets/../server.cpp", "/assets/none", "/statsx", "/api/v1/none", "/api/v2/status"}) {
    CHECK(pages.get(target).status == 404);
  }
  CHECK(pages.handler({"PUT", "/", {}, {}, {}, {}, {}}).status == 405);
  CHECK(make_token().size() == 32);
  CHECK(make_token() != make_token());
}

TEST_CASE("every action is reached by its name, with its argument decoded") {
  Pages pages(MayAct::yes);
  for (const ActionSpec& action : action_list()) {
    pages.acted.clear();
    const std::string query =
        action.argument == Argument::none ? "" : fmt::format("?{}=%5B%3A%3A1%5D:6379", action.argument_of);
    static_cast<void>(pages.post(fmt::format("/api/v1/actions/{}{}", action.name, query)));
    REQUIRE(pages.acted.size() == 1);
    const std::string expected = fmt::format("{} {} ann at 10.0.0.7 (page)", action.name,
                                             action.argument == Argument::none ? "" : "[::1]:6379");
    CHECK(pages.acted.front() == expected);
  }
}

TEST_CASE("an action that takes its time is answered when it is done") {
  Pages pages(MayAct::yes);
  CHECK(pages.post("/api/v1/actions/failover").status == 0);
  REQUIRE(pages.waiting);
  pages.waiting({"s:26379 says: NOGOODSLAVE \"none\"", "", {"a line"}});
  CHECK(pages.late.status == 409);
  const boost::json::object body = boost::json::parse(pages.late.body).as_object();
  CHECK(body.at("error").as_string() == "s:26379 says: NOGOODSLAVE \"none\"");
  CHECK(body.at("lines").as_array().size() == 1);
  CHECK_FALSE(body.at("done").as_bool());
}

namespace {

/// A console whose orders are noted, and answered at once but for FAILOVER.
struct Console {
  std::string say(const std::vector<std::string>& words) {
    std::string frame = fmt::format("*{}\r\n", words.size());
    for (const std::string& word : words) frame += fmt::format("${}\r\n{}\r\n", word.size(), word);
    static const resp::CommandLimits limits;  // the reader only refers to them
    resp::CommandReader reader(limits);
    const resp::CommandResult read = reader.read(frame, scratch, resp::LoginState::authenticated);
    REQUIRE(read.status == resp::ReadStatus::command);
    std::string out;
    next = dialog.answer(read.command, out, [this](std::string text) { late = std::move(text); });
    return out;
  }

  Console() { watched.publish("a", health::GroupState::steady); }

  Watched watched;
  std::vector<std::string> acted;
  ActionDone waiting;
  std::string late;
  Options options;
  ConsoleProvider provider{[this] { return watched.snapshot(); },
                           [this](const AdminAction& action, const ActionDone& done) {
                             acted.push_back(action.name + "/" + action.argument + "/" + action.by);
                             if (action.name == "failover") {
                               waiting = done;
                             } else if (action.name == "reload") {
                               done({"2 errors", "", {"one", "two\r\nline"}});
                             } else {
                               done({"", "done", {}});
                             }
                           },
                           MayAct::yes,
                           {},
                           &options};
  ConsoleDialog dialog{provider, "10.0.0.7"};
  resp::CommandScratch scratch;
  ConsoleDialog::Next next = ConsoleDialog::Next::go_on;
};

}  // namespace

TEST_CASE("the console passes orders on and answers them, some of them later") {
  Console console;
  CHECK(console.say({"pause"}) == "+OK done\r\n");
  CHECK(console.say({"DRAIN"}) == "+OK done\r\n");
  CHECK(console.say({"Maint", "b:6379"}) == "+OK done\r\n");
  CHECK(console.acted == std::vector<std::string>{"pause//10.0.0.7 (console)", "drain//10.0.0.7 (console)",
                                                  "maint/b:6379/10.0.0.7 (console)"});
  CHECK(console.say({"MAINT"}).starts_with("-ERR usage: MAINT server"));
  CHECK(console.say({"PAUSE", "10"}).starts_with("-ERR usage: PAUSE"));
  CHECK(console.say({"RELOAD"}) == "-ERR 2 errors; one; two\\x0d\\x0aline\r\n");
  CHECK(console.say({"FAILOVER"}).empty());
  CHECK(console.next == ConsoleDialog::Next::wait);
  console.waiting({"", "it begins", {"first", "second"}});
  CHECK(console.late == "*3\r\n+OK it begins\r\n+first\r\n+second\r\n");
  console.provider.may_act = MayAct::no;
  console.acted.clear();
  for (const ActionSpec& action : action_list()) {
    std::vector<std::string> words{std::string(action.name)};
    if (action.argument == Argument::required) words.push_back("1");
    CHECK(console.say(words).starts_with("-NOPERM"));
    CHECK(console.say({"HELP", std::string(action.name)}).starts_with("*"));
  }
  CHECK(console.acted.empty());
}

TEST_CASE("LATENCY HISTOGRAM has the form of Redis, and the turns first") {
  Console console;
  engine::TelemetrySnapshot worker;
  worker.commands.resize(1);
  worker.commands[0].name = "get";
  worker.commands[0].calls = 2;
  worker.commands[0].durations.add(3'000);
  worker.commands[0].durations.add(30'000);
  worker.turns.add(1'500);
  console.watched.observer.on_telemetry({worker}, console.watched.at());
  CHECK(
      console.say({"LATENCY", "HISTOGRAM", "GET"}) ==
      "*2\r\n$3\r\nget\r\n*4\r\n$5\r\ncalls\r\n:2\r\n$14\r\nhistogram_usec\r\n*8\r\n:4\r\n:1\r\n:8\r\n:1\r\n"
      ":16\r\n:1\r\n:32\r\n:2\r\n");
  CHECK(console.say({"LATENCY", "HISTOGRAM"}).starts_with("*4\r\n$6\r\n(turn)\r\n"));
  CHECK(console.say({"LATENCY", "DOCTOR"}).starts_with("-ERR"));
  CHECK(console.say({"HELLO", "3"}).starts_with("%3"));
  CHECK(console.say({"LATENCY", "HISTOGRAM", "GET"}).starts_with("%1\r\n$3\r\nget\r\n%2\r\n"));
  CHECK(console.say({"SHOW", "LATENCY"}).starts_with("*2\r\n%7"));
}
