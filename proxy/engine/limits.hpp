// Every limit of one Engine, with its name, unit and default. Each has a counter in stats.hpp and a test that
// hits it. proxy/config gives them their option names; limits that are per process there are divided among
// the workers by proxy/server.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "health/options.hpp"
#include "resp/command_reader.hpp"
#include "resp/command_table.hpp"

namespace fairlead::engine {

enum class PoolMode : std::uint8_t {
  multiplex,  // clients share pipelined links; what cannot be shared leases one
  session,    // every client has a backend link of its own for its whole life
};

struct Limits {
  resp::CommandLimits command;                        // per bulk and header, as Redis
  std::uint32_t clients_max = 10000;                  // sessions of this worker
  std::uint64_t query_buffer_bytes_max = 1ULL << 30;  // one unfinished command of one client, as Redis
  std::uint64_t output_buffer_bytes_max = 256ULL
                                          << 20;  // replies a client has not read yet; then it is closed
  std::uint64_t output_unauthenticated_max = 16ULL << 10;  // the same before login, about as Redis
  std::uint32_t pipeline_depth_max = 256;         // commands of one client in flight; then it is not read
  std::uint64_t output_pause_bytes = 1ULL << 20;  // unread replies of one client; then its commands wait
  std::uint64_t link_backlog_bytes_max = 16ULL
                                         << 20;  // unwritten commands of one link; then its sessions wait
  std::uint32_t leased_links_max = 4096;         // leased links of this worker; then leases wait
  std::uint64_t hold_bytes_max = 64ULL << 20;    // commands held while there is no master, all clients
  std::uint64_t memory_bytes_max = 2ULL << 30;   // all buffers of this worker; then large holders are closed
  std::uint64_t script_bytes_max = 16ULL
                                   << 20;  // scripts kept for a new master; then the oldest are forgotten
  /// Queued commands of one open MULTI block, kept for a new master; a longer block is discarded with its
  /// link.
  std::uint64_t transaction_bytes_max = 1ULL << 20;
  std::chrono::milliseconds idle_max{0};                 // a client that says nothing; 0 = for ever, as Redis
  std::chrono::milliseconds partial_command_max{60000};  // an unfinished command without a new byte
  std::chrono::milliseconds hold_max{10000};             // how long a command is held
  std::chrono::milliseconds connect_timeout{500};        // TCP connect and login of a backend link
  std::chrono::milliseconds drain_grace{1000};  // replies still awaited from a server whose route was revoked
};

/// Who may come in when no password of fairlead's own is set.
enum class ClientLogin : std::uint8_t {
  open,    // everybody, with fairlead's login to the servers; AUTH changes to a user that the server knows
  server,  // only who has said AUTH or HELLO AUTH and was accepted by the server
};

/// A blocking command that was sent, and whose link was lost without a reply.
enum class BlockingReplay : std::uint8_t {
  again,  // waits on at the next master, with what is left of its timeout, as a client that reconnects does
  never,  // is judged as a write that was sent: UNCERTAIN
};

struct EngineOptions {
  Limits limits;
  PoolMode pool_mode = PoolMode::multiplex;
  std::uint32_t links_per_server = 1;  // shared links per {server, version, db, user}
  std::uint32_t warm_links = 0;        // of them, for fairlead's own login: kept open while nobody uses them
  health::Login server_login;          // what fairlead says to Redis
  BlockingReplay blocking_replay = BlockingReplay::again;
  std::chrono::milliseconds slow_min{
      10};                      // commands that take so long are kept in the slow log (redis: 10 ms)
  std::string client_password;  // what clients must say; empty: see client_login
  ClientLogin client_login = ClientLogin::open;
  std::vector<std::string> deny{
      "default"};               // names as COMMAND says them; `default` stands for resp::denied_by_default()
  std::string program_version;  // for INFO
};

}  // namespace fairlead::engine
