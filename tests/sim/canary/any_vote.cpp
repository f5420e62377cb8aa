// A planted bug, for the test that the simulator can find one: whoever names another master is believed,
// whatever its config-epoch, so a Sentinel that was cut off leads back to the old master. Linked in place of
// health/ballot.cpp; never part of fairlead.
#define next_verdict next_verdict_as_designed
#include "health/ballot.cpp"
#undef next_verdict

namespace fairlead::health {

Verdict next_verdict(const std::vector<Vote>& votes, std::size_t known, const Candidate& current);

Verdict next_verdict(const std::vector<Vote>& votes, std::size_t, const Candidate& current) {
  for (const Vote& vote : votes) {
    if (vote.address != current.address) return {Candidate{vote.address, vote.epoch}, std::nullopt, false};
  }
  return {};
}

}  // namespace fairlead::health
