// Whether the workers' loops turn: asks each of them ten times a second, on the control thread, and feeds
// systemd's watchdog while all do. Owned by the Server. It decides nothing: vrrp/verdict judges what it
// measures.
//
// A worker answers by storing into an atomic of its own, once per question and never per command, so that a
// control thread that was late itself does not take its own delay for the workers'.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "proxy/worker.hpp"
#include "vrrp/verdict.hpp"

namespace fairlead::proxy {

class Vitals {
 public:
  static constexpr std::chrono::milliseconds interval{100};

  /// `on_beat` is called after each round of questions. The workers outlive this object's use of them: stop()
  /// comes before they end.
  Vitals(boost::asio::io_context& context, const std::vector<std::unique_ptr<Worker>>& workers,
         std::function<void()> on_beat);

  void start();
  void stop();
  [[nodiscard]] std::vector<vrrp::WorkerFacts> facts() const;

 private:
  using Clock = std::chrono::steady_clock;

  /// What a worker stores; kept alive by the question that is still on its way.
  struct Answer {
    std::atomic<std::uint64_t> round{0};
    std::atomic<std::uint32_t> listeners_open{~0U};  // nobody has said otherwise yet
  };
  struct Patient {
    std::shared_ptr<Answer> answer = std::make_shared<Answer>();
    std::uint64_t round = 0;  // the last question
    Clock::time_point asked{};
  };

  void beat();
  void ask(Patient& patient, Worker& worker);
  void feed_watchdog();

  boost::asio::steady_timer timer_;
  const std::vector<std::unique_ptr<Worker>>& workers_;
  std::function<void()> on_beat_;
  std::vector<Patient> patients_;
  std::chrono::microseconds watchdog_{0};  // 0: systemd does not watch
  Clock::time_point fed_{};
  bool stopped_ = false;
};

}  // namespace fairlead::proxy
