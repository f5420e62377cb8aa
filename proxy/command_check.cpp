#include <cstdio>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "proxy/check_probe.hpp"
#include "proxy/commands.hpp"
#include "vrrp/ready_file.hpp"

namespace fairlead::proxy {
namespace {

/// With the start of the process it stays below half a second.
constexpr std::chrono::milliseconds probe_time{400};

/// Nothing could be asked (the address is not here, no stats listener): the guard's word is what is left.
void ask_ready_file(const VrrpOptions& vrrp, ProbeResult& result) {
  const std::string value = vrrp.ready_file.empty() ? std::string() : vrrp::read_ready_file(vrrp.ready_file);
  if (value == "0") return;
  if (value.empty()) {
    result.faults.emplace_back(
        "it cannot be asked: no listener of it is on this host now; listen on 127.0.0.1 too, or give it a "
        "stats "
        "listener");
  } else {
    result.faults.push_back(fmt::format("{} says {}", vrrp.ready_file, value));
  }
}

}  // namespace

int command_check(const CommandLine& line) {
  const ConfigResult config = load_config_of(line);
  if (!config.errors.empty()) {
    print_config_errors(config);
    return exit_config;
  }
  ProbeResult result = probe_instance(config.options, probe_time);
  if (result.answers == 0 && result.faults.empty()) ask_ready_file(config.options.vrrp, result);
  if (!result.faults.empty()) {
    fmt::print("unfit: {}\n", fmt::join(result.faults, "; "));
    return exit_unfit;
  }
  fmt::print("fit{}{}\n", result.notes.empty() ? "" : "; ", fmt::join(result.notes, "; "));
  return exit_success;
}

}  // namespace fairlead::proxy
