// Counting what the Sentinels say: which master may be adopted, by config-epoch and by majority. Three pure
// functions and their small types, apart from the Arbiter so that every combination can be tested as a table.
//
// "Known" Sentinels are all that are configured or were discovered, reachable or not: a minority that can
// still be heard must not become a majority by the others' silence.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "resp/address.hpp"

namespace fairlead::health {

/// The word of one usable Sentinel (answers, watches this master, not in TILT).
struct Vote {
  resp::Address address;
  std::uint64_t epoch = 0;
};

struct Candidate {
  resp::Address address;
  std::uint64_t epoch = 0;
  friend bool operator==(const Candidate&, const Candidate&) = default;
};

struct Verdict {
  std::optional<Candidate> winner;  // another master than the current one, or a higher epoch of the same
  // A majority names this one at an older epoch, and nobody vouches for the current one any more. Right after
  // a failover it is the old master, named by followers who were not told yet; only time, or the current
  // one's own word, tells that from an operator who configured the Sentinels anew.
  std::optional<Candidate> outdated;
  bool conflict = false;  // several masters at the highest epoch and no majority: nobody may be followed
};

/// Whether the first answers are all there will be for now: each known Sentinel answered or failed once.
enum class Hearing : std::uint8_t { incomplete, complete };

/// Votes that name `address`, at any epoch.
[[nodiscard]] std::size_t count_votes(const std::vector<Vote>& votes, const resp::Address& address);
[[nodiscard]] inline bool is_majority(std::size_t count, std::size_t known) {
  return count > known / 2;
}

/// Without a trusted route: the address at the highest epoch, at once when a majority of the known Sentinels
/// names it, otherwise when the hearing is complete, so that one stale Sentinel that happens to answer first
/// decides nothing.
[[nodiscard]] Verdict first_verdict(const std::vector<Vote>& votes, std::size_t known, Hearing hearing);

/// With a route at `current`: a higher epoch from a single Sentinel is enough, since only an elected leader
/// can raise it. The same epoch with another address needs a majority of the known, at that epoch. A majority
/// at lower epochs is only `outdated`, and not even that while one Sentinel names the current address at its
/// epoch.
[[nodiscard]] Verdict next_verdict(const std::vector<Vote>& votes, std::size_t known,
                                   const Candidate& current);

}  // namespace fairlead::health
