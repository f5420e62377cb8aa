// Lines of keepalived's notify FIFO, whole, cut and broken.
#include "vrrp/notify_line.hpp"

#include <catch2/catch.hpp>

namespace fairlead::vrrp {
namespace {

using Lines = std::vector<std::string>;

TEST_CASE("lines that keepalived 2.2.7 writes") {
  CHECK(parse_notify_line("INSTANCE \"fairlead\" MASTER 250") ==
        NotifyLine{"INSTANCE", "fairlead", State::master, 250});
  CHECK(parse_notify_line("INSTANCE \"a b\" BACKUP 1") == NotifyLine{"INSTANCE", "a b", State::backup, 1});
  CHECK(parse_notify_line("GROUP \"g\" FAULT 0") == NotifyLine{"GROUP", "g", State::fault, 0});
  CHECK(parse_notify_line("INSTANCE \"x\" STOP 100") == NotifyLine{"INSTANCE", "x", State::stopped, 100});
  CHECK(parse_notify_line("INSTANCE \"x\" DELETED 100") == NotifyLine{"INSTANCE", "x", State::stopped, 100});
  CHECK(parse_notify_line("INSTANCE \"x\" MASTER_RX_LOWER_PRI 9") ==
        NotifyLine{"INSTANCE", "x", State::master, 9});
  CHECK(parse_notify_line("INSTANCE \"x\" BACKUP_PRIORITY 9") ==
        NotifyLine{"INSTANCE", "x", State::unknown, 9});
}

TEST_CASE("garbage is no line") {
  for (const char* line : {"",
                           " ",
                           "INSTANCE",
                           "INSTANCE ",
                           "INSTANCE \"",
                           "INSTANCE \"\" MASTER 1",
                           "INSTANCE \"x MASTER 1",
                           "INSTANCE x MASTER 1",
                           "INSTANCE \"x\"MASTER 1",
                           "INSTANCE \"x\" MASTER",
                           "INSTANCE \"x\" MASTER ",
                           "INSTANCE \"x\" MASTER -1",
                           "INSTANCE \"x\" MASTER 1 2",
                           "INSTANCE \"x\" MASTER 1 ",
                           "INSTANCE \"x\" MASTER 99999999999",
                           "INSTANCE \"x\" master 1",
                           "INSTANCE \"x\" OWNER 1",
                           "VS \"x\" UP 1",
                           "instance \"x\" MASTER 1",
                           "INSTANCE \"x\" MASTER 1\r"}) {
    CAPTURE(line);
    CHECK_FALSE(parse_notify_line(line).has_value());
  }
  CHECK_FALSE(parse_notify_line(std::string("INSTANCE \"x\" MASTER 1\0", 22)).has_value());
}

TEST_CASE("lines are the same however the bytes come") {
  const std::string text = "one\n\ntwo words\nthree";
  for (std::size_t size = 1; size <= text.size(); ++size) {
    CAPTURE(size);
    LineCutter cutter;
    Lines lines;
    for (std::size_t at = 0; at < text.size(); at += size) {
      for (auto& line : cutter.feed(std::string_view(text).substr(at, size))) lines.push_back(line);
    }
    CHECK(lines == Lines{"one", "", "two words"});
    CHECK(cutter.feed("\n") == Lines{"three"});
  }
}

TEST_CASE("a line without end takes no memory and does not hide the next") {
  LineCutter cutter;
  const std::string much(LineCutter::line_bytes_max, 'x');
  for (int i = 0; i < 100; ++i) CHECK(cutter.feed(much).empty());
  CHECK(cutter.overlong() == 1);
  CHECK(cutter.feed("y\nnext\n") == Lines{"next"});
  CHECK(cutter.feed(much + "\n") == Lines{much});  // the longest that is allowed
  CHECK(cutter.overlong() == 1);
}

TEST_CASE("half a line of a writer that is gone is not put before the next writer's") {
  LineCutter cutter;
  CHECK(cutter.feed("INSTANCE \"x\" MAS").empty());
  cutter.reset();
  CHECK(cutter.feed("whole\n") == Lines{"whole"});
}

}  // namespace
}  // namespace fairlead::vrrp
