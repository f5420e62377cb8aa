// The FIFO with a real file: restarts of either side, garbage, and files that are no FIFO.
#include "vrrp/notify_fifo.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "tests/vrrp/temp_dir.hpp"

namespace fairlead::vrrp {
namespace {

/// As keepalived does it: open for reading and writing, so that opening never waits.
class Writer {
 public:
  explicit Writer(const std::string& path)
      : descriptor_(::open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC)) {
    REQUIRE(descriptor_ >= 0);
  }
  ~Writer() { ::close(descriptor_); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  void write(const std::string& text) const {
    REQUIRE(::write(descriptor_, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }

 private:
  int descriptor_;
};

struct World {
  TempDir dir;
  std::string path = dir.file("notify.fifo");
  boost::asio::io_context context{1};
  std::vector<std::string> seen;
  std::vector<std::string> problems;
  std::unique_ptr<NotifyFifo> fifo;

  World() { make(); }
  void make() {
    NotifyFifo::Hooks hooks;
    hooks.line = [this](const NotifyLine& line) { seen.push_back(line.name + " " + to_string(line.state)); };
    hooks.writer_gone = [this] { seen.push_back("gone"); };
    hooks.problem = [this](const std::string& text) { problems.push_back(text); };
    hooks.garbage = [this](const std::string&) { seen.push_back("garbage"); };
    fifo = std::make_unique<NotifyFifo>(context, path, std::move(hooks));
  }
  bool turn_until(const std::function<bool()>& condition) {
    return wait_until([&] {
      context.poll();
      context.restart();
      return condition();
    });
  }
  bool sees(const std::vector<std::string>& expected) {
    const bool good = turn_until([&] { return seen == expected; });
    CHECK(seen == expected);
    seen.clear();
    return good;
  }
};

TEST_CASE("fairlead first: it makes the FIFO, and keepalived comes, goes and comes again") {
  World world;
  world.fifo->start();
  struct stat what {};
  REQUIRE(::stat(world.path.c_str(), &what) == 0);
  CHECK(S_ISFIFO(what.st_mode));
  CHECK((what.st_mode & 0777) == 0600);
  for (int round = 0; round < 3; ++round) {
    CAPTURE(round);
    {
      const Writer keepalived(world.path);
      keepalived.write("INSTANCE \"x\" BACKUP 1\nINSTANCE \"x\" MAS");
      CHECK(world.sees({"x backup"}));
      keepalived.write("TER 1\n");
      CHECK(world.sees({"x master"}));
      keepalived.write("INSTANCE \"x\" STOP 1\nINSTANCE \"x\" half a li");
    }
    CHECK(world.sees({"x stopped", "gone"}));
  }
  CHECK(world.problems.empty());
  CHECK(world.fifo->garbage() == 0);
}

TEST_CASE("keepalived first: what it wrote before is read in order; and fairlead restarts beside it") {
  World world;
  REQUIRE(::mkfifo(world.path.c_str(), 0600) == 0);
  const Writer keepalived(world.path);
  keepalived.write("INSTANCE \"x\" FAULT 1\nINSTANCE \"x\" BACKUP 1\n");
  world.fifo->start();
  CHECK(world.sees({"x fault", "x backup"}));
  world.fifo->stop();
  world.context.poll();
  world.context.restart();
  keepalived.write("INSTANCE \"x\" MASTER 1\n");
  world.make();
  world.fifo->start();
  CHECK(world.sees({"x master"}));
}

TEST_CASE("garbage is counted and what follows is read") {
  World world;
  world.fifo->start();
  const Writer keepalived(world.path);
  keepalived.write("what is this\n" + std::string(1000, 'x') + "\nINSTANCE \"x\" MASTER 1\n");
  CHECK(world.sees({"garbage", "x master"}));
  CHECK(world.fifo->garbage() == 2);
  CHECK(world.fifo->lines() == 1);
}

TEST_CASE("a FIFO that was removed and made anew is followed") {
  World world;
  world.fifo->start();
  REQUIRE(::unlink(world.path.c_str()) == 0);
  REQUIRE(::mkfifo(world.path.c_str(), 0600) == 0);
  const Writer keepalived(world.path);
  keepalived.write("INSTANCE \"x\" MASTER 1\n");
  CHECK(world.sees({"x master"}));
}

TEST_CASE("a path that cannot be a FIFO is a problem told once, and mended without a restart") {
  World world;
  std::ofstream(world.path) << "a plain file\n";
  world.fifo->start();
  REQUIRE(world.problems.size() == 1);
  CHECK(world.problems[0].find("is not a FIFO") != std::string::npos);
  REQUIRE(::unlink(world.path.c_str()) == 0);
  REQUIRE(world.turn_until([&] {
    struct stat what {};
    return ::stat(world.path.c_str(), &what) == 0 && S_ISFIFO(what.st_mode);
  }));
  const Writer keepalived(world.path);
  keepalived.write("INSTANCE \"x\" MASTER 1\n");
  CHECK(world.sees({"x master"}));
  CHECK(world.problems.size() == 1);
}

}  // namespace
}  // namespace fairlead::vrrp
