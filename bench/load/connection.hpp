// One connection of the load generator: sends one and the same command at given times, whatever is still due,
// and compares every reply with the one it must be. Owned by the generator; one thread. It never waits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>

namespace fairlead::bench {

enum class Progress : std::uint8_t { fine, broken };

class Connection {
 public:
  Connection(std::string_view command, std::string_view reply) : command_(command), reply_(reply) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  /// Connects to a port of this host and waits for it. False when that fails; `error()` says why.
  [[nodiscard]] bool open(std::uint16_t port);
  [[nodiscard]] int descriptor() const { return descriptor_; }
  [[nodiscard]] const std::string& error() const { return error_; }

  /// Sends a command that was meant to be sent at `intended` nanoseconds.
  [[nodiscard]] Progress send(std::uint64_t intended);
  /// Sends what the socket did not take before.
  [[nodiscard]] Progress flush();
  /// Reads what has come, and reports the intended time of every command whose reply is whole.
  [[nodiscard]] Progress receive(const std::function<void(std::uint64_t intended)>& answered);

  [[nodiscard]] bool wants_write() const { return unsent_begin_ < unsent_.size(); }
  [[nodiscard]] const std::deque<std::uint64_t>& due() const { return due_; }

 private:
  Progress fail(std::string why);

  std::string_view command_;
  std::string_view reply_;
  int descriptor_ = -1;
  std::string unsent_;
  std::size_t unsent_begin_ = 0;
  std::size_t reply_position_ = 0;  // how much of the present reply has come
  std::deque<std::uint64_t> due_;   // intended times of commands without a whole reply
  std::string error_;
};

}  // namespace fairlead::bench
