// What the two floor programs need of TCP: listening, connecting, sending and receiving without waiting, on
// 127.0.0.1. Used by one thread. Errors that leave nothing to measure end the program with a sentence; those
// of one connection are told to the caller.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace fairlead::bench {

[[noreturn]] void give_up(std::string_view why);

struct Ports {
  std::uint16_t listen = 0;
  std::uint16_t server = 0;
};

/// The two arguments of such a program; raises the limit of descriptors as well, to all that is permitted.
[[nodiscard]] Ports prepare(int argc, char** argv);

[[nodiscard]] int listen_on(std::uint16_t port);
/// A client that waits to be accepted, ready to use; -1 when there is none.
[[nodiscard]] int accept_from(int listener);
/// A connection that may still be on its way: it becomes writable, or tells an error.
[[nodiscard]] int connect_to(std::uint16_t port);
/// Edge-triggered, for reading and writing, once and for good: no epoll_ctl is needed afterwards.
void watch(int epoll, int descriptor, void* owner);
/// Level-triggered, for reading; the owner of the listener is a null pointer.
void watch_listener(int epoll, int listener);

enum class Got : std::uint8_t { data, nothing, end, broken };
struct Received {
  Got what = Got::nothing;
  std::size_t size = 0;
};
[[nodiscard]] Received receive(int descriptor, std::span<char> buffer);

/// How much of `data` the socket took: less than all means that it is full, and will become writable. -1:
/// broken.
[[nodiscard]] ssize_t send_some(int descriptor, std::string_view data);

/// Closes it so that the peer sees a reset instead of an orderly end.
void close_with_reset(int descriptor);

enum class Flushed : std::uint8_t { all, some, broken };

/// Bytes that a socket has not taken yet. It grows as needed, and keeps its memory unless that is large.
class Unsent {
 public:
  [[nodiscard]] bool empty() const { return begin_ == bytes_.size(); }
  void append(std::string_view data) { bytes_.append(data); }
  /// One attempt to send.
  [[nodiscard]] Flushed flush(int descriptor);

 private:
  void forget_sent();

  std::string bytes_;
  std::size_t begin_ = 0;  // what is before it was sent
};

}  // namespace fairlead::bench
