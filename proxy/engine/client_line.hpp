// One line of CLIENT LIST, with the fields of redis 7.0.15 in Redis' order (networking.c,
// catClientInfoString). Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/engine/io.hpp"
#include "resp/types.hpp"

namespace fairlead::engine {

/// What is told of a client, gathered on demand. The views must outlive the line's making.
struct ClientFacts {
  std::uint64_t id = 0;
  ConnectionNames names;
  std::string_view name;  // CLIENT SETNAME
  std::int64_t age_s = 0;
  std::int64_t idle_s = 0;
  std::uint32_t db = 0;
  std::size_t channels = 0;
  std::size_t patterns = 0;
  std::size_t shard_channels = 0;
  std::int64_t queued = -1;  // commands queued in MULTI; -1: no MULTI
  std::uint64_t query_bytes = 0;
  std::uint64_t query_bytes_free = 0;
  std::uint64_t argument_bytes = 0;  // of the command being executed
  std::uint64_t reply_bytes = 0;     // not yet taken by the socket
  std::size_t reply_pieces = 0;
  std::uint64_t memory_bytes = 0;
  std::string_view command = "NULL";  // the last one, with its subcommand
  std::string_view user = "default";
  resp::Version version = resp::Version::resp2;
  bool replica = false;
  bool monitor = false;
  bool in_multi = false;
  bool blocked = false;  // waits: in the server, for a master, or for the end of a pause
  bool tracking = false;
  std::int64_t redirect = 0;  // the client that gets the invalidations; 0: itself
  bool watch_failed = false;
  bool closing = false;
  bool no_evict = false;
  bool reads = true;
  bool waits_to_write = false;
};

/// The line with its line feed.
void append_client_line(std::string& out, const ClientFacts& facts);

}  // namespace fairlead::engine
