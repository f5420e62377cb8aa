// Watches one Sentinel over two connections: one polls (whom it names, at which config-epoch, in TILT or not,
// which replicas and Sentinels it knows), the other listens to what it announces. An announcement closes
// doubts only: it makes the report say so and the machine poll at once; the poll decides. Owned by the
// Monitor, control thread. Pure: what happened and `now` go in, actions and a report come out. It believes
// nothing: judging is the Arbiter's work.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "health/link_fsm.hpp"
#include "health/observation.hpp"
#include "health/options.hpp"
#include "resp/value.hpp"

namespace fairlead::health {

class SentinelFsm {
 public:
  enum class Channel : std::uint8_t { command, subscription };
  enum class News : std::uint8_t { none, report };
  struct Actions {
    LinkActions command;
    LinkActions subscription;
  };

  explicit SentinelFsm(const Options& options);

  void start(TimePoint now, Actions& out);
  void stop(Actions& out);
  [[nodiscard]] News on_connected(Channel channel, TimePoint now, Actions& out);
  [[nodiscard]] News on_failed(Channel channel, LinkFailure failure, std::string text, TimePoint now);
  [[nodiscard]] News on_reply(Channel channel, const resp::Value& reply, TimePoint now, Actions& out);
  [[nodiscard]] News on_timer(TimePoint now, Actions& out);

  void set_pace(Pace pace, TimePoint now);
  /// Polls as soon as possible: at once, behind the poll under way, or with the next connection.
  void poll_now(TimePoint now, Actions& out);

  [[nodiscard]] std::optional<TimePoint> deadline() const;
  [[nodiscard]] const SentinelReport& report() const { return report_; }

  static constexpr std::size_t list_max = 128;  // replicas and peers taken from one answer

 private:
  enum Tag : int { my_id, master, address, info, replicas, peers, masters, subscribe, ping };
  [[nodiscard]] News on_command_reply(const resp::Value& reply, TimePoint now, Actions& out);
  [[nodiscard]] News on_subscription_reply(const resp::Value& reply, TimePoint now, Actions& out);
  [[nodiscard]] News on_message(const std::string& channel, const std::string& payload);
  void begin_poll(TimePoint now, Actions& out);
  [[nodiscard]] News end_poll(TimePoint now, Actions& out);
  void keep_pushed_flags();
  [[nodiscard]] News on_failover_message(const std::string& channel, const std::vector<std::string>& words);
  [[nodiscard]] News note_failure();
  void read(Tag tag, const resp::Value& reply);
  void read_master(const resp::Value& reply);
  [[nodiscard]] bool about_our_master(const std::vector<std::string>& words) const;

  Options options_;
  LinkFsm command_;
  LinkFsm subscription_;
  Pace pace_ = Pace::normal;
  SentinelReport report_;
  SentinelReport draft_;  // of the poll under way
  bool polling_ = false;
  bool poll_again_ = false;
  bool pushed_ =
      false;  // an announcement came since the poll under way began: its flags may be older than that
  std::uint64_t new_epoch_ = 0;  // +new-epoch: of the failover that is announced next
  TimePoint next_poll_{};
  TimePoint next_full_poll_{};  // with the lists of replicas and Sentinels
  TimePoint next_ping_{};       // on the subscription
};

}  // namespace fairlead::health
