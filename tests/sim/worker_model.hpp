// The part of a Worker that the Engine sees, over the simulated network: sockets that take and give as many
// bytes as the network likes, turns, timers. What the Engine orders is checked here: nothing may be written
// to a link whose route was revoked, and no command may begin to leave while there is no verified route.
//
// Owned by a ProxyModel; one per worker.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "proxy/engine/engine.hpp"
#include "tests/sim/command_inbox.hpp"
#include "tests/sim/network.hpp"

namespace fairlead::sim {

class World;

class WorkerModel final : public engine::Io {
 public:
  using Signal = std::function<void(const health::Signal&)>;

  WorkerModel(World& world, HostId host, engine::WorkerName name, Signal signal);
  ~WorkerModel() override;

  /// A client's connection arrives.
  [[nodiscard]] Handlers accept(ConnKey key);
  void publish(health::TopologyPtr topology);
  /// Ends everything; what is still scheduled for it does nothing.
  void stop();

  [[nodiscard]] const engine::Engine& engine() const { return *engine_; }
  [[nodiscard]] const health::TopologyPtr& topology() const { return topology_; }
  /// True when the gate has been closed for `hold`, by its Monitor, its own doubt or its lease.
  [[nodiscard]] bool is_closed_for(health::Duration hold, TimePoint now) const;
  /// ... or was until a moment ago.
  [[nodiscard]] bool closed_for(health::Duration hold, TimePoint now) const;
  [[nodiscard]] std::string describe() const;

  // engine::Io
  std::uint64_t next_client_id() override;
  engine::WriteResult write(engine::ConnId id, std::span<const engine::ConstBytes> buffers) override;
  void wait_writable(engine::ConnId id) override;
  void set_reading(engine::ConnId id, engine::Reading reading) override;
  void connect(engine::ConnId id, const resp::Address& address) override;
  void close(engine::ConnId id) override;
  void signal(const health::Signal& signal) override;
  std::uint32_t broadcast(const engine::ClientQuery&) override {
    return 0;
  }  // no client here asks about others
  engine::ConnectionNames names(engine::ConnId) override { return {}; }

 private:
  struct Stream {
    engine::ConnId id;
    ConnKey key = 0;
    End end = End::connector;
    std::string inbox;  // arrived, not read yet
    bool connected = false;
    bool ended = false;  // the end of file stands behind inbox
    engine::Reading reading = engine::Reading::on;
    std::size_t server = 0;   // links
    std::uint64_t route = 0;  // links: the route of when it was opened
    CommandInbox sent;        // links: what was written
  };
  using Name = std::pair<std::uint64_t, std::uint32_t>;
  static Name name(engine::ConnId id) {
    return {(static_cast<std::uint64_t>(id.side) << 32U) | id.index, id.generation};
  }

  Stream* find(engine::ConnId id);
  [[nodiscard]] Handlers link_handlers(engine::ConnId id);
  void arrived(engine::ConnId id, std::string_view bytes);
  void feed(engine::ConnId id);
  void ended(engine::ConnId id, Ending why);
  void want_turn();
  void turn();
  void arm();
  void check_dispatch(Stream& stream, std::string_view bytes);
  void check_limits();

  World& world_;
  const HostId host_;
  const Signal signal_;
  Random random_;
  boost::unordered_flat_map<Name, std::unique_ptr<Stream>> streams_;
  bool turn_wanted_ = false;
  std::uint64_t armed_ = 0;
  std::optional<TimePoint> armed_for_;
  health::TopologyPtr topology_;
  std::uint64_t route_ = 0;                     // grows with each change of the route
  std::optional<health::Route> steady_route_;   // of the last steady topology
  std::optional<TimePoint> closed_since_;       // since when the gate may have been closed without a break
  std::optional<TimePoint> long_closed_until_;  // the last time that was longer than the hold time
  bool in_topology_ = false;
  bool doubted_in_topology_ = false;
  bool stopped_ = false;
  std::unique_ptr<engine::Engine> engine_;
};

}  // namespace fairlead::sim
