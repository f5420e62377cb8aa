#include "proxy/engine/backend_pool.hpp"

#include <algorithm>
#include <boost/container_hash/hash.hpp>

namespace fairlead::engine {

BackendPool::BackendPool(Io& io, const EngineOptions& options, BufferPool& buffers, TimerWheel& wheel,
                         Stats& stats)
    : io_(io), options_(options), buffers_(buffers), wheel_(wheel), stats_(stats) {}

BackendPool::~BackendPool() {
  links_.for_each([this](BackendLink& link) {
    link.greeting.clear(buffers_);
    link.out.clear(buffers_);
    link.assembly.clear(buffers_);
  });
}

bool BackendPool::set_route(const health::Route& route) {
  // A higher term for the same process only affirms it: its links are as good as before.
  const bool same = route_serial_ != 0 && route.address == route_.address && route.run_id == route_.run_id;
  route_ = route;
  if (same) return false;
  ++route_serial_;
  return true;
}

std::size_t BackendPool::KeyHash::operator()(const LinkKey& key) const {
  std::size_t hash = reinterpret_cast<std::uintptr_t>(key.user);
  boost::hash_combine(hash, (static_cast<std::uint64_t>(key.db) << 32) |
                                (static_cast<std::uint64_t>(key.lane) << 8) | (key.db_kept ? 4U : 0U) |
                                static_cast<std::uint64_t>(key.version));
  return hash;
}

BackendLink* BackendPool::open(LinkKey key, const UserPtr& user, const resp::Address& address,
                               health::TimePoint now) {
  FAIRLEAD_CHECK(route_serial_ != 0);
  BackendLink* link = links_.create(key, address);
  link->user = user;
  link->route_serial = route_serial_;
  link->opened_at = now;
  all_.push_back(*link);
  wheel_.arm(link->timer, now + options_.limits.connect_timeout);
  ++stats_.links_opened;
  ++stats_.links_now;
  io_.connect(link->id, link->address);
  return link;
}

BackendLink* BackendPool::shared(LinkKey key, const UserPtr& user, health::TimePoint now) {
  if (last_ != nullptr && last_->key == key) return last_;
  const auto found = shared_.find(key);
  if (found != shared_.end()) return last_ = found->second;
  last_ = open(key, user, route_.address, now);
  shared_.emplace(key, last_);
  return last_;
}

BackendLink* BackendPool::lease(LinkKey key, Session& owner, health::TimePoint now) {
  key.lane = 0;
  const auto found =
      std::find_if(idle_.begin(), idle_.end(), [&](const BackendLink* link) { return link->key == key; });
  BackendLink* link = nullptr;
  if (found != idle_.end()) {
    link = *found;
    idle_.erase(found);
  } else {
    if (stats_.leases_now >= options_.limits.leased_links_max) return nullptr;
    link = open(key, owner.user, route_.address, now);
    link->leased = true;
  }
  link->owner = &owner;
  ++stats_.leases_now;
  ++stats_.leases_begun;
  return link;
}

BackendLink* BackendPool::open_past(LinkKey key, const BackendLink& beside, health::TimePoint now) {
  BackendLink* link = open(key, nullptr, beside.address, now);
  link->route_serial = beside.route_serial;
  return link;
}

void BackendPool::end_lease(BackendLink& link) {
  FAIRLEAD_CHECK(link.leased && link.owner != nullptr && link.fifo.empty());
  link.owner = nullptr;
  --stats_.leases_now;
  const bool reusable = link.state == LinkState::ready && !link.unclean &&
                        link.route_serial == route_serial_ && link.out.empty() && link.assembly.empty() &&
                        idle_.size() < idle_leases_max;
  if (reusable) {
    idle_.push_back(&link);
  } else {
    close(link);
  }
}

void BackendPool::forget(BackendLink& link) {
  if (link.leased) {
    idle_.erase(std::remove(idle_.begin(), idle_.end(), &link), idle_.end());
    return;
  }
  const auto found = shared_.find(link.key);
  if (found != shared_.end() && found->second == &link) shared_.erase(found);
  if (last_ == &link) last_ = nullptr;
}

void BackendPool::close(BackendLink& link) {
  FAIRLEAD_CHECK(link.fifo.empty() && link.state != LinkState::closed);
  if (link.owner != nullptr) {
    link.owner = nullptr;
    --stats_.leases_now;
  }
  forget(link);
  link.state = LinkState::closed;
  link.timer.cancel();
  link.greeting.clear(buffers_);
  link.out.clear(buffers_);
  link.assembly.clear(buffers_);
  link.dirty_hook.unlink();
  link.pool_hook.unlink();
  io_.close(link.id);
  --stats_.links_now;
  links_.release(link);
}

}  // namespace fairlead::engine
