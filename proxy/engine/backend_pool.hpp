// All backend links of one worker: the shared ones by {version, db, lane}, the leased ones, and those kept
// warm for the next lease. Opens and closes links; what is on them is the Engine's business. Owned by the
// Engine.
#pragma once

#include <boost/intrusive/list.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <vector>

#include "health/topology.hpp"
#include "proxy/engine/backend_link.hpp"
#include "proxy/engine/limits.hpp"
#include "proxy/engine/slot_array.hpp"
#include "proxy/engine/stats.hpp"

namespace fairlead::engine {

class BackendPool {
 public:
  using Links =
      boost::intrusive::list<BackendLink,
                             boost::intrusive::member_hook<BackendLink, ListHook, &BackendLink::pool_hook>,
                             boost::intrusive::constant_time_size<false>>;

  BackendPool(Io& io, const EngineOptions& options, BufferPool& buffers, TimerWheel& wheel, Stats& stats);
  ~BackendPool();

  /// Where links go from now on. True when it is another server or process than before: links of the old
  /// route then have another route_serial and must be retired by the caller.
  bool set_route(const health::Route& route);
  [[nodiscard]] const health::Route& route() const { return route_; }
  [[nodiscard]] std::uint64_t route_serial() const { return route_serial_; }

  /// The shared link of `key`, opened when there is none. Never null; there must be a route.
  [[nodiscard]] BackendLink* shared(LinkKey key, const UserPtr& user, health::TimePoint now);
  /// The one that shared() handed out last; null when it is not to be handed out any more.
  [[nodiscard]] BackendLink* last_shared() const { return last_; }
  /// A link for one session: an idle one of the same key, or a new one. Null when leased_links_max are taken.
  [[nodiscard]] BackendLink* lease(LinkKey key, Session& owner, health::TimePoint now);
  /// A link to a server that was the route before, of fairlead's own login; handed out to nobody else.
  [[nodiscard]] BackendLink* open_past(LinkKey key, const BackendLink& beside, health::TimePoint now);
  /// The session is done with it and owes no reply: kept for the next lease, or closed when unclean.
  void end_lease(BackendLink& link);
  /// Closes the connection. The FIFO must be empty. The object lives until collect().
  void close(BackendLink& link);
  /// The shared link is not handed out any more (its route was revoked); it lives on until closed.
  void forget(BackendLink& link);
  void collect() { links_.collect(); }

  [[nodiscard]] BackendLink* find(ConnId id) { return links_.find(id); }
  [[nodiscard]] Links& all() { return all_; }

  static constexpr std::size_t idle_leases_max = 64;

 private:
  struct KeyHash {
    std::size_t operator()(const LinkKey& key) const;
  };

  BackendLink* open(LinkKey key, const UserPtr& user, const resp::Address& address, health::TimePoint now);

  Io& io_;
  const EngineOptions& options_;
  BufferPool& buffers_;
  TimerWheel& wheel_;
  Stats& stats_;
  health::Route route_;
  std::uint64_t route_serial_ = 0;
  SlotArray<BackendLink> links_{Side::backend};
  Links all_;
  boost::unordered_flat_map<LinkKey, BackendLink*, KeyHash> shared_;
  BackendLink* last_ = nullptr;  // of shared_: nearly always the next one asked for
  std::vector<BackendLink*> idle_;
};

}  // namespace fairlead::engine
