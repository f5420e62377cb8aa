// Every type of RESP2 and RESP3, whole, byte by byte and in two pieces at every cut.
#include "resp/reply_scanner.hpp"

#include <catch2/catch.hpp>

#include "tests/resp/allocation_count.hpp"
#include "tests/resp/reply_driver.hpp"

using namespace fairlead::resp;
using namespace std::string_literals;

namespace {

testing::ReplyTranscript scan_all_ways(std::string_view input) {
  INFO(input);
  const auto whole = testing::scan_whole(input);
  REQUIRE(whole.violation == "");
  REQUIRE(testing::scan_bytewise(input) == whole);
  for (std::size_t cut = 1; cut < input.size(); ++cut) REQUIRE(testing::scan_cut(input, cut) == whole);
  return whole;
}

// The one reply that `input` is; it must wait until its last byte.
testing::ReplyEvent reply(std::string_view input) {
  INFO(input);
  const auto transcript = scan_all_ways(input);
  REQUIRE_FALSE(transcript.malformed);
  REQUIRE(transcript.replies.size() == 1);
  REQUIRE(transcript.unread == 0);
  CHECK(scan_all_ways(input.substr(0, input.size() - 1)).replies.empty());
  // What comes behind it changes nothing.
  const auto followed = scan_all_ways(std::string(input) + "+x");
  REQUIRE(followed.replies.size() == 1);
  CHECK(followed.replies.front() == transcript.replies.front());
  return transcript.replies.front();
}

std::string repeated(std::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

}  // namespace

TEST_CASE("simple types", "[reply_scanner]") {
  CHECK(reply("+OK\r\n").type == '+');
  CHECK(reply("+OK\r\n").head == "OK");
  CHECK(reply("+\r\n").head == "");
  CHECK(reply("-ERR x\r\n").error_text == "ERR x");
  CHECK(reply(":1\r\n").last_integer == 1);
  CHECK(reply(":-9223372036854775808\r\n").last_integer == INT64_MIN);
  CHECK(reply(":+5\r\n").last_integer == 5);
  CHECK(reply("_\r\n").type == '_');
  CHECK(reply("#t\r\n").type == '#');
  CHECK(reply("#f\r\n").type == '#');
  CHECK(reply(",1.5e-7\r\n").type == ',');
  CHECK(reply(",-inf\r\n").type == ',');
  CHECK(reply(",nan\r\n").type == ',');
  CHECK(reply("(3492890328409238509324850943850943825024385\r\n").type == '(');
  // What a script calls a number is passed on as it is: it must not end the link.
  CHECK(reply("(123  123\r\n").type == '(');
  CHECK(reply(",1,5\r\n").type == ',');
  CHECK(reply(":7\r\n").element_count == -1);
}

TEST_CASE("strings with a length", "[reply_scanner]") {
  CHECK(reply("$3\r\nfoo\r\n").head == "foo");
  CHECK(reply("$0\r\n\r\n").head == "");
  CHECK(reply("$6\r\n\r\n+OK\r\r\n").head == "\r\n+OK\r");
  CHECK(reply("!11\r\nERR no\r\nway\r\n").error_text == "ERR no\r\nway");
  CHECK(reply("!11\r\nERR no\r\nway\r\n").type == '!');
  CHECK(reply("=6\r\ntxt:ab\r\n").type == '=');
}

TEST_CASE("nulls", "[reply_scanner]") {
  CHECK(reply("_\r\n").null);
  CHECK(reply("$-1\r\n").null);
  CHECK(reply("*-1\r\n").null);
  CHECK(reply("*-1\r\n").element_count == -1);
  CHECK_FALSE(reply("*3\r\n_\r\n$-1\r\n*-1\r\n").null);
  CHECK_FALSE(reply("|1\r\n_\r\n_\r\n:1\r\n").null);
  CHECK(reply("|1\r\n_\r\n:1\r\n$-1\r\n").null);
}

TEST_CASE("aggregates", "[reply_scanner]") {
  CHECK(reply("*0\r\n").element_count == 0);
  CHECK(reply("*2\r\n:1\r\n:2\r\n").element_count == 2);
  CHECK(reply("%2\r\n+a\r\n:1\r\n+b\r\n:2\r\n").element_count == 4);
  CHECK(reply("~1\r\n+a\r\n").type == '~');
  CHECK(reply(">2\r\n+message\r\n_\r\n").type == '>');
  CHECK(reply("*2\r\n*2\r\n*0\r\n%1\r\n+a\r\n~1\r\n_\r\n$1\r\nx\r\n").type == '*');
  CHECK(reply("*2\r\n*2\r\n:1\r\n:2\r\n:3\r\n").element_count == 2);
  CHECK(reply("*1\r\n*5\r\n:1\r\n:2\r\n:3\r\n:4\r\n:5\r\n").element_count == 1);
  CHECK(reply("*1\r\n>1\r\n+subscribe\r\n").type == '*');
  CHECK(reply("*1\r\n-ERR x\r\n").error_text == "");
}

TEST_CASE("attributes are skipped wherever they stand", "[reply_scanner]") {
  const auto popular =
      reply("|1\r\n+key-popularity\r\n%2\r\n$1\r\na\r\n,0.1\r\n$1\r\nb\r\n:9\r\n*2\r\n:1\r\n+real\r\n");
  CHECK(popular.type == '*');
  CHECK(popular.element_count == 2);
  CHECK(popular.head == "real");
  CHECK(popular.last_integer == 1);
  CHECK(reply("*2\r\n:1\r\n|1\r\n+ttl\r\n:3600\r\n:2\r\n").last_integer == 2);
  CHECK(reply("|0\r\n|1\r\n|1\r\n+a\r\n+b\r\n+c\r\n:3\r\n+OK\r\n").head == "OK");
  CHECK(reply("|1\r\n+a\r\n-b\r\n-ERR x\r\n").error_text == "ERR x");
  CHECK(reply("*1\r\n|1\r\n+a\r\n|1\r\n+b\r\n+c\r\n:9\r\n:1\r\n").last_integer == 1);
}

TEST_CASE("captures for routing", "[reply_scanner]") {
  const auto subscribed = reply("*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:2\r\n");
  CHECK(subscribed.head == "subscribe");
  CHECK(subscribed.last_integer == 2);
  const auto invalidated = reply(">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n");
  CHECK(invalidated.head == "invalidate");
  CHECK(invalidated.element_count == 2);
  const auto unsubscribed = reply("*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n");
  CHECK(unsubscribed.head == "unsubscribe");
  CHECK(unsubscribed.last_integer == 0);
  CHECK(reply("*2\r\n$0\r\n\r\n$1\r\nx\r\n").head == "");  // the first string is empty, and stays the first
}

TEST_CASE("captures are cut, not the reply", "[reply_scanner]") {
  const std::string text(1000, 'e');
  const auto error = reply("-" + text + "\r\n");
  CHECK(error.error_text == text.substr(0, ReplyScanner::error_text_max));
  CHECK(error.size == text.size() + 3);
  CHECK(reply("!1000\r\n" + text + "\r\n").error_text == text.substr(0, ReplyScanner::error_text_max));
  CHECK(reply("$1000\r\n" + text + "\r\n").head == text.substr(0, ReplyScanner::head_bytes_max));
  CHECK(reply("+" + text + "\r\n").head == text.substr(0, ReplyScanner::head_bytes_max));
}

TEST_CASE("a new reply begins with nothing of the last", "[reply_scanner]") {
  const auto transcript = scan_all_ways("-ERR x\r\n*1\r\n:7\r\n$-1\r\n:1\r\n+OK\r\n");
  REQUIRE(transcript.replies.size() == 5);
  CHECK(transcript.replies[1] == testing::ReplyEvent{8, '*', false, "", "", 1, 7});
  CHECK(transcript.replies[2] == testing::ReplyEvent{5, '$', true, "", "", -1, 0});
  CHECK(transcript.replies[3] == testing::ReplyEvent{4, ':', false, "", "", -1, 1});
  CHECK(transcript.replies[4] == testing::ReplyEvent{5, '+', false, "", "OK", -1, 0});
}

TEST_CASE("only CR LF ends a simple string", "[reply_scanner]") {
  CHECK(reply("+a\nb\rc\r\r\n").head == "a\nb\rc\r");
  CHECK(reply("-a\rb\r\n").error_text == "a\rb");
}

TEST_CASE("what is not RESP is malformed", "[reply_scanner]") {
  for (const char* bytes : {"x",
                            "\r\n",
                            "PING\r\n",
                            ":\r\n",
                            ":a\r\n",
                            ":1 \r\n",
                            ":1\rx",
                            ":9223372036854775808\r\n",
                            ":+-1\r\n",
                            "$a\r\n",
                            "$-2\r\n",
                            "$01\r\n",
                            "$+1\r\n",
                            "$\r\n",
                            "$1\r\nab",
                            "$1\r\na\rb",
                            "*-2\r\n",
                            "%-1\r\n",
                            "~-1\r\n",
                            ">-1\r\n",
                            "|-1\r\n",
                            "!-1\r\n",
                            "=-1\r\n",
                            "=3\r\ntxt\r\n",
                            "#x\r\n",
                            "#tt\r\n",
                            "_x\r\n",
                            "_\rx",
                            "*1\r\nx",
                            "$111111111111111111111111111",
                            "*1\r\n|1\r\n+a\r\nx"}) {
    INFO(bytes);
    const auto transcript = scan_all_ways(bytes);
    CHECK(transcript.malformed);
    CHECK(transcript.replies.empty());
  }
}

TEST_CASE("streamed types are malformed", "[reply_scanner]") {
  for (const char* bytes : {"$?\r\n", "*?\r\n", "%?\r\n", "~?\r\n", ";1\r\na\r\n", ".\r\n"})
    CHECK(scan_all_ways(bytes).malformed);
}

TEST_CASE("lengths at the limits of 64 bits are malformed", "[reply_scanner]") {
  for (const char mark : "$!=*~>%|"s) {
    CHECK(scan_all_ways(mark + "9223372036854775807\r\n"s).malformed);
    CHECK(scan_all_ways(mark + "9223372036854775808\r\n"s).malformed);
    CHECK(scan_all_ways(mark + "-9223372036854775808\r\n"s).malformed);
    CHECK(scan_all_ways(mark + "281474976710657\r\n"s).malformed);
    CHECK_FALSE(scan_all_ways(mark + "281474976710656\r\n"s).malformed);
  }
}

TEST_CASE("the counter of elements cannot wrap", "[reply_scanner]") {
  CHECK(testing::scan_whole(repeated("%281474976710656\r\n", 8000)).malformed == false);
  CHECK(testing::scan_whole(repeated("%281474976710656\r\n", 9000)).malformed);
}

TEST_CASE("a million nested arrays", "[reply_scanner]") {
  const int depth = 1000000;
  const std::string input = repeated("*1\r\n", depth) + ":7\r\n+OK\r\n";
  const std::size_t before = testing::allocations_made();
  ReplyScanner scanner;
  const ScanResult result = scanner.scan(input);
  CHECK(testing::allocations_made() == before);
  CHECK(result.status == ScanStatus::complete);
  CHECK(result.consumed == input.size() - 5);
  CHECK(scanner.last_integer() == 7);
  CHECK(testing::scan_bytewise(input).replies.size() == 2);
}

TEST_CASE("malformed is for good", "[reply_scanner]") {
  ReplyScanner scanner;
  CHECK(scanner.at_boundary());
  CHECK(scanner.scan("?").status == ScanStatus::malformed);
  CHECK(scanner.scan("+OK\r\n").status == ScanStatus::malformed);
  CHECK_FALSE(scanner.at_boundary());
}

TEST_CASE("no bytes change nothing", "[reply_scanner]") {
  ReplyScanner scanner;
  CHECK(scanner.scan("").status == ScanStatus::need_more);
  CHECK(scanner.at_boundary());
  CHECK(scanner.scan("-ERR").status == ScanStatus::need_more);
  CHECK(scanner.scan("").consumed == 0);
  CHECK_FALSE(scanner.at_boundary());
  CHECK(scanner.type() == '-');
  CHECK(scanner.scan(" x\r\n").status == ScanStatus::complete);
  CHECK(scanner.is_error());
  CHECK(scanner.error_text() == "ERR x");
  CHECK(scanner.scan(">").status == ScanStatus::need_more);
  CHECK(scanner.type() == 0);
  CHECK(scanner.error_text() == "");
}
