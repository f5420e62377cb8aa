// The grammar, case by case: the table of bad input, and what is good but unusual. Every input is read whole,
// byte by byte and in two pieces at every possible cut, and must say the same each time.
#include "resp/command_reader.hpp"

#include <catch2/catch.hpp>

#include "resp/name_fold.hpp"
#include "tests/resp/command_driver.hpp"

using namespace fairlead::resp;
using namespace std::string_literals;

namespace {

const CommandLimits limits;
const std::string ping = "*1\r\n$4\r\nPING\r\n";

testing::CommandTranscript read_all_ways(std::string_view input,
                                         LoginState login = LoginState::authenticated) {
  INFO(input);
  const auto whole = testing::read_whole(input, login, limits);
  REQUIRE(whole.violation == "");
  REQUIRE(testing::read_bytewise(input, login, limits) == whole);
  for (std::size_t cut = 1; cut < input.size(); ++cut) {
    REQUIRE(testing::read_cut(input, login, limits, cut) == whole);
  }
  return whole;
}

void check_error(std::string_view input, std::string_view error,
                 LoginState login = LoginState::authenticated) {
  INFO(input);
  const auto transcript = read_all_ways(input, login);
  REQUIRE(transcript.events.size() == 1);
  CHECK(transcript.events.front().status == ReadStatus::error);
  CHECK(transcript.events.front().error == error);
}

void check_waits(std::string_view input, LoginState login = LoginState::authenticated) {
  INFO(input);
  const auto transcript = read_all_ways(input, login);
  CHECK(transcript.events.empty());
  CHECK(transcript.unread == input.size());
}

using Args = std::vector<std::string>;

void check_command(std::string_view input, const Args& args) {
  INFO(input);
  const auto transcript = read_all_ways(input);
  REQUIRE(transcript.events.size() == 1);
  CHECK(transcript.events.front().status == ReadStatus::command);
  CHECK(transcript.events.front().args == args);
  CHECK(transcript.events.front().frame_bytes == input.size());
}

bool is_canonical(std::string_view input) {
  return read_all_ways(input).events.at(0).canonical;
}

}  // namespace

TEST_CASE("multibulk commands", "[command_reader]") {
  check_command(ping, {"PING"});
  check_command("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n", {"SET", "k", ""});
  check_command("*2\r\n$4\r\nECHO\r\n$5\r\n\r\n\0*$\r\n"s, {"ECHO", "\r\n\0*$"s});
  check_command("*12\r\n" + "$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\ne\r\n$1\r\nf\r\n"s +
                    "$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\ne\r\n$1\r\nf\r\n",
                {"a", "b", "c", "d", "e", "f", "a", "b", "c", "d", "e", "f"});
}

TEST_CASE("pipelined commands come one by one", "[command_reader]") {
  const auto transcript = read_all_ways(ping + "GET a\r\n" + ping + "*1\r\n$4\r\nPI");
  REQUIRE(transcript.events.size() == 3);
  CHECK(transcript.events[1].args == Args{"GET", "a"});
  CHECK(transcript.events[2].args == Args{"PING"});
  CHECK(transcript.unread == 10);
}

TEST_CASE("a multibulk length that is none, or beyond INT_MAX", "[command_reader]") {
  for (const char* input :
       {"*2147483648\r\n", "*a\r\n", "*+1\r\n", "*01\r\n", "* 1\r\n", "*\r\n", "*1 \r\n", "*-\r\n", "*-0\r\n",
        "*00\r\n", "*9223372036854775808\r\n", "*-9223372036854775809\r\n", "*1111111111111111111111\r\n",
        "**1\r\n", "*1\n$4\r\n", "*a\rx"}) {
    check_error(input, "Protocol error: invalid multibulk length");
  }
}

TEST_CASE("a large multibulk length waits", "[command_reader]") {
  check_waits("*2147483647\r\n");
  check_waits("*1048577\r\n$1\r\na\r\n");
  check_waits("*2000000000\r\n");
}

TEST_CASE("an empty multibulk is ignored", "[command_reader]") {
  for (const char* input : {"*0\r\n", "*-1\r\n", "*-9223372036854775808\r\n", "*0\rx"}) {
    const auto transcript = read_all_ways(input + ping);
    REQUIRE(transcript.events.size() == 2);
    CHECK(transcript.events[0].status == ReadStatus::nothing);
    CHECK(transcript.events[1].args == Args{"PING"});
  }
}

TEST_CASE("a bulk length that is none, negative or over the limit", "[command_reader]") {
  for (const char* input : {"*1\r\n$-1\r\n", "*1\r\n$a\r\n", "*1\r\n$536870913\r\n", "*1\r\n$\r\n",
                            "*1\r\n$+1\r\n", "*1\r\n$01\r\n", "*1\r\n$9223372036854775807\r\n",
                            "*1\r\n$9223372036854775808\r\n", "*2\r\n$1\r\na\r\n$-1\r\n"}) {
    check_error(input, "Protocol error: invalid bulk length");
  }
  check_waits("*1\r\n$536870912\r\n");
}

TEST_CASE("something else than a bulk", "[command_reader]") {
  check_error("*1\r\n:4\r\n", "Protocol error: expected '$', got ':'");
  check_error("*1\r\nPING\r\n", "Protocol error: expected '$', got 'P'");
  check_error("*1\r\n\xff\r\n", "Protocol error: expected '$', got '\xff'");
  check_error("*2\r\n$1\r\na\r\n*1\r\n", "Protocol error: expected '$', got '*'");
  // A CR or LF in the message is written as a space.
  check_error("*1\r\n\r\n\r\n", "Protocol error: expected '$', got ' '");
  check_error("*1\r\n\n$4\r\n", "Protocol error: expected '$', got ' '");
  check_waits("*1\r\n:4");
  check_waits("*1\r\n:4\r");
}

TEST_CASE("only a CR ends a header", "[command_reader]") {
  check_waits("*1\n$4\nPING\n");
  check_waits("*1\r\n$4\nPING\n");
  check_waits("*1\r");
  check_waits("*");
}

TEST_CASE("a NUL in a header waits", "[command_reader]") {
  check_waits("*1\0\r\n$4\r\nPING\r\n"s);
  check_waits("*1\r\n$4\0\r\nPING\r\n"s);
  check_waits("*1\r\n\0\r\n"s);
}

TEST_CASE("bytes that redis skips unseen are skipped", "[command_reader]") {
  check_command("*1\rX$4\rYPINGZZ", {"PING"});
  check_command("*1\r\0$4\r\0PING\0\0"s, {"PING"});
  check_command("*2\r\n$1\r\na\n\n$1\r\nb*1", {"a", "b"});
  check_command("*1\r\r$4\r\rPING\r\r", {"PING"});
}

TEST_CASE("canonical is what encoding gives back", "[command_reader]") {
  CHECK(is_canonical(ping));
  CHECK(is_canonical("*2\r\n$3\r\nGET\r\n$0\r\n\r\n"));
  for (const char* input : {"*1\rX$4\r\nPING\r\n", "*1\r\n$4\rXPING\r\n", "*1\r\n$4\r\nPINGX\n",
                            "*1\r\n$4\r\nPING\rX", "*2\r\n$1\r\naXX$1\r\nb\r\n", "PING\r\n"}) {
    CHECK_FALSE(is_canonical(input));
  }
  // The next frame is judged anew.
  const auto transcript = read_all_ways("*1\r\n$4\r\nPINGXX" + ping);
  CHECK(transcript.events.at(1).canonical);
}

TEST_CASE("inline commands", "[command_reader]") {
  check_command("PING\r\n", {"PING"});
  check_command("PING\n", {"PING"});
  check_command("  GET \t a  \r\n", {"GET", "a"});
  check_command("\v\fGET\va\f \r\r\n", {"GET\va\f"});
  check_command("GET\ra\r\n", {"GET", "a"});
  check_command("$4\r\n", {"$4"});
  check_command("POST / HTTP/1.1\r\n", {"POST", "/", "HTTP/1.1"});
  check_command("Host: a\r\n", {"Host:", "a"});
  check_command("PING \xff\x80\r\n", {"PING", "\xff\x80"});
  check_waits("PING");
  check_waits("PING\r");
  check_waits("PI\0NG\r\n"s);
  check_waits("\0"s);
}

TEST_CASE("quotes in inline commands", "[command_reader]") {
  check_command("PING \"ax\\xff\"\r\n", {"PING", "ax\xff"});
  check_command(R"(SET "a b" 'c d')"s + "\n", {"SET", "a b", "c d"});
  check_command(R"(E "\n\r\t\b\a\\\"\q\x41\x4g\x")"s + "\n", {"E", "\n\r\t\b\a\\\"qAx4gx"});
  check_command(R"(E '\n\'\\ ' "")"s + "\n", {"E", R"(\n'\\ )", ""});
  check_command(R"(E a"b c"  d'e f')"s + "\n", {"E", "ab c", "de f"});
  check_command("E \"a\"\v\"b\"\n", {"E", "a", "b"});
  check_command("E \"\\x00\"\n", {"E", "\0"s});
  for (const char* line : {R"(SET a "x)", R"(SET a 'x)", R"("a"b)", R"('a'b)", R"("a\")", R"('a\')",
                           R"('a\\')", R"("a\)", R"(")", R"("a""b")"}) {
    check_error(line + "\r\n"s, "Protocol error: unbalanced quotes in request");
  }
}

TEST_CASE("empty lines are ignored", "[command_reader]") {
  const auto transcript = read_all_ways("\r\n\n \t\r\n" + ping);
  REQUIRE(transcript.events.size() == 4);
  for (std::size_t i = 0; i < 3; ++i) CHECK(transcript.events[i].status == ReadStatus::nothing);
  CHECK(transcript.events[0].frame_bytes == 2);
  CHECK(transcript.events[1].frame_bytes == 1);
}

TEST_CASE("a valid command before an error is not lost", "[command_reader]") {
  const auto transcript = read_all_ways(ping + "*1\r\n:4\r\n" + ping);
  REQUIRE(transcript.events.size() == 2);
  CHECK(transcript.events[0].args == Args{"PING"});
  CHECK(transcript.events[1].status == ReadStatus::error);
}

TEST_CASE("limits before the login", "[command_reader]") {
  const auto required = LoginState::required;
  check_error("*11\r\n", "Protocol error: unauthenticated multibulk length", required);
  check_error("*1\r\n$16385\r\n", "Protocol error: unauthenticated bulk length", required);
  check_error("*2147483648\r\n", "Protocol error: invalid multibulk length", required);
  check_error("*1\r\n$536870913\r\n", "Protocol error: invalid bulk length", required);
  check_waits("*10\r\n", required);
  check_waits("*1\r\n$16384\r\n", required);
  check_waits("*11\r\n");
  check_waits("*1\r\n$16385\r\n");
  CHECK(read_all_ways(ping, required).events.at(0).args == Args{"PING"});
}

TEST_CASE("plain frames are measured, all others are not", "[command_reader]") {
  const CommandLimits limits;
  CHECK(plain_frame_bytes(ping + ping, limits) == ping.size());
  CHECK(plain_frame_bytes("*2\r\n$3\r\nGET\r\n$0\r\n\r\n", limits) == 19);
  for (const std::string& other :
       {""s, "PING\r\n"s, "*0\r\n"s, "*-1\r\n"s, "*01\r\n$4\r\nPING\r\n"s, ping.substr(0, ping.size() - 1),
        "*1\r\n$4\r\nPINGxx"s, "*1\r\n$04\r\nPING\r\n"s, "*1\r\n:4\r\nPING\r\n"s, "*2\r\n$4\r\nPING\r\n"s}) {
    CAPTURE(other);
    CHECK(plain_frame_bytes(other, limits) == 0);
  }
  CommandLimits small;
  small.bulk_bytes_max = 3;
  CHECK(plain_frame_bytes(ping, small) == 0);
}

TEST_CASE("a run is of plain frames of one name", "[command_reader]") {
  const CommandLimits limits;
  const auto run = [&](const std::string& bytes, std::uint32_t frames_max = 100,
                       std::size_t frame_bytes_max = 1000) {
    const FrameRun found =
        plain_run(bytes, fold(load_up_to_8("get", 3)), 3, frames_max, frame_bytes_max, limits);
    return std::pair(found.frames, found.bytes);
  };
  const auto get = [](const std::string& name, const std::string& key) {
    return "*2\r\n$3\r\n" + name + "\r\n$" + std::to_string(key.size()) + "\r\n" + key + "\r\n";
  };
  using Found = std::pair<std::uint32_t, std::size_t>;
  const std::size_t one = get("GET", "a").size();
  CHECK(run(get("GET", "a")) == Found{1, one});
  CHECK(run(get("GET", "a") + get("get", "b") + get("GET", "c")) == Found{3, 3 * one});
  CHECK(run(get("GET", "a") + get("SET", "b")) == Found{1, one});
  CHECK(run(get("SET", "a") + get("GET", "b")) == Found{0, 0});
  CHECK(run(get("GET", "a") + "*3\r\n$3\r\nGET\r\n$1\r\na\r\n$1\r\nb\r\n" + get("GET", "c")) ==
        Found{3, 3 * one + 7});
  CHECK(run("*1\r\n$3\r\nGET\r\n*1\r\n$3\r\nGET\r\n") == Found{2, 26});
  CHECK(run("*1\r\n$4\r\nGETS\r\n") == Found{0, 0});
  CHECK(run("*1\r\n$3\r\nGET") == Found{0, 0});
  CHECK(run(get("GET", "a") + get("GET", "b").substr(0, one - 1)) == Found{1, one});
  CHECK(run(get("GET", "a") + "GET b\r\n") == Found{1, one});
  CHECK(run(get("GET", "a") + get("GET", "b") + get("GET", "c"), 2) == Found{2, 2 * one});
  CHECK(run(get("GET", "a") + get("GET", std::string(1000, 'k'))) == Found{1, one});
  CHECK(run("") == Found{0, 0});
  CHECK(plain_run(get("GET", "a"), 0, 0, 100, 1000, limits).frames == 0);
}

TEST_CASE("the name of a plain frame", "[command_reader]") {
  CHECK(plain_name(ping) == "PING");
  CHECK(plain_name("*2\r\n$3\r\nGET") == "GET");
  CHECK(plain_name("*3\r\n$8\r\nGETRANGE\r\n$1\r\n") == "GETRANGE");
  for (const std::string& other :
       {""s, "*"s, "PING\r\n"s, "*0\r\n$4\r\nPING\r\n"s, "*1\r\n$0\r\n\r\n"s, "*1\r\n$9\r\nSUBSCRIBE\r\n"s,
        "*1\r\n$10\r\nPSUBSCRIBE\r\n"s, "*1\r\n$4\r\nPIN"s, "*1\r\n$4\r"s, "*1\r\n+4\r\nPING\r\n"s}) {
    CAPTURE(other);
    CHECK(plain_name(other).empty());
  }
}
