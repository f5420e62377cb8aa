// One order of the operator: SENTINEL FAILOVER, brought to the first Sentinel that can be asked. Owned by
// proxy/operator_desk; lives on the control thread. It never decides whether a failover is wise, never
// blocks, and never says the order a second time once anybody may have heard it: two leaders would compete.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "health/options.hpp"
#include "resp/address.hpp"

namespace fairlead::health {

class FailoverOrder {
 public:
  struct Answer {
    resp::Address sentinel;  // who judged it; host empty: nobody
    std::string error;       // the Sentinel's own words, or why none was asked; empty: the failover begins
  };
  using Done = std::function<void(Answer)>;

  /// Asks `sentinels` in this order until one answers. `done` is called once, in a handler of its own, where
  /// the order may be destroyed; a destroyed order calls nothing.
  FailoverOrder(boost::asio::io_context& context, const Options& options,
                std::vector<resp::Address> sentinels, Done done);
  ~FailoverOrder();
  FailoverOrder(const FailoverOrder&) = delete;
  FailoverOrder& operator=(const FailoverOrder&) = delete;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;  // shared with the handlers under way
};

}  // namespace fairlead::health
