// The channels, patterns and shard channels one session is subscribed to, kept in the order in which the
// server confirmed them: they tell how many confirmations a bare UNSUBSCRIBE brings, and what to subscribe to
// again on another master. Allocated only for sessions that subscribe.
#pragma once

#include <array>
#include <cstddef>
#include <set>
#include <string>
#include <string_view>

#include "resp/command_table.hpp"

namespace fairlead::engine {

enum class ChannelKind : std::uint8_t { channel, pattern, shard };

[[nodiscard]] inline ChannelKind channel_kind(resp::CommandId id) {
  switch (id) {
    case resp::CommandId::psubscribe:
    case resp::CommandId::punsubscribe:
      return ChannelKind::pattern;
    case resp::CommandId::ssubscribe:
    case resp::CommandId::sunsubscribe:
      return ChannelKind::shard;
    default:
      return ChannelKind::channel;
  }
}

[[nodiscard]] inline bool is_subscribe(resp::CommandId id) {
  return id == resp::CommandId::subscribe || id == resp::CommandId::psubscribe ||
         id == resp::CommandId::ssubscribe;
}

[[nodiscard]] inline bool is_unsubscribe(resp::CommandId id) {
  return id == resp::CommandId::unsubscribe || id == resp::CommandId::punsubscribe ||
         id == resp::CommandId::sunsubscribe;
}

class Subscriptions {
 public:
  using Names = std::set<std::string, std::less<>>;

  [[nodiscard]] Names& of(ChannelKind kind) { return names_[static_cast<std::size_t>(kind)]; }
  [[nodiscard]] std::size_t count(ChannelKind kind) const {
    return names_[static_cast<std::size_t>(kind)].size();
  }
  [[nodiscard]] bool empty() const { return names_[0].empty() && names_[1].empty() && names_[2].empty(); }
  void clear() {
    for (Names& names : names_) names.clear();
  }

 private:
  std::array<Names, 3> names_;
};

}  // namespace fairlead::engine
