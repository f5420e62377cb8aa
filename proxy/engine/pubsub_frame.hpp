// What one frame of the subscriptions' upstream link says: a message, or the end or beginning of a
// subscription. Pure; looks at the first elements only, however long the frame is.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "proxy/engine/subscriptions.hpp"

namespace fairlead::engine {

enum class FrameKind : std::uint8_t { message, subscribed, unsubscribed };

struct PubsubFrame {
  FrameKind kind = FrameKind::message;
  ChannelKind channel_kind = ChannelKind::channel;
  std::string_view name;  // the channel or, for pmessage, the pattern; within the frame
};

/// `frame` begins with its `*` or `>` and reaches at least behind the name. nullopt when it is nothing that a
/// server says to a subscriber.
[[nodiscard]] std::optional<PubsubFrame> read_pubsub_frame(std::string_view frame);

}  // namespace fairlead::engine
