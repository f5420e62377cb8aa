// CLIENT PAUSE: which commands wait, and until when. Pure; one per Engine, on its worker's thread. A second
// pause can only make the first one longer and stricter, as in Redis; the end of its time or UNPAUSE ends
// all.
#pragma once

#include <algorithm>
#include <chrono>

#include "health/topology.hpp"
#include "proxy/engine/client_query.hpp"
#include "proxy/engine/session_mode.hpp"
#include "resp/command_table.hpp"

namespace fairlead::engine {

/// Whether replicas could hear of it, as Redis judges it (`write`, `may_replicate`). `spec` is nullptr for an
/// unknown command, which takes the safe side. An EVAL may declare that its script does not write; what is
/// behind EVALSHA and FCALL only the server knows.
[[nodiscard]] bool may_write(const resp::CommandSpec* spec, const resp::CommandView& command);

class ClientPause {
 public:
  void begin(PauseScope scope, std::chrono::milliseconds time, health::TimePoint now) {
    scope_ = std::max(scope_, scope);
    until_ = active() && until_ > now ? std::max(until_, now + time) : now + time;
  }
  void end() { scope_ = PauseScope::none; }
  /// True when the time is over now.
  bool expire(health::TimePoint now) {
    if (!active() || now < until_) return false;
    end();
    return true;
  }

  [[nodiscard]] bool active() const { return scope_ != PauseScope::none; }
  [[nodiscard]] PauseScope scope() const { return scope_; }
  [[nodiscard]] health::TimePoint until() const { return until_; }
  /// Whether a command that may be executed must wait. EXEC counts as what it executes.
  [[nodiscard]] bool stops(const resp::CommandSpec* spec, const resp::CommandView& command,
                           const SessionMode& mode) const {
    if (scope_ != PauseScope::write) return scope_ == PauseScope::all;
    const bool writing_exec =
        spec != nullptr && spec->id == resp::CommandId::exec && mode.in_multi && mode.transaction_writes;
    return writing_exec || may_write(spec, command);
  }

 private:
  PauseScope scope_ = PauseScope::none;
  health::TimePoint until_{};
};

}  // namespace fairlead::engine
