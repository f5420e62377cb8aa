// What must hold in a simulated world, and whether it did: FAILOVER design, section 7. What can be judged at
// once is judged where it happens; here is what needs the view from above.
#include <algorithm>

#include "proxy/engine/replay.hpp"
#include "tests/sim/world.hpp"

namespace fairlead::sim {

namespace {

/// How soon a proxy has noticed that another process answers: two probes 50 ms apart, or the end of its
/// connections, and whatever it was in the middle of.
constexpr Milliseconds restart_noticed_max{1000};
/// A replica that is promoted while nothing hinders the proxy from seeing it.
constexpr Milliseconds promotion_max{100};
/// Besides, what the network itself takes: connections, logins, questions and answers.
constexpr int ready_trips = 16;
/// How soon a proxy must have stopped sending to a master once a Sentinel that it can ask names another.
constexpr Milliseconds knowledge_max{2500};
/// How long a proxy may go on with a promotion that nobody has announced, besides the 2 s that it is given:
/// its clock ticks every 50 ms meanwhile.
constexpr Milliseconds provisional_noticed{100};
/// How old the last word of a leader may be when a proxy follows it: an answer that takes longer is missed.
constexpr Milliseconds leader_heard{1000};
/// What it may take besides until a client hears NOREPLICAS: it is said again every 100 ms, and behind
/// others.
constexpr Milliseconds replicas_noticed{1000};
constexpr Milliseconds settle_max{90000};
constexpr Milliseconds aftershock{3000};
constexpr Milliseconds last_words_max{6000};
/// How long what went wrong is felt: a replica looks for its master, a Sentinel for its servers.
constexpr Milliseconds aftermath{12000};

}  // namespace

// --- As it happens

void World::note_promotion(std::size_t server) {
  trace("server " + std::to_string(server) + " is promoted");
  ++counts_.promotions;
  const auto& log = servers_[server]->data().log();
  WriteNumber last = 0;
  for (const LogEntry& entry : log) last = std::max(last, entry.number);
  promotions_.push_back({now(), server, servers_[server]->data().numbers(last)});
  for (std::size_t i = 0; i < proxies_.size(); ++i) expect_dispatch(i, server);
}

/// Everything that a proxy needs in order to follow a promotion at once is at hand, and has been for long
/// enough.
bool World::nothing_hinders(const ProxyModel& proxy, std::size_t server, TimePoint since) const {
  const auto clear = [&](HostId host) {
    const auto from = network_.clear_since(proxy.host(), host);
    return from && *from + World::path_recovers <= since;
  };
  const bool sentinels = std::all_of(sentinels_.begin(), sentinels_.end(), [&](const auto& sentinel) {
    return sentinel->alive() && !sentinel->in_tilt() && clear(sentinel->host());
  });
  return sentinels && proxy.running() && clear(servers_[server]->host()) && servers_[server]->serves() &&
         network_.slowness() == 1 && slow_until_ + World::path_recovers <= since &&
         options_.network.loss_percent == 0 && options_.min_replicas == 0 && promotions_.back().at == since;
}

/// What was held for a promoted replica leaves within 100 ms, and what the network takes.
void World::expect_dispatch(std::size_t index, std::size_t server) {
  const TimePoint since = now();
  ProxyModel* const proxy = proxies_[index].get();
  const bool waits = proxy->state() == health::GroupState::suspect && proxy->held() > 0;
  if (!waits || !nothing_hinders(*proxy, server, since)) return;
  const auto bound = promotion_max + ready_trips * options_.network.delay_max;
  const std::uint64_t held_before = proxy->held();
  schedule_.after(bound, [this, index, proxy, server, since, held_before] {
    if (proxies_[index].get() != proxy || !nothing_hinders(*proxy, server, since)) return;
    ++counts_.promotions_followed;
    const bool steady = proxy->state() == health::GroupState::steady && proxy->route() &&
                        proxy->route()->address == server_address(server);
    if (steady && proxy->held() == 0) return;
    ++counts_.promotions_late;
    trace("late: " + std::to_string(held_before) + " clients waited at the promotion; " + proxy->describe());
  });
}

/// An operator's failover, and one that the other Sentinels held while they could not hear of it. Redis has
/// two masters of one epoch then. A proxy that goes from one to the other counts its term on, so from now on
/// it may be ahead of another proxy's.
bool World::promoted_twice() const {
  return std::any_of(promoted_of_.begin(), promoted_of_.end(),
                     [](const auto& entry) { return entry.second.size() > 1; });
}

void World::note_route(std::size_t proxy, const health::Route& route) {
  std::vector<Bearer>& bearers = routes_[route.term];
  bool known = false;
  for (const Bearer& other : bearers) {
    known = known || (other.proxy == proxy && other.address == route.address);
    if (other.address == route.address) continue;
    if (other.proxy != proxy && promoted_twice()) continue;
    fail("I1: proxy " + std::to_string(proxy) + " routes to " + resp::to_string(route.address) + " at term " +
         std::to_string(route.term) + ", which was that of " + resp::to_string(other.address));
  }
  if (!known) bearers.push_back({proxy, route.address});
}

/// Early promotion: whom a leader promotes is followed before any Sentinel names it, for as long as the
/// leader is given to announce it. Both may have been hindered since the promotion, so that is counted from
/// the moment when the proxy took that route; a leader must have been at it until shortly before.
bool World::follows_promotion(std::size_t server, const health::Shard& shard) const {
  if (!shard.provisional || !shard.route || shard.route->address != server_address(server)) return false;
  const auto since = shard.route->since;
  return now() - since < options_.health.promotion_confirm_max + provisional_noticed &&
         promoting_at_[server] + leader_heard >= since;
}

/// Whether the proxy was free to learn, for long enough, that a server is no longer the master.
void World::note_dispatch(HostId proxy, std::size_t server, const health::Topology& topology,
                          std::string_view command) {
  if (follows_promotion(server, topology.shards.front())) return;
  for (const auto& sentinel : sentinels_) {
    const std::size_t named = sentinel->named();
    if (!sentinel->alive() || sentinel->in_tilt() || named == server || !servers_[named]->serves()) continue;
    const auto heard = network_.clear_since(proxy, sentinel->host());
    const auto seen = network_.clear_since(proxy, servers_[named]->host());
    if (!heard || !seen || network_.slowness() > 1) continue;
    const TimePoint since =
        std::max({*heard, *seen, sentinel->usable_since(), servers_[named]->role_since(), slow_until_});
    const auto outranked = [&](const auto& other) {
      return other->config_epoch() > sentinel->config_epoch();
    };
    if (std::any_of(sentinels_.begin(), sentinels_.end(), outranked)) continue;
    // Two leaders of one epoch, one by an operator's order: the majority is right.
    const auto outvotes = [&](const auto& other) {
      return other->config_epoch() == sentinel->config_epoch() && other->named() == server;
    };
    const auto votes = std::count_if(sentinels_.begin(), sentinels_.end(), outvotes);
    if (static_cast<std::size_t>(votes) > sentinels_.size() / 2) continue;
    if (now() - since > knowledge_max) {
      fail("I3: " + std::string(command) + " is sent to server " + std::to_string(server) +
           ", but sentinel " + std::to_string(sentinel->index()) + " has long named server " +
           std::to_string(named));
    }
  }
}

void World::check_authority(HostId proxy, std::size_t server, const health::Topology& topology) {
  const health::Shard& shard = topology.shards.front();
  if (!shard.route) return;
  // A process that took the place of the verified one: its connections ended, which nobody can overlook.
  const RedisNode& node = *servers_[server];
  const auto clear = network_.clear_since(proxy, node.host());
  const auto noticed = restart_noticed_max + ready_trips * options_.network.delay_max * network_.slowness();
  if (node.run_id() != shard.route->run_id && clear && *clear < node.started_at() &&
      options_.network.loss_percent == 0 && now() - node.started_at() > noticed) {
    fail("RESTARTED: a command is sent to " + node.run_id() + ", but " + shard.route->run_id +
         " was verified");
  }
  if (!options_.health.strict) return;
  const auto lease = std::min(options_.health.lease, options_.down_after);
  const auto mute = std::count_if(sentinels_.begin(), sentinels_.end(), [&](const auto& sentinel) {
    return network_.mute_for(proxy, sentinel->host(), lease);
  });
  const std::size_t heard = sentinels_.size() - static_cast<std::size_t>(mute);
  if (heard < sentinels_.size() / 2 + 1) {
    fail("ISOLATED: a command is sent although only " + std::to_string(heard) +
         " Sentinels can have answered within the lease");
  }
}

void World::note_disconnect(std::size_t client, HostId proxy, const std::string& what) {
  if (orphans_.contains(client)) return;
  std::uint64_t explained = 0;
  for (const auto& model : proxies_) {
    if (model->host() != proxy) continue;
    for (const auto& worker : model->workers()) {
      const engine::Stats& s = worker->engine().stats();
      explained +=
          s.output_buffer_closed + s.memory_closed + s.replies_cut + s.raw_closed + s.subscriptions_lost;
    }
  }
  if (explained == 0) fail("client " + std::to_string(client) + " is disconnected for no reason: " + what);
  ++counts_.disconnects;
}

void World::check_hold_over(HostId proxy, TimePoint said_at) {
  if (now() - said_at >= options_.engine.limits.hold_max || hold_is_over(proxy, said_at)) return;
  fail("I6: MASTERDOWN before the hold time is over");
}

void World::note_no_replicas(HostId host, TimePoint said_at) {
  ++counts_.no_replicas;
  if (options_.min_replicas == 0) fail("NOREPLICAS from a server that wants none");
  for (const auto& proxy : proxies_) {
    if (proxy->host() != host || !proxy->route()) continue;
    const auto since = std::max(said_at, proxy->route()->since);
    const auto most = engine::route_fresh_max + options_.engine.limits.hold_max + replicas_noticed;
    // A server that is stopped says so when it goes on.
    if (now() - since - stopped_since(since) > most)
      fail("a client waits for replicas of a master that has long been the route");
  }
}

/// For how long since then a machine was stopped.
health::Duration World::stopped_since(TimePoint since) const {
  health::Duration sum{};
  for (const Mishap& mishap : mishaps_) {
    if (!mishap.what.ends_with("is stopped")) continue;
    sum += std::max(health::Duration{}, std::min(mishap.end, now()) - std::max(mishap.begin, since));
  }
  return sum;
}

bool World::hold_is_over(HostId proxy, TimePoint said_at) const {
  const auto killed = gave_up_and_killed_.find(proxy);
  const bool by_the_killed = killed != gave_up_and_killed_.end() && said_at <= killed->second;
  if (by_the_killed && now() - killed->second <= last_word_arrives) return true;
  const auto hold = options_.engine.limits.hold_max;
  for (const auto& model : proxies_) {
    if (model->host() != proxy) continue;
    for (const auto& worker : model->workers()) {
      if (worker->engine().stats().hold_overflows > 0 || worker->closed_for(hold, now())) return true;
    }
  }
  return false;
}

// --- At the end

/// A failover that an operator ordered of one Sentinel, and that of a leader whom the others elected while
/// they could not hear of it, may have the same epoch. In redis, too, they then name two masters for good,
/// since nobody has the higher epoch. The operator gives them one when all else is at rest.
void World::end_disagreement() {
  SentinelNode* asked = nullptr;
  bool disagree = false;
  std::ptrdiff_t most = 0;
  for (const auto& sentinel : sentinels_) {
    if (!sentinel->alive() || sentinel->in_tilt() || sentinel->failover() != Failover::none) return;
    if (sentinel->config_epoch() != sentinels_.front()->config_epoch()) return;
    disagree = disagree || sentinel->named() != sentinels_.front()->named();
    const auto same = std::count_if(sentinels_.begin(), sentinels_.end(),
                                    [&](const auto& other) { return other->named() == sentinel->named(); });
    if (same > most) asked = sentinel.get();
    most = std::max(most, same);
  }
  if (!disagree || !asked->force_failover()) return;
  trace("SENTINEL FAILOVER is said to sentinel " + std::to_string(asked->index()) +
        ": two masters are named at one epoch");
}

void World::settle() {
  for (auto& client : clients_) client->quiet();
  const bool settled = run_until(now() + settle_max, [this] {
    const auto master = verified_master();
    // What went wrong last is noticed a little later.
    if (now() - mended_at_ < aftershock) return false;
    if (!master) {
      end_disagreement();
      return false;
    }
    for (const auto& server : servers_) {
      const bool follows = server->index() == *master || (server->master() == *master && server->link_up());
      if (!server->alive() || !follows || server->loading()) return false;
      if (server->data().offset() != servers_[*master]->data().offset()) return false;
    }
    const bool steady = std::all_of(proxies_.begin(), proxies_.end(), [&](const auto& proxy) {
      return proxy->state() == health::GroupState::steady &&
             proxy->route()->address == server_address(*master);
    });
    return steady && std::all_of(clients_.begin(), clients_.end(), [](const auto& client) {
             // A subscriber that was told MASTERDOWN asks again half a second later: until then it owes
             // nothing either.
             if (client->habit() == Habit::subscriber && !client->gone() && !client->subscribed())
               return false;
             return client->gone() || client->owed_nothing() || client->habit() == Habit::popper;
           });
  });
  if (settled) final_master_ = *verified_master();
  if (settled || !broken_.empty()) return;
  std::string text = "nobody settles after everything was mended:";
  for (const auto& server : servers_) {
    text += " server " + std::to_string(server->index()) + (server->is_master() ? " master" : " replica");
  }
  for (const auto& proxy : proxies_) text += "; " + proxy->describe();
  for (const auto& client : clients_) {
    if (!client->gone() && !client->owed_nothing()) text += "; " + client->describe();
  }
  fail(text);
}

/// Whoever is still there must be served at once, blocked pops and subscribers too.
void World::last_words() {
  const std::size_t before = clients_.size();
  std::size_t poppers = 0;
  for (const auto& client : clients_)
    poppers += client->habit() == Habit::popper && !client->gone() ? 1U : 0U;
  for (std::size_t i = 0; i < std::max<std::size_t>(poppers, options_.proxies) + 1; ++i)
    add_client(Habit::idle);
  run_until(now() + Milliseconds(200));
  for (std::size_t i = before; i < clients_.size(); ++i) clients_[i]->say_last_write("q");
  clients_.back()->say_last_news("last news");
  for (std::size_t i = 0; i < before; ++i) {
    const bool speaks = !clients_[i]->gone() && clients_[i]->habit() != Habit::subscriber;
    if (speaks) clients_[i]->say_last_write("last");
  }
  const auto served = [](const auto& client) {
    if (client->gone()) return true;
    if (client->habit() == Habit::subscriber) return client->subscribed() && client->heard("last news");
    return client->owed_nothing() && client->last_write_done();
  };
  const bool all = run_until(now() + last_words_max,
                             [&] { return std::all_of(clients_.begin(), clients_.end(), served); });
  // The last write's replication, so that all servers are compared at rest.
  run_until(now() + Milliseconds(100));
  if (all || !broken_.empty()) return;
  for (const auto& client : clients_) {
    if (!served(client)) return fail("the last words are not answered: " + client->describe());
  }
}

void World::judge() {
  const auto master = verified_master();
  if (master != final_master_) return fail("another master, or none, after everything had settled");
  judge_writes(ledger_.writes());
  judge_writes(ledger_.pops());
  for (const Write& pop : ledger_.undone_pops()) judge_lost("a pop", pop);
}

void World::judge_writes(const Ledger::Writes& writes) {
  WriteNumber last = 0;
  for (const auto& [tag, write] : writes) last = std::max(last, write.number);
  WriteNumber highest = last;
  for (const LogEntry& entry : servers_[final_master_]->data().log())
    highest = std::max(highest, entry.number);
  const std::vector<bool> present = servers_[final_master_]->data().numbers(highest);
  for (const auto& [tag, write] : writes) {
    if (write.told != Told::done) continue;
    ++counts_.writes_done;
    if (!present[write.number]) judge_lost(tag, write);
  }
}

/// An acknowledged write is not in the data at the end: is that what asynchronous replication may lose?
void World::judge_lost(const std::string& tag, const Write& write) {
  const TimePoint at = write.executed_at;
  if (std::any_of(erased_.begin(), erased_.end(), [&](TimePoint erased) { return erased >= at; })) {
    ++counts_.lost_erased;
    return;
  }
  // Executed by a master that had a successor already, or before a successor that had not received it?
  const Promotion* before = nullptr;
  const Promotion* after = nullptr;
  for (const Promotion& promotion : promotions_) {
    const bool has = write.number < promotion.has.size() && promotion.has[write.number];
    if (promotion.at <= at) before = &promotion;
    if (promotion.at > at && !has && after == nullptr) after = &promotion;
  }
  const bool unheard = before != nullptr && before->server != write.server;
  const std::string where = " (executed by server " + std::to_string(write.server) + ")";
  if (options_.planned_only) {
    return fail("an acknowledged write is lost in a planned failover: " + tag + where +
                (unheard ? ", after the promotion" : ", before the promotion"));
  }
  const TimePoint end = unheard ? at : (after == nullptr ? now() : after->at);
  // A lost packet delays all that is behind it by as much as an election takes.
  const bool packets_lost = options_.network.loss_percent > 0;
  if (!packets_lost && !trouble_between(at - aftermath, end)) {
    return fail("an acknowledged write is lost though nothing was wrong: " + tag + where);
  }
  ++(unheard ? counts_.lost_unheard : counts_.lost_excused);
}

bool World::trouble_between(TimePoint begin, TimePoint end) const {
  return std::any_of(mishaps_.begin(), mishaps_.end(),
                     [&](const Mishap& mishap) { return mishap.begin <= end && mishap.end >= begin; });
}

}  // namespace fairlead::sim
