#include "tests/fuzz/engine_fuzz_world.hpp"

#include <algorithm>

namespace fairlead::fuzz {

using engine::ConnId;
using engine::Side;
using engine::WriteStatus;
using health::GroupState;
using std::chrono::milliseconds;

namespace {

constexpr std::size_t clients_max = 6;
constexpr int turns_max = 20000;  // of one loop of end_turn: more is a loop without an end
constexpr int rounds_before_the_end = 10;
constexpr int settle_rounds_max = 2000;  // until everybody has what is owed

}  // namespace

// --- Io

FuzzIo::Connection& FuzzIo::at(ConnId id) {
  auto& all = id.side == Side::client ? clients : links;
  const auto found = all.find(name(id));
  if (found == all.end()) broken("an order for a connection that never was");
  if (!found->second.open) broken("an order for a connection that is closed");
  return found->second;
}

engine::WriteResult FuzzIo::write(ConnId id, std::span<const engine::ConstBytes> buffers) {
  Connection& c = at(id);
  if (id.side == Side::backend && c.route != route) broken("a link whose route was revoked is written to");
  if (id.side == Side::backend && !c.connected) broken("a link is written to before it is connected");
  if (c.waits_writable) broken("a connection that is not writable is written to");
  if (c.breaks) return {WriteStatus::failed, 0};
  std::size_t total = 0;
  for (const engine::ConstBytes& b : buffers) {
    const std::size_t room = std::min(b.size, c.capacity);
    c.written.append(b.data, room);
    if (c.capacity != SIZE_MAX) c.capacity -= room;
    total += room;
    if (room < b.size) return {WriteStatus::would_block, total};
  }
  return {WriteStatus::done, total};
}

void FuzzIo::connect(ConnId id, const resp::Address&) {
  Connection c;
  c.route = route;
  if (!links.emplace(name(id), std::move(c)).second) broken("two links of one name");
}

void FuzzIo::close(ConnId id) {
  at(id).open = false;
}

// --- World

engine::EngineOptions FuzzWorld::choose_options() {
  engine::EngineOptions options;
  const std::uint8_t bits = choices_.byte();
  if ((bits & 1U) != 0) options.pool_mode = engine::PoolMode::session;
  if ((bits & 2U) != 0) options.links_per_server = 2;
  if ((bits & 4U) != 0) options.client_password = "secret";
  if ((bits & 8U) != 0) options.server_login.password = "secret";
  if ((bits & 16U) != 0) {
    options.limits.pipeline_depth_max = 4;
    options.limits.leased_links_max = 2;
  }
  nobody_pushes_ = (bits & 128U) != 0;
  leases_max_ = options.limits.leased_links_max;
  if ((bits & 32U) != 0) {
    options.limits.output_pause_bytes = 100;
    options.limits.link_backlog_bytes_max = 200;
  }
  if ((bits & 64U) != 0) {
    options.limits.output_buffer_bytes_max = 30000;
    options.limits.hold_bytes_max = 300;
  }
  return options;
}

FuzzWorld::FuzzWorld(Choices& choices)
    : choices_(choices),
      manners_(choices.below(4) == 0 ? Manners::wild : Manners::honest),
      engine_(io_, choose_options(), {1, 1}, now_) {
  publish("a", 1, GroupState::steady);
  accept();
}

void FuzzWorld::step() {
  switch (choices_.below(24)) {
    case 0:
      return accept();
    case 1:
    case 2:
    case 3:
    case 4:
    case 5:
    case 6:
      return client_speaks();
    case 7:
      return client_leaves();
    case 8:
    case 9:
    case 10:
      return connect_link();
    case 11:
      return break_link();
    case 12:
    case 13:
      return server_works();
    case 14:
    case 15:
      return server_answers(choices_.byte() * 8U);
    case 16:
      return server_answers(SIZE_MAX);
    case 17:
      return limit_capacity();
    case 18:
      return becomes_writable();
    case 19:
      return publish();
    case 20:
      return pass(milliseconds(choices_.byte() * 20));
    case 21:
      if (manners_ == Manners::wild) return wild_bytes();
      if (Link* link = any_link()) link->server.publish(choices_.byte());
      return;
    default:
      return turn();
  }
}

void FuzzWorld::accept() {
  if (clients_.size() >= clients_max) return;
  const ConnId id = engine_.on_accept(now_);
  if (!id.valid()) broken("a client is refused below the limit");
  io_.clients.emplace(FuzzIo::name(id), FuzzIo::Connection{});
  clients_.push_back({id, std::make_unique<ModelClient>(ledger_, clients_made_++), false});
  if (choices_.below(8) != 7) clients_.back().model->log_in();
}

FuzzWorld::Client* FuzzWorld::any_client() {
  return clients_.empty() ? nullptr : &clients_[choices_.below(clients_.size())];
}

FuzzWorld::Link* FuzzWorld::any_link() {
  return links_.empty() ? nullptr : links_[choices_.below(links_.size())].get();
}

void FuzzWorld::client_speaks() {
  Client* client = any_client();
  if (client == nullptr || client->ended) return;
  const std::size_t commands = choices_.below(8);
  for (std::size_t i = 0; i < commands; ++i) client->model->say(choices_);
  const std::uint8_t piece = choices_.byte();
  std::string& unsent = client->model->unsent;
  const std::size_t size = piece >= 128 ? unsent.size() : std::min<std::size_t>(unsent.size(), piece);
  const std::size_t fed = feed(client->id, std::string_view(unsent).substr(0, size));
  unsent.erase(0, fed);
}

/// Delivers bytes as long as the Engine reads; returns how many.
std::size_t FuzzWorld::feed(ConnId id, std::string_view bytes) {
  std::size_t fed = 0;
  while (fed < bytes.size()) {
    const FuzzIo::Connection& connection =
        id.side == Side::client ? io_.clients.at(FuzzIo::name(id)) : io_.links.at(FuzzIo::name(id));
    if (!connection.open || connection.reading == engine::Reading::off) break;
    const engine::MutableBytes space = engine_.read_space(id);
    if (space.size == 0) broken("no room to receive into");
    const std::size_t size = std::min(space.size, bytes.size() - fed);
    std::copy_n(bytes.data() + fed, size, space.data);
    engine_.on_bytes(id, size, now_);
    fed += size;
  }
  return fed;
}

void FuzzWorld::client_leaves() {
  Client* client = any_client();
  if (client == nullptr || !io_.clients.at(FuzzIo::name(client->id)).open) return;
  ++closes_explained_;
  client->ended = true;
  const ConnId id = client->id;
  if (choices_.below(2) == 0) {
    engine_.on_end_of_file(id, now_);
  } else {
    // The shell reports nothing for a name whose connection it has lost.
    engine_.on_error(id, "reset", now_);
  }
}

void FuzzWorld::connect_link() {
  look();
  for (auto& [name, connection] : io_.links) {
    if (!connection.open || connection.connected) continue;
    const ConnId id{name.first, name.second, Side::backend};
    if (choices_.byte() < 16) {
      engine_.on_connect_failed(id, "refused", now_);
    } else {
      connection.connected = true;
      engine_.on_connected(id, now_);
    }
    break;
  }
}

void FuzzWorld::break_link() {
  Link* link = any_link();
  if (link == nullptr) return;
  FuzzIo::Connection& connection = io_.links.at(FuzzIo::name(link->id));
  if (!connection.open || !connection.connected) return;
  switch (choices_.below(3)) {
    case 0:
      return engine_.on_end_of_file(link->id, now_);
    case 1:
      return engine_.on_error(link->id, "reset", now_);
    default:
      connection.breaks = true;
  }
}

void FuzzWorld::server_works() {
  Link* link = any_link();
  if (link == nullptr) return;
  const std::uint8_t choice = choices_.byte();
  Mood mood = Mood::execute;
  if (choice >= 248) mood = static_cast<Mood>(1 + choice % 6);
  for (std::size_t count = choice % 16; count > 0 && link->server.has_work(); --count)
    link->server.work(mood);
}

void FuzzWorld::server_answers(std::size_t limit) {
  Link* link = any_link();
  if (link == nullptr) return;
  std::string& outbox = link->server.outbox;
  const std::size_t fed = feed(link->id, std::string_view(outbox).substr(0, limit));
  outbox.erase(0, fed);
}

void FuzzWorld::wild_bytes() {
  const std::string bytes = choices_.bytes(choices_.byte() % 64);
  if (choices_.below(2) == 0) {
    if (Link* link = any_link(); link != nullptr && io_.links.at(FuzzIo::name(link->id)).connected) {
      feed(link->id, bytes);
    }
  } else if (Client* client = any_client(); client != nullptr && !client->ended) {
    feed(client->id, bytes);
  }
}

void FuzzWorld::limit_capacity() {
  FuzzIo::Connection* connection = nullptr;
  if (choices_.below(2) == 0) {
    if (const Client* client = any_client()) connection = &io_.clients.at(FuzzIo::name(client->id));
  } else {
    if (const Link* link = any_link()) connection = &io_.links.at(FuzzIo::name(link->id));
  }
  const std::uint8_t size = choices_.byte();
  if (connection != nullptr) connection->capacity = size >= 250 ? SIZE_MAX : size;
}

void FuzzWorld::becomes_writable() {
  const std::size_t room = choices_.byte() * 4U;
  std::vector<ConnId> writable;
  const auto collect = [&](std::map<FuzzIo::Name, FuzzIo::Connection>& all, Side side) {
    for (auto& [name, connection] : all) {
      if (!connection.open || !connection.waits_writable) continue;
      connection.waits_writable = false;
      connection.capacity = room == 0 ? SIZE_MAX : room;
      writable.push_back({name.first, name.second, side});
    }
  };
  collect(io_.clients, Side::client);
  collect(io_.links, Side::backend);
  for (const ConnId id : writable) engine_.on_writable(id, now_);
}

void FuzzWorld::publish() {
  const std::uint8_t choice = choices_.byte();
  switch (choice % 8) {
    case 0:
      return publish(host_ == "a" ? "b" : "a", term_ + 1, GroupState::steady);
    case 1:
      return publish(host_, term_, GroupState::suspect);
    case 2:
      return publish(host_, term_, GroupState::switching);
    case 3:
      if (choice > 250 && !drained_) {
        drained_ = true;
        closes_explained_ += clients_max;
        engine_.drain(now_);
      }
      return;
    default:
      return publish(host_, term_, GroupState::steady);
  }
}

void FuzzWorld::publish(const std::string& host, std::uint64_t term, GroupState state) {
  look();
  if (host != host_ || term != term_) ++io_.route;
  host_ = host;
  term_ = term;
  auto topology = std::make_shared<health::Topology>();
  topology->version = ++version_;
  topology->commands = resp::CommandTable::built_in();
  health::Shard shard;
  shard.state = state;
  shard.route = health::Route{{host, 6379, false}, "run-" + host, "7.0.15", term, now_};
  topology->shards.push_back(shard);
  engine_.on_topology(topology, now_);
}

void FuzzWorld::pass(milliseconds time) {
  now_ += time;
  turn();
}

void FuzzWorld::turn() {
  for (int left = turns_max; engine_.end_turn(now_); --left) {
    if (left == 0) broken("a turn that never ends");
  }
  const auto due = engine_.next_deadline();
  if (due && *due <= now_) broken("a turn that leaves undone what was due");
  look();
}

void FuzzWorld::look() {
  look_at_links();
  look_at_clients();
}

void FuzzWorld::look_at_links() {
  for (const auto& [name, connection] : io_.links) {
    const ConnId id{name.first, name.second, Side::backend};
    const bool known = std::any_of(links_.begin(), links_.end(),
                                   [id](const std::unique_ptr<Link>& link) { return link->id == id; });
    if (known) continue;
    ModelServer server(ledger_, std::to_string(++links_made_),
                       [this](const std::string& unblocked) { return give_back(unblocked); });
    links_.push_back(std::make_unique<Link>(Link{id, std::move(server)}));
  }
  for (const std::unique_ptr<Link>& link : links_) {
    std::string& written = io_.links.at(FuzzIo::name(link->id)).written;
    if (manners_ == Manners::honest) link->server.receive(written);
    written.clear();
  }
  std::erase_if(links_, [this](const std::unique_ptr<Link>& link) {
    const bool gone = !io_.links.at(FuzzIo::name(link->id)).open;
    if (gone) io_.links.erase(FuzzIo::name(link->id));
    return gone;
  });
}

/// In a blocking command, and nobody pushes: least of all at a server that is no longer the route.
bool FuzzWorld::gets_no_value(const Link& link) const {
  return link.server.waits() && (nobody_pushes_ || io_.links.at(FuzzIo::name(link.id)).route != io_.route);
}

/// CLIENT UNBLOCK of the link that has this CLIENT ID.
bool FuzzWorld::give_back(const std::string& id) {
  const auto found = std::find_if(links_.begin(), links_.end(), [&id](const std::unique_ptr<Link>& link) {
    return link->server.id() == id;
  });
  return found != links_.end() && (*found)->server.give_back();
}

void FuzzWorld::look_at_clients() {
  const engine::Stats& s = engine_.stats();
  const std::uint64_t explained = s.output_buffer_closed + s.query_buffer_closed + s.memory_closed +
                                  s.idle_closed + s.partial_closed + s.replies_cut + s.raw_closed +
                                  s.subscriptions_lost + closes_explained_;
  for (const Client& client : clients_) {
    FuzzIo::Connection& connection = io_.clients.at(FuzzIo::name(client.id));
    if (manners_ == Manners::honest) client.model->receive(connection.written);
    connection.written.clear();
    const bool unexplained = !connection.open && !client.ended && !client.model->expects_close() &&
                             explained == 0 && manners_ == Manners::honest;
    if (unexplained) broken(client.model->describe() + ": closed for no reason");
  }
  std::erase_if(clients_, [this](const Client& client) {
    const bool gone = !io_.clients.at(FuzzIo::name(client.id)).open;
    if (gone) io_.clients.erase(FuzzIo::name(client.id));
    return gone;
  });
}

/// One round of a world in which all is well. True when something happened.
bool FuzzWorld::settle_once() {
  bool moved = false;
  for (auto* all : {&io_.clients, &io_.links}) {
    const Side side = all == &io_.clients ? Side::client : Side::backend;
    std::vector<ConnId> writable;
    for (auto& [name, connection] : *all) {
      connection.capacity = SIZE_MAX;
      if (connection.open && std::exchange(connection.waits_writable, false)) {
        writable.push_back({name.first, name.second, side});
      }
    }
    for (const ConnId id : writable) engine_.on_writable(id, now_);
    moved = moved || !writable.empty();
  }
  turn();
  std::vector<ConnId> connecting;
  for (auto& [name, connection] : io_.links) {
    if (connection.open && !std::exchange(connection.connected, true)) {
      connecting.push_back({name.first, name.second, Side::backend});
    }
  }
  for (const ConnId id : connecting) engine_.on_connected(id, now_);
  moved = moved || !connecting.empty();
  turn();
  for (std::size_t i = 0; i < links_.size(); ++i) {
    ModelServer& server = links_[i]->server;
    while (server.has_work() && !gets_no_value(*links_[i])) server.work(Mood::execute);
    const std::size_t fed = feed(links_[i]->id, server.outbox);
    server.outbox.erase(0, fed);
    moved = moved || fed > 0;
  }
  turn();
  for (const Client& client : clients_) {
    if (client.ended) continue;
    const std::size_t fed = feed(client.id, client.model->unsent);
    client.model->unsent.erase(0, fed);
    moved = moved || fed > 0;
  }
  turn();
  return moved;
}

void FuzzWorld::settle() {
  int quiet = 0;
  for (int round = 0; quiet < 5; ++round) {
    if (round > settle_rounds_max) broken("the world never comes to rest; " + state_of_links());
    quiet = settle_once() ? 0 : quiet + 1;
    if (quiet > 0) pass(milliseconds(1500));
  }
}

bool FuzzWorld::somebody_satisfied_leaves() {
  for (Client& client : clients_) {
    if (client.ended || !client.model->owed_nothing()) continue;
    client.ended = true;
    engine_.on_error(client.id, "has all it wanted", now_);
    return true;
  }
  return false;
}

void FuzzWorld::finish() {
  turn();
  if (manners_ == Manners::honest) {
    // Whoever says a blocking command waits in it when the route leaves.
    for (int round = 0; nobody_pushes_ && round < rounds_before_the_end; ++round) settle_once();
    nobody_pushes_ = false;
    // A route that nobody doubts, and no connection of the past whose next write fails.
    publish("z", term_ + 1, GroupState::steady);
    for (auto* all : {&io_.clients, &io_.links}) {
      for (auto& [name, connection] : *all) connection.breaks = false;
    }
    settle();
    // Subscribers and, in session mode, everybody keep their links: who waits for one waits for others to
    // leave.
    while (engine_.stats().leases_now >= leases_max_ && somebody_satisfied_leaves()) settle();
    for (const Client& client : clients_) {
      if (!client.ended && !client.model->owed_nothing()) {
        broken(client.model->describe() + ": never answered; " + state_of_links());
      }
    }
  }
  check_end();
}

std::string FuzzWorld::state_of_links() const {
  const engine::Stats& s = engine_.stats();
  std::string text = std::to_string(s.held_now) + " held, pauses: depth " +
                     std::to_string(s.pipeline_pauses) + ", output " + std::to_string(s.output_pauses) +
                     ", backlog " + std::to_string(s.backlog_pauses) + ", lease " +
                     std::to_string(s.lease_waits) + "; dispatched again " + std::to_string(s.redispatched) +
                     ", gate closed " + std::to_string(s.gate_closed);
  for (const auto& [name, connection] : io_.links) {
    text += ", link " + std::to_string(name.first) + (connection.connected ? " connected" : " connecting") +
            (connection.waits_writable ? " blocked" : "") + " of route " + std::to_string(connection.route) +
            (connection.reading == engine::Reading::off ? " not read" : "");
  }
  for (const auto& [name, connection] : io_.clients) {
    text += ", client " + std::to_string(name.first) +
            (connection.reading == engine::Reading::off ? " not read" : "") +
            (connection.waits_writable ? " blocked" : "");
  }
  for (const Client& client : clients_) text += "\n  " + client.model->describe();
  return text + "\n  route now " + std::to_string(io_.route);
}

void FuzzWorld::check_end() {
  for (Client& client : clients_) {
    client.ended = true;
    engine_.on_error(client.id, "the end", now_);
  }
  turn();
  std::vector<ConnId> open;
  for (const auto& [name, connection] : io_.links) open.push_back({name.first, name.second, Side::backend});
  for (const ConnId id : open) {
    if (io_.links.at(FuzzIo::name(id)).open) engine_.on_error(id, "the end", now_);
  }
  turn();
  const engine::Stats& s = engine_.stats();
  if (s.clients_now != 0 || s.links_now != 0 || s.leases_now != 0 || s.held_now != 0) {
    broken("something is left: clients " + std::to_string(s.clients_now) + ", links " +
           std::to_string(s.links_now) + ", leases " + std::to_string(s.leases_now) + ", held " +
           std::to_string(s.held_now));
  }
  engine_.stop();
  if (engine_.buffer_bytes() != 0) broken(std::to_string(engine_.buffer_bytes()) + " bytes are left");
}

}  // namespace fairlead::fuzz
