// Sentences for people: what changed about a server or a Sentinel, and what is missing while there is no
// master, each with its address and its remedy. Pure; called by the Arbiter on the control thread; decides
// nothing.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "health/event.hpp"
#include "health/observation.hpp"
#include "health/options.hpp"

namespace fairlead::health {

using ServerReports = std::map<resp::Address, ServerReport>;
using SentinelReports = std::map<resp::Address, SentinelReport>;

/// Appends the events between two reports of one server.
void narrate_server(const resp::Address& address, const ServerReport& before, const ServerReport& after,
                    std::vector<Event>& events);
/// Appends the events between two reports of one Sentinel.
void narrate_sentinel(const resp::Address& address, const SentinelReport& before, const SentinelReport& after,
                      const Options& options, std::vector<Event>& events);

/// What is wrong with a server that should be the master; empty when it is a master that can be used.
[[nodiscard]] std::string fault_of_master(const resp::Address& address, const ServerReport& report);

/// For sentences: whole milliseconds.
[[nodiscard]] inline std::int64_t ms_between(TimePoint from, TimePoint to) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(to - from).count();
}

/// A master that takes commands now, and of which it is known which process it is.
[[nodiscard]] bool can_serve(const ServerReport& report);

struct Waiting {
  std::optional<resp::Address> wanted;  // the server that would be the route, if any is named
  std::string why_suspect;              // the evidence against a route that nothing else replaces
};
/// Why there is no route now and what would help.
[[nodiscard]] std::string explain_waiting(const Options& options, const ServerReports& servers,
                                          const SentinelReports& sentinels, const Waiting& waiting);

}  // namespace fairlead::health
