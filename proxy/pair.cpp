#include "proxy/pair.hpp"

#include <utility>

#include "proxy/log.hpp"
#include "vrrp/ready_file.hpp"

namespace fairlead::proxy {

using Clock = std::chrono::steady_clock;

Pair::Pair(boost::asio::io_context& context, const VrrpOptions& options, std::function<void()> lost)
    : context_(context), options_(options), lost_(std::move(lost)), timer_(context) {}

void Pair::start() {
  if (!options_.ready_file.empty()) {
    guard_ = std::make_unique<vrrp::Guard>(options_.ready_file);
    tell(verdict_);
  }
  if (!options_.address.empty()) {
    watch_ = std::make_unique<vrrp::AddressWatch>(context_, options_.host(), [this](vrrp::Presence presence) {
      ownership_.on_address(presence, Clock::now());
      after_news();
    });
    if (const std::string problem = watch_->start(); !problem.empty()) {
      log(LogLevel::error, problem, {{"address", options_.address}});
    }
  }
  if (!options_.notify_fifo.empty()) start_fifo();
}

void Pair::start_fifo() {
  vrrp::NotifyFifo::Hooks hooks;
  hooks.line = [this](const vrrp::NotifyLine& line) {
    // keepalived writes about all its instances and groups; a priority alone is no change of state.
    if (line.kind != "INSTANCE" || line.name != options_.instance || line.state == vrrp::State::unknown)
      return;
    ownership_.on_state(line.state, line.priority, Clock::now());
    after_news();
  };
  hooks.writer_gone = [this] {
    ownership_.on_keepalived_gone(Clock::now());
    after_news();
  };
  hooks.problem = [](const std::string& problem) { log(LogLevel::error, problem); };
  hooks.garbage = [](const std::string& line) {
    log(LogLevel::warning, "a line in keepalived's FIFO cannot be read; does something else write into it?",
        {{"line", line.substr(0, 80)}});
  };
  fifo_ = std::make_unique<vrrp::NotifyFifo>(context_, options_.notify_fifo, std::move(hooks));
  fifo_->start();
}

void Pair::tell(const vrrp::Verdict& verdict) {
  if (verdict.fit != verdict_.fit || verdict.reason != verdict_.reason) {
    if (verdict.fit != verdict_.fit) {
      log(verdict.fit ? LogLevel::info : LogLevel::warning,
          verdict.fit ? "fit to have the address" : "unfit to have the address",
          {{"reason", verdict.reason}});
    }
    verdict_ = verdict;
  }
  if (!guard_ || stopped_) return;
  std::string problem = guard_->tell(verdict.fit ? vrrp::Fitness::fit : vrrp::Fitness::unfit, Clock::now());
  if (problem != guard_problem_ && !problem.empty()) log(LogLevel::error, problem);
  guard_problem_ = std::move(problem);
}

void Pair::after_news() {
  for (const vrrp::Change& change : ownership_.take_changes()) tell_change(change);
  arm_timer();
}

void Pair::tell_change(const vrrp::Change& change) {
  const bool trouble =
      change.kind == vrrp::ChangeKind::gone || change.kind == vrrp::ChangeKind::contradiction;
  log(trouble ? LogLevel::warning : LogLevel::info, change.text,
      {{"address", options_.address}, {"instance", options_.instance}});
  if (change.kind == vrrp::ChangeKind::gained) {
    ++gains_;
    since_ = Clock::now();
  } else if (change.kind == vrrp::ChangeKind::lost) {
    ++losses_;
    since_ = Clock::now();
    lost_();
  }
}

void Pair::arm_timer() {
  const auto deadline = ownership_.next_deadline();
  if (!deadline || stopped_) {
    timer_.cancel();
    return;
  }
  timer_.expires_at(*deadline);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    ownership_.on_time(Clock::now());
    after_news();
  });
}

void Pair::stop_listening() {
  stopped_ = true;
  timer_.cancel();
  if (fifo_) fifo_->stop();
  if (watch_) watch_->stop();
}

void Pair::stop() {
  stop_listening();
  if (guard_) guard_->stop();
}

vrrp::Status Pair::status() const {
  vrrp::Status status;
  status.instance = options_.instance;
  status.address = options_.address;
  status.state = ownership_.state();
  status.priority = ownership_.priority();
  status.address_here = ownership_.holds();
  status.since = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - since_);
  status.fit = verdict_.fit;
  status.reason = verdict_.reason;
  status.ready_file = options_.ready_file;
  if (!options_.ready_file.empty()) status.ready_value = vrrp::read_ready_file(options_.ready_file);
  if (guard_) {
    status.guard_up = guard_->up();
    status.guard_restarts = guard_->restarts();
  }
  status.gains = gains_;
  status.losses = losses_;
  status.clients_reset = clients_reset_;
  if (fifo_) {
    status.notify_lines = fifo_->lines();
    status.notify_garbage = fifo_->garbage();
  }
  return status;
}

}  // namespace fairlead::proxy
