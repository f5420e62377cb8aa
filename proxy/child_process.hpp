// A program that this process starts and that must not outlive it, however this process ends. Used by the
// demo for its Redis servers. Functions only: the caller keeps the pid. A child dies with the thread that
// started it, so that thread must live as long as the child is wanted.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace fairlead::proxy {

struct SpawnResult {
  pid_t pid = -1;     // -1: not started
  std::string error;  // why not, as a sentence
};

/// Starts `argv` (argv[0] is looked up in PATH) with standard input from /dev/null and both outputs appended
/// to `output_file`. The child has a process group of its own, so Ctrl-C in the terminal does not reach it,
/// no descriptor of ours but those three, and gets SIGKILL from the kernel when the calling thread ends.
[[nodiscard]] SpawnResult spawn_child(const std::vector<std::string>& argv, const std::string& output_file);

/// How the child ended, as words for a person ("exit code 1", "signal 9"); nullopt while it runs. The child
/// is reaped: ask no more once it has ended.
[[nodiscard]] std::optional<std::string> reap_child(pid_t pid);

/// Ends these children: SIGTERM to all, and SIGKILL to those that are still there after `grace`. Returns when
/// all are reaped.
void end_children(std::vector<pid_t> pids, std::chrono::milliseconds grace);

/// The path of a program in PATH; empty when it is not there or not executable.
[[nodiscard]] std::string find_program(const std::string& name);

}  // namespace fairlead::proxy
