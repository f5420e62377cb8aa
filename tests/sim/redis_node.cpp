#include "tests/sim/redis_node.hpp"

#include <utility>

#include "resp/writer.hpp"
#include "tests/sim/redis_session.hpp"
#include "tests/sim/world.hpp"

namespace fairlead::sim {

namespace {

constexpr Milliseconds cron_interval{200};
constexpr Milliseconds sync_retry{1000};
constexpr Milliseconds replica_lag_max{10000};  // min-replicas-max-lag

}  // namespace

RedisNode::RedisNode(World& world, std::size_t index, HostId host)
    : world_(world), index_(index), host_(host), address_(world.server_address(index)) {}

RedisNode::~RedisNode() = default;

// --- Its life

void RedisNode::start(Memory memory, Microseconds loading) {
  if (alive_) return;
  alive_ = true;
  ++life_;
  run_id_ = "run" + std::to_string(index_) + "x" + std::to_string(life_);
  if (memory == Memory::lost) data_ = RedisData();
  loading_until_ = world_.now() + loading;
  role_since_ = started_at_ = world_.now();
  link_up_ = false;
  ++link_;
  drop_replicas();
  world_.network().listen(host_, [this](ConnKey key) {
    auto session = std::make_unique<RedisSession>(*this, key, ++clients_seen_);
    Handlers handlers = session->handlers();
    sessions_[key] = std::move(session);
    return handlers;
  });
  world_.trace("server " + std::to_string(index_) + " starts as " + (master_ ? "a replica" : "a master") +
               (memory == Memory::lost ? ", empty" : "") + (loading.count() > 0 ? ", loading" : ""));
  cron();
}

void RedisNode::kill() {
  if (!alive_) return;
  alive_ = false;
  ++life_;
  world_.network().stop_listening(host_);
  blocked_.clear();
  sessions_.clear();
  world_.network().end_process(host_);
}

bool RedisNode::loading() const {
  return world_.now() < loading_until_;
}

void RedisNode::cron() {
  gone_.clear();
  world_.schedule().after(cron_interval, [this, life = life_] {
    if (!alive_ || life != life_) return;
    cron();
    if (world_.network().stopped(host_)) return;
    look_at_replicas();
    if (master_ && !link_up_ && world_.now() - sync_asked_at_ >= sync_retry) ask_for_sync();
    if (!master_ || !link_up_) return;
    const RedisNode& from = world_.server(*master_);
    const bool broken = feed_lost_ || from.feeding_ != fed_by_ || !world_.network().clear(host_, from.host());
    if (broken) link_up_ = false;
  });
}

// --- Its role

void RedisNode::become_master() {
  if (!alive_) return;
  const bool promoted = master_.has_value();
  if (promoted) role_since_ = world_.now();
  master_.reset();
  if (promoted) world_.note_promotion(index_);
  link_up_ = false;
  ++link_;
  kill_clients();
}

void RedisNode::become_replica_of(std::size_t master) {
  if (!alive_ || master == index_) return;
  if (master_ == master) return;
  if (!master_) role_since_ = world_.now();
  world_.trace("server " + std::to_string(index_) + " follows server " + std::to_string(master));
  master_ = master;
  link_up_ = false;
  sync_asked_at_ = {};
  drop_replicas();
  unblock_all();
  kill_clients();
  ask_for_sync();
}

void RedisNode::unblock_all() {
  while (!blocked_.empty()) {
    RedisSession* session = blocked_.front();
    blocked_.pop_front();
    session->force_unblock();
  }
}

void RedisNode::kill_clients() {
  blocked_.clear();
  for (auto& [key, session] : sessions_) {
    session->flush_output();
    world_.network().close(key, End::acceptor);
    gone_.push_back(std::move(session));
  }
  sessions_.clear();
}

void RedisNode::forget_session(RedisSession& session) {
  unblock(session);
  const auto found = sessions_.find(session.key());
  if (found == sessions_.end()) return;
  gone_.push_back(std::move(found->second));
  sessions_.erase(found);
}

// --- Replication

void RedisNode::drop_replicas() {
  replicas_.clear();
  ++feeding_;
}

void RedisNode::ask_for_sync() {
  sync_asked_at_ = world_.now();
  const std::uint64_t link = ++link_;
  RedisNode& master = world_.server(*master_);
  world_.network().post(host_, master.host(),
                        [&master, from = index_, link, offset = data_.offset(), last = data_.last_number()] {
                          master.on_sync_request(from, link, offset, last);
                        });
}

void RedisNode::on_sync_request(std::size_t replica, std::uint64_t link, std::size_t offset,
                                WriteNumber last) {
  // A replica without a link of its own serves nobody; what it has may be gone in a moment.
  if (!alive_ || loading() || (master_ && !link_up_)) return;
  replicas_[replica] = {link, std::nullopt};
  RedisNode& to = world_.server(replica);
  const bool continues = data_.continues(offset, last);
  const auto copy = continues ? nullptr : std::make_shared<const RedisData>(data_);
  world_.network().post(host_, to.host(),
                        [&to, link, copy, fed = feeding_] { to.on_sync_begin(link, copy, fed); });
  for (std::size_t i = continues ? offset : data_.offset(); i < data_.offset(); ++i) {
    feed(to, link, i, data_.log()[i]);
  }
}

/// What is lost in a cut TCP would send again; here the replica finds out and continues from where it was. It
/// must do so also when nothing comes behind what was lost.
void RedisNode::feed(RedisNode& to, std::uint64_t link, std::size_t offset, const LogEntry& entry) {
  world_.network().post(
      host_, to.host(), [&to, link, offset, entry] { to.on_log(link, offset, entry); },
      [&to, link] { to.feed_lost_ = to.feed_lost_ || link == to.link_; });
}

void RedisNode::on_sync_begin(std::uint64_t link, const std::shared_ptr<const RedisData>& copy,
                              std::uint64_t fed_by) {
  if (!alive_ || !master_ || link != link_) return;
  link_up_ = true;
  feed_lost_ = false;
  fed_by_ = fed_by;
  if (copy) data_ = *copy;
  if (world_.options().min_replicas == 0) return;  // nobody counts acknowledgements
  RedisNode& master = world_.server(*master_);
  world_.network().post(host_, master.host(),
                        [&master, from = index_, link] { master.on_acknowledged(from, link); });
}

void RedisNode::on_acknowledged(std::size_t replica, std::uint64_t link) {
  const auto found = replicas_.find(replica);
  if (alive_ && found != replicas_.end() && found->second.link == link) {
    found->second.acknowledged_at = world_.now();
  }
}

/// A replica whose link lives acknowledges every second; whose link has ended is not counted any more; whose
/// path is cut is counted until its lag is too large.
void RedisNode::look_at_replicas() {
  for (auto& [replica, state] : replicas_) {
    if (!state.acknowledged_at) continue;
    const RedisNode& to = world_.server(replica);
    if (!world_.network().clear(host_, to.host()) || world_.network().stopped(to.host())) continue;
    const bool linked = to.alive_ && to.master_ == index_ && to.link_ == state.link && to.link_up_;
    state.acknowledged_at = linked ? std::optional(world_.now()) : std::nullopt;
  }
}

bool RedisNode::lacks_replicas() const {
  if (master_) return false;
  std::size_t good = 0;
  for (const auto& [replica, state] : replicas_) {
    if (state.acknowledged_at && world_.now() - *state.acknowledged_at <= replica_lag_max) ++good;
  }
  return good < world_.options().min_replicas;
}

void RedisNode::on_log(std::uint64_t link, std::size_t offset, const LogEntry& entry) {
  if (!alive_ || !master_ || link != link_ || !link_up_) return;
  if (offset != data_.offset()) {
    link_up_ = false;  // something was lost in a cut: the connection would have broken
    return;
  }
  data_.apply(entry);
  for (const auto& [replica, state] : replicas_) {
    feed(world_.server(replica), state.link, offset, entry);
  }
}

void RedisNode::apply_and_replicate(LogEntry entry) {
  const std::size_t offset = data_.offset();
  data_.apply(entry);
  for (const auto& [replica, state] : replicas_) {
    feed(world_.server(replica), state.link, offset, entry);
  }
}

// --- Clients

void RedisNode::serve_blocked(const std::string& key) {
  for (auto at = blocked_.begin(); at != blocked_.end();) {
    RedisSession* session = *at;
    if (session->blocked_on() != key || data_.list_size(key) == 0) {
      ++at;
      continue;
    }
    at = blocked_.erase(at);
    session->pop_and_answer();
  }
}

RedisSession* RedisNode::find_client(std::uint64_t id) {
  for (auto& [key, session] : sessions_) {
    if (session->client_id() == id) return session.get();
  }
  return nullptr;
}

std::size_t RedisNode::publish(std::string_view channel, std::string_view message) {
  std::size_t count = 0;
  for (auto& [key, session] : sessions_) count += session->push_message(channel, message) ? 1U : 0U;
  return count;
}

std::string RedisNode::role_reply() const {
  std::string out;
  if (!master_) {
    resp::append_array_header(out, 3);
    resp::append_bulk(out, "master");
    resp::append_integer(out, static_cast<std::int64_t>(data_.offset()));
    resp::append_array_header(out, 0);
    return out;
  }
  const resp::Address& master = world_.server(*master_).address();
  resp::append_array_header(out, 5);
  resp::append_bulk(out, "slave");
  resp::append_bulk(out, master.host);
  resp::append_integer(out, master.port);
  resp::append_bulk(out, link_up_ ? "connected" : "connect");
  resp::append_integer(out, static_cast<std::int64_t>(data_.offset()));
  return out;
}

std::string RedisNode::info_reply() const {
  std::string text = "# Server\r\nredis_version:7.0.15\r\nrun_id:" + run_id_ + "\r\n";
  text += std::string("loading:") + (loading() ? "1" : "0") + "\r\n";
  text += std::string("role:") + (master_ ? "slave" : "master") + "\r\naof_enabled:0\r\n# Keyspace\r\n";
  if (!data_.empty()) text += "db0:keys=" + std::to_string(data_.offset()) + ",expires=0,avg_ttl=0\r\n";
  std::string out;
  resp::append_bulk(out, text);
  return out;
}

}  // namespace fairlead::sim
