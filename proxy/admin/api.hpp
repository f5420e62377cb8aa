// The JSON of /api/v1: everything on the page. Pure; made from a snapshot when somebody asks. Times are
// milliseconds since 1970, durations have their unit in their name; texts from outside are made printable.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/admin/snapshot.hpp"

namespace fairlead::proxy {

/// What the page of this reader may do, beside what it shows.
struct ApiReader {
  bool may_act = false;
  std::string token;                  // for its POSTs; only with may_act
  std::int64_t history_after_ms = 0;  // samples of the charts that it has already
};

/// The document of /api/v1/status.
[[nodiscard]] std::string api_status(const AdminSnapshot& snapshot, const ApiReader& reader);

/// One part of it: `servers` of /api/v1/servers and so on; nullopt for a name that is none.
[[nodiscard]] std::optional<std::string> api_part(const AdminSnapshot& snapshot, std::string_view name);

/// The same, not yet written down; null for a name that is none.
[[nodiscard]] boost::json::value api_value(const AdminSnapshot& snapshot, std::string_view name);

/// The sentence at the top of the page, and how bad it is.
struct Verdict {
  std::string level;  // ok, warn, down
  std::string text;
};
[[nodiscard]] Verdict verdict_of(const AdminSnapshot& snapshot);

}  // namespace fairlead::proxy
