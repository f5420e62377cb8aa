// What a bad, slow or greedy client gets from the HTTP listener.
#include <cstdint>

#include "proxy/admin/routes.hpp"
#include "tests/proxy/http_fixture.hpp"

namespace fairlead::proxy {
namespace {

using std::chrono::milliseconds;
using test::HttpFixture;
using test::RawClient;

HttpHandler ok() {
  return [](const HttpRequestView&) {
    HttpReply reply;
    reply.body = "ok\n";
    return reply;
  };
}

/// A number sequence without a seed from outside, so that a failure comes again.
std::string garbage(std::size_t size) {
  std::string result;
  std::uint32_t state = 1;
  while (result.size() < size) {
    state = state * 1'664'525U + 1'013'904'223U;
    result += static_cast<char>(state >> 24U);
  }
  return result;
}

void check_serves(HttpFixture& http) {
  RawClient client(http.port());
  REQUIRE(client.send("GET / HTTP/1.0\r\n\r\n"));
  CHECK(client.read_all().ends_with("\r\n\r\nok\n"));
}

TEST_CASE("bytes that are no HTTP are answered 400 and closed") {
  HttpFixture http(ok());
  const std::vector<std::string> inputs{garbage(2000),
                                        "*1\r\n$4\r\nPING\r\n",
                                        "GET\r\n\r\n",
                                        "GET / HTTP/9.9\r\n\r\n",
                                        "GET / HTTP/1.1\r\nno colon\r\n\r\n",
                                        "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
                                        "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
                                        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"};
  for (const std::string& input : inputs) {
    CAPTURE(input);
    RawClient client(http.port());
    REQUIRE(client.send(input));
    const std::string reply = client.read_all();
    CHECK(reply.starts_with("HTTP/1.1 400 Bad Request\r\n"));
    CHECK(reply.find("Connection: close\r\n") != std::string::npos);
  }
  CHECK(http.counters().bad_requests == inputs.size());
  CHECK(http.counters().requests == 0);
  check_serves(http);
}

TEST_CASE("headers beyond 8 KB are answered 431, in one field, in many, or in the request line") {
  HttpFixture http(ok());
  std::string many = "GET / HTTP/1.1\r\n";
  for (int i = 0; i < 1000; ++i) many += "a: b12345\r\n";
  const std::vector<std::string> inputs{"GET / HTTP/1.1\r\nX: " + std::string(9000, 'x') + "\r\n\r\n",
                                        many + "\r\n",
                                        "GET /" + std::string(9000, 'x') + " HTTP/1.1\r\n\r\n"};
  for (const std::string& input : inputs) {
    RawClient client(http.port());
    REQUIRE(client.send(input));
    CHECK(client.read_all().starts_with("HTTP/1.1 431 Request Header Fields Too Large\r\n"));
  }
  RawClient client(http.port());
  REQUIRE(client.send("GET / HTTP/1.1\r\nConnection: close\r\nX: " + std::string(8000, 'x') + "\r\n\r\n"));
  CHECK(client.read_all().starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(http.counters().bad_requests == inputs.size());
}

TEST_CASE("a client that is still sending reads the refusal nevertheless") {
  HttpFixture http(ok());
  RawClient client(http.port());
  REQUIRE(client.send("GET / HTTP/1.1\r\nX: " + std::string(60'000, 'x')));
  CHECK(client.read_all().starts_with("HTTP/1.1 431 "));
}

TEST_CASE("a body beyond the limit is answered 413, announced or not; one within it is read") {
  HttpLimits limits;
  limits.body_bytes_max = 1000;
  HttpFixture http(ok(), limits);
  RawClient announced(http.port());
  REQUIRE(announced.send("POST / HTTP/1.1\r\nContent-Length: 1001\r\n\r\n"));
  CHECK(announced.read_all().starts_with("HTTP/1.1 413 "));
  RawClient chunked(http.port());
  REQUIRE(chunked.send("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" +
                       std::string(1001, 'x') + "\r\n0\r\n\r\n"));
  CHECK(chunked.read_all().starts_with("HTTP/1.1 413 "));
  RawClient within(http.port());
  REQUIRE(within.send("POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: 1000\r\n\r\n" +
                      std::string(1000, 'x')));
  CHECK(within.read_all().starts_with("HTTP/1.1 200 "));
}

TEST_CASE("a client that does not finish its request is closed, however often it sends") {
  HttpLimits limits;
  limits.request_timeout = milliseconds(150);
  HttpFixture http(ok(), limits);
  RawClient silent(http.port());
  RawClient slow(http.port());
  const auto start = std::chrono::steady_clock::now();
  REQUIRE(slow.send("GET / HTTP/1.1\r\nX: "));
  bool open = true;
  while (open && std::chrono::steady_clock::now() - start < test::patience) {
    open = slow.send("x");
    std::this_thread::sleep_for(milliseconds(5));  // the pace of the client
  }
  CHECK_FALSE(open);
  CHECK(std::chrono::steady_clock::now() - start >= milliseconds(100));
  CHECK(silent.read_all().empty());
  CHECK(http.wait_for_connections(0));
  CHECK(http.counters().timeouts == 2);
}

TEST_CASE("a kept connection is closed when nothing comes") {
  HttpLimits limits;
  limits.idle_timeout = milliseconds(100);
  HttpFixture http(ok(), limits);
  RawClient client(http.port());
  REQUIRE(client.send("GET / HTTP/1.1\r\n\r\n"));
  CHECK(client.read_all().ends_with("ok\n"));
  CHECK(http.wait_for_connections(0));
  CHECK(http.counters().timeouts == 1);
}

TEST_CASE("a client that does not read its reply is closed") {
  HttpLimits limits;
  limits.reply_timeout = milliseconds(150);
  HttpFixture http(
      [](const HttpRequestView&) {
        HttpReply reply;
        reply.body.assign(64U << 20, 'x');
        return reply;
      },
      limits);
  RawClient client(http.port());
  REQUIRE(client.send("GET / HTTP/1.1\r\n\r\n"));
  REQUIRE(http.wait_for_connections(1));
  CHECK(http.wait_for_connections(0));
  CHECK(http.counters().timeouts == 1);
}

TEST_CASE("connections beyond the limit are closed at once, and room is found again") {
  HttpLimits limits;
  limits.connections_max = 2;
  HttpFixture http(ok(), limits);
  {
    RawClient first(http.port());
    RawClient second(http.port());
    REQUIRE(http.wait_for_connections(2));
    RawClient third(http.port());
    CHECK(third.read_all().empty());
    CHECK(http.counters().connections_refused == 1);
    REQUIRE(first.send("GET / HTTP/1.1\r\n\r\n"));
    CHECK(first.read_reply().ends_with("ok\n"));
  }
  REQUIRE(http.wait_for_connections(0));
  check_serves(http);
}

TEST_CASE("a client that goes away in the middle leaves nothing behind") {
  HttpFixture http(ok());
  for (const char* input :
       {"", "GET", "GET / HTTP/1.1\r\nX: y", "POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc"}) {
    RawClient client(http.port());
    REQUIRE(client.send(input));
    client.finish_sending();
    CHECK(client.read_all().empty());
  }
  CHECK(http.wait_for_connections(0));
  CHECK(http.counters().bad_requests == 0);
  check_serves(http);
}

TEST_CASE("stopping closes connections in every state") {
  std::vector<std::unique_ptr<RawClient>> clients;
  {
    HttpFixture http(ok());
    for (const char* input : {"", "GET / HT", "GET / HTTP/1.1\r\n\r\n"}) {
      clients.push_back(std::make_unique<RawClient>(http.port()));
      REQUIRE(clients.back()->send(input));
    }
    CHECK(clients.back()->read_reply().ends_with("ok\n"));
    REQUIRE(http.wait_for_connections(3));
  }
  for (const auto& client : clients) CHECK(client->read_all().empty());
}

}  // namespace
}  // namespace fairlead::proxy
