#include "resp/value.hpp"

#include <catch2/catch.hpp>

#include "tests/resp/allocation_count.hpp"

using namespace fairlead::resp;

namespace {

Value parsed(std::string_view bytes) {
  INFO(bytes);
  const ParsedValue result = parse_value(bytes);
  REQUIRE(result.status == ParseStatus::complete);
  REQUIRE(result.consumed == bytes.size());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    REQUIRE(parse_value(bytes.substr(0, size)).status == ParseStatus::need_more);
  }
  return result.value;
}

Value of(ValueType type, std::string_view text) {
  Value value;
  value.type = type;
  value.text = text;
  return value;
}

std::string repeated(std::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

}  // namespace

TEST_CASE("every simple type", "[value]") {
  CHECK(parsed("+OK\r\n") == make_simple("OK"));
  CHECK(parsed("+\r\n") == make_simple(""));
  CHECK(parsed("-ERR no\r\n") == make_error("ERR no"));
  CHECK(parsed(":-9223372036854775808\r\n").integer == INT64_MIN);
  CHECK(parsed("$3\r\nfoo\r\n") == make_bulk("foo"));
  CHECK(parsed("$2\r\n\r\n\r\n") == make_bulk("\r\n"));
  CHECK(parsed("$0\r\n\r\n") == make_bulk(""));
  CHECK(parsed("$-1\r\n") == Value());
  CHECK(parsed("*-1\r\n") == Value());
  CHECK(parsed("_\r\n") == Value());
  CHECK(parsed("#t\r\n").integer == 1);
  CHECK(parsed("#f\r\n").type == ValueType::boolean);
  CHECK(parsed(",1.5e3\r\n") == of(ValueType::real, "1.5e3"));
  CHECK(parsed(",-inf\r\n") == of(ValueType::real, "-inf"));
  CHECK(parsed("(-123456789012345678901234567890\r\n") ==
        of(ValueType::big_number, "-123456789012345678901234567890"));
  CHECK(parsed("!5\r\nERR a\r\n") == make_error("ERR a"));
  CHECK(parsed("=6\r\ntxt:ab\r\n") == of(ValueType::verbatim, "ab"));
}

TEST_CASE("aggregates nest", "[value]") {
  const Value pair = make_array({make_integer(1), make_bulk("a")});
  CHECK(parsed("*2\r\n:1\r\n$1\r\na\r\n") == pair);
  CHECK(parsed("*2\r\n*2\r\n:1\r\n$1\r\na\r\n*0\r\n") == make_array({pair, make_array({})}));
  CHECK(parsed("~1\r\n_\r\n").type == ValueType::set);
  CHECK(parsed(">1\r\n+a\r\n").type == ValueType::push);
  CHECK(parsed("%0\r\n").type == ValueType::map);
  CHECK(parsed("%1\r\n+a\r\n%1\r\n+b\r\n:2\r\n").items.at(1).items.at(1) == make_integer(2));
}

TEST_CASE("attributes are left out of the tree", "[value]") {
  CHECK(parsed("|1\r\n+ttl\r\n:3600\r\n+OK\r\n") == make_simple("OK"));
  CHECK(parsed("|0\r\n+OK\r\n") == make_simple("OK"));
  CHECK(parsed("*2\r\n:1\r\n|1\r\n+k\r\n*1\r\n|1\r\n+x\r\n+y\r\n_\r\n:2\r\n") ==
        make_array({make_integer(1), make_integer(2)}));
}

TEST_CASE("find looks for text keys of maps and flat arrays", "[value]") {
  const Value map = parsed("%2\r\n+a\r\n:1\r\n$1\r\nb\r\n:2\r\n");
  REQUIRE(map.find("b") != nullptr);
  CHECK(*map.find("b") == make_integer(2));
  CHECK(map.find("c") == nullptr);
  const Value flat = parsed("*4\r\n$1\r\na\r\n$1\r\nb\r\n:7\r\n:8\r\n");
  CHECK(*flat.find("a") == make_bulk("b"));
  CHECK(flat.find("b") == nullptr);  // a value is no key
  CHECK(parsed("*3\r\n+a\r\n:1\r\n+b\r\n").find("b") == nullptr);
  CHECK(parsed("~2\r\n+a\r\n:1\r\n").find("a") == nullptr);
  CHECK(make_bulk("a").find("a") == nullptr);
}

TEST_CASE("what is not RESP makes no value", "[value]") {
  for (const char* bytes : {"x",
                            "\r\n",
                            "PING\r\n",
                            ":\r\n",
                            ":a\r\n",
                            ":1 \r\n",
                            ":9223372036854775808\r\n",
                            "$a\r\n",
                            "$-2\r\n",
                            "$01\r\n",
                            "$+1\r\n",
                            "$1\r\nab\r\n",
                            "$1\r\na\rb",
                            "*-2\r\n",
                            "%-1\r\n",
                            "~-1\r\n",
                            ">-1\r\n",
                            "|-1\r\n",
                            "!-1\r\n",
                            "=-1\r\n",
                            "=3\r\ntxt\r\n",
                            "#x\r\n",
                            "#tt\r\n",
                            "_x\r\n",
                            "$?\r\n",
                            "*?\r\n",
                            ".\r\n",
                            ";1\r\na\r\n",
                            "$9223372036854775807\r\n",
                            "*9223372036854775807\r\n",
                            "*1\r\nx",
                            "*11111111111111111111111111"}) {
    INFO(bytes);
    CHECK(parse_value(bytes).status == ParseStatus::malformed);
  }
}

TEST_CASE("nesting is bounded", "[value]") {
  CHECK(parse_value(repeated("*1\r\n", value_depth_max) + ":1\r\n").status == ParseStatus::complete);
  CHECK(parse_value(repeated("*1\r\n", value_depth_max + 1) + ":1\r\n").status == ParseStatus::malformed);
  CHECK(parse_value(repeated("*1\r\n", 1000000)).status == ParseStatus::malformed);
  CHECK(parse_value(repeated("|1\r\n", 1000000)).status == ParseStatus::malformed);
}

TEST_CASE("announced sizes allocate nothing", "[value]") {
  testing::forget_largest_allocation();
  CHECK(parse_value("*1000000000\r\n:1\r\n").status == ParseStatus::need_more);
  CHECK(parse_value("%1000000000\r\n:1\r\n").status == ParseStatus::need_more);
  CHECK(parse_value("$1000000000\r\nabc").status == ParseStatus::need_more);
  CHECK(testing::largest_allocation() < 4096);
}
