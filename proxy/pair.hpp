// This instance as one of a pair beside keepalived: reads keepalived's word and the kernel's, keeps the
// ready-file true through the guard, and says when the address came or went. Owned by the Server; lives on
// the control thread.
//
// It never promotes anything and never looks at Redis: that there is no master is no reason to move the
// address.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "proxy/options.hpp"
#include "vrrp/address_watch.hpp"
#include "vrrp/guard.hpp"
#include "vrrp/notify_fifo.hpp"
#include "vrrp/ownership.hpp"
#include "vrrp/status.hpp"
#include "vrrp/verdict.hpp"

namespace fairlead::proxy {

class Pair {
 public:
  /// `lost`: the address has left this host; its clients must be let go.
  Pair(boost::asio::io_context& context, const VrrpOptions& options, std::function<void()> lost);

  /// Writes the fault first: not fit before the first verdict. Before any thread is started.
  void start();
  /// The verdict now: call it ten times a second, and at once when it has changed.
  void tell(const vrrp::Verdict& verdict);
  /// Hears nothing more, so that the io_context can end.
  void stop_listening();
  /// Lets the guard go: the ready-file says the fault when this returns.
  void stop();

  [[nodiscard]] bool holds_address() const { return ownership_.holds(); }
  void count_reset(std::uint32_t clients) { clients_reset_ += clients; }
  [[nodiscard]] vrrp::Status status() const;

 private:
  void start_fifo();
  void after_news();
  void tell_change(const vrrp::Change& change);
  void arm_timer();

  boost::asio::io_context& context_;
  const VrrpOptions& options_;
  std::function<void()> lost_;
  boost::asio::steady_timer timer_;
  vrrp::Ownership ownership_;
  std::unique_ptr<vrrp::NotifyFifo> fifo_;
  std::unique_ptr<vrrp::AddressWatch> watch_;
  std::unique_ptr<vrrp::Guard> guard_;
  vrrp::Verdict verdict_{false, "starting"};
  std::string guard_problem_;
  std::chrono::steady_clock::time_point since_ = std::chrono::steady_clock::now();
  std::uint64_t gains_ = 0;
  std::uint64_t losses_ = 0;
  std::uint64_t clients_reset_ = 0;
  bool stopped_ = false;
};

}  // namespace fairlead::proxy
