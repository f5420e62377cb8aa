#include "health/topology.hpp"

namespace fairlead::health {

const char* to_string(GroupState state) {
  switch (state) {
    case GroupState::init:
      return "init";
    case GroupState::steady:
      return "steady";
    case GroupState::suspect:
      return "suspect";
    case GroupState::switching:
      return "switching";
    case GroupState::restarted:
      return "restarted";
    case GroupState::isolated:
      return "isolated";
  }
  return "unknown";
}

const char* to_string(Role role) {
  switch (role) {
    case Role::unknown:
      return "unknown";
    case Role::master:
      return "master";
    case Role::replica:
      return "replica";
    case Role::sentinel:
      return "sentinel";
  }
  return "unknown";
}

const char* to_string(Standing standing) {
  switch (standing) {
    case Standing::ready:
      return "ready";
    case Standing::drain:
      return "drain";
    case Standing::maint:
      return "maint";
  }
  return "unknown";
}

}  // namespace fairlead::health
