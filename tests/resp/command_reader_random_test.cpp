// Inputs made at random from the grammar and its neighbourhood, cut at random: the cut must not be seen in
// the results. The seed is fixed, so a failure stays; its number is in the message.
#include <catch2/catch.hpp>
#include <random>

#include "resp/command_reader.hpp"
#include "tests/resp/command_driver.hpp"

using namespace fairlead::resp;

namespace {

class InputMaker {
 public:
  explicit InputMaker(std::uint32_t seed) : random_(seed) {}

  std::string input() {
    std::string out;
    for (std::size_t frames = 1 + below(6); frames > 0; --frames) out += below(3) == 0 ? line() : multibulk();
    // Noise: a byte changed, taken away or put in, seldom enough that whole frames go through as well.
    if (below(3) == 0) out[below(out.size())] = byte();
    if (below(4) == 0) out.erase(below(out.size()), 1 + below(3));
    if (below(4) == 0) out.insert(below(out.size() + 1), 1, byte());
    return out;
  }

  std::size_t below(std::size_t bound) {
    return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random_);
  }

 private:
  char byte() {
    static constexpr std::string_view likely("\r\n\0*$:0123456789-+ \"'\\xA\t\v", 26);
    return below(2) == 0 ? likely[below(likely.size())] : static_cast<char>(below(256));
  }

  std::string text(std::size_t size_max) {
    std::string out(below(size_max + 1), ' ');
    for (char& c : out) c = byte();
    return out;
  }

  std::string line_end() { return below(8) == 0 ? std::string{'\r', byte()} : "\r\n"; }

  std::string number(std::size_t value) {
    switch (below(30)) {
      case 0:
        return "0" + std::to_string(value);
      case 1:
        return "+" + std::to_string(value);
      case 2:
        return "-" + std::to_string(value);
      case 3:
        return text(30);
      case 4:
        return std::string(50, '1');
      default:
        return std::to_string(value);
    }
  }

  std::string multibulk() {
    const std::size_t args = below(5);
    std::string out = "*" + number(args) + line_end();
    for (std::size_t i = 0; i < args; ++i) {
      const std::string payload = text(below(4) == 0 ? 120 : 12);
      out += (below(40) == 0 ? ":" : "$") + number(payload.size()) + line_end() + payload + line_end();
    }
    return out;
  }

  std::string line() {
    static const std::string words[] = {"PING", "\"a b\"", "'c'",    "\"\\x41\\n\"", " ",
                                        "\t",   "\v",      "x\"y\"", "\"",           "'"};
    std::string out;
    for (std::size_t count = below(6); count > 0; --count) {
      out += words[below(std::size(words) - (below(10) == 0 ? 0 : 2))];
      out += below(6) == 0 ? "" : " ";
    }
    return out + (below(2) == 0 ? "\r\n" : "\n");
  }

  std::mt19937 random_;
};

}  // namespace

TEST_CASE("no cut changes a result", "[command_reader]") {
  CommandLimits limits;
  limits.header_bytes_max = 40;
  limits.bulk_bytes_max = 100;
  limits.args_unauthenticated_max = 3;
  limits.bulk_unauthenticated_max = 10;
  std::size_t seen[4] = {};
  std::size_t canonical = 0;
  for (std::uint32_t seed = 0; seed < 20000; ++seed) {
    InputMaker maker(seed);
    const std::string input = maker.input();
    const LoginState login = seed % 4 == 0 ? LoginState::required : LoginState::authenticated;
    const auto whole = testing::read_whole(input, login, limits);
    const auto bytewise = testing::read_bytewise(input, login, limits);
    const std::size_t step = 1 + maker.below(20);
    const auto pieces = testing::read_commands(input, login, limits,
                                               [&](std::size_t end) { return end + 1 + maker.below(step); });
    const bool same = whole.violation.empty() && bytewise == whole && pieces == whole;
    if (!same) {
      INFO("seed " << seed << ", " << whole.violation << bytewise.violation << pieces.violation);
      FAIL(input);
    }
    for (const auto& event : whole.events) {
      ++seen[static_cast<std::size_t>(event.status)];
      canonical += event.canonical ? 1 : 0;
    }
  }
  // The maker is worth something only if all kinds of results come out of it.
  CHECK(seen[static_cast<std::size_t>(ReadStatus::command)] > 10000);
  CHECK(seen[static_cast<std::size_t>(ReadStatus::nothing)] > 1000);
  CHECK(seen[static_cast<std::size_t>(ReadStatus::error)] > 1000);
  CHECK(canonical > 1000);
}
