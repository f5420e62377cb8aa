#include "vrrp/guard.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "vrrp/ready_file.hpp"

namespace fairlead::vrrp {
namespace {

constexpr char fit_value = '0';
constexpr char unfit_value = '1';

constexpr char value_of(Fitness fitness) {
  return fitness == Fitness::fit ? fit_value : unfit_value;
}

/// Nothing of the parent may live on in the guard: a listening socket would swallow clients, a client's would
/// never end, and a signal for the process group must not end the guard before it has done its work.
void forget_parent(int channel) noexcept {
  for (const int number : {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE, SIGALRM}) {
    ::signal(number, SIG_IGN);
  }
  for (const int number : {SIGABRT, SIGCHLD}) ::signal(number, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::setsid();
  ::prctl(PR_SET_NAME, "fairlead-guard");
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int standard = 0; null >= 0 && standard <= 2; ++standard) ::dup2(null, standard);
  // The channel moves to 3, so that all above it can be closed in one call.
  if (channel != 3) ::dup2(channel, 3);
  ::close_range(4, ~0U, 0);
  [[maybe_unused]] const int moved = ::chdir("/");
}

/// The guard's whole life. Descriptor 3 is the channel; `wanted` is what the file is to say until the parent
/// says more.
[[noreturn]] void guard(const char* ready_file, int channel, char wanted) noexcept {
  forget_parent(channel);
  constexpr int pipe = 3;
  int lock = -1;
  char written = 0;
  bool parent_lives = true;
  while (parent_lives) {
    // A guard of a process that has just died may still be about to write its fault; it has the lock until
    // then.
    if (lock < 0) lock = lock_ready_file(ready_file);
    int error = lock < 0 ? -lock : 0;
    if (lock >= 0 && wanted != written) {
      error = write_ready_file(ready_file, wanted);
      if (error == 0) written = wanted;
    }
    const char answer = static_cast<char>(error);
    ::send(pipe, &answer, 1, MSG_NOSIGNAL | MSG_DONTWAIT);

    pollfd waiting{pipe, POLLIN, 0};
    const int ready = ::poll(&waiting, 1, static_cast<int>(heartbeat_silence_max.count()));
    if (ready == 0) wanted = unfit_value;
    if (ready <= 0) continue;
    std::array<char, 64> bytes;
    const ssize_t size = ::recv(pipe, bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (size > 0) wanted = bytes[static_cast<std::size_t>(size - 1)] == fit_value ? fit_value : unfit_value;
    parent_lives = size > 0 || (size < 0 && (errno == EINTR || errno == EAGAIN));
  }
  if (lock >= 0 && written != unfit_value) {
    [[maybe_unused]] const int error = write_ready_file(ready_file, unfit_value);
  }
  ::_exit(0);
}

}  // namespace

Guard::Guard(std::string ready_file) : ready_file_(std::move(ready_file)) {}

Guard::~Guard() {
  stop();
}

std::string Guard::start(Fitness fitness) {
  std::array<int, 2> pair{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair.data()) != 0) {
    return std::string("the guard cannot be started: ") + std::strerror(errno);
  }
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::close(pair[0]);
    guard(ready_file_.c_str(), pair[1], value_of(fitness));
  }
  const int error = errno;
  ::close(pair[1]);
  if (pid < 0) {
    ::close(pair[0]);
    return std::string("the guard cannot be started: ") + std::strerror(error);
  }
  pid_ = pid;
  socket_ = pair[0];
  answered_ = false;
  error_ = 0;
  ++starts_;
  return {};
}

std::string Guard::tell(Fitness fitness, std::chrono::steady_clock::time_point now) {
  if (pid_ < 0) {
    if (std::string problem = start(fitness); !problem.empty()) {
      // Without a guard the truth is at least told while this process can tell it.
      [[maybe_unused]] const int error = write_ready_file(ready_file_.c_str(), value_of(fitness));
      return problem;
    }
    heard_ = now;
  }
  const char value = value_of(fitness);
  const ssize_t sent = ::send(socket_, &value, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
  const bool died = sent < 0 && errno != EAGAIN && errno != EINTR;
  read_answers(now);
  if (died || now - heard_ > guard_silence_max) {
    forget();
    return died ? "the guard process has died; starting another"
                : "the guard process does not answer; starting another";
  }
  if (error_ == EWOULDBLOCK)
    return ready_file_ + " belongs to another running fairlead; give each its own ready-file";
  if (error_ != 0) return "the guard cannot write " + ready_file_ + ": " + std::strerror(error_);
  return {};
}

void Guard::read_answers(std::chrono::steady_clock::time_point now) {
  std::array<char, 256> answers;
  ssize_t size = 0;
  while ((size = ::recv(socket_, answers.data(), answers.size(), MSG_DONTWAIT)) > 0) {
    heard_ = now;
    answered_ = true;
    error_ = static_cast<unsigned char>(answers[static_cast<std::size_t>(size - 1)]);
  }
}

/// Ends a guard that is of no use any more. It is our own child, so the pid is its own until it is reaped.
void Guard::forget() {
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  ::close(socket_);
  pid_ = -1;
  socket_ = -1;
  answered_ = false;
}

void Guard::stop() {
  if (pid_ < 0) return;
  ::shutdown(socket_, SHUT_WR);
  // The guard closes its end when it has written the fault.
  for (int waited_ms = 0; waited_ms < 250; waited_ms += 25) {
    pollfd end{socket_, POLLIN, 0};
    ::poll(&end, 1, 25);
    std::array<char, 256> answers;
    const ssize_t size = ::recv(socket_, answers.data(), answers.size(), MSG_DONTWAIT);
    if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR)) break;
  }
  forget();
}

}  // namespace fairlead::vrrp
