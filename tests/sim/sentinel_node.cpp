#include "tests/sim/sentinel_node.hpp"

#include <algorithm>

#include "tests/sim/world.hpp"

namespace fairlead::sim {

namespace {

constexpr Milliseconds ping_interval{1000};
constexpr Milliseconds info_interval{10000};
constexpr Milliseconds info_interval_failover{1000};
constexpr Milliseconds info_retry{1000};
constexpr Milliseconds hello_interval{2000};
constexpr Milliseconds opinion_interval{1000};
constexpr Milliseconds opinion_valid{5000};
constexpr Milliseconds clock_jump{2000};
constexpr Milliseconds tilt_period{5000};               // 30 s in redis; what is waited for is the same
constexpr Milliseconds master_returned_patience{8000};  // four hello intervals, as sentinel.c waits

}  // namespace

SentinelNode::SentinelNode(World& world, std::size_t index, HostId host)
    : world_(world), index_(index), host_(host), address_(world.sentinel_address(index)) {
  seen_.resize(world.options().servers);
  config_epoch_ = current_epoch_ = 1;
}

SentinelNode::~SentinelNode() = default;

void SentinelNode::start() {
  if (alive_) return;
  alive_ = true;
  ++life_;
  // What it had agreed on is in its configuration file; what it had seen is not.
  for (Seen& seen : seen_) {
    seen = Seen{};
    seen.answered_at = seen.says_since = world_.now();
  }
  opinions_.clear();
  subjectively_down_ = objectively_down_ = false;
  master_ = named();  // a promoted node is written down with its epoch
  seen_[master_].says_master = true;
  failover_ = Failover::none;
  epoch_since_ = acted_at_ = world_.now();
  world_.network().listen(host_, [this](ConnKey key) { return accept(key); });
  tick();
}

void SentinelNode::kill() {
  if (!alive_) return;
  alive_ = false;
  ++life_;
  sessions_.clear();
  world_.network().stop_listening(host_);
  world_.network().end_process(host_);
}

bool SentinelNode::in_tilt() const {
  return world_.now() < tilt_until_;
}

void SentinelNode::enter_tilt(Microseconds time) {
  tilt_until_ = world_.now() + time;
  announce("+tilt", "#tilt mode entered");
  world_.schedule().at(tilt_until_, [this] {
    if (alive_ && !in_tilt()) announce("-tilt", "#tilt mode exited");
  });
}

void SentinelNode::tick() {
  world_.schedule().after(world_.random().between(Microseconds(50000), Microseconds(100000)),
                          [this, life = life_] {
                            if (!alive_ || life != life_) return;
                            if (!world_.network().stopped(host_)) {
                              // As sentinel.c: a clock that jumped means that nothing seen before can be
                              // trusted.
                              if (world_.now() - acted_at_ > clock_jump) enter_tilt(tilt_period);
                              acted_at_ = world_.now();
                              act();
                            }
                            tick();
                          });
}

void SentinelNode::act() {
  for (std::size_t server = 0; server < seen_.size(); ++server) look_at(server);
  if (world_.now() - said_hello_at_ >= hello_interval) say_hello();
  if (in_tilt()) return;
  judge_master();
  maybe_start_failover();
  run_failover();
}

bool SentinelNode::is_down(const Seen& seen) const {
  return seen.unanswered_since && world_.now() - *seen.unanswered_since > world_.options().down_after;
}

void SentinelNode::post_to(const SentinelNode& peer, Schedule::Action action) {
  world_.network().post(host_, peer.host_, std::move(action));
}

void SentinelNode::look_at(std::size_t server) {
  Seen& seen = seen_[server];
  RedisNode& node = world_.server(server);
  const auto life = life_;
  if (world_.now() - seen.pinged_at >= std::min(ping_interval, world_.options().down_after)) {
    seen.pinged_at = world_.now();
    if (!seen.unanswered_since) seen.unanswered_since = world_.now();
    world_.network().post(host_, node.host(), [this, server, &node, life] {
      if (!node.alive()) return;
      world_.network().post(node.host(), host_, [this, server, life] {
        if (!alive_ || life != life_) return;
        seen_[server].answered_at = world_.now();
        seen_[server].unanswered_since.reset();
      });
    });
  }
  const bool known = seen.info_at != TimePoint{};
  const bool linkless = known && !seen.says_master && !seen.link_up;
  const bool closely = server != master_ && (objectively_down_ || failover_ != Failover::none || linkless);
  const auto interval = closely ? info_interval_failover : info_interval;
  // The last answer counts; what was lost in a cut is asked again, as a link that broke is made again.
  if (world_.now() - seen.info_at < interval || world_.now() - seen.info_asked_at < info_retry) return;
  seen.info_asked_at = world_.now();
  world_.network().post(host_, node.host(), [this, server, &node, life] {
    if (!node.alive()) return;
    const bool is_master = node.is_master();
    const std::size_t follows = node.master().value_or(0);
    world_.network().post(
        node.host(), host_,
        [this, server, life, is_master, follows, up = node.link_up(), offset = node.data().offset()] {
          if (alive_ && life == life_) on_info(server, is_master, follows, up, offset);
        });
  });
}

void SentinelNode::on_info(std::size_t server, bool is_master, std::size_t follows, bool link_up,
                           std::size_t offset) {
  Seen& seen = seen_[server];
  const bool news = seen.says_master != is_master || (!is_master && seen.says_follows != follows);
  if (news) seen.says_since = world_.now();
  seen.info_at = world_.now();
  seen.says_master = is_master;
  seen.says_follows = follows;
  seen.link_up = link_up;
  seen.offset = offset;
  if (in_tilt()) return;
  if (failover_ == Failover::wait_promotion && server == promoted_ && is_master) {
    // From here on it is told to everybody, by the config-epoch.
    config_epoch_ = failover_epoch_;
    epoch_since_ = world_.now();
    failover_ = Failover::reconf_replicas;
    state_since_ = world_.now();
    announce_replica("+promoted-slave", promoted_);
    announce_master("+failover-state-reconf-slaves");
    say_hello();
    return;
  }
  if (failover_ == Failover::reconf_replicas) note_reconfigured(server);
  correct_roles(server);
}

/// A master that came back, and a replica that follows somebody else, are told whom to follow.
void SentinelNode::correct_roles(std::size_t server) {
  const Seen& seen = seen_[server];
  const Seen& master = seen_[master_];
  const bool heard = world_.now() - master.info_at < 2 * info_interval;
  const bool sane = heard && master.says_master && !is_down(master) && !subjectively_down_;
  if (server == master_ || failover_ != Failover::none || !sane) return;
  const auto patience = seen.says_master ? master_returned_patience : world_.options().failover_timeout;
  const bool wrong = seen.says_master || seen.says_follows != master_;
  const bool recently = world_.now() - seen.ordered_at < Milliseconds(1000);
  if (wrong && !recently && world_.now() - seen.says_since >= patience) order(server, master_);
}

void SentinelNode::order(std::size_t server, std::optional<std::size_t> master) {
  seen_[server].ordered_at = world_.now();
  RedisNode& node = world_.server(server);
  world_.network().post(host_, node.host(), [&node, master] {
    if (master) {
      node.become_replica_of(*master);
    } else {
      node.become_master();
    }
  });
}

/// Somebody turned the master into a replica: for a Sentinel it is as good as dead, after a while.
bool SentinelNode::master_is_replica() const {
  const Seen& seen = seen_[master_];
  return !seen.says_master &&
         world_.now() - seen.says_since > world_.options().down_after + 2 * info_interval;
}

void SentinelNode::judge_master() {
  const bool down = is_down(seen_[master_]) || master_is_replica();
  if (down != subjectively_down_) {
    subjectively_down_ = down;
    announce_master(down ? "+sdown" : "-sdown");
  }
  if (down && world_.now() - asked_opinions_at_ >= opinion_interval) ask_opinions();
  std::size_t agreeing = down ? 1 : 0;
  for (const auto& [peer, opinion] : opinions_) {
    if (opinion.down && world_.now() - opinion.at < opinion_valid) ++agreeing;
  }
  const bool objectively = down && agreeing >= world_.options().quorum();
  if (objectively == objectively_down_) return;
  objectively_down_ = objectively;
  announce_master(objectively ? "+odown" : "-odown");
}

void SentinelNode::ask_opinions() {
  asked_opinions_at_ = world_.now();
  for (std::size_t i = 0; i < world_.options().sentinels; ++i) {
    if (i == index_) continue;
    SentinelNode& peer = world_.sentinel(i);
    post_to(peer, [this, &peer, about = master_, life = life_] {
      if (!peer.alive_) return;
      const bool down = peer.master_ == about && peer.subjectively_down_ && !peer.in_tilt();
      peer.post_to(*this, [this, i = peer.index_, down, about, life] {
        if (alive_ && life == life_ && about == master_) opinions_[i] = {down, world_.now()};
      });
    });
  }
}

std::size_t SentinelNode::named() const {
  return failover_ == Failover::reconf_replicas ? promoted_ : master_;
}

void SentinelNode::say_hello() {
  said_hello_at_ = world_.now();
  const Hello hello{current_epoch_, config_epoch_, named()};
  for (std::size_t i = 0; i < world_.options().sentinels; ++i) {
    if (i == index_) continue;
    SentinelNode& peer = world_.sentinel(i);
    post_to(peer, [&peer, hello] {
      if (peer.alive_) peer.on_hello(hello);
    });
  }
}

void SentinelNode::on_hello(const Hello& hello) {
  current_epoch_ = std::max(current_epoch_, hello.current_epoch);
  if (hello.config_epoch <= config_epoch_) return;
  config_epoch_ = hello.config_epoch;
  epoch_since_ = world_.now();
  if (hello.master != master_) adopt(hello.master);
}

void SentinelNode::adopt(std::size_t master) {
  const resp::Address& from = world_.server(master_).address();
  const resp::Address& to = world_.server(master).address();
  const std::string payload = world_.master_name() + " " + from.host + " " + std::to_string(from.port) + " " +
                              to.host + " " + std::to_string(to.port);
  master_ = master;
  subjectively_down_ = objectively_down_ = false;
  failover_ = Failover::none;
  opinions_.clear();
  // All that it knew is forgotten: each is thought to be what it should be, and is asked at once.
  for (std::size_t i = 0; i < seen_.size(); ++i) {
    seen_[i] = Seen{};
    seen_[i].answered_at = seen_[i].says_since = world_.now();
    seen_[i].says_master = i == master_;
    seen_[i].says_follows = master_;
  }
  announce("+switch-master", payload);
}

}  // namespace fairlead::sim
