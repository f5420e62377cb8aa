// What a session is in the middle of, as far as routing must know. Follows the order of the client's
// commands: a MULTI counts from the moment it was dispatched, not when it was answered.
#pragma once

#include <cstdint>

#include "resp/types.hpp"

namespace fairlead::engine {

struct SessionMode {
  resp::Version version = resp::Version::resp2;
  // Bits: eight bytes in all, so that what every command touches of a session stays in few cache lines.
  bool authenticated : 1 = false;
  bool in_multi : 1 = false;    // between MULTI and EXEC or DISCARD
  bool watching : 1 = false;    // WATCH without EXEC, DISCARD or UNWATCH
  bool subscribed : 1 = false;  // has, or will have, a channel on a link of its own (pool-mode session)
  bool in_hub : 1 = false;      // has a channel in the Engine's hub
  bool raw : 1 = false;         // everything passes as on a wire: MONITOR
  bool has_lease : 1 = false;
  bool pinned : 1 = false;            // pool-mode = session: the lease is kept for the session's life
  bool transaction_lost : 1 = false;  // the link was lost after MULTI: all until EXEC or DISCARD is discarded
  bool block_lost : 1 = false;  // the same, but it can be said again: before anything else on the next link
  bool transaction_refused : 1 = false;  // a command of the block was refused here: EXEC aborts, as in Redis
  bool db_unknown : 1 = false;  // EXEC executed a SELECT that may have been refused: only the lease knows it
  bool redirect_target : 1 = false;  // gets another client's invalidations: keeps its lease
  bool db_kept : 1 = false;  // logged in since it chose its database, which it may not be allowed to SELECT
  bool watch_lost : 1 = false;          // the link was lost after WATCH: the next EXEC must fail
  bool transaction_writes : 1 = false;  // a command of the block may write: CLIENT PAUSE WRITE stops its EXEC
  bool replica : 1 = false;             // raw because of SYNC or PSYNC, where the operator allows them
  bool monitor : 1 = false;             // raw because of MONITOR
  bool tracking : 1 = false;            // CLIENT TRACKING ON: keeps its lease, which knows what it has read
  bool no_evict : 1 = false;            // CLIENT NO-EVICT: kept for CLIENT LIST, nobody is evicted here
  bool reply_off : 1 = false;           // CLIENT REPLY OFF
  bool reply_skip : 1 = false;          // CLIENT REPLY SKIP: this command's reply is dropped
  bool reply_skip_next : 1 = false;     // and the next one's
  std::uint32_t queued = 0;             // commands in the block, for CLIENT LIST

  /// Nothing that the session is in the middle of changes where an ordinary command goes.
  [[nodiscard]] bool is_plain() const {
    return authenticated && !in_multi && !subscribed && !in_hub && !raw && !has_lease && !pinned;
  }
  /// The reply of the command at hand is dropped.
  [[nodiscard]] bool silent() const { return reply_off || reply_skip; }
  void end_command() {
    reply_skip = reply_skip_next;
    reply_skip_next = false;
  }
};

}  // namespace fairlead::engine
