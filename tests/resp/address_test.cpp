#include "resp/address.hpp"

#include <catch2/catch.hpp>

using namespace fairlead::resp;

namespace {

Address tcp(const char* host, std::uint16_t port) {
  return {host, port, false};
}
Address local(const char* path) {
  return {path, 0, true};
}

}  // namespace

TEST_CASE("addresses with a port", "[address]") {
  CHECK(parse_address("redis-1:6379") == tcp("redis-1", 6379));
  CHECK(parse_address("10.0.0.1:65535", 1) == tcp("10.0.0.1", 65535));
  CHECK(parse_address("[::1]:6379") == tcp("::1", 6379));
  CHECK(parse_address("[fe80::1%eth0]:1") == tcp("fe80::1%eth0", 1));
  CHECK(parse_address(":6379") == tcp("", 6379));
  CHECK(parse_address("unix:6379") == tcp("unix", 6379));
}

TEST_CASE("addresses without a port take the default", "[address]") {
  CHECK(parse_address("redis", 6379) == tcp("redis", 6379));
  CHECK(parse_address("::1", 6379) == tcp("::1", 6379));
  CHECK(parse_address("2001:db8::1:6379", 7) == tcp("2001:db8::1:6379", 7));
  CHECK(parse_address("[::1]", 6379) == tcp("::1", 6379));
  for (const char* text : {"redis", "::1", "[::1]"}) CHECK_FALSE(parse_address(text).has_value());
}

TEST_CASE("unix sockets", "[address]") {
  CHECK(parse_address("unix:/run/redis.sock") == local("/run/redis.sock"));
  CHECK(parse_address("/run/redis.sock", 6379) == local("/run/redis.sock"));
}

TEST_CASE("what is no address", "[address]") {
  for (const char* text : {"",          " ",      "a b:1",    "a:1 ", "a:",     "a:0",           "a:65536",
                           "a:-1",      "a:+1",   "a:01",     "a:x",  "a:1:2x", "host:1:2",      "[::1",
                           "[::1]6379", "[::1]:", "[host]:1", "[]:1", "unix:",  "unix:relative", "a\t:1",
                           "a\n"}) {
    INFO(text);
    CHECK_FALSE(parse_address(text, 6379).has_value());
  }
}

TEST_CASE("an address reads back as it was written", "[address]") {
  for (const char* text : {"redis:6379", "[::1]:6379", "unix:/run/redis.sock", ":6379"}) {
    const auto address = parse_address(text);
    REQUIRE(address.has_value());
    CHECK(to_string(*address) == text);
  }
  CHECK(to_string(local("/s")) == "unix:/s");
}
