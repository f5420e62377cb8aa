// Links that are open before anybody needs them, so that the clients who come all at once when the pair's
// address arrives here find them logged in, and verified as those of a master.
#include <algorithm>

#include "proxy/engine/engine.hpp"

namespace fairlead::engine {

using health::TimePoint;

/// Some may be missing, and are looked for from then on: at once on a new route, after a pause when one was
/// lost and the route stays, or a server that ends every link would be asked without end.
void Engine::want_warm_links(TimePoint from) {
  const bool any = options_.warm_links > 0 && options_.pool_mode == PoolMode::multiplex;
  if (any) warm_wanted_from_ = from;
}

/// When the missing ones are to be opened; nullopt: never, or not before the gate is open again.
std::optional<TimePoint> Engine::warm_due() const {
  return gate_.open() && !draining_ ? warm_wanted_from_ : std::nullopt;
}

/// Those that a client of RESP2 gets at first. Other users, databases and protocols cannot be foreseen, and
/// cost their first client one login.
void Engine::open_warm_links(TimePoint now) {
  warm_wanted_from_.reset();
  const std::uint32_t lanes = std::min(options_.warm_links, options_.links_per_server);
  for (std::uint32_t lane = 0; lane < lanes; ++lane) {
    LinkKey key;
    key.lane = lane;
    static_cast<void>(pool_.shared(key, nullptr, now));
  }
}

}  // namespace fairlead::engine
