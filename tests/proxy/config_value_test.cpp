#include "proxy/config_value.hpp"

#include <chrono>

#include <catch2/catch.hpp>

#include "proxy/config_suggest.hpp"

namespace fairlead::proxy {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

constexpr Range<milliseconds> up_to_a_day{milliseconds(0), hours(24)};
constexpr Range<std::uint64_t> any_size{0, ~0ULL};

milliseconds duration(std::string_view text) {
  const auto parsed = parse_duration(text, up_to_a_day);
  INFO(text << ": " << parsed.error);
  REQUIRE(parsed.value);
  return *parsed.value;
}

std::uint64_t bytes_of(std::string_view text) {
  const auto parsed = parse_size(text, any_size);
  INFO(text << ": " << parsed.error);
  REQUIRE(parsed.value);
  return *parsed.value;
}

TEST_CASE("durations: each unit, and zero without one") {
  CHECK(duration("500ms") == milliseconds(500));
  CHECK(duration("10s") == milliseconds(10'000));
  CHECK(duration("5m") == milliseconds(300'000));
  CHECK(duration("1h") == milliseconds(3'600'000));
  CHECK(duration("2H") == milliseconds(7'200'000));
  CHECK(duration("0") == milliseconds(0));
  CHECK(duration("0s") == milliseconds(0));
}

TEST_CASE("durations: a number without a unit is told which units there are") {
  CHECK(parse_duration("10", up_to_a_day).error == "'10' has no unit; write 10ms, 10s, 10m or 10h");
  CHECK(parse_duration("007", up_to_a_day).error == "'007' has no unit; write 007ms, 007s, 007m or 007h");
}

TEST_CASE("durations: nonsense is refused") {
  for (const char* text : {"", "s", "10 s", "10 parsecs", "-1s", "+1s", "1.5s", "1s ", "0x10s", "1d"}) {
    const auto parsed = parse_duration(text, up_to_a_day);
    CHECK_FALSE(parsed.value);
    CHECK(parsed.error ==
          "'" + std::string(text) + "' is not a duration; write for example 500ms, 10s, 5m or 1h");
  }
}

TEST_CASE("durations: out of range, and beyond what an integer holds") {
  const Range<milliseconds> range{milliseconds(10), hours(1)};
  CHECK(parse_duration("9ms", range).error == "'9ms' is out of range; write 10ms to 1h");
  CHECK(parse_duration("61m", range).error == "'61m' is out of range; write 10ms to 1h");
  CHECK(parse_duration("0", range).error == "'0' is out of range; write 10ms to 1h");
  CHECK_FALSE(parse_duration("18446744073709551615h", up_to_a_day).value);
  CHECK_FALSE(parse_duration("18446744073709551616ms", up_to_a_day).value);
  CHECK_FALSE(parse_duration("18446744073709551615ms", up_to_a_day).value);
}

TEST_CASE("sizes are powers of 1024, in either case, plain bytes too") {
  CHECK(bytes_of("0") == 0);
  CHECK(bytes_of("65536") == 65536);
  CHECK(bytes_of("65536b") == 65536);
  CHECK(bytes_of("64kb") == 65536);
  CHECK(bytes_of("10mb") == 10'485'760);
  CHECK(bytes_of("1gb") == 1'073'741'824);
  CHECK(bytes_of("1GB") == 1'073'741'824);
}

TEST_CASE("sizes: nonsense, overflow and range") {
  for (const char* text :
       {"", "kb", "64 kb", "64k", "-1", "1.5mb", "1tb", "99999999999999999999", "99999999999gb"}) {
    const auto parsed = parse_size(text, any_size);
    CHECK_FALSE(parsed.value);
    CHECK(parsed.error ==
          "'" + std::string(text) + "' is not a size; write for example 65536, 64kb, 10mb or 1gb");
  }
  CHECK(parse_size("1023", {1024, 1ULL << 30}).error == "'1023' is out of range; write 1kb to 1gb");
}

TEST_CASE("durations and sizes are shown in the form that is read back") {
  for (const int count : {0, 1, 999, 1000, 1500, 60'000, 90'000, 3'600'000, 86'400'000}) {
    CHECK(duration(format_duration(milliseconds(count))) == milliseconds(count));
  }
  for (const std::uint64_t bytes :
       {0ULL, 1ULL, 1023ULL, 1024ULL, 1536ULL, 1ULL << 20, 1ULL << 30, (1ULL << 30) + 1}) {
    CHECK(bytes_of(format_size(bytes)) == bytes);
  }
  CHECK(format_duration(milliseconds(90'000)) == "90s");
  CHECK(format_duration(milliseconds(0)) == "0");
  CHECK(format_size(64ULL << 20) == "64mb");
  CHECK(format_size(1000) == "1000");
}

TEST_CASE("whole numbers") {
  CHECK(parse_count("0", {0, 5}).value == 0U);
  CHECK(parse_count("5", {0, 5}).value == 5U);
  CHECK(parse_count("6", {0, 5}).error == "'6' is out of range; write 0 to 5");
  CHECK(parse_count("99999999999999999999", {0, 5}).error ==
        "'99999999999999999999' is out of range; write 0 to 5");
  for (const char* text : {"", "x", "-1", "1 ", " 1", "1.0", "0x1"}) {
    CHECK(parse_count(text, {0, 5}).error ==
          "'" + std::string(text) + "' is not a whole number; write 0 to 5");
  }
}

TEST_CASE("yes and no") {
  for (const char* yes : {"true", "TRUE", "yes", "on", "1"}) CHECK(parse_toggle(yes).value == true);
  for (const char* no : {"false", "No", "off", "0"}) CHECK(parse_toggle(no).value == false);
  CHECK(parse_toggle("maybe").error == "'maybe' is neither true nor false");
  CHECK_FALSE(parse_toggle("").value);
}

TEST_CASE("addresses: listeners may leave the host out, peers may not") {
  const auto listener = [](std::string_view text) {
    return parse_config_address(text, 6379, AddressUse::listener);
  };
  const auto peer = [](std::string_view text) { return parse_config_address(text, 6379, AddressUse::peer); };
  CHECK(listener(":7000").value == resp::Address{"0.0.0.0", 7000, false});
  CHECK(listener("*:7000").value == resp::Address{"0.0.0.0", 7000, false});
  CHECK(listener("[::]:7000").value == resp::Address{"::", 7000, false});
  CHECK(listener("unix:/run/fairlead.sock").value == resp::Address{"/run/fairlead.sock", 0, true});
  CHECK(peer("redis-1").value == resp::Address{"redis-1", 6379, false});
  CHECK(peer(":7000").error == "':7000' names no host; write host:port");
  CHECK(peer("a:99999").error == "'a:99999' is not an address; write host:port, [v6]:port or unix:/path");
  CHECK(peer("a b").error == "'a b' is not an address; write host:port, [v6]:port or unix:/path");
}

TEST_CASE("what is loopback") {
  for (const char* host : {"127.0.0.1", "127.1.2.3", "::1", "localhost"})
    CHECK(is_loopback({host, 1, false}));
  CHECK(is_loopback({"/run/fairlead.sock", 0, true}));
  for (const char* host : {"0.0.0.0", "::", "10.0.0.1", "127.example.org", "localhost.example.org"}) {
    CHECK_FALSE(is_loopback({host, 1, false}));
  }
}

TEST_CASE("strings in TOML and lists by comma") {
  CHECK(quote_toml("a\"b\\c\n\x7f") == R"("a\"b\\c\u000A\u007F")");
  CHECK(split_list("a, b,,c ,") == std::vector<std::string>{"a", "b", "c"});
  CHECK(split_list("").empty());
  CHECK(split_list(" , ").empty());
}

TEST_CASE("edit distance counts letters, and a swap once") {
  CHECK(edit_distance("", "") == 0);
  CHECK(edit_distance("", "abc") == 3);
  CHECK(edit_distance("abc", "") == 3);
  CHECK(edit_distance("hold", "hold") == 0);
  CHECK(edit_distance("hlod", "hold") == 1);
  CHECK(edit_distance("max-client", "max-clients") == 1);
  CHECK(edit_distance("kitten", "sitting") == 3);
  CHECK(edit_distance("ca", "abc") == 3);
}

TEST_CASE("suggestions are near, or there are none") {
  const std::vector<std::string> names{"listen", "threads", "max-clients", "hold", "user"};
  CHECK(suggest("max-client", names) == "max-clients");
  CHECK(suggest("lsiten", names) == "listen");
  CHECK(suggest("hlod", names) == "hold");
  CHECK(suggest("maxclient", names) == "max-clients");
  CHECK(suggest("usre", names) == "user");
  CHECK(suggest("cold", names) == "hold");
  CHECK(suggest("gold-digger", names).empty());
  CHECK(suggest("zz", names).empty());
  CHECK(suggest("", names).empty());
}

}  // namespace
}  // namespace fairlead::proxy
