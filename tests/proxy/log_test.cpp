#include "proxy/log.hpp"

#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "proxy/log_repeat.hpp"

namespace fairlead::proxy {
namespace {

using std::chrono::milliseconds;

std::string format(LogLevel level, std::string_view message, const std::vector<LogField>& fields,
                   LogFormat format, LogTarget target) {
  const std::chrono::system_clock::time_point time{milliseconds(1'767'323'045'678)};
  return format_record({time, level, message, fields.data(), fields.size()}, format, target);
}

std::string logfmt(std::string_view message, const std::vector<LogField>& fields = {}) {
  return format(LogLevel::info, message, fields, LogFormat::logfmt, LogTarget::journal).substr(3);
}

std::string json(std::string_view message, const std::vector<LogField>& fields = {}) {
  return format(LogLevel::info, message, fields, LogFormat::json, LogTarget::journal).substr(3);
}

TEST_CASE("a record as logfmt and as JSON, on a terminal") {
  const std::vector<LogField> fields{{"server", "10.0.0.1:6379"}, {"reason", "no answer"}};
  CHECK(format(LogLevel::warning, "server is down", fields, LogFormat::logfmt, LogTarget::terminal) ==
        "ts=2026-01-02T03:04:05.678Z level=warning msg=\"server is down\" server=10.0.0.1:6379 reason=\"no "
        "answer\"");
  CHECK(
      format(LogLevel::warning, "server is down", fields, LogFormat::json, LogTarget::terminal) ==
      R"({"ts":"2026-01-02T03:04:05.678Z","level":"warning","msg":"server is down","server":"10.0.0.1:6379",)"
      R"("reason":"no answer"})");
}

TEST_CASE("under journald the priority stands in front and the time is left out") {
  const auto line = [](LogLevel level) {
    return format(level, "x", {}, LogFormat::logfmt, LogTarget::journal);
  };
  CHECK(line(LogLevel::debug) == "<7>level=debug msg=\"x\"");
  CHECK(line(LogLevel::info) == "<6>level=info msg=\"x\"");
  CHECK(line(LogLevel::warning) == "<4>level=warning msg=\"x\"");
  CHECK(line(LogLevel::error) == "<3>level=error msg=\"x\"");
  CHECK(format(LogLevel::error, "x", {}, LogFormat::json, LogTarget::journal) ==
        R"(<3>{"level":"error","msg":"x"})");
}

TEST_CASE("no byte of a message or a value can forge a line or a field") {
  CHECK(logfmt("a\"b\\c\nd\re\tf\x01g\x7f") == R"(level=info msg="a\"b\\c\nd\re\tf\u0001g\u007f")");
  CHECK(json("a\"b\\c\nd\re\tf\x01g\x7f") == R"({"level":"info","msg":"a\"b\\c\nd\re\tf\u0001g\u007f"})");
  CHECK(logfmt("x", {{"k", "a level=error"}}) == R"(level=info msg="x" k="a level=error")");
  CHECK(logfmt("x", {{"k", "a=b"}}) == R"(level=info msg="x" k="a=b")");
  CHECK(logfmt("x", {{"k", "\n"}}) == R"(level=info msg="x" k="\n")");
  CHECK(logfmt("x", {{"k", ""}}) == R"(level=info msg="x" k="")");
  CHECK(logfmt("x", {{"k", "{}"}}) == R"(level=info msg="x" k={})");
  CHECK(logfmt(std::string_view("a\0b", 3)) == R"(level=info msg="a\u0000b")");
}

TEST_CASE("UTF-8 is kept, and what is none is replaced") {
  CHECK(json("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80") ==
        "{\"level\":\"info\",\"msg\":\"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\"}");
  const std::string bad = "\xef\xbf\xbd";
  const auto message = [](std::string_view text) {
    const std::string line = json(text);
    return line.substr(23, line.size() - 25);
  };
  CHECK(message("\xff") == bad);
  CHECK(message("\xc3") == bad);                                // cut off
  CHECK(message("\x80") == bad);                                // a continuation alone
  CHECK(message("\xc0\xaf") == bad + bad);                      // overlong
  CHECK(message("\xe0\x80\x80") == bad + bad + bad);            // overlong
  CHECK(message("\xed\xa0\x80") == bad + bad + bad);            // a surrogate
  CHECK(message("\xf4\x90\x80\x80") == bad + bad + bad + bad);  // beyond U+10FFFF
  CHECK(message("\xc3\x28") == bad + "(");
}

TEST_CASE("repeats within a second are counted, and told when it is over") {
  RepeatFilter filter;
  const RepeatFilter::TimePoint start{};
  using Verdict = RepeatFilter::Verdict;
  CHECK(filter.admit("a", "1", start) == Verdict::tell);
  CHECK(filter.admit("a", "2", start + milliseconds(1)) == Verdict::counted);
  CHECK(filter.admit("b", "x", start + milliseconds(2)) == Verdict::tell);
  CHECK(filter.admit("a", "3", start + milliseconds(999)) == Verdict::counted);
  CHECK(filter.take_finished(start + milliseconds(999)).empty());
  const auto finished = filter.take_finished(start + milliseconds(1000));
  REQUIRE(finished.size() == 1);
  CHECK(finished.front().key == "a");
  CHECK(finished.front().last_text == "3");
  CHECK(finished.front().count == 2);
  CHECK(filter.admit("a", "4", start + milliseconds(1000)) == Verdict::tell);
  CHECK(filter.take_all().empty());
  CHECK(filter.admit("b", "y", start + milliseconds(1001)) == Verdict::tell);
}

/// Standard error goes to a file as long as this lives.
class StderrCapture {
 public:
  StderrCapture() : file_(std::tmpfile()), saved_(dup(STDERR_FILENO)) {
    REQUIRE(file_ != nullptr);
    std::fflush(stderr);
    REQUIRE(dup2(fileno(file_), STDERR_FILENO) >= 0);
  }
  ~StderrCapture() {
    restore();
    std::fclose(file_);
  }
  StderrCapture(const StderrCapture&) = delete;
  StderrCapture& operator=(const StderrCapture&) = delete;

  std::vector<std::string> lines() {
    restore();
    std::rewind(file_);
    std::vector<std::string> result(1);
    for (int c = std::fgetc(file_); c != EOF; c = std::fgetc(file_)) {
      if (c == '\n') {
        result.emplace_back();
      } else {
        result.back() += static_cast<char>(c);
      }
    }
    result.pop_back();
    return result;
  }

 private:
  void restore() {
    if (saved_ < 0) return;
    std::fflush(stderr);
    dup2(saved_, STDERR_FILENO);
    close(saved_);
    saved_ = -1;
  }

  std::FILE* file_;
  int saved_;
};

TEST_CASE("the log: level, fields, events and their repeats") {
  std::vector<std::string> lines;
  {
    StderrCapture capture;
    start_log({LogLevel::info, LogFormat::json});
    log(LogLevel::debug, "not told");
    log(LogLevel::warning, "told {} %s", {{"key", "value"}});
    health::Event event{
        health::EventKind::server_down, health::Severity::warning, {"10.0.0.1", 6379, false}, "first"};
    log_event(event);
    event.text = "second";
    log_event(event);
    event.text = "third";
    log_event(event);
    event.subject.port = 6380;
    event.text = "another server";
    log_event(event);
    flush_log();
    start_log({LogLevel::error, LogFormat::json});
    log_event(event);
    flush_log();
    lines = capture.lines();
  }
  start_log({});
  for (std::string& line : lines) line.replace(line.find("\"ts\":\""), 32, "");
  CHECK(
      lines ==
      std::vector<std::string>{
          R"({"level":"warning","msg":"told {} %s","key":"value"})",
          R"({"level":"warning","msg":"first","event":"server_down","subject":"10.0.0.1:6379"})",
          R"({"level":"warning","msg":"another server","event":"server_down","subject":"10.0.0.1:6380"})",
          R"({"level":"warning","msg":"third","event":"server_down","repeated":"2","subject":"10.0.0.1:6379"})"});
  CHECK_FALSE(log_enabled(LogLevel::debug));
  CHECK(log_enabled(LogLevel::info));
}

}  // namespace
}  // namespace fairlead::proxy
