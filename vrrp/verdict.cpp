#include "vrrp/verdict.hpp"

namespace fairlead::vrrp {

std::string standing_still(const LocalFacts& facts) {
  for (std::size_t i = 0; i < facts.workers.size(); ++i) {
    if (facts.workers[i].silence <= silence_max) continue;
    return "worker " + std::to_string(i) + " has not turned its loop for " +
           std::to_string(facts.workers[i].silence.count()) + " ms";
  }
  return {};
}

Verdict judge(const LocalFacts& facts) {
  if (facts.phase == Phase::starting) return {false, "starting: the listeners are not open yet"};
  if (facts.phase == Phase::leaving) return {false, facts.leaving_reason};
  if (std::string reason = standing_still(facts); !reason.empty()) return {false, std::move(reason)};
  for (std::size_t i = 0; i < facts.workers.size(); ++i) {
    const std::uint32_t open = facts.workers[i].listeners_open;
    if (open >= facts.listeners_wanted) continue;
    return {false, "worker " + std::to_string(i) + " accepts clients on " + std::to_string(open) + " of " +
                       std::to_string(facts.listeners_wanted) + " listeners"};
  }
  return {true, {}};
}

}  // namespace fairlead::vrrp
