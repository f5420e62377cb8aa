#include "proxy/engine/pubsub_frame.hpp"

#include <charconv>

namespace fairlead::engine {

namespace {

struct Head {
  std::string_view word;
  FrameKind kind;
  ChannelKind channel_kind;
};

constexpr Head heads[] = {
    {"message", FrameKind::message, ChannelKind::channel},
    {"pmessage", FrameKind::message, ChannelKind::pattern},
    {"smessage", FrameKind::message, ChannelKind::shard},
    {"subscribe", FrameKind::subscribed, ChannelKind::channel},
    {"psubscribe", FrameKind::subscribed, ChannelKind::pattern},
    {"ssubscribe", FrameKind::subscribed, ChannelKind::shard},
    {"unsubscribe", FrameKind::unsubscribed, ChannelKind::channel},
    {"punsubscribe", FrameKind::unsubscribed, ChannelKind::pattern},
    {"sunsubscribe", FrameKind::unsubscribed, ChannelKind::shard},
};

/// Takes `$n`, the line end and n bytes with theirs off the front of `rest`.
std::optional<std::string_view> take_bulk(std::string_view& rest) {
  if (!rest.starts_with('$')) return std::nullopt;
  const std::size_t line_end = rest.find("\r\n");
  if (line_end == std::string_view::npos) return std::nullopt;
  std::size_t size = 0;
  const char* const digits_end = rest.data() + line_end;
  const auto parsed = std::from_chars(rest.data() + 1, digits_end, size);
  if (parsed.ec != std::errc() || parsed.ptr != digits_end) return std::nullopt;
  rest.remove_prefix(line_end + 2);
  if (rest.size() < 2 || rest.size() - 2 < size) return std::nullopt;
  const std::string_view bulk = rest.substr(0, size);
  rest.remove_prefix(size + 2);
  return bulk;
}

}  // namespace

std::optional<PubsubFrame> read_pubsub_frame(std::string_view frame) {
  if (!frame.starts_with('*') && !frame.starts_with('>')) return std::nullopt;
  const std::size_t line_end = frame.find("\r\n");
  if (line_end == std::string_view::npos) return std::nullopt;
  frame.remove_prefix(line_end + 2);
  const auto word = take_bulk(frame);
  if (!word) return std::nullopt;
  for (const Head& head : heads) {
    if (head.word != *word) continue;
    const auto name = take_bulk(frame);
    if (!name) return std::nullopt;
    return PubsubFrame{head.kind, head.channel_kind, *name};
  }
  return std::nullopt;
}

}  // namespace fairlead::engine
