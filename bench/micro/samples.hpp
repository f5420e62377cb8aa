// The byte streams that the micro benchmarks read.
#pragma once

#include <string>
#include <string_view>

namespace fairlead::bench {

inline std::string bulk(std::string_view text) {
  return "$" + std::to_string(text.size()) + "\r\n" + std::string(text) + "\r\n";
}

inline std::string get_command() {
  return "*2\r\n" + bulk("GET") + bulk("key:000000001234");
}

inline std::string set_command(std::size_t value_bytes) {
  return "*3\r\n" + bulk("SET") + bulk("key:000000001234") + bulk(std::string(value_bytes, 'v'));
}

inline std::string repeated(std::string_view text, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) all += text;
  return all;
}

}  // namespace fairlead::bench
