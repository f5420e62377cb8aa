// The table that HAProxy's users know: rows FRONTEND, one per server, BACKEND, with HAProxy's columns in its
// order (2.6; its management guide, 9.1). Pure; made from a snapshot when somebody asks. Columns that mean
// nothing here are empty, as HAProxy leaves them empty where they mean nothing to it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "proxy/admin/snapshot.hpp"

namespace fairlead::proxy {

struct HaproxyRow {
  std::string kind;                 // Frontend, Server, Backend: as in HAProxy's JSON
  std::vector<std::string> values;  // one per column; "" where there is none

  [[nodiscard]] const std::string& at(std::string_view column) const;
};

[[nodiscard]] const std::vector<std::string_view>& haproxy_columns();
[[nodiscard]] std::vector<HaproxyRow> haproxy_rows(const AdminSnapshot& snapshot);

enum class DownServers : std::uint8_t { shown, hidden };

/// `;csv`, beginning with `# pxname,svname,...`; every line ends with a comma.
[[nodiscard]] std::string haproxy_csv(const AdminSnapshot& snapshot, DownServers down);
/// `;json`: for each row an array of typed fields, the empty ones left out.
[[nodiscard]] std::string haproxy_json(const AdminSnapshot& snapshot, DownServers down);

}  // namespace fairlead::proxy
