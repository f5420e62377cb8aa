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
  /// Good probes in a row that end the doubt at hand.
  [[nodiscard]] int probes_needed() const { return arbiter_.probes_needed(); }
  [[nodiscard]] std::string describe() const;

 private:
  /// A packet and the answers in it, so that what is said again and again is parsed once.
  struct Heard {
    std::string packet;
    std::vector<resp::Value> answers;
  };
  static constexpr std::size_t heard_max = 8;  // more than the questions of a poll
  /// One control connection: what a machine orders, and what comes back.
  struct ControlModel {
    std::optional<ConnKey> key;
    std::string inbox;         // the beginning of an answer
    std::uint64_t round = 0;   // grows with each connection: what an older one says is dropped
    std::vector<Heard> heard;  // lately: while nothing happens each poll is answered as the one before
    std::size_t oldest_heard = 0;
  };
  struct Timer {
    std::optional<TimePoint> armed;
    std::uint64_t round = 0;  // of the last arming; earlier ones do nothing when they are due
  };
  struct ServerWatch {
    ServerWatch(const health::Options& options, resp::Address whose)
        : address(std::move(whose)), fsm(options) {}
    const resp::Address address;
    health::RoleFsm fsm;
    ControlModel link;
    Timer timer;
    health::LinkActions actions;
  };
  struct SentinelWatch {
    SentinelWatch(const health::Options& options, resp::Address whose)
        : address(std::move(whose)), fsm(options) {}
    const resp::Address address;
    health::SentinelFsm fsm;
    ControlModel command;
    ControlModel subscription;
    Timer timer;
    health::SentinelFsm::Actions actions;
  };
  /// A control connection, and the machine it belongs to: one of the two watches.
  struct Channel {
    ServerWatch* server = nullptr;
    SentinelWatch* sentinel = nullptr;
    health::SentinelFsm::Channel channel = health::SentinelFsm::Channel::command;

    [[nodiscard]] ControlModel& link() const {
      if (server != nullptr) return server->link;
      return channel == health::SentinelFsm::Channel::command ? sentinel->command : sentinel->subscription;
    }
    [[nodiscard]] const resp::Address& address() const {
      return server != nullptr ? server->address : sentinel->address;
    }
  };

  template <typename Step>
  void step_server(ServerWatch& watch, Step step);
  template <typename Step>
  void step_sentinel(SentinelWatch& watch, Step step);
  void settle(ServerWatch& watch);
  void settle(SentinelWatch& watch);
  template <typename Due>
  void follow(Timer& timer, std::optional<TimePoint> deadline, Due due);
  void perform(const health::LinkActions& actions, const Channel& channel);
  void open(const Channel& channel);
  void close(ControlModel& link);
  void opened(const Channel& channel);
  void arrived(const Channel& channel, std::string_view bytes);
  [[nodiscard]] static const std::vector<resp::Value>* heard_before(ControlModel& link,
                                                                    std::string_view bytes);
  [[nodiscard]] std::vector<resp::Value> take_answers(ControlModel& link, std::string_view bytes);
  void answered(const Channel& channel, const std::vector<resp::Value>& answers);
  void answered(const Channel& channel, const resp::Value& answer);
  void failed(const Channel& channel, Ending why);

  void on_signal(const health::Signal& signal);
  void apply(health::Arbiter::Outcome outcome);
  void check_topology(const health::Topology& topology);
  void reconcile(TimePoint then);
  template <typename Watch>
  void retire_all_but(const std::vector<resp::Address>& wanted,
                      std::map<resp::Address, std::unique_ptr<Watch>>& watches,
                      std::vector<std::unique_ptr<Watch>>& former);
  void retire(ServerWatch& watch);
  void retire(SentinelWatch& watch);
  void set_pace(TimePoint then);
  void look_now(TimePoint then);
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
  // No longer wanted: their links are closed and their timers off, but somebody may be in the middle of one.
  std::vector<std::unique_ptr<ServerWatch>> former_servers_;
  std::vector<std::unique_ptr<SentinelWatch>> former_sentinels_;
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
