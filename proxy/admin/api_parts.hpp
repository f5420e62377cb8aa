// Parts of the API that concern this instance itself rather than Redis: its links, the latency it measures,
// the pair, what an operator ordered. Pure; api.cpp puts them together.
#pragma once

#include <boost/json/value.hpp>

#include "proxy/admin/snapshot.hpp"

namespace fairlead::proxy {

[[nodiscard]] std::int64_t to_unix_ms(WallTime at);
[[nodiscard]] double to_us(std::uint64_t ns);
[[nodiscard]] boost::json::value links_json(const AdminSnapshot& snapshot);
/// Percentiles and cumulative counts for each command, and for the turns of the workers' loops, which are the
/// grain of all of them.
[[nodiscard]] boost::json::value latency_json(const AdminSnapshot& snapshot);
[[nodiscard]] boost::json::value vrrp_json(const AdminSnapshot& snapshot);
[[nodiscard]] boost::json::value operator_json(const AdminSnapshot& snapshot);

}  // namespace fairlead::proxy
