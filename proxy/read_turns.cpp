#include "proxy/read_turns.hpp"

#include <algorithm>

#include "proxy/engine/engine.hpp"

namespace fairlead::proxy {

bool ReadTurns::may_read(Stream& stream) {
  if (stream.in_line) return false;
  const bool waits = stream.large && received_ >= bytes_per_turn;
  if (!waits && stream.reading == engine::Reading::on) return true;
  stand_in_line(stream);
  return false;
}

bool ReadTurns::received(Stream& stream, std::size_t size, std::size_t wanted) {
  const bool filled = size == wanted;
  stream.large = filled && wanted > engine::read_ahead_bytes;
  stream.in_a_row = filled ? stream.in_a_row + static_cast<std::uint32_t>(size) : 0;
  received_ += size;
  return filled;
}

void ReadTurns::stand_in_line(Stream& stream) {
  stream.unread = true;
  if (stream.in_line || stream.reading == engine::Reading::off) return;
  stream.in_line = true;
  if (line_.full()) line_.set_capacity(std::max<std::size_t>(16, 2 * line_.capacity()));
  line_.push_back(stream.id);
}

void ReadTurns::keep_first(Stream& stream) {
  if (stream.large && stream.in_a_row < bytes_in_a_row) {
    line_.pop_back();
    line_.push_front(stream.id);
  } else {
    stream.in_a_row = 0;
  }
}

}  // namespace fairlead::proxy
