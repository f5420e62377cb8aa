#include "health/signal.hpp"

namespace fairlead::health {

const char* to_string(SignalKind kind) {
  switch (kind) {
    case SignalKind::link_lost:
      return "link_lost";
    case SignalKind::connect_failed:
      return "connect_failed";
    case SignalKind::read_only:
      return "read_only";
    case SignalKind::refused_loading:
      return "refused_loading";
    case SignalKind::login_failed:
      return "login_failed";
    case SignalKind::not_master:
      return "not_master";
    case SignalKind::stood_still:
      return "stood_still";
  }
  return "unknown";
}

}  // namespace fairlead::health
