#include "tests/sim/network.hpp"

#include <algorithm>

namespace fairlead::sim {

namespace {

int other(int end) {
  return 1 - end;
}

}  // namespace

HostId Network::add_host(std::string name) {
  hosts_.push_back({std::move(name), nullptr, false, false, {}, {}, schedule_.now()});
  return hosts_.size() - 1;
}

Microseconds Network::delay() {
  Microseconds delay = random_.between(options_.delay_min, options_.delay_max) * slowness_;
  if (options_.loss_percent > 0 && random_.percent(options_.loss_percent)) delay += Milliseconds(200);
  return delay;
}

bool Network::blocked(HostId from, HostId to) const {
  return cuts_[from][to] > 0 || hosts_[from].dead || hosts_[to].dead;
}

std::optional<TimePoint> Network::clear_since(HostId a, HostId b) const {
  if (!clear(a, b) || hosts_[a].stopped || hosts_[b].stopped) return std::nullopt;
  return std::max({path_changed_[a * hosts_max + b], path_changed_[b * hosts_max + a], hosts_[a].changed,
                   hosts_[b].changed});
}

bool Network::mute_for(HostId a, HostId b, health::Duration time) const {
  const TimePoint latest = schedule_.now() - time;
  const auto cut = [&](HostId from, HostId to) {
    return cuts_[from][to] > 0 && path_changed_[from * hosts_max + to] <= latest;
  };
  const Host& host = hosts_[b];
  const bool still = (host.stopped && host.stopped_since <= latest) || (host.dead && host.changed <= latest);
  return cut(a, b) || cut(b, a) || still;
}

// --- Connections

ConnKey Network::connect(HostId from, HostId to, Handlers handlers, Patience patience) {
  const auto key = static_cast<ConnKey>(connections_.size());
  auto connection = std::make_unique<Connection>();
  connection->host[0] = from;
  connection->host[1] = to;
  connection->handlers[0] = std::make_shared<const Handlers>(std::move(handlers));
  connection->patience = patience;
  connections_.push_back(std::move(connection));
  schedule_.after(delay(), [this, key] { arrive_syn(key); });
  return key;
}

void Network::arrive_syn(ConnKey key) {
  if (!connections_[key]) return;
  Connection& c = *connections_[key];
  if (!c.open[0]) return forget_if_done(key);
  // A lost SYN is repeated a second later, when everybody here has given up already.
  if (!clear(c.host[0], c.host[1])) return;
  Host& host = hosts_[c.host[1]];
  if (!host.accept) {
    schedule_.after(delay(), [this, key] { end(key, 0, Ending::refused); });
    return;
  }
  c.established = true;
  c.open[1] = true;
  // The kernel of a stopped process accepts all the same; the process finds the connection later.
  run_at(c.host[1], [this, key] {
    if (!connections_[key] || !connections_[key]->open[1]) return;
    Connection& found = *connections_[key];
    if (!hosts_[found.host[1]].accept) return end(key, 1, Ending::reset);
    found.handlers[1] = std::make_shared<const Handlers>(hosts_[found.host[1]].accept(key));
  });
  schedule_.after(delay(), [this, key] {
    if (!connections_[key] || !connections_[key]->open[0]) return;
    const auto handlers = connections_[key]->handlers[0];
    if (handlers && handlers->opened) handlers->opened();
  });
}

void Network::send(ConnKey key, End which, std::string bytes) {
  const int end = static_cast<int>(which);
  if (bytes.empty() || !connections_[key] || !connections_[key]->open[end]) return;
  const bool byte_by_byte = random_.percent(options_.bytewise_percent) && bytes.size() < 200;
  const bool split = random_.percent(options_.split_percent) && bytes.size() > 1;
  if (byte_by_byte) {
    for (const char byte : bytes) put_packet(key, end, std::string(1, byte));
  } else if (split) {
    const std::size_t at = 1 + random_.below(bytes.size() - 1);
    put_packet(key, end, bytes.substr(0, at));
    put_packet(key, end, bytes.substr(at));
  } else {
    put_packet(key, end, std::move(bytes));
  }
}

/// Into the digest: something happens to that end of that connection now.
void Network::note(ConnKey key, int end) {
  digest_.add(static_cast<std::uint64_t>(schedule_.now().time_since_epoch().count()));
  digest_.add(static_cast<std::uint64_t>(key) * 2 + static_cast<std::uint64_t>(end));
}

void Network::put_packet(ConnKey key, int end, std::string&& packet) {
  note(key, end);
  digest_.add(packet);
  Connection& c = *connections_[key];
  Pipe& pipe = c.pipe[end];
  pipe.packets.push_back(std::move(packet));
  pipe.last = std::max(pipe.last, schedule_.now() + delay());
  schedule_.at(pipe.last, [this, key, end] { deliver(key, end); });
  if (c.patience == Patience::user_timeout && end == 0 && !pipe.unacknowledged_since) {
    pipe.unacknowledged_since = schedule_.now();
    if (!clear(c.host[0], c.host[1])) watch_user_timeout(key, schedule_.now());
  }
}

void Network::deliver(ConnKey key, int end) {
  if (!connections_[key]) return;
  Connection& c = *connections_[key];
  Pipe& pipe = c.pipe[end];
  if (pipe.packets.empty()) return;
  if (blocked(c.host[end], c.host[other(end)])) {
    ++pipe.stalled;
    return;
  }
  std::string packet = std::move(pipe.packets.front());
  pipe.packets.pop_front();
  acknowledge(c, end);
  const int receiver = other(end);
  if (!c.open[receiver]) {
    if (c.open[end]) schedule_.after(delay(), [this, key, end] { this->end(key, end, Ending::reset); });
    return;
  }
  if (runs(c.host[receiver])) return hand_over(key, receiver, packet);
  run_at(c.host[receiver],
         [this, key, receiver, packet = std::move(packet)] { hand_over(key, receiver, packet); });
}

void Network::hand_over(ConnKey key, int receiver, std::string_view packet) {
  if (!connections_[key] || !connections_[key]->open[receiver]) return;
  if (packet.empty()) return end(key, receiver, Ending::end_of_file);
  const ListenerPtr handlers = connections_[key]->handlers[receiver];
  if (handlers && handlers->bytes) handlers->bytes(packet);
}

void Network::acknowledge(Connection& c, int end) {
  Pipe& pipe = c.pipe[end];
  if (pipe.packets.empty() && !blocked(c.host[other(end)], c.host[end])) pipe.unacknowledged_since.reset();
}

void Network::close(ConnKey key, End which) {
  const int end = static_cast<int>(which);
  if (!connections_[key] || !connections_[key]->open[end]) return;
  Connection& c = *connections_[key];
  c.open[end] = false;
  c.handlers[end].reset();
  if (c.established && c.open[other(end)]) put_packet(key, end, {});
  forget_if_done(key);
}

void Network::reset(ConnKey key) {
  end(key, 0, Ending::reset);
  end(key, 1, Ending::reset);
}

void Network::end(ConnKey key, int end, Ending why) {
  if (!connections_[key] || !connections_[key]->open[end]) return;
  Connection& c = *connections_[key];
  c.open[end] = false;
  const auto handlers = std::exchange(c.handlers[end], nullptr);
  forget_if_done(key);
  note(key, end);
  digest_.add(static_cast<std::uint64_t>(why));
  if (handlers && handlers->ended) handlers->ended(why);
}

void Network::forget_if_done(ConnKey key) {
  const Connection& c = *connections_[key];
  const bool silent = c.vanished[0] || c.vanished[1] || !c.established;
  const bool done = !c.open[0] && !c.open[1];
  if (done && (silent || (c.pipe[0].packets.empty() && c.pipe[1].packets.empty()))) connections_[key].reset();
}

void Network::end_process(HostId host) {
  hosts_[host].backlog.clear();
  for (ConnKey key = 0; key < connections_.size(); ++key) {
    if (!connections_[key]) continue;
    for (int end = 0; end < 2; ++end) {
      // What it had sent may arrive, or be overtaken by the reset.
      if (!connections_[key] || connections_[key]->host[end] != host || !connections_[key]->open[end])
        continue;
      if (random_.percent(50)) {
        close(key, static_cast<End>(end));
      } else {
        connections_[key]->open[end] = false;
        connections_[key]->handlers[end].reset();
        connections_[key]->pipe[end].packets.clear();
        if (connections_[key]->established) put_packet(key, end, {});
      }
    }
  }
}

TimePoint Network::next_post(HostId from, HostId to) {
  TimePoint& last = post_last_[from * hosts_max + to];
  last = std::max(last, schedule_.now() + delay());
  return last;
}

// --- What goes wrong

void Network::change(HostId from, HostId to, int by) {
  const bool before = blocked(from, to);
  cuts_[from][to] = std::max(0, cuts_[from][to] + by);
  if (blocked(from, to) == before) return;
  changed_at(from, to) = schedule_.now();
  if (before) {
    path_mended(from, to);
  } else {
    watch_keepalive(from, to);
  }
}

void Network::stop(HostId host) {
  Host& h = hosts_[host];
  if (h.stopped) return;
  h.stopped = true;
  h.stopped_since = schedule_.now();
}

void Network::resume(HostId host) {
  Host& h = hosts_[host];
  if (!h.stopped) return;
  h.stopped = false;
  h.changed = schedule_.now();
  schedule_.after(Microseconds(0), [this, host] {
    auto backlog = std::exchange(hosts_[host].backlog, {});
    for (auto& action : backlog) action();
  });
}

void Network::kill_host(HostId host) {
  if (hosts_[host].dead) return;
  hosts_[host].dead = true;
  hosts_[host].changed = schedule_.now();
  hosts_[host].backlog.clear();
  for (auto& c : connections_) {
    if (!c) continue;
    for (int end = 0; end < 2; ++end) {
      if (c->host[end] != host || !c->open[end]) continue;
      c->open[end] = false;
      c->vanished[end] = true;
      c->handlers[end].reset();
      c->pipe[end].packets.clear();
    }
  }
  for (HostId peer = 0; peer < hosts_.size(); ++peer) {
    if (peer != host) watch_keepalive(host, peer);
  }
}

void Network::revive_host(HostId host) {
  if (!hosts_[host].dead) return;
  hosts_[host].dead = false;
  hosts_[host].changed = schedule_.now();
  for (HostId peer = 0; peer < hosts_.size(); ++peer) {
    if (peer != host) path_mended(host, peer);
  }
}

void Network::mend_all() {
  slowness_ = 1;
  for (HostId a = 0; a < hosts_.size(); ++a) {
    for (HostId b = 0; b < hosts_.size(); ++b) {
      if (cuts_[a][b] > 0) change(a, b, -cuts_[a][b]);
    }
    resume(a);
    revive_host(a);
  }
}

void Network::path_mended(HostId a, HostId b) {
  for (ConnKey key = 0; key < connections_.size(); ++key) {
    if (!connections_[key]) continue;
    Connection& c = *connections_[key];
    const bool concerned = (c.host[0] == a && c.host[1] == b) || (c.host[0] == b && c.host[1] == a);
    if (!concerned) continue;
    for (int end = 0; end < 2; ++end) {
      if (blocked(c.host[end], c.host[other(end)])) continue;
      acknowledge(c, end);
      const auto again = schedule_.now() + random_.between(Microseconds(1000), Microseconds(400000));
      for (; c.pipe[end].stalled > 0; --c.pipe[end].stalled) {
        c.pipe[end].last = std::max(c.pipe[end].last, again);
        schedule_.at(c.pipe[end].last, [this, key, end] { deliver(key, end); });
      }
      // A keepalive probe finds that the other machine knows nothing of this connection.
      if (c.open[end] && c.vanished[other(end)] && clear(a, b)) {
        schedule_.after(random_.between(Microseconds(1000), Microseconds(5000000)),
                        [this, key, end] { this->end(key, end, Ending::reset); });
      }
    }
  }
}

void Network::watch_user_timeout(ConnKey key, TimePoint since) {
  schedule_.at(since + user_timeout, [this, key, since] {
    if (!connections_[key] || !connections_[key]->open[0]) return;
    if (connections_[key]->pipe[0].unacknowledged_since == since) end(key, 0, Ending::timed_out);
  });
}

void Network::watch_keepalive(HostId a, HostId b) {
  const TimePoint since = schedule_.now();
  for (ConnKey key = 0; key < connections_.size(); ++key) {
    if (!connections_[key] || connections_[key]->patience != Patience::user_timeout) continue;
    const Connection& c = *connections_[key];
    const bool concerned = (c.host[0] == a && c.host[1] == b) || (c.host[0] == b && c.host[1] == a);
    if (!concerned || !c.open[0]) continue;
    if (c.pipe[0].unacknowledged_since) watch_user_timeout(key, *c.pipe[0].unacknowledged_since);
    schedule_.at(since + keepalive, [this, key, a, b] {
      if (!connections_[key] || !connections_[key]->open[0]) return;
      const TimePoint latest =
          std::max({changed_at(a, b), changed_at(b, a), hosts_[a].changed, hosts_[b].changed});
      if (!clear(a, b) && schedule_.now() - latest >= keepalive) end(key, 0, Ending::timed_out);
    });
  }
}

ConnKey Network::any_connection(HostId a, HostId b) {
  std::vector<ConnKey> found;
  for (ConnKey key = 0; key < connections_.size(); ++key) {
    const auto& c = connections_[key];
    if (c && c->open[0] && c->open[1] && c->host[0] == a && c->host[1] == b) found.push_back(key);
  }
  return found.empty() ? static_cast<ConnKey>(connections_.size()) : found[random_.below(found.size())];
}

}  // namespace fairlead::sim
