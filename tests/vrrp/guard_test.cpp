// The guard with real processes: it writes the truth while its parent lives, and the fault when it does not.
#include "vrrp/guard.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "tests/vrrp/temp_dir.hpp"
#include "vrrp/ready_file.hpp"

namespace fairlead::vrrp {
namespace {

using Clock = std::chrono::steady_clock;

struct World {
  TempDir dir;
  std::string path = dir.file("ready");

  bool says(const std::string& value) {
    return wait_until([&] { return read_ready_file(path) == value; });
  }
  /// Heartbeats until the file says so.
  bool beats_until(Guard& guard, Fitness fitness, const std::string& value) {
    return wait_until([&] {
      last_problem = guard.tell(fitness, Clock::now());
      return read_ready_file(path) == value && guard.up();
    });
  }
  std::string last_problem;
};

/// A process that keeps a guard, as fairlead does, until something happens to it, or to the test.
class Keeper {
 public:
  Keeper(const std::string& path, std::chrono::milliseconds pause) {
    REQUIRE(::pipe2(ends_, O_CLOEXEC) == 0);
    pid_ = ::fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) keep(path, pause);
    ::close(ends_[0]);
  }
  /// Its guard has done its work then: nobody writes into the folder any more.
  ~Keeper() {
    ::close(ends_[1]);
    ::kill(pid_, SIGCONT);
    ::waitpid(pid_, nullptr, 0);
  }
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;
  void signal(int number) const { REQUIRE(::kill(pid_, number) == 0); }

 private:
  [[noreturn]] void keep(const std::string& path, std::chrono::milliseconds pause) const {
    ::close(ends_[1]);
    {
      Guard guard(path);
      pollfd parent{ends_[0], 0, 0};  // nothing is ever written: it wakes when the other end is closed
      do {
        [[maybe_unused]] const std::string problem = guard.tell(Fitness::fit, Clock::now());
      } while (::poll(&parent, 1, static_cast<int>(pause.count())) == 0);
    }
    ::_exit(0);
  }

  int ends_[2] = {-1, -1};
  pid_t pid_ = -1;
};

constexpr std::chrono::milliseconds usual{50};

TEST_CASE("the verdict is in the file, and each change of it") {
  World world;
  Guard guard(world.path);
  CHECK(world.beats_until(guard, Fitness::unfit, "1"));
  CHECK(world.beats_until(guard, Fitness::fit, "0"));
  CHECK(world.beats_until(guard, Fitness::unfit, "1"));
  CHECK(world.beats_until(guard, Fitness::fit, "0"));
  CHECK(world.last_problem.empty());
  CHECK(guard.restarts() == 0);
  guard.stop();
  CHECK(read_ready_file(world.path) == "1");
}

TEST_CASE("kill -9: the fault is written at once, not after a heartbeat's time") {
  World world;
  const Keeper keeper(world.path, usual);
  REQUIRE(world.says("0"));
  const auto killed = Clock::now();
  keeper.signal(SIGKILL);
  CHECK(world.says("1"));
  CHECK(Clock::now() - killed < heartbeat_silence_max);
}

TEST_CASE("a hang: the fault after a second, and the truth again when the process goes on") {
  World world;
  const Keeper keeper(world.path, usual);
  REQUIRE(world.says("0"));
  const auto stopped = Clock::now();
  keeper.signal(SIGSTOP);
  CHECK(world.says("1"));
  CHECK(Clock::now() - stopped > heartbeat_silence_max / 2);
  keeper.signal(SIGCONT);
  CHECK(world.says("0"));
}

TEST_CASE(
    "what somebody else wrote stays until the verdict changes: it is how an operator moves the address") {
  World world;
  Guard guard(world.path);
  REQUIRE(world.beats_until(guard, Fitness::fit, "0"));
  REQUIRE(write_ready_file(world.path.c_str(), '1') == 0);
  const bool overwritten = wait_until(
      [&] { return !guard.tell(Fitness::fit, Clock::now()).empty() || read_ready_file(world.path) != "1"; },
      std::chrono::milliseconds(100));
  CHECK_FALSE(overwritten);
}

TEST_CASE("a guard that was killed is replaced, and the file does not flicker meanwhile") {
  World world;
  Guard guard(world.path);
  REQUIRE(world.beats_until(guard, Fitness::fit, "0"));
  REQUIRE(::kill(guard.pid(), SIGKILL) == 0);
  bool flickered = false;
  CHECK(wait_until([&] {
    [[maybe_unused]] const std::string problem = guard.tell(Fitness::fit, Clock::now());
    flickered = flickered || read_ready_file(world.path) != "0";
    return guard.restarts() == 1 && guard.up();
  }));
  CHECK_FALSE(flickered);
  CHECK(world.beats_until(guard, Fitness::unfit, "1"));
}

TEST_CASE("signals for the whole process group do not end the guard before its work") {
  World world;
  Guard guard(world.path);
  REQUIRE(world.beats_until(guard, Fitness::fit, "0"));
  const pid_t pid = guard.pid();
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGQUIT}) REQUIRE(::kill(pid, number) == 0);
  CHECK(world.beats_until(guard, Fitness::unfit, "1"));
  CHECK(guard.pid() == pid);
  CHECK(guard.restarts() == 0);
}

TEST_CASE("two processes with one ready-file: the second is told so and changes nothing") {
  World world;
  Guard first(world.path);
  REQUIRE(world.beats_until(first, Fitness::fit, "0"));
  Guard second(world.path);
  CHECK(wait_until([&] {
    return second.tell(Fitness::unfit, Clock::now()).find("belongs to another running fairlead") !=
           std::string::npos;
  }));
  CHECK(read_ready_file(world.path) == "0");
  first.stop();
  CHECK(read_ready_file(world.path) == "1");
  CHECK(world.beats_until(second, Fitness::fit, "0"));
}

TEST_CASE("a guard that cannot write says why, and writes as soon as it can") {
  World world;
  const std::string folder = world.dir.file("later");
  const std::string path = folder + "/ready";
  Guard guard(path);
  CHECK(wait_until([&] {
    return guard.tell(Fitness::fit, Clock::now()).find("No such file or directory") != std::string::npos;
  }));
  REQUIRE(::mkdir(folder.c_str(), 0700) == 0);
  CHECK(wait_until(
      [&] { return guard.tell(Fitness::fit, Clock::now()).empty() && read_ready_file(path) == "0"; }));
}

TEST_CASE("the guard holds nothing of its parent open") {
  World world;
  int ends[2];
  REQUIRE(::pipe(ends) == 0);  // without close-on-exec, as a careless library would do it
  Guard guard(world.path);
  REQUIRE(world.beats_until(guard, Fitness::fit, "0"));
  ::close(ends[1]);
  char byte = 0;
  CHECK(::read(ends[0], &byte, 1) == 0);  // end of file: nobody else has the other end
  ::close(ends[0]);
}

TEST_CASE("a longer value of somebody else is replaced whole") {
  World world;
  std::ofstream(world.path) << "12345\n";
  REQUIRE(write_ready_file(world.path.c_str(), '0') == 0);
  CHECK(read_ready_file(world.path) == "0");
  CHECK(std::filesystem::file_size(world.path) == 2);
}

}  // namespace
}  // namespace fairlead::vrrp
