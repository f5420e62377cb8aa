// Redis Cluster's key slots: CRC16 (XMODEM) of the key or of its hash tag, modulo 16384.
// Source: the Redis Cluster specification, "Hash tags".
#pragma once

#include <cstdint>
#include <string_view>

namespace fairlead::resp {

constexpr int slot_count = 16384;

[[nodiscard]] std::uint16_t crc16(std::string_view bytes);
[[nodiscard]] std::uint16_t key_slot(std::string_view key);

}  // namespace fairlead::resp
