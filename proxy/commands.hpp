// The subcommands, one per file; main chooses. Each runs on the main thread, prints for a person and returns
// the program's exit code. demo is in demo.hpp.
#pragma once

#include <string>

#include "proxy/command_line.hpp"
#include "proxy/config.hpp"

namespace fairlead::proxy {

inline constexpr int exit_success = 0;
inline constexpr int exit_failure = 1;
inline constexpr int exit_usage = 2;
inline constexpr int exit_unfit = 69;   // EX_UNAVAILABLE
inline constexpr int exit_config = 78;  // EX_CONFIG of sysexits.h

/// The proxy until it is told to end.
int command_run(const CommandLine& line);

/// Whether the instance of this configuration that runs on this host is fit; within half a second.
int command_check(const CommandLine& line);

/// Prints keepalived.conf of one node of the pair.
int command_keepalived(const CommandLine& line);

/// A live view of a running fairlead, from its console; printed once when the output is no terminal.
int command_top(const CommandLine& line);

/// Prints what is in force, or all errors.
int command_check_config(const CommandLine& line);

int command_example_config();

int command_version();

/// Reads all sources for the line, with the process' environment. In command_config.cpp.
[[nodiscard]] ConfigResult load_config_of(const CommandLine& line);

/// All errors, one per line, on standard error.
void print_config_errors(const ConfigResult& result);

/// `0.1.0`.
[[nodiscard]] std::string version();

}  // namespace fairlead::proxy
