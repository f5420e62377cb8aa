// One socket of a worker, a client's or a backend link's: what the Asio shell must remember of it. The Engine
// knows it by its ConnId only.
//
// Owned by the Worker. Closed when the Engine says so, but kept until no asynchronous operation is
// outstanding on it: handlers capture {Worker*, Stream*}, and the check of `closed` is their first line.
#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdint>

#include "proxy/engine/io.hpp"

namespace fairlead::proxy {

/// How the close of a client looks to it when the address that it came to leaves this host: as a reset. It
/// destroys what the peer has not acknowledged yet, so a reply still under way comes before it.
enum class ResetOnClose : std::uint8_t {
  no,
  when_acknowledged,  // the address is still here: otherwise an ordinary end, behind the data
  always,             // the address is gone, and nothing of the data can arrive any more
};

struct Stream {
  explicit Stream(boost::asio::io_context& context) : socket(context) {}

  boost::asio::generic::stream_protocol::socket socket;
  engine::ConnId id;
  std::uint32_t slot = 0;         // in the Worker's array of all streams
  std::uint32_t outstanding = 0;  // asynchronous operations whose handler has not run
  engine::Reading reading = engine::Reading::on;
  ResetOnClose reset = ResetOnClose::no;
  bool read_armed = false;
  bool write_armed = false;
  bool closed = false;
};

}  // namespace fairlead::proxy
