// The topology actor: watches every Sentinel and every server, feeds what they say to the pure Arbiter, and
// publishes what it decides. Owned by proxy/server; lives on the control thread; never touches clients' data.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <optional>

#include "health/event.hpp"
#include "health/options.hpp"
#include "health/signal.hpp"
#include "health/topology.hpp"

namespace fairlead::health {

class Monitor {
 public:
  using Publish = std::function<void(TopologyPtr)>;         // called on the control thread, at each change
  using Report = std::function<void(const Event&)>;         // called on the control thread
  using Remember = std::function<void(const Remembered&)>;  // called on the control thread, before Publish

  /// What is kept over a restart of the process: what was read, and where to put what is new.
  struct Memory {
    std::optional<Remembered> last;
    Remember remember;
  };

  Monitor(boost::asio::io_context& context, Options options, Publish publish, Report report,
          Memory memory = {});
  ~Monitor();
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;

  /// Connects to everything named in the options and goes on until stop().
  void start();
  /// Closes all connections and timers; the io_context can then run dry.
  void stop();
  /// Other options of the same kind: what is watched follows, the route stays.
  void reload(Options options);
  /// The operator trusts a restarted master as it is.
  void accept_restarted();
  /// The operator's word about a server. Returns why not, with what to do instead; empty: done.
  [[nodiscard]] std::string set_standing(const resp::Address& address, Standing standing);
  /// From a worker, posted to the control thread by the caller.
  void on_signal(const Signal& signal);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fairlead::health
