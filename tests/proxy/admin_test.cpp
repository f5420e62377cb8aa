// What the admin side tells: outages, HAProxy's table, JSON, metrics, and who may act.
#include <catch2/catch.hpp>

#include <boost/json.hpp>

#include "proxy/admin/api.hpp"
#include "proxy/admin/haproxy_table.hpp"
#include "proxy/admin/observer.hpp"
#include "proxy/admin/pages.hpp"
#include "proxy/admin/text.hpp"

using namespace fairlead;
using namespace fairlead::proxy;
using namespace std::chrono_literals;

namespace {

/// An Observer with a clock of its own and a set of one master and one replica.
struct Watched {
  Watched() { observer.on_reports({report()}, at()); }

  OutageLog::Moment at() const { return {now, WallTime(1'700'000'000s) + (now - start)}; }
  WorkerReport report() const { return {stats, 4096}; }

  void publish(const std::string& master, health::GroupState state, std::uint64_t term = 1) {
    auto topology = std::make_shared<health::Topology>();
    topology->version = ++version;
    topology->commands = resp::CommandTable::built_in();
    health::Shard shard;
    shard.state = state;
    shard.route = health::Route{{master, 6379, false}, "run-" + master, "7.0.15", term, now};
    for (const std::string host : {"a", "b"}) {
      health::ServerView view;
      view.address = {host, 6379, false};
      view.role = host == master ? health::Role::master : health::Role::replica;
      view.reachable = host != dead;
      view.offset = host == master ? 1000 : 900;
      shard.servers.push_back(view);
    }
    topology->shards.push_back(shard);
    topology->sentinels.resize(3);
    for (std::size_t i = 0; i < 3; ++i) {
      topology->sentinels[i].address = {"s" + std::to_string(i), 26379, false};
      topology->sentinels[i].usable = i != 2 || sentinels_all;
    }
    observer.on_topology(topology, at());
  }
  void pass(std::chrono::milliseconds time) {
    now += time;
    observer.on_reports({report()}, at());
  }
  AdminSnapshot snapshot() {
    AdminSnapshot s = observer.snapshot(at());
    return s;
  }

  health::TimePoint start{100h};
  health::TimePoint now = start;
  std::uint64_t version = 0;
  std::string dead;
  bool sentinels_all = true;
  engine::Stats stats;
  Observer observer{{"1.2.3", 100, 50}, {start, WallTime(1'700'000'000s)}};
};

boost::json::object status(const AdminSnapshot& snapshot) {
  return boost::json::parse(api_status(snapshot, {})).as_object();
}

std::string line_of(const std::string& text, const std::string& begin) {
  const std::size_t at = text.find("\n" + begin);
  if (at == std::string::npos) return {};
  return text.substr(at + 1, text.find('\n', at + 1) - at - 1);
}

}  // namespace

TEST_CASE("a failover is told with its durations and its cost") {
  Watched w;
  w.publish("a", health::GroupState::steady);
  w.pass(10s);
  CHECK(w.snapshot().outages.empty());
  w.publish("a", health::GroupState::suspect);
  w.observer.on_event({health::EventKind::route_suspect, health::Severity::warning, {}, "a was lost"}, {});
  CHECK(w.snapshot().outages.at(0).ongoing);
  w.now += 300ms;
  w.publish("a", health::GroupState::switching);
  w.stats.held = 7;
  w.stats.uncertain = 2;
  w.now += 200ms;
  w.publish("b", health::GroupState::steady, 5);
  w.pass(700ms);

  const AdminSnapshot s = w.snapshot();
  REQUIRE(s.outages.size() == 1);
  const Outage& outage = s.outages[0];
  CHECK(outage.kind == OutageKind::failover);
  CHECK_FALSE(outage.ongoing);
  CHECK(outage.from == "a:6379");
  CHECK(outage.to == "b:6379");
  CHECK(outage.cause == "a was lost");
  CHECK(outage.term == 5);
  CHECK(outage.until_named == 300ms);
  CHECK(outage.until_released == 500ms);
  CHECK(outage.held == 7);
  CHECK(outage.uncertain == 2);
  CHECK(s.failovers == 1);
  CHECK(s.failover_durations.count() == 1);
  const auto lines = w.observer.take_lines();
  REQUIRE(lines.size() == 5);
  CHECK(lines[4].find("500 ms") != std::string::npos);
  CHECK(lines[4].find("2 were answered UNCERTAIN") != std::string::npos);
  CHECK(w.observer.take_lines().empty());
}

TEST_CASE("the same master after a doubt is an interruption; the first master is nothing at all") {
  Watched w;
  w.publish("a", health::GroupState::init);
  w.publish("a", health::GroupState::steady);
  CHECK(w.snapshot().outages.empty());
  w.publish("a", health::GroupState::suspect);
  w.now += 50ms;
  w.publish("a", health::GroupState::steady);
  w.pass(1s);
  CHECK(w.snapshot().failovers == 0);
  CHECK(w.snapshot().interruptions == 1);
  CHECK(w.snapshot().outages.at(0).kind == OutageKind::interruption);
}

TEST_CASE("the timeline is bounded") {
  Watched w;
  w.publish("a", health::GroupState::steady);
  for (std::size_t i = 0; i < OutageLog::length_max + 20; ++i) {
    w.publish(i % 2 == 0 ? "b" : "a", health::GroupState::steady, i + 2);
    w.pass(1s);
  }
  CHECK(w.snapshot().outages.size() == OutageLog::length_max);
  CHECK(w.snapshot().failovers == OutageLog::length_max + 20);
}

TEST_CASE("times of servers: down, up again, and what they cost") {
  Watched w;
  w.publish("a", health::GroupState::steady);
  w.now += 1s;
  w.dead = "b";
  w.publish("a", health::GroupState::steady);
  w.now += 5s;
  CHECK(line_of(haproxy_csv(w.snapshot(), DownServers::shown), "redis,b:6379").find(",DOWN,") !=
        std::string::npos);
  CHECK(line_of(haproxy_csv(w.snapshot(), DownServers::hidden), "redis,b:6379").empty());
  w.dead = "";
  w.publish("a", health::GroupState::steady);
  const AdminSnapshot s = w.snapshot();
  const ServerHistory& b = s.servers.at({"b", 6379, false});
  CHECK(b.downs == 1);
  CHECK(b.downtime == 5s);
}

TEST_CASE("traffic counts for the master of its time") {
  Watched w;
  w.publish("a", health::GroupState::steady);
  w.stats.replies = 10;
  w.pass(250ms);
  w.publish("b", health::GroupState::steady, 2);
  w.stats.replies = 13;
  w.pass(250ms);
  CHECK(w.snapshot().servers.at({"a", 6379, false}).replies == 10);
  CHECK(w.snapshot().servers.at({"b", 6379, false}).replies == 3);
}

TEST_CASE("every line of the CSV has as many columns as its head") {
  Watched w;
  w.publish("a", health::GroupState::steady);
  const std::string csv = haproxy_csv(w.snapshot(), DownServers::shown);
  CHECK(csv.rfind("# pxname,svname,qcur,qmax,scur,", 0) == 0);
  std::size_t lines = 0;
  for (std::size_t at = 0; at < csv.size(); at = csv.find('\n', at) + 1) {
    const std::string line = csv.substr(at, csv.find('\n', at) - at);
    CHECK(static_cast<std::size_t>(std::count(line.begin(), line.end(), ',')) == haproxy_columns().size());
    ++lines;
  }
  CHECK(lines == 5);
  const auto rows = haproxy_rows(w.snapshot());
  CHECK(rows.at(1).at("act") == "1");
  CHECK(rows.at(2).at("bck") == "1");
  CHECK(rows.back().at("status") == "UP");
  CHECK(boost::json::parse(haproxy_json(w.snapshot(), DownServers::shown)).as_array().size() == 4);
}

TEST_CASE("rates and percentiles are of the last minute") {
  Watched w;
  w.publish("a", health::GroupState::steady);
  engine::TelemetrySnapshot worker;
  worker.commands.resize(1);
  worker.commands[0].name = "get";
  const auto second = [&](std::uint64_t calls, std::uint64_t duration) {
    for (std::uint64_t i = 0; i < calls; ++i) worker.commands[0].durations.add(duration);
    worker.commands[0].calls += calls;
    w.stats.commands += calls * 2;  // the other worker counts the same
    w.pass(1s);
    w.observer.on_telemetry({worker, worker}, w.at());
  };
  for (int i = 0; i < 60; ++i) second(100, 9'000'000);
  for (int i = 0; i < 120; ++i) second(10, 1'000'000);
  const AdminSnapshot s = w.snapshot();
  REQUIRE(s.commands.size() == 1);
  CHECK(s.commands[0].calls == 2 * (6000 + 1200));
  CHECK(s.commands[0].rate == Approx(20).epsilon(0.05));
  CHECK(s.commands[0].last_minute.quantile(0.99) < 1'010'000);
  CHECK(s.commands[0].durations.quantile(0.5) > 8'900'000);
  CHECK(s.history.back().commands == Approx(20));
  CHECK(s.history.size() == 180);
}

TEST_CASE("the JSON tells who is master, how far replicas are behind, and who votes") {
  Watched w;
  w.publish("a", health::GroupState::steady, 3);
  const boost::json::object doc = status(w.snapshot());
  CHECK(doc.at("summary").at("level").as_string() == "ok");
  CHECK(doc.at("summary").at("master").at("address").as_string() == "a:6379");
  CHECK(doc.at("summary").at("master").at("term").as_int64() == 3);
  CHECK(doc.at("servers").as_array().at(1).at("lag_bytes").as_int64() == 100);
  CHECK(doc.at("sentinels").as_array().size() == 3);
  CHECK_FALSE(doc.contains("token"));
  CHECK(api_part(w.snapshot(), "servers").has_value());
  CHECK_FALSE(api_part(w.snapshot(), "no-such-part").has_value());
}

TEST_CASE("the verdict says what is missing") {
  Watched w;
  w.sentinels_all = false;
  w.publish("a", health::GroupState::steady);
  CHECK(verdict_of(w.snapshot()).level == "warn");
  CHECK(verdict_of(w.snapshot()).text.find("1 of 3 Sentinels") != std::string::npos);
  AdminSnapshot s = w.snapshot();
  s.not_ready = "there is no confirmed master: suspect";
  CHECK(verdict_of(s).level == "down");
}

TEST_CASE("what clients name themselves cannot break the JSON or a label") {
  CHECK(printable("plain Grüße €") == "plain Grüße €");
  CHECK(printable("a\nb\x1b[31m") == "a\\x0ab\\x1b[31m");
  CHECK(printable("\xff\xc0\xaf\xed\xa0\x80\xf5") == "\\xff\\xc0\\xaf\\xed\\xa0\\x80\\xf5");
  CHECK(printable(std::string("\0\x7f\xc2\x85", 4)) == "\\x00\\x7f\\xc2\\x85");
  CHECK(printable("\xe2\x82") == "\\xe2\\x82");
  Watched w;
  w.publish("a", health::GroupState::steady);
  AdminSnapshot s = w.snapshot();
  s.client_rows.push_back({});
  s.client_rows[0].name = "\"</script><b>\xff";
  CHECK(status(s).at("clients").as_array().at(0).at("name").as_string() == "\"</script><b>\\xff");
  s.version = "quote\" back\\slash";
  CHECK(render_metrics(s).find("version=\"quote\\\" back\\\\slash\"") != std::string::npos);
}

TEST_CASE("histograms of /metrics are cumulative") {
  Watched w;
  w.publish("a", health::GroupState::steady);
  AdminSnapshot s = w.snapshot();
  s.commands.resize(1);
  s.commands[0].name = "get";
  s.commands[0].durations.add(40'000);
  s.commands[0].durations.add(2'000'000);
  const std::string text = render_metrics(s);
  const std::string name = "fairlead_command_duration_seconds_bucket{command=\"get\",le=";
  CHECK(line_of(text, name + "\"5e-05\"").ends_with(" 1"));
  CHECK(line_of(text, name + "\"0.001\"").ends_with(" 1"));
  CHECK(line_of(text, name + "\"0.0025\"").ends_with(" 2"));
  CHECK(line_of(text, name + "\"+Inf\"").ends_with(" 2"));
  CHECK(line_of(text, "fairlead_replica_lag_bytes{server=\"b:6379\"}").ends_with(" 100"));
}

namespace {

struct Pages {
  explicit Pages(MayAct may_act) {
    PageProvider provider{[this] { return watched.snapshot(); },
                          [this](const AdminAction& action) {
                            acted.push_back(action.name + " " + action.argument);
                            return action.argument == "9" ? std::string() : std::string("gone");
                          },
                          may_act, "secret-token"};
    handler = make_pages(std::move(provider));
    watched.publish("a", health::GroupState::steady);
  }
  HttpReply get(std::string_view target) { return handler({"GET", target, {}, {}, "h:1", {}, {}}); }
  HttpReply kill(std::string_view origin, std::string_view token, std::string_view client = "9") {
    const std::string target = "/api/v1/actions/kill?client=" + std::string(client);
    return handler({"POST", target, {}, {}, "h:1", origin, token});
  }

  Watched watched;
  std::vector<std::string> acted;
  HttpHandler handler;
};

}  // namespace

TEST_CASE("actions need permission, the page's origin and its token") {
  Pages pages(MayAct::yes);
  CHECK(pages.kill("http://h:1", "secret-token").status == 200);
  CHECK(pages.acted == std::vector<std::string>{"kill 9"});
  pages.acted.clear();
  CHECK(pages.kill("", "secret-token").status == 403);
  CHECK(pages.kill("http://evil:1", "secret-token").status == 403);
  CHECK(pages.kill("http://h:1", "").status == 403);
  CHECK(pages.kill("http://h:1", "secret-tokex").status == 403);
  CHECK(pages.get("/api/v1/actions/kill?client=9").status == 405);
  CHECK(
      pages.handler({"POST", "/api/v1/actions/flush", {}, {}, "h:1", "http://h:1", "secret-token"}).status ==
      404);
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
  for (const char* name : {"app.js", "view.js", "charts.js", "style.css", "favicon.svg"}) {
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
