// Replies made at random, with a little noise, cut at random: the cut must not be seen in the results, and
// the value parser, which shares no state machine with the scanner, must find the same ends. The seed is
// fixed.
#include <catch2/catch.hpp>
#include <random>

#include "resp/value.hpp"
#include "tests/resp/reply_driver.hpp"

using namespace fairlead::resp;

namespace {

class ReplyMaker {
 public:
  explicit ReplyMaker(std::uint32_t seed) : random_(seed) {}

  std::string input() {
    std::string out;
    for (std::size_t replies = 1 + below(4); replies > 0; --replies) append_reply(out);
    if (below(3) == 0) out[below(out.size())] = static_cast<char>(below(256));
    return out;
  }

  std::size_t below(std::size_t bound) {
    return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random_);
  }

 private:
  // One reply with all that is in it: a count of elements to come, as in the scanner, serves for nesting.
  void append_reply(std::string& out) {
    std::size_t left = 1;
    for (std::size_t made = 0; left > 0; ++made, --left) {
      if (below(8) == 0 && made < 20) {
        out += "|1\r\n";
        left += 3;  // key, value, and the element itself in place of this one
      } else if (below(3) == 0 && made < 20) {
        const std::size_t count = below(4);
        const char mark = "*~>%"[below(4)];
        out += mark + std::to_string(count) + "\r\n";
        left += mark == '%' ? 2 * count : count;
      } else {
        append_leaf(out);
      }
    }
  }

  void append_leaf(std::string& out) {
    static const std::string fixed[] = {"_\r\n",    "$-1\r\n",  "*-1\r\n",  "#t\r\n", "#f\r\n",
                                        ",1.5\r\n", ",inf\r\n", "(123\r\n", "+OK\r\n"};
    const std::string text(below(50), "ab\r\n*"[below(5)]);
    const std::string size = std::to_string(text.size());
    switch (below(6)) {
      case 0:
        out += "$" + size + "\r\n" + text + "\r\n";
        break;
      case 1:
        out += "!" + size + "\r\n" + text + "\r\n";
        break;
      case 2:
        out += "=" + std::to_string(text.size() + 4) + "\r\ntxt:" + text + "\r\n";
        break;
      case 3:
        out += ":" + std::to_string(static_cast<int>(below(2000)) - 1000) + "\r\n";
        break;
      case 4:
        out += (below(2) == 0 ? "-ERR " : "+") + size + "\r\n";
        break;
      default:
        out += fixed[below(std::size(fixed))];
    }
  }

  std::mt19937 random_;
};

// Where each reply ends according to the value parser. The maker nests at most twenty deep, within its bound.
std::vector<std::size_t> parsed_sizes(std::string_view input) {
  std::vector<std::size_t> sizes;
  for (;;) {
    const ParsedValue parsed = parse_value(input);
    if (parsed.status != ParseStatus::complete) return sizes;
    sizes.push_back(parsed.consumed);
    input.remove_prefix(parsed.consumed);
  }
}

}  // namespace

TEST_CASE("no cut changes a reply", "[reply_scanner]") {
  std::size_t replies = 0;
  std::size_t malformed = 0;
  for (std::uint32_t seed = 0; seed < 20000; ++seed) {
    ReplyMaker maker(seed);
    const std::string input = maker.input();
    const auto whole = testing::scan_whole(input);
    const std::size_t step = 1 + maker.below(20);
    const auto pieces =
        testing::scan_replies(input, [&](std::size_t end) { return end + 1 + maker.below(step); });
    std::vector<std::size_t> sizes;
    for (const auto& event : whole.replies) sizes.push_back(event.size);
    const bool same = whole.violation.empty() && testing::scan_bytewise(input) == whole && pieces == whole &&
                      parsed_sizes(input) == sizes;
    if (!same) {
      INFO("seed " << seed << ", " << whole.violation);
      FAIL(input);
    }
    replies += whole.replies.size();
    malformed += whole.malformed ? 1 : 0;
  }
  CHECK(replies > 20000);
  CHECK(malformed > 1000);
}
