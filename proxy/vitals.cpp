#include "proxy/vitals.hpp"

#include <systemd/sd-daemon.h>

#include <utility>

namespace fairlead::proxy {

Vitals::Vitals(boost::asio::io_context& context, const std::vector<std::unique_ptr<Worker>>& workers,
               std::function<void()> on_beat)
    : timer_(context), workers_(workers), on_beat_(std::move(on_beat)) {
  std::uint64_t watchdog_us = 0;
  if (::sd_watchdog_enabled(0, &watchdog_us) > 0) watchdog_ = std::chrono::microseconds(watchdog_us);
}

void Vitals::start() {
  patients_.resize(workers_.size());
  beat();
}

void Vitals::stop() {
  stopped_ = true;
  timer_.cancel();
}

std::vector<vrrp::WorkerFacts> Vitals::facts() const {
  std::vector<vrrp::WorkerFacts> facts;
  for (const Patient& patient : patients_) {
    vrrp::WorkerFacts of_worker;
    of_worker.listeners_open = patient.answer->listeners_open.load(std::memory_order_relaxed);
    if (patient.answer->round.load(std::memory_order_acquire) != patient.round) {
      of_worker.silence = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - patient.asked);
    }
    facts.push_back(of_worker);
  }
  return facts;
}

void Vitals::beat() {
  for (std::size_t i = 0; i < patients_.size(); ++i) ask(patients_[i], *workers_[i]);
  feed_watchdog();
  on_beat_();
  timer_.expires_after(interval);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error && !stopped_) beat();
  });
}

/// No second question before the first is answered: they would pile up in a loop that stands still.
void Vitals::ask(Patient& patient, Worker& worker) {
  if (patient.answer->round.load(std::memory_order_acquire) != patient.round) return;
  patient.asked = Clock::now();
  worker.post([answer = patient.answer, round = ++patient.round, w = &worker] {
    answer->listeners_open.store(w->listeners_open(), std::memory_order_relaxed);
    answer->round.store(round, std::memory_order_release);
  });
}

void Vitals::feed_watchdog() {
  const auto now = Clock::now();
  if (watchdog_.count() == 0 || now - fed_ < watchdog_ / 4) return;
  vrrp::LocalFacts facts_now;
  facts_now.workers = facts();
  if (!vrrp::standing_still(facts_now).empty()) return;
  fed_ = now;
  ::sd_notify(0, "WATCHDOG=1");
}

}  // namespace fairlead::proxy
