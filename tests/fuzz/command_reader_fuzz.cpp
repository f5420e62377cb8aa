// Fuzzes the command reader. The first byte chooses login state, limits and the size of the pieces; the rest
// is what a client sent. What must hold: no split changes a result, every frame makes progress, arguments lie
// in their frame, and a frame is called canonical if and only if encoding its arguments gives the same bytes.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

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
