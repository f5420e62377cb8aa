// The stats page, its files, its API and its actions, as a handler of requests. Pure; what it shows and does
// comes from the provider, which is called on the handler's thread.
//
// Actions change something: only when the operator allowed them (`admin`), by POST, with the token that the
// page of this process was given, and from the page's own origin. A browser that another site made send a
// request fails the last two.
#pragma once

#include <functional>
#include <string>

#include "proxy/admin/action.hpp"
#include "proxy/admin/http_types.hpp"
#include "proxy/admin/snapshot.hpp"

namespace fairlead::proxy {

struct PageProvider {
  std::function<AdminSnapshot()> snapshot;
  ActFunction act;
  MayAct may_act = MayAct::no;
  std::string token;  // of this process; never empty with MayAct::yes
};

/// `/`, `/stats` and `/haproxy_stats`, each with `;csv`, `;json`, `;norefresh` and `;up`; `/assets/...`;
/// `/api/v1/...`; `/api/v1/actions/NAME` for each of action_list(). Everything else 404.
[[nodiscard]] HttpHandler make_pages(PageProvider provider);

/// 32 hexadecimal digits that nobody can guess.
[[nodiscard]] std::string make_token();

}  // namespace fairlead::proxy
