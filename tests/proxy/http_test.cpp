// The HTTP listener over loopback: routes, methods, keeping alive, pipelining, sockets it can and cannot
// bind.
#include "proxy/admin/http_server.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "proxy/admin/http_login.hpp"
#include "proxy/admin/routes.hpp"
#include "tests/proxy/http_fixture.hpp"

namespace fairlead::proxy {
namespace {

using test::HttpFixture;
using test::RawClient;

struct Health {
  std::string fault;
  std::string unready;
};

HttpHandler routes(Health health = {}) {
  return make_routes({[health] { return health.fault; }, [health] { return health.unready; },
                      [] { return std::string("fairlead_up 1\n"); }});
}

HttpReply call(const HttpHandler& handler, std::string_view method, std::string_view target) {
  return handler({method, target, {}, {}, {}, {}, {}});
}

std::string body_of(const std::string& reply) {
  return reply.substr(reply.find("\r\n\r\n") + 4);
}

/// A directory that is gone with the test.
class TemporaryDirectory {
 public:
  TemporaryDirectory() { REQUIRE(mkdtemp(path_.data()) != nullptr); }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  [[nodiscard]] std::string path(const char* name) const { return path_ + "/" + name; }

 private:
  std::string path_ = std::filesystem::temp_directory_path() / "fairlead_http_XXXXXX";
};

TEST_CASE("routes: health, readiness, metrics") {
  CHECK(call(routes(), "GET", "/healthz").status == 200);
  CHECK(call(routes(), "GET", "/healthz").body == "ok\n");
  CHECK(call(routes({"worker 2 hangs", ""}), "GET", "/healthz").status == 503);
  CHECK(call(routes({"worker 2 hangs", ""}), "GET", "/healthz").body == "worker 2 hangs\n");
  CHECK(call(routes({"", "no master"}), "GET", "/healthz").status == 200);
  CHECK(call(routes(), "GET", "/readyz").status == 200);
  CHECK(call(routes({"", "no master"}), "GET", "/readyz").body == "no master\n");
  CHECK(call(routes({"worker 2 hangs", "no master"}), "GET", "/readyz").body == "worker 2 hangs\n");
  const HttpReply metrics = call(routes(), "GET", "/metrics");
  CHECK(metrics.status == 200);
  CHECK(metrics.content_type == "text/plain; version=0.0.4; charset=utf-8");
  CHECK(metrics.body == "fairlead_up 1\n");
}

TEST_CASE("routes: other paths and methods") {
  for (const char* target : {"/", "/healthz/", "/health", "*", "", "//healthz", "/metricsx"}) {
    CHECK(call(routes(), "GET", target).status == 404);
  }
  for (const char* target :
       {"/healthz?full=1", "/healthz#x", "http://proxy:9000/healthz", "/healthz?/metrics"}) {
    CHECK(call(routes(), "GET", target).body == "ok\n");
  }
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "get", ""}) {
    const HttpReply reply = call(routes(), method, "/healthz");
    CHECK(reply.status == 405);
    CHECK(reply.headers == std::vector<std::pair<std::string, std::string>>{{"Allow", "GET, HEAD"}});
  }
}

TEST_CASE("the path of a target") {
  CHECK(path_of("/a/b?c=d#e") == "/a/b");
  CHECK(path_of("/a#e?c") == "/a");
  CHECK(path_of("http://host:9000/a?b") == "/a");
  CHECK(path_of("https://host/a") == "/a");
  CHECK(path_of("http://host") == "/");
  CHECK(path_of("http://host?x=/a") == "/");
  CHECK(path_of("*") == "*");
  CHECK(path_of("").empty());
}

TEST_CASE("a request is answered and the connection kept; the client may end it") {
  HttpFixture http(routes());
  REQUIRE(http.errors().empty());
  RawClient client(http.port());
  for (int i = 0; i < 3; ++i) {
    REQUIRE(client.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"));
    const std::string reply = client.read_reply();
    CHECK(reply.starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(reply.find("Server: fairlead\r\n") != std::string::npos);
    CHECK(reply.find("Cache-Control: no-store\r\n") != std::string::npos);
    CHECK(body_of(reply) == "ok\n");
  }
  REQUIRE(client.send("GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
  const std::string last = client.read_all();
  CHECK(last.find("Connection: close\r\n") != std::string::npos);
  CHECK(body_of(last) == "fairlead_up 1\n");
  CHECK(http.counters().requests == 4);
  CHECK(http.counters().connections == 1);
  CHECK(http.wait_for_connections(0));
}

TEST_CASE("HTTP/1.0 is closed unless it asks to be kept") {
  HttpFixture http(routes());
  RawClient plain(http.port());
  REQUIRE(plain.send("GET /healthz HTTP/1.0\r\n\r\n"));
  CHECK(body_of(plain.read_all()) == "ok\n");
  RawClient kept(http.port());
  for (int i = 0; i < 2; ++i) {
    REQUIRE(kept.send("GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
    CHECK(body_of(kept.read_reply()) == "ok\n");
  }
}

TEST_CASE("HEAD is answered like GET, without the body") {
  HttpFixture http(routes({"worker 2 hangs", ""}));
  RawClient client(http.port());
  REQUIRE(
      client.send("HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\nHEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
                  "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
  const std::string metrics = client.read_until("\r\n\r\n");
  CHECK(metrics.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(metrics.find("Content-Length: 14\r\n") != std::string::npos);
  const std::string health = client.read_until("\r\n\r\n");
  CHECK(health.starts_with("HTTP/1.1 503 "));
  CHECK(health.find("Content-Length: 15\r\n") != std::string::npos);
  const std::string last = client.read_all();
  CHECK(last.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(body_of(last) == "fairlead_up 1\n");
}

TEST_CASE("pipelined requests are answered in order") {
  HttpFixture http([](const HttpRequestView& request) {
    HttpReply reply;
    reply.body = std::string(request.target) + "=" + std::string(request.body);
    return reply;
  });
  RawClient client(http.port());
  std::string requests;
  for (int i = 0; i < 100; ++i) {
    requests += "POST /" + std::to_string(i) + " HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n" +
                std::to_string(10 + i % 90);
  }
  REQUIRE(client.send(requests));
  for (int i = 0; i < 100; ++i) {
    CHECK(body_of(client.read_reply()) == "/" + std::to_string(i) + "=" + std::to_string(10 + i % 90));
  }
}

TEST_CASE("a request may come byte by byte") {
  HttpFixture http(routes());
  RawClient client(http.port());
  for (int i = 0; i < 2; ++i) {
    for (const char c : std::string_view("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"))
      REQUIRE(client.send({&c, 1}));
    CHECK(body_of(client.read_reply()) == "ok\n");
  }
}

TEST_CASE("404 and 405 keep the connection") {
  HttpFixture http(routes());
  RawClient client(http.port());
  REQUIRE(client.send("GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"));
  CHECK(client.read_reply().starts_with("HTTP/1.1 404 Not Found\r\n"));
  REQUIRE(client.send("POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"));
  const std::string reply = client.read_reply();
  CHECK(reply.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"));
  CHECK(reply.find("Allow: GET, HEAD\r\n") != std::string::npos);
  REQUIRE(client.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"));
  CHECK(client.read_reply().starts_with("HTTP/1.1 200 OK\r\n"));
}

TEST_CASE("with a login, pages ask for it and probes do not") {
  HttpFixture http(require_login({"admin", "s3cret"}, probe_paths(), routes()));
  RawClient client(http.port());
  REQUIRE(client.send("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"));
  const std::string refused = client.read_reply();
  CHECK(refused.starts_with("HTTP/1.1 401 Unauthorized\r\n"));
  CHECK(refused.find("WWW-Authenticate: Basic realm=\"fairlead\"") != std::string::npos);
  REQUIRE(client.send("GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YWRtaW46czNjcmV0\r\n\r\n"));
  CHECK(body_of(client.read_reply()) == "fairlead_up 1\n");
  REQUIRE(client.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"));
  CHECK(body_of(client.read_reply()) == "ok\n");
}

TEST_CASE("a port that is taken is reported with its remedy, and the other addresses serve") {
  HttpFixture first(routes());
  const resp::Address taken{"127.0.0.1", first.port(), false};
  HttpFixture second(routes(), {}, {{"127.0.0.1", 0, false}, taken});
  CHECK(second.errors() ==
        std::vector<std::string>{
            "cannot listen on " + resp::to_string(taken) +
            " for HTTP: Address already in use; taken by another process; stop it, or choose "
            "another address with --stats or 'listen' in [stats]"});
  RawClient client(second.port());
  REQUIRE(client.send("GET /healthz HTTP/1.0\r\n\r\n"));
  CHECK(body_of(client.read_all()) == "ok\n");
}

TEST_CASE("an address of another machine is reported") {
  // 192.0.2.0/24 is for documentation (RFC 5737): no interface has it.
  HttpFixture http(routes(), {}, {{"192.0.2.1", 0, false}});
  CHECK(http.errors() ==
        std::vector<std::string>{
            "cannot listen on 192.0.2.1:0 for HTTP: Cannot assign requested address; no interface of "
            "this machine has this address; choose another with --stats or 'listen' in [stats]"});
}

TEST_CASE("unix sockets: served, and removed at the end") {
  const TemporaryDirectory directory;
  const std::string path = directory.path("stats.sock");
  {
    HttpFixture http(routes(), {}, {{path, 0, true}});
    REQUIRE(http.errors().empty());
    RawClient client(path);
    REQUIRE(client.send("GET /healthz HTTP/1.0\r\n\r\n"));
    CHECK(body_of(client.read_all()) == "ok\n");
    HttpFixture rival(routes(), {}, {{path, 0, true}});
    CHECK(rival.errors().size() == 1);
    CHECK(std::filesystem::exists(path));
  }
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("unix sockets: one that a killed process left is replaced, a file of somebody else's is not") {
  const TemporaryDirectory directory;
  const std::string stale = directory.path("stale.sock");
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  stale.copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  close(fd);
  {
    HttpFixture http(routes(), {}, {{stale, 0, true}});
    CHECK(http.errors().empty());
    RawClient client(stale);
    REQUIRE(client.send("GET /healthz HTTP/1.0\r\n\r\n"));
    CHECK(body_of(client.read_all()) == "ok\n");
  }
  const std::string file = directory.path("precious");
  std::ofstream(file) << "data";
  HttpFixture http(routes(), {}, {{file, 0, true}, {directory.path(std::string(200, 'x').c_str()), 0, true}});
  CHECK(http.errors().size() == 2);
  CHECK(std::filesystem::file_size(file) == 4);
}

}  // namespace
}  // namespace fairlead::proxy
