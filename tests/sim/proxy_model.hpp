// One fairlead process: its workers with real Engines, and the Monitor's part with the real Arbiter and the
// real machines that watch servers and Sentinels. What proxy/worker.cpp and health/monitor.cpp do over
// sockets and threads happens here over the simulated network, with a small delay for each hop.
//
// Checked here: at most one route at a time, terms that never fall, one address for each term.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "health/arbiter.hpp"
#include "health/role_fsm.hpp"
#include "health/sentinel_fsm.hpp"
#include "tests/sim/worker_model.hpp"

namespace fairlead::sim {

class ProxyModel {
 public:
  /// `memory` is what the process before this one had written down.
  ProxyModel(World& world, std::size_t index, HostId host, std::optional<health::Remembered> memory);
  ~ProxyModel();

  void start();
  void stop();

  [[nodiscard]] HostId host() const { return host_; }
  /// The operator's word that a restarted, empty master may be trusted as it is.
  void accept_restarted();
  [[nodiscard]] health::GroupState state() const { return arbiter_.state(); }
  [[nodiscard]] const std::optional<health::Route>& route() const { return arbiter_.route(); }
  [[nodiscard]] const std::vector<std::unique_ptr<WorkerModel>>& workers() const { return workers_; }
  [[nodiscard]] std::uint64_t isolations() const { return isolations_; }
  /// Clients whose commands wait for a master.
  [[nodiscard]] std::uint64_t held() const;
  [[nodiscard]] bool running() const { return running_; }
  [[nodiscard]] std::string describe() const;

 private:
  /// One control connection: what a machine orders, and what comes back.
  struct ControlModel {
    std::optional<ConnKey> key;
    std::string inbox;
    std::uint64_t round = 0;  // grows with each connection: what an older one says is dropped
  };
  struct Timer {
    std::optional<TimePoint> armed;
    std::uint64_t round = 0;
  };
  struct ServerWatch {
    explicit ServerWatch(const health::Options& options) : fsm(options) {}
    health::RoleFsm fsm;
    ControlModel link;
    Timer timer;
    health::LinkActions actions;
  };
  struct SentinelWatch {
    explicit SentinelWatch(const health::Options& options) : fsm(options) {}
    health::SentinelFsm fsm;
    ControlModel command;
    ControlModel subscription;
    Timer timer;
    health::SentinelFsm::Actions actions;
  };
  /// Names a control connection of a watch that may be gone by the time something arrives.
  struct Channel {
    resp::Address address;
    bool is_server = true;
    health::SentinelFsm::Channel channel = health::SentinelFsm::Channel::command;
  };

  template <typename Step>
  void step_server(const resp::Address& address, Step step);
  template <typename Step>
  void step_sentinel(const resp::Address& address, Step step);
  void settle(const resp::Address& address, ServerWatch& watch);
  void settle(const resp::Address& address, SentinelWatch& watch);
  template <typename Due>
  void follow(Timer& timer, std::optional<TimePoint> deadline, Due due);
  void perform(const health::LinkActions& actions, const Channel& channel);
  ControlModel* find(const Channel& channel);
  void close(ControlModel& link);
  void opened(const Channel& channel);
  void arrived(const Channel& channel, std::string bytes);
  void failed(const Channel& channel, Ending why);

  void on_signal(const health::Signal& signal);
  void apply(health::Arbiter::Outcome outcome);
  void check_topology(const health::Topology& topology);
  void reconcile();
  void set_pace();
  void look_now();
  void arm_tick();
  [[nodiscard]] health::Pace pace_of(const resp::Address& address) const;

  World& world_;
  const std::size_t index_;
  const HostId host_;
  const health::Options options_;
  health::Arbiter arbiter_;
  std::vector<std::unique_ptr<WorkerModel>> workers_;
  std::map<resp::Address, std::unique_ptr<ServerWatch>> servers_;
  std::map<resp::Address, std::unique_ptr<SentinelWatch>> sentinels_;
  health::Pace pace_ = health::Pace::normal;
  std::optional<resp::Address> candidate_;
  Timer tick_;
  bool running_ = false;
  std::uint64_t isolations_ = 0;
  health::GroupState published_ = health::GroupState::init;
  std::uint64_t term_ = 0;
  std::size_t next_worker_ = 0;
};

}  // namespace fairlead::sim
