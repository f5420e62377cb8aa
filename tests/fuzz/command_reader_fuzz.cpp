// Fuzzes the command reader. The first byte chooses login state, limits and the size of the pieces; the rest
// is what a client sent. What must hold: no split changes a result, every frame makes progress, arguments lie
// in their frame, a frame is called canonical if and only if encoding its arguments gives the same bytes, and
// the short way through plain frames finds the same frames.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "resp/name_fold.hpp"
#include "tests/resp/command_driver.hpp"

namespace {

using namespace fairlead::resp;

[[noreturn]] void stop(const std::string& why) {
  std::fprintf(stderr, "broken: %s\n", why.c_str());
  std::abort();
}

// A frame that is not canonical is encoded anew before it goes to a server: it must read back as the same
// arguments.
void check_encoding(const testing::CommandEvent& event) {
  std::string encoded;
  append_command(encoded, std::span<const std::string>(event.args));
  const CommandLimits limits;
  const auto again = testing::read_whole(encoded, LoginState::authenticated, limits);
  if (again.events.size() != 1 || again.unread != 0 || again.events.front().args != event.args) {
    stop("an encoded command reads differently");
  }
  if (!again.events.front().canonical) stop("an encoded command is not canonical");
}

void check_run(std::string_view input, const std::string& name, const CommandLimits& limits) {
  const std::uint64_t word = fold(load_up_to_8(name.data(), name.size()));
  const FrameRun run = plain_run(input, word, name.size(), 100, 16384, limits);
  if (run.bytes > input.size() || (run.frames == 0) != (run.bytes == 0)) stop("a run is not what it says");
  const auto read = testing::read_whole(input.substr(0, run.bytes), LoginState::authenticated, limits);
  if (read.events.size() != run.frames || read.unread != 0) stop("a run has other frames");
  for (const auto& event : read.events) {
    const bool named = event.status == ReadStatus::command && event.canonical &&
                       event.args.front().size() == name.size() &&
                       fold(load_up_to_8(event.args.front().data(), name.size())) == word;
    if (!named) stop("a run has a frame of another command");
  }
}

void check_short_way(std::string_view input, const testing::CommandTranscript& whole,
                     const CommandLimits& limits) {
  for (const auto& event : whole.events) {
    const std::size_t plain = plain_frame_bytes(input, limits);
    const bool agrees = event.status == ReadStatus::command && event.canonical && plain == event.frame_bytes;
    if (plain != 0 && !agrees) stop("a frame that is called plain reads differently");
    if (event.status == ReadStatus::error) return;
    if (event.status == ReadStatus::command && !event.args.front().empty() &&
        event.args.front().size() <= 8) {
      check_run(input, event.args.front(), limits);
    }
    input.remove_prefix(event.frame_bytes);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const unsigned choice = data[0];
  // The fuzzer hands over bytes as uint8_t; the reader takes char.
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const LoginState login = (choice & 1U) != 0 ? LoginState::required : LoginState::authenticated;
  CommandLimits limits;
  if ((choice & 2U) != 0) {
    limits.header_bytes_max = 40;
    limits.bulk_bytes_max = 100;
    limits.args_unauthenticated_max = 2;
    limits.bulk_unauthenticated_max = 10;
  }

  const auto whole = testing::read_whole(input, login, limits);
  if (!whole.violation.empty()) stop(whole.violation);
  if (login == LoginState::authenticated) check_short_way(input, whole, limits);
  if (testing::read_bytewise(input, login, limits) != whole) stop("byte by byte reads differently");
  const std::size_t piece = 2 + (choice >> 2);
  const auto pieces =
      testing::read_commands(input, login, limits, [&](std::size_t end) { return end + piece; });
  if (pieces != whole) stop("pieces read differently");
  for (const auto& event : whole.events) {
    if (event.status == ReadStatus::command && !event.canonical) check_encoding(event);
  }
  return 0;
}
