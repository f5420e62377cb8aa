// The subscriptions of all sessions that are one user to the servers, and the upstream link that carries
// them. Users have hubs apart, so that the server's ACL decides for each what it may hear. Owned by the
// Engine; lives on one worker's thread.
#pragma once

#include "proxy/engine/backend_link.hpp"
#include "proxy/engine/subscription_hub.hpp"

namespace fairlead::engine {

struct UserHub {
  explicit UserHub(UserPtr user_) : user(std::move(user_)) {}

  UserPtr user;  // null: fairlead's own login
  SubscriptionHub names;
  BackendLink* link = nullptr;
  resp::Version version = resp::Version::resp3;  // what the link is to speak
  bool skips = false;                            // drops the rest of a frame that was too long
  health::TimePoint not_before{};                // no new link until then
  std::uint64_t subscribers_counted = 0;         // what of it is in the Engine's counters
  std::uint64_t names_counted = 0;
  HubHook tend_hook;  // the Engine's lists of hubs with something to do
};

}  // namespace fairlead::engine
