// Lines and headers of 64 KiB, and frames at the end of 32 bits.
#include <catch2/catch.hpp>

#include "resp/command_reader.hpp"
#include "tests/resp/command_driver.hpp"

using namespace fairlead::resp;

namespace {

const CommandLimits limits;
constexpr std::size_t header_max = 65536;

testing::CommandTranscript read_some_ways(const std::string& input) {
  const auto login = LoginState::authenticated;
  const auto whole = testing::read_whole(input, login, limits);
  REQUIRE(whole.violation == "");
  REQUIRE(testing::read_bytewise(input, login, limits) == whole);
  for (const std::size_t cut : {header_max - 1, header_max, header_max + 1, header_max + 2}) {
    if (cut < input.size()) REQUIRE(testing::read_cut(input, login, limits, cut) == whole);
  }
  const auto pieces =
      testing::read_commands(input, login, limits, [](std::size_t end) { return end + 16384; });
  REQUIRE(pieces == whole);
  return whole;
}

void check_error(const std::string& input, const std::string& error) {
  const auto transcript = read_some_ways(input);
  REQUIRE(transcript.events.size() == 1);
  CHECK(transcript.events.front().error == error);
}

}  // namespace

TEST_CASE("a header without CR is given up after 64 KiB", "[command_reader]") {
  const std::string count = "*" + std::string(header_max - 1, '1');
  CHECK(read_some_ways(count).events.empty());
  check_error(count + "1", "Protocol error: too big mbulk count string");
  check_error(count + "1\r\n", "Protocol error: too big mbulk count string");
  check_error(count + "\r\n", "Protocol error: invalid multibulk length");

  const std::string bulk = "*1\r\n$" + std::string(header_max - 1, '1');
  CHECK(read_some_ways(bulk).events.empty());
  check_error(bulk + "1", "Protocol error: too big bulk count string");
  check_error(bulk + "1\r\n", "Protocol error: too big bulk count string");
  check_error(bulk + "\r\n", "Protocol error: invalid bulk length");
  // What stands there in place of '$' makes no difference: redis looks for the CR first.
  check_error("*1\r\n" + std::string(header_max + 1, 'x'), "Protocol error: too big bulk count string");
}

TEST_CASE("a line without LF is given up after 64 KiB", "[command_reader]") {
  const std::string line(header_max, 'x');
  CHECK(read_some_ways(line).events.empty());
  check_error(line + "x", "Protocol error: too big inline request");
  check_error(line + "x\n", "Protocol error: too big inline request");
  const auto transcript = read_some_ways(line + "\n");
  REQUIRE(transcript.events.size() == 1);
  CHECK(transcript.events.front().args.at(0) == line);
}

TEST_CASE("a NUL hides the end of a line until it is given up", "[command_reader]") {
  std::string line = "PING\r\n" + std::string(header_max, 'x');
  line[0] = '\0';
  line.resize(header_max);
  CHECK(read_some_ways(line).events.empty());
  check_error(line + "x", "Protocol error: too big inline request");
}

TEST_CASE("a frame beyond 32 bits is refused before it comes", "[command_reader]") {
  CommandLimits wide;
  wide.bulk_bytes_max = 1ULL << 40;
  const auto read = [&](const std::string& input) {
    return testing::read_bytewise(input, LoginState::authenticated, wide);
  };
  // 4294967295 bytes less the 17 of both headers ("*1\r\n$4294967276\r\n") and the two behind the payload.
  CHECK(read("*1\r\n$4294967276\r\n").events.empty());
  const auto refused = read("*1\r\n$4294967277\r\n");
  REQUIRE(refused.events.size() == 1);
  CHECK(refused.events.front().error == "Protocol error: too big query");
}

TEST_CASE("bytes_needed leads to the end of a payload", "[command_reader]") {
  CommandReader reader(limits);
  CommandScratch scratch;
  CHECK(reader.bytes_needed() == 1);
  const std::string header = "*2\r\n$3\r\nGET\r\n$100\r\n";
  REQUIRE(reader.read(header, scratch, LoginState::authenticated).status == ReadStatus::need_more);
  CHECK(reader.bytes_needed() == header.size() + 102);
  CHECK_FALSE(reader.at_frame_start());
  const std::string frame = header + std::string(100, 'x') + "\r\n";
  const CommandResult result = reader.read(frame, scratch, LoginState::authenticated);
  REQUIRE(result.status == ReadStatus::command);
  CHECK(result.frame_bytes == frame.size());
  CHECK(reader.at_frame_start());
  CHECK(reader.bytes_needed() == 1);
}
