#include "tests/sim/world.hpp"

#include "tests/sim/trouble.hpp"

namespace fairlead::sim {

namespace {

constexpr std::uint16_t redis_port = 6379;
constexpr std::uint16_t sentinel_port = 26379;

}  // namespace

World::World(std::uint64_t seed, Trace trace)
    : seed_(seed),
      trace_(std::move(trace)),
      random_(seed),
      options_(draw_options(random_)),
      network_(schedule_, random_.fork(), options_.network),
      ledger_(schedule_, [this](const std::string& why) { fail(why); }),
      begin_(schedule_.now()) {
  draw_more_options(Random(~seed), options_);
  build();
}

World::~World() {
  for (auto& proxy : proxies_) proxy->stop();
}

void World::build() {
  trace("seed " + std::to_string(seed_) + ": " + to_string(options_));
  for (std::size_t i = 0; i < options_.servers; ++i) {
    network_.add_host("server" + std::to_string(i));
    promoting_at_.push_back({});
    server_addresses_.push_back({"10.0.0." + std::to_string(i + 1), redis_port, false});
  }
  for (std::size_t i = 0; i < options_.sentinels; ++i) {
    network_.add_host("sentinel" + std::to_string(i));
    sentinel_addresses_.push_back({"10.0.1." + std::to_string(i + 1), sentinel_port, false});
  }
  for (std::size_t i = 0; i < options_.proxies; ++i) network_.add_host("proxy" + std::to_string(i));
  client_host_ = network_.add_host("clients");
  for (std::size_t i = 0; i < options_.servers; ++i)
    servers_.push_back(std::make_unique<RedisNode>(*this, i, i));
  for (std::size_t i = 0; i < options_.sentinels; ++i) {
    sentinels_.push_back(std::make_unique<SentinelNode>(*this, i, options_.servers + i));
  }
  for (auto& server : servers_) server->start(Memory::lost, Microseconds(0));
  for (std::size_t i = 1; i < servers_.size(); ++i) servers_[i]->become_replica_of(0);
  for (auto& sentinel : sentinels_) sentinel->start();
  for (std::size_t i = 0; i < options_.proxies; ++i) {
    proxies_.emplace_back();
    memories_.emplace_back();
    readiness_.emplace_back();
    add_proxy(i);
  }
}

void World::add_proxy(std::size_t index) {
  const HostId host = options_.servers + options_.sentinels + index;
  proxies_[index] = std::make_unique<ProxyModel>(*this, index, host, memories_[index]);
  readiness_[index] = {};
  ProxyModel& proxy = *proxies_[index];
  schedule_.after(random_.between(Microseconds(0), Microseconds(300000)), [&proxy] { proxy.start(); });
}

/// kill -9, and a new process later that knows what the old one had written down.
void World::kill_proxy(std::size_t index, Milliseconds away) {
  ProxyModel& proxy = *proxies_[index];
  ++counts_.proxy_restarts;
  note_proxy(proxy);
  if (hold_is_over(proxy.host(), now())) gave_up_and_killed_[proxy.host()] = now();
  for (std::size_t i = index; i < clients_.size(); i += proxies_.size()) orphans_.insert(i);
  network_.stop_listening(proxy.host());
  network_.end_process(proxy.host());
  proxy.stop();
  schedule_.after(away, [this, index] {
    ended_proxies_.push_back(std::move(proxies_[index]));
    add_proxy(index);
    // Clients come back when it listens.
    schedule_.after(Milliseconds(400), [this] {
      constexpr Habit habits[] = {Habit::writer, Habit::transactions, Habit::popper, Habit::subscriber};
      for (const Habit habit : habits) {
        if (mended_at_ == TimePoint{}) add_client(habit);
      }
    });
  });
}

void World::note_proxy(const ProxyModel& proxy) {
  for (const auto& worker : proxy.workers()) {
    counts_.blocks_replayed += worker->engine().stats().transactions_replayed;
    counts_.replica_waits += worker->engine().stats().replica_waits;
  }
  counts_.isolations += proxy.isolations();
}

void World::add_client(Habit habit) {
  const std::size_t number = clients_.size();
  const HostId proxy = proxies_[number % proxies_.size()]->host();
  clients_.push_back(std::make_unique<ClientModel>(*this, number, habit, proxy));
  clients_.back()->connect();
}

std::string World::run() {
  run_until(begin_ + Milliseconds(400));
  constexpr Habit habits[] = {Habit::writer,       Habit::subscriber, Habit::popper, Habit::writer,
                              Habit::transactions, Habit::idle,       Habit::writer, Habit::popper};
  for (std::size_t i = 0; i < options_.clients; ++i) add_client(habits[i % 8]);
  Trouble trouble(*this);
  trouble.plan();
  schedule_.after(Milliseconds(0), [this] { watch(); });
  run_until(begin_ + options_.trouble_end);
  mend();
  settle();
  if (broken_.empty()) last_words();
  if (broken_.empty()) judge();
  counts_.events = schedule_.done();
  counts_.digest = digest();
  for (const auto& proxy : proxies_) note_proxy(*proxy);
  return broken_;
}

/// The packets' history, and how everything ended.
std::uint64_t World::digest() {
  Digest& digest = network_.digest();
  digest.add(seed_);
  digest.add(schedule_.done());
  for (const auto& server : servers_) digest.add(server->data().last_number());
  for (const auto& proxy : proxies_) digest.add(proxy->describe());
  for (const auto& client : clients_) digest.add(client->describe());
  return digest.value();
}

void World::run_until(TimePoint until) {
  while (broken_.empty() && schedule_.step(until)) {
  }
}

bool World::run_until(TimePoint deadline, const std::function<bool()>& condition) {
  while (broken_.empty()) {
    if (condition()) return true;
    if (schedule_.now() >= deadline) return false;
    // Looked at every 5 ms: often enough for what is waited for.
    const TimePoint next = std::min(deadline, schedule_.now() + Milliseconds(5));
    bool waited = false;
    schedule_.at(next, [&waited] { waited = true; });
    while (broken_.empty() && !waited && schedule_.step(deadline)) {
    }
    if (!waited) return false;
  }
  return false;
}

void World::mend() {
  trace("everything is mended");
  network_.mend_all();
  for (auto& server : servers_) server->start(Memory::kept, Microseconds(0));
  for (auto& sentinel : sentinels_) sentinel->start();
  mended_at_ = schedule_.now();
}

std::size_t World::server_at(const resp::Address& address) const {
  for (std::size_t i = 0; i < options_.servers; ++i) {
    if (server_address(i) == address) return i;
  }
  return 0;
}

HostId World::host_at(const resp::Address& address) const {
  for (std::size_t i = 0; i < options_.sentinels; ++i) {
    if (sentinel_address(i) == address) return options_.servers + i;
  }
  return server_at(address);
}

health::Options World::health_options() const {
  health::Options options = options_.health;
  for (std::size_t i = 0; i < options_.sentinels; ++i) options.sentinels.push_back(sentinel_address(i));
  return options;
}

void World::trace(const std::string& what) {
  if (!trace_) return;
  const auto us = std::chrono::duration_cast<Microseconds>(schedule_.now() - begin_).count();
  trace_(std::to_string(us / 1000) + "." + std::to_string(us % 1000 / 100) + " ms  " + what);
}

void World::fail(const std::string& why) {
  if (!broken_.empty()) return;
  broken_ = why;
  trace("BROKEN: " + why);
}

void World::note_mishap(Milliseconds length, std::string what) {
  trace("mishap: " + what);
  mishaps_.push_back({now(), now() + length, std::move(what)});
}

}  // namespace fairlead::sim
