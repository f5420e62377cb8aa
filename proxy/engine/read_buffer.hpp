// The bytes of one client that were received and not consumed yet. Owned by a Session.
//
//        chunk  | consumed ... | unread ............ | room to receive into |
//                              ^ begin               ^ end                  ^ capacity
//
// Lazy on purpose: an idle client owns no chunk. Bytes that arrive for a client without unread bytes are
// parsed where they were received, in the worker's shared chunk (`adopt`); only what is left of an unfinished
// frame is copied into a chunk of the session's own (`settle`). That chunk grows with what arrived, never
// with what was announced. Who sends large values is lent a chunk for the next one (`take_over`), and keeps
// it only when enough of that value has come.
#pragma once

#include <cstddef>
#include <string_view>

#include "proxy/engine/chunk.hpp"
#include "proxy/engine/io.hpp"

namespace fairlead::engine {

class ReadBuffer {
 public:
  [[nodiscard]] std::string_view unread() const {
    return chunk_ ? std::string_view{chunk_->data() + begin_, end_ - begin_} : std::string_view{};
  }
  [[nodiscard]] std::size_t size() const { return end_ - begin_; }
  [[nodiscard]] bool empty() const { return begin_ == end_; }
  /// Room behind the unread bytes in a chunk of its own.
  [[nodiscard]] std::size_t room_left() const { return own_ ? chunk_->capacity - end_ : 0; }
  /// True when unread bytes lie in a chunk of this buffer's own, so that more must be received behind them.
  [[nodiscard]] bool owns_chunk() const { return own_; }

  /// Looks at `size` bytes that were received at the start of the shared chunk. Only while empty.
  void adopt(ChunkRef shared, std::size_t size);
  /// Looks at `size` bytes that were received at the start of a chunk that nobody else refers to. Only while
  /// empty.
  void take_over(ChunkRef chunk, std::size_t size);
  /// Room to receive into behind the unread bytes. `needed` is how many unread bytes the unfinished frame
  /// wants in all; the chunk never exceeds what has already arrived by more than a factor of eight and 16
  /// KiB.
  [[nodiscard]] MutableBytes room(ChunkPool& pool, std::uint64_t needed);
  void received(std::size_t size);

  void consume(std::size_t size);
  /// The next `size` unread bytes as a reference, without copying. Does not consume them.
  [[nodiscard]] Bytes share(std::size_t size) const;
  /// End of a turn: lets go of a chunk without unread bytes, and copies unread bytes out of a chunk that is
  /// shared, or too large for them. `needed` and what is too large: see room().
  void settle(ChunkPool& pool, std::uint64_t needed);
  void clear();

 private:
  [[nodiscard]] std::size_t capacity_max() const;
  [[nodiscard]] std::size_t grown(std::uint64_t needed) const;
  void move_to_own(ChunkPool& pool, std::size_t capacity);

  ChunkRef chunk_;
  std::uint32_t begin_ = 0;
  std::uint32_t end_ = 0;
  bool own_ = false;
};

}  // namespace fairlead::engine
