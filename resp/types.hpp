// Small value types shared by every reader and writer of the Redis protocol (RESP).
// Pure: std only, no sockets, no clock, no logging. Safe on any thread.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fairlead::resp {

/// The protocol version a connection speaks, as negotiated by HELLO
/// (https://redis.io/docs/reference/protocol-spec/).
enum class Version : std::uint8_t { resp2 = 2, resp3 = 3 };

/// A run of bytes inside one frame, relative to the frame's first byte. 32 bits suffice: frames are bounded
/// by the query-buffer limit, which is at most 1 GiB.
struct Slice {
  std::uint32_t offset = 0;
  std::uint32_t size = 0;
};

}  // namespace fairlead::resp
