#include <cstdio>
#include <filesystem>
#include <system_error>

#include <fmt/format.h>

#include "proxy/commands.hpp"
#include "vrrp/keepalived_conf.hpp"

namespace fairlead::proxy {
namespace {

/// How keepalived is to call this very program. Its arguments are separated by spaces, so no path may have
/// one.
std::string check_command(const std::string& config_file) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  std::string command = (error ? fs::path("/usr/bin/fairlead") : program).string() + " check";
  if (!config_file.empty()) command += " --config " + fs::absolute(config_file, error).string();
  return command;
}

}  // namespace

int command_keepalived(const CommandLine& line) {
  const ConfigResult config = load_config_of(line);
  if (!config.errors.empty()) {
    print_config_errors(config);
    return exit_config;
  }
  const VrrpOptions& vrrp = config.options.vrrp;
  vrrp::PairDescription pair;
  pair.instance = vrrp.instance;
  pair.address = vrrp.address;
  pair.interface = vrrp.interface;
  pair.nodes = {vrrp.node_a, vrrp.node_b};
  pair.router_id = vrrp.router_id;
  pair.advert_interval = vrrp.advert_interval;
  pair.ready_file = vrrp.ready_file;
  pair.notify_fifo = vrrp.notify_fifo;
  pair.user = vrrp.user;
  pair.check_command = check_command(config.options.config_file);
  const std::vector<std::string> faults = vrrp::find_faults(pair);
  for (const std::string& fault : faults) fmt::print(stderr, "fairlead: {}\n", fault);
  if (!faults.empty()) return exit_config;
  fmt::print("{}", vrrp::render(pair, line.node == "a" ? vrrp::Node::a : vrrp::Node::b));
  return exit_success;
}

}  // namespace fairlead::proxy
