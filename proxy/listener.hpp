// Accepts clients on one listening descriptor, for one worker. Owned by the Worker; lives on its thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>

namespace fairlead::proxy {

enum class ListenKind : std::uint8_t { tcp, unix_socket };

class Listener {
 public:
  /// `accepted` gets a non-blocking descriptor, which is then its own.
  using Accepted = std::function<void(int descriptor, ListenKind kind)>;

  Listener(boost::asio::io_context& context, int descriptor, ListenKind kind, Accepted accepted);

  void start();
  void close();
  /// Open, and not given up because of an error.
  [[nodiscard]] bool accepting() const { return descriptor_.is_open() && !failed_; }

 private:
  void accept_some();
  void pause();

  boost::asio::posix::stream_descriptor descriptor_;
  boost::asio::steady_timer retry_;
  ListenKind kind_;
  bool failed_ = false;
  Accepted accepted_;
};

}  // namespace fairlead::proxy
