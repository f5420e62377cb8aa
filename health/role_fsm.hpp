// Watches one Redis server: connect, log in, then probe. A probe is ROLE (who it is), PING (does it refuse
// for loading) and, once per connection and again after loading, INFO (which process it is, what it has): a
// run id cannot change while a connection lives. Owned by the Monitor, control thread. Pure: what happened
// and `now` go in, actions and a report come out; it judges nothing and never reads a clock.
#pragma once

#include <optional>
#include <string>

#include "health/link_fsm.hpp"
#include "health/observation.hpp"
#include "health/options.hpp"
#include "resp/value.hpp"

namespace fairlead::health {

class RoleFsm {
 public:
  /// What a call brought to light, for the shell to hand to the Arbiter.
  enum class News : std::uint8_t {
    none,
    report,    // report() is new: a probe was answered or failed
    commands,  // take_commands() has the answer to COMMAND, or an error that stands for it
  };

  explicit RoleFsm(const Options& options);

  void start(TimePoint now, LinkActions& out) { link_.start(now, out); }
  void stop(LinkActions& out) { link_.stop(out); }
  [[nodiscard]] News on_connected(TimePoint now, LinkActions& out);
  [[nodiscard]] News on_failed(LinkFailure failure, std::string text, TimePoint now);
  [[nodiscard]] News on_reply(resp::Value reply, TimePoint now, LinkActions& out);
  [[nodiscard]] News on_timer(TimePoint now, LinkActions& out);

  void set_pace(Pace pace, TimePoint now);
  /// Probes as soon as possible: at once, behind the probe under way, or with the next connection.
  void probe_now(TimePoint now, LinkActions& out);
  /// Asks for COMMAND now or once connected. Answered by News::commands exactly once.
  void request_commands(TimePoint now, LinkActions& out);

  [[nodiscard]] std::optional<TimePoint> deadline() const;
  [[nodiscard]] const ServerReport& report() const { return report_; }
  [[nodiscard]] resp::Value take_commands() { return std::move(commands_); }

  static constexpr int command_attempts_max = 3;

 private:
  enum Tag : int { role, ping, info, commands };
  void begin_probe(TimePoint now, LinkActions& out);
  void send_commands(TimePoint now, LinkActions& out);
  [[nodiscard]] News end_probe(TimePoint now, LinkActions& out);
  [[nodiscard]] News note_failure();
  [[nodiscard]] std::chrono::milliseconds interval() const;
  void read_role(const resp::Value& reply);

  Options options_;
  LinkFsm link_;
  Pace pace_ = Pace::normal;
  ServerReport report_;
  ServerReport draft_;  // of the probe under way
  bool probing_ = false;
  bool probe_again_ = false;
  bool run_id_known_ = false;  // on this connection
  int commands_wanted_ = 0;    // attempts left; 0: not wanted
  bool commands_sent_ = false;
  TimePoint next_probe_{};
  resp::Value commands_;
};

}  // namespace fairlead::health
