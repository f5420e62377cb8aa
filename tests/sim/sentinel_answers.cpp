// What a model Sentinel says to proxies: its announcements, and its answers in redis' own form.
#include "resp/writer.hpp"
#include "tests/sim/redis_session.hpp"
#include "tests/sim/sentinel_node.hpp"
#include "tests/sim/world.hpp"

namespace fairlead::sim {

namespace {

void append_pairs(std::string& out, std::initializer_list<std::pair<std::string_view, std::string>> pairs) {
  resp::append_array_header(out, pairs.size() * 2);
  for (const auto& [name, value] : pairs) {
    resp::append_bulk(out, name);
    resp::append_bulk(out, value);
  }
}

const char* state_name(Failover state) {
  switch (state) {
    case Failover::none:
      return "none";
    case Failover::wait_start:
      return "wait_start";
    case Failover::select_replica:
      return "select_slave";
    case Failover::send_promotion:
      return "send_slaveof_noone";
    case Failover::wait_promotion:
      return "wait_promotion";
    case Failover::reconf_replicas:
      return "reconf_slaves";
  }
  return "unknown";
}

}  // namespace

Handlers SentinelNode::accept(ConnKey key) {
  sessions_[key] = Session{};
  Handlers handlers;
  handlers.bytes = [this, key](std::string_view bytes) { on_bytes(key, bytes); };
  handlers.ended = [this, key](Ending) { sessions_.erase(key); };
  return handlers;
}

void SentinelNode::on_bytes(ConnKey key, std::string_view bytes) {
  const auto found = sessions_.find(key);
  if (found == sessions_.end()) return;
  CommandInbox& inbox = found->second.inbox;
  inbox.add(bytes);
  std::string out;
  for (Words words = inbox.next(); !words.empty(); words = inbox.next()) answer(found->second, words, out);
  if (!inbox.broken().empty()) world_.fail(inbox.broken());
  if (!out.empty()) world_.network().send(key, End::acceptor, std::move(out));
}

void SentinelNode::answer(Session& session, Words words, std::string& out) {
  const std::string_view name = words.front();
  const std::string_view what = words.size() > 1 ? words[1] : "";
  if (name == "PSUBSCRIBE") {
    session.subscribed = true;
    resp::append_array_header(out, 3);
    resp::append_bulk(out, "psubscribe");
    resp::append_bulk(out, what);
    resp::append_integer(out, 1);
  } else if (name == "PING" && session.subscribed) {
    resp::append_array_header(out, 2);
    resp::append_bulk(out, "pong");
    resp::append_bulk(out, "");
  } else if (name == "PING") {
    out += "+PONG\r\n";
  } else if (name == "INFO") {
    resp::append_bulk(out, std::string("# Sentinel\r\nsentinel_masters:1\r\nsentinel_tilt:") +
                               (in_tilt() ? "1" : "0") + "\r\n");
  } else if (name == "SENTINEL" && what == "MASTER") {
    out += master_reply();
  } else if (name == "SENTINEL" && what == "GET-MASTER-ADDR-BY-NAME") {
    const resp::Address& address = world_.server(named()).address();
    resp::append_array_header(out, 2);
    resp::append_bulk(out, address.host);
    resp::append_bulk(out, std::to_string(address.port));
  } else if (name == "SENTINEL" && what == "MYID") {
    resp::append_bulk(out, "sentinel" + std::to_string(index_));
  } else if (name == "SENTINEL" && what == "REPLICAS") {
    out += replicas_reply();
  } else if (name == "SENTINEL" && what == "SENTINELS") {
    out += peers_reply();
  } else {
    out += "-ERR unknown command\r\n";
  }
}

/// Proxies ask many times a second, and seldom is there anything new to say.
const std::string& SentinelNode::master_reply() {
  const MasterView view{master_, subjectively_down_, objectively_down_, failover_, config_epoch_};
  if (master_said_.empty() || view != master_shown_) {
    master_shown_ = view;
    master_said_ = render_master();
  }
  return master_said_;
}

std::string SentinelNode::render_master() const {
  const resp::Address& address = world_.server(master_).address();
  std::string flags = "master";
  if (subjectively_down_) flags += ",s_down";
  if (objectively_down_) flags += ",o_down";
  const std::string down_after = std::to_string(world_.options().down_after.count());
  std::string out;
  if (failover_ == Failover::none) {
    append_pairs(out, {{"name", world_.master_name()},
                       {"ip", address.host},
                       {"port", std::to_string(address.port)},
                       {"flags", flags},
                       {"config-epoch", std::to_string(config_epoch_)},
                       {"down-after-milliseconds", down_after}});
  } else {
    append_pairs(out, {{"name", world_.master_name()},
                       {"ip", address.host},
                       {"port", std::to_string(address.port)},
                       {"flags", flags + ",failover_in_progress"},
                       {"config-epoch", std::to_string(config_epoch_)},
                       {"down-after-milliseconds", down_after},
                       {"failover-state", state_name(failover_)}});
  }
  return out;
}

std::string SentinelNode::replicas_reply() const {
  std::string out;
  resp::append_array_header(out, seen_.size() - 1);
  for (std::size_t i = 0; i < seen_.size(); ++i) {
    if (i == master_) continue;
    const resp::Address& address = world_.server(i).address();
    append_pairs(out, {{"ip", address.host}, {"port", std::to_string(address.port)}, {"flags", "slave"}});
  }
  return out;
}

std::string SentinelNode::peers_reply() const {
  std::string out;
  resp::append_array_header(out, world_.options().sentinels - 1);
  for (std::size_t i = 0; i < world_.options().sentinels; ++i) {
    if (i == index_) continue;
    const resp::Address& address = world_.sentinel(i).address();
    append_pairs(out, {{"ip", address.host},
                       {"port", std::to_string(address.port)},
                       {"runid", "sentinel" + std::to_string(i)}});
  }
  return out;
}

void SentinelNode::announce(const std::string& channel, const std::string& payload) {
  world_.trace("sentinel " + std::to_string(index_) + " " + channel + " " + payload);
  std::string message;
  resp::append_array_header(message, 4);
  resp::append_bulk(message, "pmessage");
  resp::append_bulk(message, "*");
  resp::append_bulk(message, channel);
  resp::append_bulk(message, payload);
  for (const auto& [key, session] : sessions_) {
    if (session.subscribed) world_.network().send(key, End::acceptor, message);
  }
}

void SentinelNode::announce_master(const std::string& channel) {
  const resp::Address& address = world_.server(master_).address();
  announce(channel,
           "master " + world_.master_name() + " " + address.host + " " + std::to_string(address.port));
}

void SentinelNode::announce_replica(const std::string& channel, std::size_t replica) {
  const resp::Address& address = world_.server(replica).address();
  const resp::Address& master = world_.server(master_).address();
  announce(channel, "slave " + resp::to_string(address) + " " + address.host + " " +
                        std::to_string(address.port) + " @ " + world_.master_name() + " " + master.host +
                        " " + std::to_string(master.port));
}

}  // namespace fairlead::sim
