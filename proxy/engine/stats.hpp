// Counters of one Engine. Plain numbers: written on the worker's thread only, copied by a posted message and
// summed up by proxy/metrics. Every counter only grows, but those named _now.
#pragma once

#include <cstdint>

namespace fairlead::engine {

struct Stats {
  // Clients
  std::uint64_t clients_accepted = 0;
  std::uint64_t clients_refused = 0;  // over clients_max
  std::uint64_t clients_now = 0;
  std::uint64_t client_bytes_in = 0;
  std::uint64_t client_bytes_out = 0;
  std::uint64_t commands = 0;          // whole commands read
  std::uint64_t commands_local = 0;    // answered here
  std::uint64_t commands_shared = 0;   // dispatched on shared links
  std::uint64_t commands_leased = 0;   // dispatched on leased links
  std::uint64_t commands_refused = 0;  // NOPERM, NOAUTH
  std::uint64_t protocol_errors = 0;
  std::uint64_t login_failures = 0;  // WRONGPASS to clients
  // Limits that were hit
  std::uint64_t query_buffer_closed = 0;   // query_buffer_bytes_max
  std::uint64_t output_buffer_closed = 0;  // output_buffer_bytes_max
  std::uint64_t output_pauses = 0;         // output_pause_bytes
  std::uint64_t pipeline_pauses = 0;       // pipeline_depth_max
  std::uint64_t backlog_pauses = 0;        // link_backlog_bytes_max
  std::uint64_t reply_pauses = 0;          // replies due on a link: ReplyWeight::due_limit
  std::uint64_t lease_waits = 0;           // leased_links_max
  std::uint64_t hold_overflows = 0;        // hold_bytes_max
  std::uint64_t memory_closed = 0;         // memory_bytes_max
  std::uint64_t idle_closed = 0;           // idle_max
  std::uint64_t partial_closed = 0;        // partial_command_max
  std::uint64_t scripts_evicted = 0;       // script_bytes_max
  std::uint64_t transactions_unkept = 0;   // transaction_bytes_max, memory_bytes_max
  std::uint64_t transaction_bytes_now = 0;
  std::uint64_t bulk_moves = 0;  // sessions that moved to the bulk lane
  // Backend
  std::uint64_t links_opened = 0;
  std::uint64_t links_failed = 0;  // connect or login failed
  std::uint64_t links_lost = 0;    // after they were ready
  std::uint64_t links_now = 0;
  std::uint64_t leases_now = 0;
  std::uint64_t leases_begun = 0;
  std::uint64_t backend_bytes_in = 0;
  std::uint64_t backend_bytes_out = 0;
  std::uint64_t replies = 0;
  std::uint64_t error_replies = 0;   // errors passed on from the server
  std::uint64_t desyncs = 0;         // malformed or unexpected replies
  std::uint64_t pushes_dropped = 0;  // pushes nobody asked for
  // Hold and replay
  std::uint64_t gate_closed = 0;            // times the gate closed
  std::uint64_t held = 0;                   // commands that had to wait for a master
  std::uint64_t held_now = 0;               // clients that wait for a master
  std::uint64_t redispatched = 0;           // commands dispatched once more
  std::uint64_t replica_waits = 0;          // commands that waited for a new master's replicas (NOREPLICAS)
  std::uint64_t uncertain = 0;              // -UNCERTAIN answers
  std::uint64_t master_down = 0;            // -MASTERDOWN answers
  std::uint64_t transactions_lost = 0;      // MULTI blocks discarded because their link was lost
  std::uint64_t transactions_replayed = 0;  // ... said again on another link
  std::uint64_t replies_cut = 0;            // clients closed because a reply broke off half way
  std::uint64_t raw_closed = 0;             // clients closed because their own link was lost (MONITOR ...)
  std::uint64_t script_bytes_now = 0;       // scripts kept for a new master
  std::uint64_t scripts_loaded = 0;         // SCRIPT LOAD said to a master that lacked what EVALSHA asked for
  // Blocking commands whose server the route has left
  std::uint64_t blocked_moved = 0;       // unblocked there, and said again to the next master
  std::uint64_t blocked_answered = 0;    // answered there all the same, which the client got
  std::uint64_t blocked_unanswered = 0;  // no word of that server in time: said again, or UNCERTAIN
  std::uint64_t resubscribed = 0;        // sessions whose subscriptions were made again
  // Subscriptions shared upstream
  std::uint64_t subscriptions_lost = 0;     // clients closed because a new master refused their subscription
  std::uint64_t messages_in = 0;            // from the server, for a name that somebody has
  std::uint64_t messages_out = 0;           // to clients
  std::uint64_t subscribers_now = 0;        // clients with a subscription
  std::uint64_t hub_subscriptions_now = 0;  // names that the upstream link is subscribed to
};

}  // namespace fairlead::engine
