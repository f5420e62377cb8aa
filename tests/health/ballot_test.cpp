#include "health/ballot.hpp"

#include <catch2/catch.hpp>
#include <string>

#include "tests/health/machine_steps.hpp"

using namespace fairlead::health;

namespace {

// Votes as "A3 B2": address and epoch.
std::vector<Vote> votes_in(const std::string& text) {
  std::vector<Vote> votes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 3) {
    votes.push_back({local(7000 + text[i] - 'A'), static_cast<std::uint64_t>(text[i + 1] - '0')});
  }
  return votes;
}

// A verdict as text: "B4" winner, "(A0)" outdated, "!" conflict, "" nothing.
std::string text_of(const Verdict& verdict) {
  const auto name = [](const Candidate& candidate) {
    return std::string(1, static_cast<char>('A' + candidate.address.port - 7000)) +
           std::to_string(candidate.epoch);
  };
  std::string text;
  if (verdict.winner) text += name(*verdict.winner);
  if (verdict.outdated) text += "(" + name(*verdict.outdated) + ")";
  if (verdict.conflict) text += "!";
  return text;
}

}  // namespace

TEST_CASE("the first route", "[ballot]") {
  struct Row {
    const char* votes;
    std::size_t known;
    const char* incomplete;
    const char* complete;
  };
  const auto row = GENERATE(values<Row>({
      {"", 3, "", ""},
      {"A0", 1, "A0", "A0"},
      {"A0", 3, "", "A0"},          // one of three may be stale: wait for the others
      {"A0 A0", 3, "A0", "A0"},     // a majority
      {"A0 B1", 3, "", "B1"},       // the stale one answered first
      {"A0 A0 B1", 3, "", "B1"},    // followers were not told yet: the higher epoch wins once all were heard
      {"A1 B1", 3, "", "!"},        // split at one epoch: nobody
      {"A1 B1 B1", 3, "B1", "B1"},  // split, with a majority
      {"A1 B1 C1", 5, "", "!"},
      {"A2 A1", 3, "A2", "A2"},  // the same address at two epochs
  }));
  CAPTURE(row.votes, row.known);
  CHECK(text_of(first_verdict(votes_in(row.votes), row.known, Hearing::incomplete)) == row.incomplete);
  CHECK(text_of(first_verdict(votes_in(row.votes), row.known, Hearing::complete)) == row.complete);
}

TEST_CASE("the next route, with A at epoch 3", "[ballot]") {
  struct Row {
    const char* votes;
    std::size_t known;
    const char* verdict;
  };
  const auto row = GENERATE(values<Row>({
      {"", 3, ""},
      {"A3 A3 A3", 3, ""},
      {"A3 A3 B2", 3, ""},    // one stale Sentinel
      {"A3 A3 B3", 3, ""},    // one lying at the same epoch
      {"A3 A3 B4", 3, "B4"},  // an elected leader: its followers are not told yet
      {"A3 B2 B2", 3, ""},    // just switched to A: the followers still name B, the leader vouches for A
      {"B2 B2", 3, "(B2)"},   // nobody vouches for A
      {"B2", 3, ""},          // one of three known is no majority, however alone it is
      {"A3 B3 B3", 3, "B3"},  // the same epoch, a majority
      {"B3 B2", 3, "(B3)"},   // a majority only with the older epoch
      {"B4 C4 A3", 3, "!"},   // split at a higher epoch
      {"B4 C4 C4", 3, "C4"},
      {"A5 A3 A3", 3, "A5"},  // the same master at a higher epoch
      {"B4 C5 A3", 3, "C5"},
  }));
  CAPTURE(row.votes, row.known);
  const Verdict verdict = next_verdict(votes_in(row.votes), row.known, {local(7000), 3});
  CHECK(text_of(verdict) == row.verdict);
}
