#include "proxy/child_process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/close_range.h>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <thread>

namespace fairlead::proxy {
namespace {

/// What the child does between fork and exec. Other threads may have held locks at the fork, so only
/// functions that are async-signal-safe are called here, and everything they need was prepared before.
[[noreturn]] void become_program(const char* program, char* const* argv, const char* output_file,
                                 pid_t parent, int error_pipe) {
  const auto fail = [error_pipe] {
    const int reason = errno;
    [[maybe_unused]] const auto written = ::write(error_pipe, &reason, sizeof reason);
    ::_exit(127);
  };
  ::setpgid(0, 0);
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) fail();
  // The parent may have died before prctl took effect; then nobody would ever end this child.
  if (::getppid() != parent) ::_exit(127);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const int input = ::open("/dev/null", O_RDONLY);
  const int output = ::open(output_file, O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (input < 0 || output < 0) fail();
  if (::dup2(input, 0) < 0 || ::dup2(output, 1) < 0 || ::dup2(output, 2) < 0) fail();
  // Asio's sockets are not close-on-exec: a child that kept one would keep a client's connection open.
  if (::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) != 0) fail();
  ::execv(program, argv);
  fail();
  ::_exit(127);
}

std::string describe_wait_status(int status) {
  if (WIFSIGNALED(status)) return "signal " + std::to_string(WTERMSIG(status));
  return "exit code " + std::to_string(WEXITSTATUS(status));
}

}  // namespace

SpawnResult spawn_child(const std::vector<std::string>& argv, const std::string& output_file) {
  const std::string program = find_program(argv.front());
  if (program.empty()) return {-1, argv.front() + " is not in PATH"};
  std::vector<char*> arguments;
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);

  // The child reports through this pipe why exec failed; a successful exec closes it without a byte.
  std::array<int, 2> error_pipe{};
  if (::pipe2(error_pipe.data(), O_CLOEXEC) != 0) return {-1, std::string("pipe: ") + std::strerror(errno)};
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) {
    become_program(program.c_str(), arguments.data(), output_file.c_str(), parent, error_pipe[1]);
  }
  const int fork_error = errno;
  ::close(error_pipe[1]);
  if (pid < 0) {
    ::close(error_pipe[0]);
    return {-1, std::string("fork: ") + std::strerror(fork_error)};
  }
  int reason = 0;
  ssize_t length = 0;
  do {
    length = ::read(error_pipe[0], &reason, sizeof reason);
  } while (length < 0 && errno == EINTR);
  ::close(error_pipe[0]);
  if (length != static_cast<ssize_t>(sizeof reason)) return {pid, {}};
  end_children({pid}, std::chrono::milliseconds(0));
  return {-1, program + " could not be started: " + std::strerror(reason)};
}

std::optional<std::string> reap_child(pid_t pid) {
  int status = 0;
  const pid_t reaped = ::waitpid(pid, &status, WNOHANG);
  if (reaped == 0 || (reaped < 0 && errno == EINTR)) return std::nullopt;
  if (reaped < 0) return "already reaped";
  return describe_wait_status(status);
}

void end_children(std::vector<pid_t> pids, std::chrono::milliseconds grace) {
  for (const pid_t pid : pids) ::kill(pid, SIGTERM);
  const auto deadline = std::chrono::steady_clock::now() + grace;
  while (!pids.empty()) {
    std::erase_if(pids, [](pid_t pid) { return reap_child(pid).has_value(); });
    if (pids.empty()) return;
    if (std::chrono::steady_clock::now() >= deadline) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  for (const pid_t pid : pids) ::kill(pid, SIGKILL);
  for (const pid_t pid : pids) {
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  }
}

std::string find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return ::access(name.c_str(), X_OK) == 0 ? name : std::string();
  const char* path = std::getenv("PATH");
  std::istringstream directories(path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin");
  for (std::string directory; std::getline(directories, directory, ':');) {
    const std::string candidate = directory + "/" + name;
    if (!directory.empty() && ::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return {};
}

}  // namespace fairlead::proxy
