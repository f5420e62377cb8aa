#include "proxy/admin/action.hpp"

#include <algorithm>
#include <array>

namespace fairlead::proxy {

namespace {

constexpr std::array actions{
    ActionSpec{"pause", Argument::none, "", "PAUSE",
               "hold all commands until RESUME; they fail when 'hold' is over (as SIGUSR1)"},
    ActionSpec{"resume", Argument::none, "", "RESUME",
               "go on; also accepts a restarted master that came back empty (as SIGUSR2)"},
    ActionSpec{"failover", Argument::none, "", "FAILOVER",
               "ask a Sentinel to make a replica the master; commands wait meanwhile"},
    ActionSpec{
        "drain", Argument::optional, "server", "DRAIN [server]",
        "the pair's address goes to the peer, /readyz says no; who is here is served; or keep a server "
        "out"},
    ActionSpec{"ready", Argument::optional, "server", "READY [server]",
               "end DRAIN of this instance, or DRAIN and MAINT of a server"},
    ActionSpec{"maint", Argument::required, "server", "MAINT server",
               "a server that may be down; without Sentinel it is not followed as a master"},
    ActionSpec{"kill", Argument::required, "client", "KILL id", "close a client; SHOW CLIENTS has the ids"},
    ActionSpec{"reload", Argument::none, "", "RELOAD",
               "read the configuration again; with errors nothing is changed (as SIGHUP)"},
};

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

}  // namespace

std::span<const ActionSpec> action_list() {
  return actions;
}

const ActionSpec* find_action(std::string_view name) {
  const auto found = std::find_if(actions.begin(), actions.end(), [&](const ActionSpec& action) {
    return std::equal(name.begin(), name.end(), action.name.begin(), action.name.end(),
                      [](char given, char known) { return lower(given) == known; });
  });
  return found == actions.end() ? nullptr : &*found;
}

}  // namespace fairlead::proxy
