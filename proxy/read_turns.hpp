// Which streams of a worker are read next, and how much of them in one turn of its loop. An edge-triggered
// poller tells of each arrival once, so a stream that was not read to the end must be remembered; and who
// brings large values must not keep those who bring small ones waiting.
//
//   reported --read--> to its end                         nothing to remember
//                 `--> not to its end, or not now: in line --its turn--> read again
//
// Pure: it reads nothing itself. Owned by a Worker; lives on its thread.
#pragma once

#include <boost/circular_buffer.hpp>
#include <cstddef>

#include "proxy/stream.hpp"

namespace fairlead::proxy {

class ReadTurns {
 public:
  /// What is received in a turn before streams that bring large values wait for the next one. With half of it
  /// small commands beside them were no faster, and a GET of 512 KiB cost 20 % more: twice as many writes.
  static constexpr std::size_t bytes_per_turn = 256 * 1024;
  /// From one of them, before the next one in line: the length of a value or two. A piece of each in turn
  /// would push the beginnings of all of them out of the caches.
  static constexpr std::size_t bytes_in_a_row = 1024 * 1024;

  void begin_turn() { received_ = 0; }
  [[nodiscard]] bool empty() const { return line_.empty(); }

  /// It was reported ready: whether it may be read now. Otherwise it is remembered.
  [[nodiscard]] bool may_read(Stream& stream);
  /// `size` bytes of it came, of `wanted` that there was room for. Whether there may be more: a read that
  /// does not fill its room took all there was.
  bool received(Stream& stream, std::size_t size, std::size_t wanted);
  /// There may be more of it: it is read in its turn. While its reading is off that is only noted; call again
  /// when it is on.
  void stand_in_line(Stream& stream);

  /// Reads those in line, the longest waiting first, until this turn has received enough. `find(ConnId)` is
  /// the stream of that name or nullptr, `read(ConnId)` receives once; both may close any stream. Returns how
  /// many were read.
  template <typename Find, typename Read>
  std::size_t serve(Find find, Read read) {
    std::size_t count = 0;
    while (!line_.empty() && received_ < bytes_per_turn) {
      const engine::ConnId id = line_.front();
      line_.pop_front();
      Stream* stream = find(id);
      if (stream == nullptr) continue;  // closed since
      stream->in_line = false;
      if (stream->reading == engine::Reading::off) continue;  // stands here again when it is on
      stream->unread = false;
      read(id);
      ++count;
      stream = find(id);
      if (stream != nullptr && stream->in_line) keep_first(*stream);
    }
    return count;
  }

 private:
  /// It has just been read, and stands at the end again.
  void keep_first(Stream& stream);

  boost::circular_buffer<engine::ConnId> line_;  // some may have been closed since
  std::size_t received_ = 0;                     // in this turn
};

}  // namespace fairlead::proxy
