// Which streams of a worker are ready: one edge-triggered epoll set, itself one descriptor of the worker's
// io_context. Asio's reactor wants each wait armed anew, which is a system call for every request; a stream
// stays in this set, and each arrival is reported once: who does not read to the end must remember that.
//
// Owned by the Worker; lives on its thread. Never owns a descriptor but the set's own.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstddef>
#include <cstdint>

#include "proxy/engine/io.hpp"

namespace fairlead::proxy {

class Poller {
 public:
  enum class Interest : std::uint8_t { none, read, write, read_and_write };
  /// What is ready. A lost connection is all of it: the next system call on it tells why.
  struct Ready {
    engine::ConnId id;
    bool readable = false;
    bool writable = false;
    bool ended = false;  // behind what can be read comes the end, of which nothing is told again
  };

  /// Throws boost::system::system_error when the system has no epoll set to give.
  explicit Poller(boost::asio::io_context& context);

  /// Changes what is waited for from `now` to `wanted`; what is ready already is reported. Returns 0, or the
  /// number of the error when the system has no room for one more descriptor; then `now` is as before.
  [[nodiscard]] int change(int descriptor, engine::ConnId id, Interest& now, Interest wanted);

  /// Calls `handler(const Ready&)` for all that is ready, events_max at most, without waiting. A name may be
  /// that of a stream that was closed by an earlier call. Returns for how many it found something to do.
  template <typename Handler>
  std::size_t dispatch(Handler handler) {
    std::size_t done = 0;
    const std::size_t count = take();
    for (std::size_t i = 0; i < count; ++i) done += handler(ready_at(i)) ? 1U : 0U;
    return done;
  }

  /// Has the io_context wake up when a stream is ready.
  void wake();

 private:
  /// As many as Asio's reactor takes in one round.
  static constexpr std::size_t events_max = 128;

  std::size_t take();
  [[nodiscard]] Ready ready_at(std::size_t i) const;

  boost::asio::posix::stream_descriptor set_;
  bool wake_armed_ = false;
  std::array<epoll_event, events_max> events_{};
};

}  // namespace fairlead::proxy
