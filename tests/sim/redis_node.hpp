// A model of one redis-server process: role, run id, data, replicas, clients. Its clients' commands are in
// redis_session.*. As far as the proxy can tell it behaves as redis 7.0: replication is asynchronous, a
// replica refuses writes, a server that loads refuses nearly all, a change of role unblocks who is blocked.
//
// Owned by the World; one per server, over all of its restarts.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "resp/address.hpp"
#include "tests/sim/network.hpp"
#include "tests/sim/redis_data.hpp"

namespace fairlead::sim {

class RedisSession;
class World;

enum class Memory : std::uint8_t { kept, lost };

class RedisNode {
 public:
  RedisNode(World& world, std::size_t index, HostId host);
  ~RedisNode();

  // Its life.
  void start(Memory memory, Microseconds loading);
  void kill();
  [[nodiscard]] bool alive() const { return alive_; }
  [[nodiscard]] bool loading() const;
  [[nodiscard]] const std::string& run_id() const { return run_id_; }

  // Its role. Orders of a Sentinel come as one transaction that also kills the clients.
  void become_master();
  void become_replica_of(std::size_t master);
  [[nodiscard]] bool is_master() const { return !master_; }
  [[nodiscard]] std::optional<std::size_t> master() const { return master_; }
  [[nodiscard]] bool link_up() const { return link_up_; }
  [[nodiscard]] bool serves() const { return alive_ && is_master() && !loading(); }
  /// min-replicas-to-write: too few replicas are online and have acknowledged lately.
  [[nodiscard]] bool lacks_replicas() const;
  [[nodiscard]] TimePoint role_since() const { return role_since_; }
  [[nodiscard]] TimePoint started_at() const { return started_at_; }

  [[nodiscard]] std::size_t index() const { return index_; }
  [[nodiscard]] HostId host() const { return host_; }
  [[nodiscard]] const resp::Address& address() const { return address_; }
  [[nodiscard]] const RedisData& data() const { return data_; }
  [[nodiscard]] World& world() { return world_; }

  // For its sessions.
  void apply_and_replicate(LogEntry entry);
  void forget_session(RedisSession& session);
  void block(RedisSession& session) { blocked_.push_back(&session); }
  void unblock(RedisSession& session) { blocked_.remove(&session); }
  void serve_blocked(const std::string& key);
  [[nodiscard]] RedisSession* find_client(std::uint64_t id);
  std::size_t publish(std::string_view channel, std::string_view message);
  [[nodiscard]] std::string role_reply() const;
  [[nodiscard]] std::string info_reply() const;

 private:
  struct Replica {
    std::uint64_t link = 0;  // names one synchronisation; messages of an older one are dropped
    std::optional<TimePoint> acknowledged_at;  // the last time; nullopt: it is not online yet, or was lost
  };

  void cron();
  void kill_clients();
  void unblock_all();
  void ask_for_sync();
  void on_sync_request(std::size_t replica, std::uint64_t link, std::size_t offset, WriteNumber last);
  /// Null: what this replica has is the beginning of it, and the rest follows.
  void on_sync_begin(std::uint64_t link, const std::shared_ptr<const RedisData>& copy, std::uint64_t fed_by);
  void drop_replicas();
  void on_acknowledged(std::size_t replica, std::uint64_t link);
  void look_at_replicas();
  void feed(RedisNode& to, std::uint64_t link, std::size_t offset, const LogEntry& entry);
  void on_log(std::uint64_t link, std::size_t offset, const LogEntry& entry);

  World& world_;
  const std::size_t index_;
  const HostId host_;
  const resp::Address address_;
  bool alive_ = false;
  std::uint64_t life_ = 0;  // grows with each start: events of an earlier process are dropped
  std::string run_id_;
  TimePoint loading_until_{};
  TimePoint role_since_{};
  TimePoint started_at_{};
  RedisData data_;
  std::optional<std::size_t> master_;
  bool link_up_ = false;
  bool feed_lost_ = false;  // as a replica: something that was sent to it did not arrive
  TimePoint sync_asked_at_{};
  std::uint64_t link_ = 0;     // as a replica: the synchronisation at hand
  std::uint64_t feeding_ = 0;  // grows whenever all replicas of this server are dropped
  std::uint64_t fed_by_ = 0;   // as a replica: feeding_ of the master when the link came up
  std::map<std::size_t, Replica> replicas_;
  std::map<ConnKey, std::unique_ptr<RedisSession>> sessions_;
  std::vector<std::unique_ptr<RedisSession>> gone_;
  std::list<RedisSession*> blocked_;
  std::uint64_t clients_seen_ = 0;
};

}  // namespace fairlead::sim
