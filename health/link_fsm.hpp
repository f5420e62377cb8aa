// The life of one control connection, without the connection: connect, log in, send, match replies, time out,
// retry. Owned by RoleFsm (one) and SentinelFsm (two); control thread. It never reads a clock and never
// touches a socket: the shell tells it what happened, carries out the actions it returns and calls on_timer()
// at deadline().
//
//   idle -> connecting -> logging_in -> ready
//              ^    \          |          |
//              |     `-> waiting <--------'   (a failure; how long depends on the pace and on failures in a
//              row)
//              `------------'
#pragma once

#include <chrono>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "health/observation.hpp"
#include "health/options.hpp"
#include "resp/value.hpp"

namespace fairlead::health {

/// How closely to look: fast while there is no steady route, closest at a replica that is being promoted.
enum class Pace : std::uint8_t { normal, fast, closest };

struct LinkAction {
  enum class Kind : std::uint8_t { connect, send, close };
  Kind kind = Kind::connect;
  std::vector<std::string> command;  // send
};
using LinkActions = std::vector<LinkAction>;

class LinkFsm {
 public:
  struct Timing {
    std::chrono::milliseconds connect_timeout{500};
    std::chrono::milliseconds connect_timeout_fast{150};
    std::chrono::milliseconds reply_timeout{1000};
    std::chrono::milliseconds retry_fast{50};
    std::chrono::milliseconds retry_max{1000};
  };
  enum class State : std::uint8_t { idle, connecting, logging_in, ready, waiting };
  /// What a call changed, for the owner to react to.
  enum class Change : std::uint8_t { none, ready, failed };

  LinkFsm(Login login, Timing timing);

  void start(TimePoint now, LinkActions& out);
  void stop(LinkActions& out);
  [[nodiscard]] Change on_connected(TimePoint now, LinkActions& out);
  /// The shell says that connecting failed or that the connection is gone.
  [[nodiscard]] Change on_failed(LinkFailure failure, std::string text, TimePoint now);
  /// A reply while logging in. When ready, the owner takes the reply itself, with take_tag().
  [[nodiscard]] Change on_login_reply(const resp::Value& reply, TimePoint now, LinkActions& out);
  [[nodiscard]] Change on_timer(TimePoint now, LinkActions& out);

  /// Sends a command; its reply will come with `tag`. Only when ready.
  void send(int tag, std::vector<std::string> command, TimePoint now, LinkActions& out);
  /// The tag of the oldest command without a reply, which this call settles; nullopt when nothing was asked.
  [[nodiscard]] std::optional<int> take_tag();
  /// The owner found the peer unusable: closes, and retries later.
  void fail(LinkFailure failure, std::string text, TimePoint now, LinkActions& out);
  /// A good answer came: the next failure is retried at once.
  void confirm() { failures_ = 0; }

  void set_pace(Pace pace, TimePoint now);
  /// Brings the next attempt forward, but never closer than retry_fast to the last one.
  void hurry(TimePoint now);

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] LinkFailure failure() const { return failure_; }
  [[nodiscard]] const std::string& error() const { return error_; }
  [[nodiscard]] std::size_t outstanding() const { return sent_.size(); }
  [[nodiscard]] std::optional<TimePoint> deadline() const;

 private:
  struct Sent {
    int tag = 0;
    TimePoint deadline{};
  };
  void connect(TimePoint now, LinkActions& out);
  void enter_waiting(LinkFailure failure, std::string text, TimePoint now);

  Login login_;
  Timing timing_;
  State state_ = State::idle;
  Pace pace_ = Pace::normal;
  LinkFailure failure_ = LinkFailure::none;
  std::string error_;
  int failures_ = 0;  // in a row, since the last good answer
  TimePoint attempted_at_{};
  TimePoint deadline_{};  // connecting, logging_in, waiting
  std::deque<Sent> sent_;
};

/// True for the errors with which a server or a Sentinel demands a login or refuses the one it got.
[[nodiscard]] bool is_login_error(const resp::Value& reply);

/// The value of `field` in an INFO reply (`field:value` lines); empty when absent.
[[nodiscard]] std::string info_field(const std::string& info, std::string_view field);

}  // namespace fairlead::health
