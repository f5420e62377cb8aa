// What the reader keeps and what it looks at: no allocation for a frame in one piece, nothing kept between
// frames, nothing by announced counts, no byte of a finished argument twice.
#include <algorithm>
#include <catch2/catch.hpp>

#include "resp/command_reader.hpp"
#include "resp/writer.hpp"
#include "tests/resp/allocation_count.hpp"

using namespace fairlead::resp;

namespace {

const CommandLimits limits;
constexpr auto authenticated = LoginState::authenticated;

std::string frame_of(int args) {
  const std::vector<std::string> words(static_cast<std::size_t>(args), "word");
  std::string frame;
  append_command(frame, std::span<const std::string>(words));
  return frame;
}

}  // namespace

TEST_CASE("a frame in one piece allocates nothing", "[command_reader]") {
  CommandReader reader(limits);
  CommandScratch scratch;
  const std::string frames[] = {frame_of(8), "SET key 'some value that is longer than a short string'\r\n",
                                "*0\r\n"};
  for (const std::string& frame : frames) {
    CHECK(reader.read(frame, scratch, authenticated).status !=
          ReadStatus::need_more);  // the scratch grows once
  }
  const std::size_t before = testing::allocations_made();
  bool whole = true;
  for (int round = 0; round < 100; ++round) {
    for (const std::string& frame : frames) {
      whole = whole && reader.read(frame, scratch, authenticated).frame_bytes == frame.size();
    }
  }
  const std::size_t after = testing::allocations_made();
  CHECK(whole);
  CHECK(after == before);
}

TEST_CASE("nothing is kept between whole frames", "[command_reader]") {
  CommandReader reader(limits);
  CommandScratch scratch;
  const std::string frame = frame_of(100);
  const std::string_view view = frame;
  CHECK(reader.read(frame, scratch, authenticated).status == ReadStatus::command);
  const std::size_t idle = testing::allocations_live();
  const auto partial = reader.read(view.substr(0, 500), scratch, authenticated).status;
  const std::size_t amid = testing::allocations_live();
  const auto whole = reader.read(view, scratch, authenticated);
  const std::size_t after = testing::allocations_live();
  CHECK(partial == ReadStatus::need_more);
  CHECK(whole.status == ReadStatus::command);
  CHECK(whole.command.size() == 100);
  CHECK(whole.command[99] == "word");
  CHECK(amid == idle + 1);
  CHECK(after == idle);
}

TEST_CASE("a protocol error frees the arguments before it", "[command_reader]") {
  CommandReader reader(limits);
  CommandScratch scratch;
  const std::string bad = "*3\r\n$1\r\na\r\n$1\r\nb\r\n:1\r\n";
  const std::size_t idle = testing::allocations_live();
  {
    CommandScratch own;
    CHECK(reader.read(std::string_view(bad).substr(0, 18), own, authenticated).status ==
          ReadStatus::need_more);
    CHECK(reader.read(bad, own, authenticated).status == ReadStatus::error);
  }
  CHECK(testing::allocations_live() == idle);
}

TEST_CASE("announced counts allocate nothing", "[command_reader]") {
  CommandReader reader(limits);
  CommandScratch scratch;
  testing::forget_largest_allocation();
  const auto status =
      reader.read("*2147483647\r\n$1\r\na\r\n$536870912\r\nabc", scratch, authenticated).status;
  CHECK(status == ReadStatus::need_more);
  CHECK(testing::largest_allocation() < 1024);
}

TEST_CASE("finished arguments are never looked at again", "[command_reader]") {
  // What lies before the header at hand is overwritten before every call. A reader that went back would find
  // garbage.
  const int args = 50;
  const std::string frame = frame_of(args);
  const std::size_t count_header = std::string_view("*50\r\n").size();
  const std::size_t arg_bytes = std::string_view("$4\r\nword\r\n").size();
  CommandReader reader(limits);
  CommandScratch scratch;
  std::string buffer;
  for (std::size_t size = 1; size < frame.size(); ++size) {
    buffer.push_back(frame[size - 1]);
    REQUIRE(reader.read(buffer, scratch, authenticated).status == ReadStatus::need_more);
    if (size < count_header) continue;
    const std::size_t finished = count_header + (size - count_header) / arg_bytes * arg_bytes;
    std::fill_n(buffer.begin(), finished, '\xee');
  }
  buffer.push_back(frame.back());
  const CommandResult result = reader.read(buffer, scratch, authenticated);
  REQUIRE(result.status == ReadStatus::command);
  CHECK(result.canonical);
  CHECK(result.frame_bytes == frame.size());
  REQUIRE(result.command.size() == static_cast<std::uint32_t>(args));
  for (std::uint32_t i = 0; i < result.command.size(); ++i) {
    CHECK(result.command[i].data() == buffer.data() + count_header + i * arg_bytes + 4);
    CHECK(result.command[i].size() == 4);
  }
}
