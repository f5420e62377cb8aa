#include "resp/decimal.hpp"

#include <catch2/catch.hpp>
#include <limits>
#include <string>

using namespace fairlead::resp;

TEST_CASE("decimals are those of string2ll", "[decimal]") {
  CHECK(parse_decimal("0") == 0);
  CHECK(parse_decimal("-1") == -1);
  CHECK(parse_decimal("1234567890") == 1234567890);
  CHECK(parse_decimal("9223372036854775807") == std::numeric_limits<std::int64_t>::max());
  CHECK(parse_decimal("-9223372036854775808") == std::numeric_limits<std::int64_t>::min());
  for (const char* bad : {"", "-", "-0", "+1", "01", "00", "-01", " 1", "1 ", "1a", "0x1",
                          "9223372036854775808", "-9223372036854775809", "99999999999999999999999", "--1"}) {
    INFO(bad);
    CHECK_FALSE(parse_decimal(bad).has_value());
  }
}

TEST_CASE("integers of replies may have a plus", "[decimal]") {
  CHECK(parse_integer("+5") == 5);
  CHECK(parse_integer("-5") == -5);
  CHECK_FALSE(parse_integer("+-5").has_value());
  CHECK_FALSE(parse_integer("++5").has_value());
  CHECK_FALSE(parse_integer("+").has_value());
}

TEST_CASE("a plain line is whole, short and unsigned", "[decimal]") {
  const auto read = [](const std::string& line) {
    std::uint32_t value = 0;
    const char* const end = read_plain_line(line.data(), line.data() + line.size(), value);
    return end == nullptr ? std::string("unusual")
                          : std::to_string(value) + "/" + std::to_string(end - line.data());
  };
  CHECK(read("0\r\n") == "0/3");
  CHECK(read("7\r\nrest") == "7/3");
  CHECK(read("999999999\r\n") == "999999999/11");
  for (const char* other : {"", "\r\n", "1", "1\r", "1\rx", "00\r\n", "01\r\n", "-1\r\n", "+1\r\n",
                            "1000000000\r\n", "1a\r\n", "1\n\n", "999999999", "999999999\r"}) {
    INFO(other);
    CHECK(read(other) == "unusual");
  }
}
