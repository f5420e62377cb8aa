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
#include "tests/sim/network.hpp"
#include "tests/sim/redis_data.hpp"

namespace fairlead::sim {

class RedisNode;

/// Takes one whole command off the front of `inbox`; empty when there is none. `broken` is set when the bytes
/// are no canonical command, which the proxy must never send.
[[nodiscard]] std::vector<std::string> take_command(std::string& inbox, std::string* broken);

class RedisSession {
 public:
  using Words = std::vector<std::string>;

  RedisSession(RedisNode& node, ConnKey key, std::uint64_t id) : node_(node), key_(key), id_(id) {}

  [[nodiscard]] Handlers handlers();
  [[nodiscard]] ConnKey key() const { return key_; }
  [[nodiscard]] std::uint64_t client_id() const { return id_; }

  /// The role changed while it was blocked.
  void force_unblock();
  /// What it is blocked on has a value now.
  void pop_and_answer();
  [[nodiscard]] const std::string& blocked_on() const { return blocked_on_; }
  bool push_message(const std::string& channel, const std::string& message);
  void flush_output();

 private:
  void on_bytes(std::string bytes);
  void work();
  void handle(const Words& words);
  bool handle_connection(const Words& words);
  bool handle_transaction(const Words& words);
  bool handle_subscription(const Words& words);
  bool refuse(const Words& words);
  void handle_client(const Words& words);
  void execute_queue();
  std::string execute(const Words& words);
  std::string execute_write(const Words& words);
  void begin_blocking(const Words& words);
  void end_blocking();
  void on_block_timeout(std::uint64_t block);
  [[nodiscard]] bool watched_changed() const;
  [[nodiscard]] std::string full_key(const std::string& key) const { return db_ + ":" + key; }
  void error(std::string_view text) { out_ += "-" + std::string(text) + "\r\n"; }
  [[nodiscard]] std::string null_array() const;

  RedisNode& node_;
  const ConnKey key_;
  const std::uint64_t id_;
  std::string inbox_;
  std::string out_;
  std::string db_ = "0";
  resp::Version version_ = resp::Version::resp2;
  bool in_multi_ = false;
  bool dirty_ = false;
  std::vector<Words> queued_;
  std::map<std::string, std::uint64_t> watched_;
  std::set<std::string> channels_;
  std::string blocked_on_;  // full key; empty: not blocked
  std::string blocked_key_;
  std::uint64_t blocks_ = 0;
};

}  // namespace fairlead::sim
