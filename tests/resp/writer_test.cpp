#include "resp/writer.hpp"

#include <catch2/catch.hpp>
#include <limits>

#include "resp/value.hpp"

using namespace fairlead::resp;

namespace {

template <typename Function, typename... Args>
std::string written(Function function, Args... args) {
  std::string out = "before";
  function(out, args...);
  REQUIRE(out.starts_with("before"));
  return out.substr(6);
}

}  // namespace

TEST_CASE("commands are written in canonical form", "[writer]") {
  std::string out;
  append_command(out, {"SET", "k", ""});
  CHECK(out == "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n");

  out.clear();
  const std::vector<std::string> args{"GET", std::string("a\0b", 3)};
  append_command(out, std::span<const std::string>(args));
  CHECK(out == std::string("*2\r\n$3\r\nGET\r\n$3\r\na\0b\r\n", 22));

  out.clear();
  const std::string base = "ECHOhi";
  const Slice slices[] = {{0, 4}, {4, 2}};
  append_command(out, CommandView(base.data(), slices, 2));
  CHECK(out == "*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n");
}

TEST_CASE("lines cannot be broken by their text", "[writer]") {
  CHECK(written(append_simple, "OK") == "+OK\r\n");
  CHECK(written(append_error, "ERR no such key") == "-ERR no such key\r\n");
  CHECK(written(append_error, "ERR a\r\nb\n") == "-ERR a  b \r\n");
  CHECK(written(append_simple, "a\r\n+b") == "+a  +b\r\n");
}

TEST_CASE("numbers are written to their limits", "[writer]") {
  CHECK(written(append_integer, 0) == ":0\r\n");
  CHECK(written(append_integer, std::numeric_limits<std::int64_t>::min()) == ":-9223372036854775808\r\n");
  CHECK(written(append_integer, std::numeric_limits<std::int64_t>::max()) == ":9223372036854775807\r\n");
  CHECK(written(append_array_header, std::numeric_limits<std::size_t>::max()) == "*18446744073709551615\r\n");
  CHECK(written(append_bulk, "ab") == "$2\r\nab\r\n");
}

TEST_CASE("both versions of every type", "[writer]") {
  const auto v2 = Version::resp2;
  const auto v3 = Version::resp3;
  CHECK(written(append_null, v2) == "$-1\r\n");
  CHECK(written(append_null, v3) == "_\r\n");
  CHECK(written(append_null_array, v2) == "*-1\r\n");
  CHECK(written(append_null_array, v3) == "_\r\n");
  CHECK(written(append_map_header, 2U, v2) == "*4\r\n");
  CHECK(written(append_map_header, 2U, v3) == "%2\r\n");
  CHECK(written(append_set_header, 2U, v2) == "*2\r\n");
  CHECK(written(append_set_header, 2U, v3) == "~2\r\n");
  CHECK(written(append_push_header, 3U, v2) == "*3\r\n");
  CHECK(written(append_push_header, 3U, v3) == ">3\r\n");
  CHECK(written(append_boolean, true, v2) == ":1\r\n");
  CHECK(written(append_boolean, false, v2) == ":0\r\n");
  CHECK(written(append_boolean, true, v3) == "#t\r\n");
  CHECK(written(append_boolean, false, v3) == "#f\r\n");
  CHECK(written(append_verbatim, "ab", v2) == "$2\r\nab\r\n");
  CHECK(written(append_verbatim, "ab", v3) == "=6\r\ntxt:ab\r\n");
}

TEST_CASE("doubles are written as redis 7.0 does", "[writer]") {
  CHECK(written(append_double, 1.5, Version::resp3) == ",1.5\r\n");
  CHECK(written(append_double, 0.1, Version::resp2) == "$19\r\n0.10000000000000001\r\n");
  CHECK(written(append_double, 3.0, Version::resp2) == "$1\r\n3\r\n");
  CHECK(written(append_double, 1e300, Version::resp3) == ",1.0000000000000001e+300\r\n");
  CHECK(written(append_double, -std::numeric_limits<double>::denorm_min(), Version::resp3) ==
        ",-4.9406564584124654e-324\r\n");
  CHECK(written(append_double, std::numeric_limits<double>::infinity(), Version::resp3) == ",inf\r\n");
  CHECK(written(append_double, -std::numeric_limits<double>::infinity(), Version::resp2) == "$4\r\n-inf\r\n");
  CHECK(written(append_double, std::numeric_limits<double>::quiet_NaN(), Version::resp3) == ",nan\r\n");
}

TEST_CASE("what is written reads back", "[writer]") {
  std::string out;
  append_map_header(out, 1, Version::resp3);
  append_bulk(out, "proto");
  append_integer(out, 3);
  const ParsedValue parsed = parse_value(out);
  REQUIRE(parsed.status == ParseStatus::complete);
  REQUIRE(parsed.value.find("proto") != nullptr);
  CHECK(parsed.value.find("proto")->integer == 3);
}
