#include "resp/slot.hpp"

#include <catch2/catch.hpp>
#include <string>

using namespace fairlead::resp;

TEST_CASE("crc16 is XMODEM's", "[slot]") {
  CHECK(crc16("") == 0);
  CHECK(crc16("123456789") == 0x31C3);  // the check value of the cluster specification
  CHECK(crc16(std::string(1, '\xff')) == 0x1EF0);
}

TEST_CASE("slots are those CLUSTER KEYSLOT answers", "[slot]") {
  CHECK(key_slot("foo") == 12182);
  CHECK(key_slot("") == 0);
  CHECK(key_slot("123456789") == 0x31C3 % 16384);
}

TEST_CASE("a hash tag alone is hashed", "[slot]") {
  CHECK(key_slot("{user1000}.following") == key_slot("user1000"));
  CHECK(key_slot("{user1000}.following") == key_slot("{user1000}.followers"));
  CHECK(key_slot("foo{bar}{zap}") == key_slot("bar"));
  CHECK(key_slot("foo{{bar}}zap") == key_slot("{bar"));
}

TEST_CASE("an empty or unclosed hash tag is none", "[slot]") {
  for (const char* key : {"foo{}{bar}", "{}", "foo{bar", "foo}bar{", "{"}) {
    INFO(key);
    CHECK(key_slot(key) == crc16(key) % slot_count);
  }
}
