// What the admin side tells: outages, HAProxy's table, JSON, metrics.
#include <catch2/catch.hpp>

#include <boost/json.hpp>

#include "proxy/admin/api.hpp"
#include "proxy/admin/haproxy_table.hpp"
#include "proxy/admin/text.hpp"
#include "tests/proxy/admin_world.hpp"

using namespace fairlead;
using namespace fairlead::proxy;

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

TEST_CASE("a server that the Sentinels forget for a moment keeps its counters") {
  Watched w;
  w.publish("a", health::GroupState::steady);
  w.stats.replies = 10;
  w.pass(250ms);
  w.unlisted = "a";
  w.publish("b", health::GroupState::steady, 2);
  CHECK(w.snapshot().servers.size() == 1);
  w.unlisted.clear();
  w.publish("b", health::GroupState::steady, 2);
  CHECK(w.snapshot().servers.size() == 2);
  CHECK(w.snapshot().servers.at({"a", 6379, false}).replies == 10);
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

TEST_CASE("links are told by kind and age, the busiest first") {
  Watched w;
  w.publish("a", health::GroupState::steady);
  engine::TelemetrySnapshot worker;
  worker.links.resize(2);
  worker.links[0].kind = "shared";
  worker.links[1].kind = "leased";
  worker.links[1].in_flight = 3;
  worker.links[1].user = "app\n";
  w.observer.on_telemetry({worker}, w.at());
  const auto links = status(w.snapshot()).at("links").as_array();
  REQUIRE(links.size() == 2);
  CHECK(links.at(0).at("kind").as_string() == "leased");
  CHECK(links.at(0).at("user").as_string() == "app\\x0a");
}

TEST_CASE("what operators have ordered is in the verdict, with their name") {
  Watched w;
  w.publish("a", health::GroupState::steady);
  AdminSnapshot s = w.snapshot();
  s.hold_max = 10s;
  s.drained = {true, s.taken - 5s, "ann at 10.0.0.7 (page)"};
  CHECK(verdict_of(s).level == "warn");
  CHECK(verdict_of(s).text.find("drained, by ann at 10.0.0.7 (page), 5 s ago") != std::string::npos);
  s.paused = {true, s.taken - 4s, "SIGUSR1"};
  CHECK(verdict_of(s).level == "down");
  CHECK(verdict_of(s).text == "Paused by SIGUSR1, 4 s ago; commands wait, for 7 s more");
  s.paused.since -= 1min;
  CHECK(verdict_of(s).text.find("commands fail") != std::string::npos);
  CHECK(status(s).at("operator").at("paused").at("by").as_string() == "SIGUSR1");
  CHECK(render_metrics(s).find("\nfairlead_paused 1\n") != std::string::npos);
  CHECK(render_metrics(s).find("\nfairlead_drained 1\n") != std::string::npos);
}

TEST_CASE("a server in MAINT may be down without a warning") {
  Watched w;
  w.dead = "b";
  w.publish("a", health::GroupState::steady);
  CHECK(verdict_of(w.snapshot()).level == "warn");
  AdminSnapshot s = w.snapshot();
  auto topology = std::make_shared<health::Topology>(*s.topology);
  topology->shards.front().servers.at(1).standing = health::Standing::maint;
  s.topology = topology;
  CHECK(verdict_of(s).level == "ok");
  CHECK(haproxy_rows(s).at(2).at("status") == "MAINT");
  CHECK(status(s).at("servers").as_array().at(1).at("standing").as_string() == "maint");
  CHECK(render_metrics(s).find("fairlead_server_maintenance{server=\"b:6379\"} 1") != std::string::npos);
  topology->shards.front().servers.at(1).reachable = true;
  topology->shards.front().servers.at(1).standing = health::Standing::drain;
  CHECK(haproxy_rows(s).at(2).at("status") == "DRAIN");
}

TEST_CASE("the pair is told when there is one") {
  Watched w;
  w.publish("a", health::GroupState::steady);
  AdminSnapshot s = w.snapshot();
  CHECK_FALSE(status(s).at("vrrp").at("in_pair").as_bool());
  s.vrrp.emplace();
  s.vrrp->address = "10.0.0.100/24";
  s.vrrp->reason = "a worker stands still";
  CHECK(status(s).at("vrrp").at("address").as_string() == "10.0.0.100/24");
  CHECK(verdict_of(s).text.find("unfit to have the pair's address: a worker stands still") !=
        std::string::npos);
}
