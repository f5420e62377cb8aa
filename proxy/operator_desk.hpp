// Where the operator's orders arrive, from signals, page and console, and what stands of them: the pause, the
// drain of this instance, a failover that was asked for. Owned by the Server; lives on the control thread. It
// never waits for anybody, and never opens a route: what it asks of the Monitor can only keep servers out.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "health/failover_order.hpp"
#include "health/monitor.hpp"
#include "proxy/admin/action.hpp"
#include "proxy/admin/observer.hpp"
#include "proxy/options.hpp"
#include "proxy/worker.hpp"

namespace fairlead::proxy {

class OperatorDesk {
 public:
  /// What it moves. All of it outlives the desk.
  struct Tools {
    boost::asio::io_context& context;
    const std::vector<std::unique_ptr<Worker>>& workers;
    const Options& options;  // the present ones
    const Observer& observer;
    std::function<health::TopologyPtr()> topology;
    std::function<ActionResult()> reload;
    std::function<void()> drain_changed;  // drained() is another: the pair's address is to leave, or may stay
  };

  explicit OperatorDesk(Tools tools) : tools_(std::move(tools)) {}

  /// From then on there are servers to speak of; the monitor outlives the desk's use.
  void open(health::Monitor& monitor) { monitor_ = &monitor; }
  /// The process is about to end: orders are refused from now on, and nobody hears of those under way.
  void close();

  void act(const AdminAction& action, const ActionDone& done);
  ActionResult pause(const std::string& by);
  /// Also the word that a restarted master may be trusted as it is.
  ActionResult resume(const std::string& by);

  [[nodiscard]] const OperatorOrder& paused() const { return paused_; }
  [[nodiscard]] const OperatorOrder& drained() const { return drained_; }
  /// Why this instance is not to be chosen; empty when it was not drained.
  [[nodiscard]] std::string why_drained() const;

 private:
  ActionResult drain(const AdminAction& action);
  ActionResult ready(const AdminAction& action);
  ActionResult stand(const AdminAction& action, health::Standing standing);
  ActionResult kill(const AdminAction& action);
  ActionResult reload(const AdminAction& action);
  void fail_over(const AdminAction& action, const ActionDone& done);
  [[nodiscard]] std::vector<resp::Address> sentinels() const;

  Tools tools_;
  health::Monitor* monitor_ = nullptr;  // null before open() and after close()
  OperatorOrder paused_;
  OperatorOrder drained_;
  std::unique_ptr<health::FailoverOrder> failover_;  // while its answer is awaited
};

}  // namespace fairlead::proxy
