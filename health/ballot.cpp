#include "health/ballot.hpp"

#include <algorithm>

namespace fairlead::health {

namespace {

struct Top {
  std::uint64_t epoch = 0;
  std::vector<resp::Address> addresses;  // named at that epoch, each once
};

Top top_of(const std::vector<Vote>& votes) {
  Top top;
  for (const auto& vote : votes) {
    if (vote.epoch > top.epoch) top = {vote.epoch, {}};
    if (vote.epoch < top.epoch) continue;
    if (std::find(top.addresses.begin(), top.addresses.end(), vote.address) == top.addresses.end()) {
      top.addresses.push_back(vote.address);
    }
  }
  return top;
}

// Of several addresses at one epoch, the one that a majority of the known Sentinels names.
Verdict settle_tie(const Top& top, const std::vector<Vote>& votes, std::size_t known) {
  for (const auto& address : top.addresses) {
    if (is_majority(count_votes(votes, address), known))
      return {Candidate{address, top.epoch}, std::nullopt, false};
  }
  return {std::nullopt, std::nullopt, true};
}

// The highest epoch at which `address` is named.
std::uint64_t epoch_of(const std::vector<Vote>& votes, const resp::Address& address) {
  std::uint64_t epoch = 0;
  for (const auto& vote : votes) {
    if (vote.address == address) epoch = std::max(epoch, vote.epoch);
  }
  return epoch;
}

}  // namespace

std::size_t count_votes(const std::vector<Vote>& votes, const resp::Address& address) {
  return static_cast<std::size_t>(
      std::count_if(votes.begin(), votes.end(), [&](const Vote& vote) { return vote.address == address; }));
}

Verdict first_verdict(const std::vector<Vote>& votes, std::size_t known, Hearing hearing) {
  if (votes.empty()) return {};
  const Top top = top_of(votes);
  if (top.addresses.size() > 1) {
    const Verdict verdict = settle_tie(top, votes, known);
    return verdict.winner || hearing == Hearing::complete ? verdict : Verdict{};
  }
  const auto& address = top.addresses.front();
  if (hearing == Hearing::complete || is_majority(count_votes(votes, address), known)) {
    return {Candidate{address, top.epoch}, std::nullopt, false};
  }
  return {};
}

Verdict next_verdict(const std::vector<Vote>& votes, std::size_t known, const Candidate& current) {
  const Top top = top_of(votes);
  if (top.epoch > current.epoch) {
    if (top.addresses.size() > 1) return settle_tie(top, votes, known);
    return {Candidate{top.addresses.front(), top.epoch}, std::nullopt, false};
  }
  std::vector<Vote> same_epoch;
  bool vouched_for = false;
  for (const auto& vote : votes) {
    if (vote.epoch < current.epoch) continue;
    same_epoch.push_back(vote);
    vouched_for = vouched_for || vote.address == current.address;
  }
  for (const auto& vote : votes) {
    if (vote.address == current.address) continue;
    if (is_majority(count_votes(same_epoch, vote.address), known)) {
      return {Candidate{vote.address, current.epoch}, std::nullopt, false};
    }
    if (!vouched_for && is_majority(count_votes(votes, vote.address), known)) {
      return {std::nullopt, Candidate{vote.address, epoch_of(votes, vote.address)}, false};
    }
  }
  return {};
}

}  // namespace fairlead::health
