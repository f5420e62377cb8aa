// Fuzzes the reply scanner, and the value parser against it. The first byte chooses the size of the pieces;
// the rest is what a server sent. What must hold: no split changes a result, consumed bytes lie within the
// input, and scanner and parser, which share no state machine, find the same end of every reply.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "resp/value.hpp"
#include "tests/resp/reply_driver.hpp"

namespace {

using namespace fairlead::resp;

[[noreturn]] void stop(const std::string& why) {
  std::fprintf(stderr, "broken: %s\n", why.c_str());
  std::abort();
}

// The parser bounds nesting and the scanner does not; a reply with fewer aggregates than that cannot be too
// deep.
bool may_be_too_deep(std::string_view reply) {
  const auto aggregates = std::count_if(reply.begin(), reply.end(), [](char c) {
    return c == '*' || c == '~' || c == '%' || c == '>' || c == '|';
  });
  return aggregates > value_depth_max;
}

void check_parser(std::string_view input, const testing::ReplyTranscript& scanned) {
  std::size_t at = 0;
  for (const testing::ReplyEvent& reply : scanned.replies) {
    const ParsedValue parsed = parse_value(input.substr(at));
    if (parsed.status == ParseStatus::complete) {
      if (parsed.consumed != reply.size) stop("the parser finds another end");
      if (parsed.value.is_error() != (reply.type == '-' || reply.type == '!'))
        stop("an error for one of them only");
      if ((parsed.value.type == ValueType::null) != reply.null) stop("null for one of them only");
    } else if (!may_be_too_deep(input.substr(at, reply.size))) {
      stop("the parser refuses a reply");
    }
    at += reply.size;
  }
  const bool finds_more = parse_value(input.substr(at)).status == ParseStatus::complete;
  if (finds_more) stop("the parser finds a reply more");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  // The fuzzer hands over bytes as uint8_t; the scanner takes char.
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto whole = testing::scan_whole(input);
  if (!whole.violation.empty()) stop(whole.violation);
  if (testing::scan_bytewise(input) != whole) stop("byte by byte scans differently");
  const std::size_t piece = 2 + data[0];
  const auto pieces = testing::scan_replies(input, [&](std::size_t end) { return end + piece; });
  if (pieces != whole) stop("pieces scan differently");
  check_parser(input, whole);
  return 0;
}
