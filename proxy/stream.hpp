// One socket of a worker, a client's or a backend link's: what the shell must remember of it. The Engine
// knows it by its ConnId only.
//
// Owned by the Worker, which closes it when the Engine says so.
#pragma once

#include <cstdint>

#include "proxy/engine/io.hpp"
#include "proxy/poller.hpp"

namespace fairlead::proxy {

/// How the close of a client looks to it when the address that it came to leaves this host: as a reset. It
/// destroys what the peer has not acknowledged yet, so a reply still under way comes before it.
enum class ResetOnClose : std::uint8_t {
  no,
  when_acknowledged,  // the address is still here: otherwise an ordinary end, behind the data
  always,             // the address is gone, and nothing of the data can arrive any more
};

/// Of which two share a cache line.
struct alignas(32) Stream {
  engine::ConnId id;    // invalid: the slot is free
  int descriptor = -1;  // -1: its address is being looked up
  Poller::Interest waited_for = Poller::Interest::none;
  engine::Reading reading = engine::Reading::on;
  ResetOnClose reset = ResetOnClose::no;
  bool connecting = false;
  bool wants_to_write = false;
  bool unread = false;         // something was reported, and not read to the end
  bool in_line = false;        // ... and is read in its turn
  bool ended = false;          // behind what can be read comes the end, of which nothing is told again
  bool large = false;          // filled a large buffer when it was last read
  std::uint32_t in_a_row = 0;  // bytes received since it stood first in line
};

}  // namespace fairlead::proxy
