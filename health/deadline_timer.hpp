// The clock of the shells, and a timer on it that follows a machine's deadline(). Control thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "health/topology.hpp"

namespace fairlead::health {

inline TimePoint clock_now() {
  return std::chrono::steady_clock::now();
}

// A timer that follows a machine's deadline(). A wait that has expired cannot be cancelled any more, only
// ignored: its handler may already be queued when the timer is armed anew or destroyed. Hence the round, on a
// state of its own.
class DeadlineTimer {
 public:
  explicit DeadlineTimer(boost::asio::io_context& context) : state_(std::make_shared<State>(context)) {}
  ~DeadlineTimer() {
    follow(std::nullopt, [] {});
  }
  DeadlineTimer(const DeadlineTimer&) = delete;
  DeadlineTimer& operator=(const DeadlineTimer&) = delete;

  template <typename Handler>
  void follow(std::optional<TimePoint> deadline, Handler handler) {
    if (deadline == state_->armed) return;
    state_->armed = deadline;
    const std::uint64_t round = ++state_->round;
    state_->timer.cancel();
    if (!deadline) return;
    state_->timer.expires_at(*deadline);
    state_->timer.async_wait(
        [state = state_, round, handler = std::move(handler)](const boost::system::error_code& error) {
          if (error || round != state->round) return;
          state->armed.reset();
          handler();
        });
  }

 private:
  struct State {
    explicit State(boost::asio::io_context& context) : timer(context) {}
    boost::asio::steady_timer timer;
    std::optional<TimePoint> armed;
    std::uint64_t round = 0;
  };
  std::shared_ptr<State> state_;
};

}  // namespace fairlead::health
