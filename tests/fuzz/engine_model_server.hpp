// The server's end of one link, as small as it can be: it takes whole commands out of what the Engine wrote
// and answers them with their tags. Commands wait in `pending` until the fuzzer lets the server work, and
// answers wait in `outbox` until the fuzzer lets them travel. Owned by the fuzzer's world, one per link.
#pragma once

#include <deque>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "resp/command_reader.hpp"
#include "tests/fuzz/engine_ledger.hpp"

namespace fairlead::fuzz {

/// What the server does with its next command.
enum class Mood : std::uint8_t {
  execute,
  read_only,
  loading,
  master_down,
  plain_error,
  out_of_memory,
  replica
};

class ModelServer {
 public:
  /// CLIENT UNBLOCK: finds the link of that id and gives its command back. False when nothing waits there.
  using Unblock = std::function<bool(const std::string& id)>;

  ModelServer(Ledger& ledger, std::string id, Unblock unblock)
      : ledger_(&ledger), id_(std::move(id)), unblock_(std::move(unblock)) {}

  /// The Engine wrote these bytes.
  void receive(std::string_view bytes);
  /// Takes one command from `pending` and puts its answer into `outbox`.
  void work(Mood mood);
  /// The next command blocks: without a value for it nothing happens.
  [[nodiscard]] bool waits() const;
  /// A blocking command that waits here is not executed. False when there is none.
  bool give_back();
  /// A message on one of the channels it has, if any.
  void publish(std::size_t which);
  [[nodiscard]] bool has_work() const { return !pending_.empty(); }
  [[nodiscard]] const std::string& id() const { return id_; }

  std::string outbox;  // answered, not yet received by the Engine

 private:
  using Words = std::vector<std::string>;

  void note_arrival(const Words& words);
  void count(const std::string& tag);
  void uncount(const std::string& tag);
  bool refuse(const Words& words, Mood mood);
  bool refuse_subscriber(const std::string& name);
  bool login_command(const Words& words, Mood mood);
  bool wrong_arity(const Words& words);
  bool transaction_command(const Words& words);
  bool subscription_command(const Words& words);
  void confirm(std::string_view kind, std::string_view channel, bool named);
  void data_command(const Words& words);
  void execute_queue();
  std::string answer_of(const Words& words);
  void put_error(std::string_view text) { outbox += "-" + std::string(text) + "\r\n"; }
  void put_header(char resp3_type, std::size_t count);

  Ledger* ledger_;
  std::string id_;  // CLIENT ID
  Unblock unblock_;
  std::string inbox_;
  std::deque<Words> pending_;
  bool arriving_multi_ = false;  // MULTI has arrived: what follows counts as executed when its EXEC arrives
  Words arriving_;
  std::set<std::string> counted_;
  bool in_multi_ = false;
  bool dirty_ = false;
  std::vector<Words> queued_;
  std::set<std::string> channels_;
  std::string db_ = "0";
  std::string name_;  // CLIENT SETNAME
  int protocol_ = 2;
};

/// The tag of a command: its last word of the form `t<client>.<number>`; empty when there is none.
[[nodiscard]] std::string tag_of(const std::vector<std::string>& words);

}  // namespace fairlead::fuzz
