// keepalived.conf of both nodes, from one description, so that what must be equal on both is, and what must
// differ does. Pure. Made for keepalived 2.2.7 (Debian 12).
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace fairlead::vrrp {

enum class Node : std::uint8_t { a, b };

struct PairDescription {
  std::string instance;                // the name of the vrrp_instance, the same in the FIFO
  std::string address;                 // the one that moves, with or without /prefix
  std::string interface;               // that has it
  std::array<std::string, 2> nodes{};  // own addresses of a and b, of the same family
  std::uint32_t router_id = 51;        // virtual_router_id, 1 to 255, unique in the network
  std::chrono::milliseconds advert_interval{200};
  std::string ready_file;
  std::string notify_fifo;
  std::string user;           // that runs fairlead; the check runs as it too
  std::string check_command;  // program and arguments
};

/// Sentences about what is missing or cannot be written into keepalived.conf; empty: render() is valid.
[[nodiscard]] std::vector<std::string> find_faults(const PairDescription& pair);

/// The whole file for one node. Call it when find_faults() is empty.
[[nodiscard]] std::string render(const PairDescription& pair, Node node);

}  // namespace fairlead::vrrp
