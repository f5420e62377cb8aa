// One client's connection in a model Redis: takes whole commands out of the bytes and answers them as
// redis-server 7.0 does, as far as this world's clients and the proxy itself use it. Owned by a RedisNode.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "resp/types.hpp"
#include "tests/sim/command_inbox.hpp"
#include "tests/sim/network.hpp"
#include "tests/sim/redis_data.hpp"

namespace fairlead::sim {

class RedisNode;

class RedisSession {
 public:
  RedisSession(RedisNode& node, ConnKey key, std::uint64_t id) : node_(node), key_(key), id_(id) {}

  [[nodiscard]] Handlers handlers();
  [[nodiscard]] ConnKey key() const { return key_; }
  [[nodiscard]] std::uint64_t client_id() const { return id_; }

  /// The role changed while it was blocked.
  void force_unblock();
  /// What it is blocked on has a value now.
  void pop_and_answer();
  [[nodiscard]] const std::string& blocked_on() const { return blocked_on_; }
  bool push_message(std::string_view channel, std::string_view message);
  void flush_output();

 private:
  void on_bytes(std::string_view bytes);
  void work();
  void handle(Words words);
  bool handle_connection(Words words);
  bool handle_transaction(Words words);
  bool handle_subscription(Words words);
  bool refuse(Words words);
  void handle_client(Words words);
  void execute_queue();
  std::string execute(Words words);
  std::string execute_write(Words words);
  void begin_blocking(Words words);
  void end_blocking();
  void on_block_timeout(std::uint64_t block);
  [[nodiscard]] bool watched_changed() const;
  [[nodiscard]] std::string full_key(std::string_view key) const {
    return std::string(db_).append(":").append(key);
  }
  void error(std::string_view text) { out_.append("-").append(text).append("\r\n"); }
  [[nodiscard]] std::string null_array() const;

  RedisNode& node_;
  const ConnKey key_;
  const std::uint64_t id_;
  CommandInbox inbox_;
  std::string out_;
  std::string db_ = "0";
  resp::Version version_ = resp::Version::resp2;
  bool in_multi_ = false;
  bool dirty_ = false;
  std::vector<std::vector<std::string>> queued_;
  std::map<std::string, std::uint64_t> watched_;
  std::set<std::string, std::less<>> channels_;
  std::string blocked_on_;  // full key; empty: not blocked
  std::string blocked_key_;
  std::uint64_t blocks_ = 0;
};

}  // namespace fairlead::sim
