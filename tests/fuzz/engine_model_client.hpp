// One client of the Engine under fuzz: it sends commands with tags of its own and checks that the replies are
// the right ones in the right order. Owned by the fuzzer's world.
#pragma once

#include <deque>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "resp/value.hpp"
#include "tests/fuzz/engine_ledger.hpp"

namespace fairlead::fuzz {

class ModelClient {
 public:
  ModelClient(Ledger& ledger, std::size_t number) : ledger_(&ledger), number_(number) {}

  /// Appends one command to `unsent`; which one is the fuzzer's choice.
  void say(Choices& choices);
  void log_in();
  /// The Engine wrote these bytes to it.
  void receive(std::string_view bytes);
  /// The Engine closed the connection. Broken when nothing the client did explains it.
  [[nodiscard]] bool expects_close() const { return expects_close_; }
  [[nodiscard]] bool owed_nothing() const { return expected_.empty() && inbox_.empty(); }
  [[nodiscard]] std::string describe() const;

  std::string unsent;  // said, not yet received by the Engine

 private:
  enum class Kind : std::uint8_t {
    data,
    ping,
    multi,
    exec,
    discard,
    watch,
    select,
    hello,
    auth,
    reset,
    quit,
    subscribe,
    unsubscribe,
    unsubscribe_all,
    set_name,
    get_name,
    wait,
    tracking,
    wrong_arity,
    protocol_error
  };
  struct Expected {
    Kind kind = Kind::data;
    std::string tag;  // or channel, database, protocol, name
    std::size_t frames = 1;
  };

  void say_data(Choices& choices);
  void say_transaction(Choices& choices);
  void say_subscription(Choices& choices);
  void say_connection(Choices& choices);
  void send(std::initializer_list<std::string_view> words, Kind kind, std::string tag,
            std::size_t frames = 1);
  void on_reply(const resp::Value& reply);
  bool on_message(const resp::Value& reply);
  void on_error(const Expected& expected, const std::string& text);
  void on_answer(const Expected& expected, const resp::Value& reply);
  void on_data(const Expected& expected, const resp::Value& reply);
  void on_confirmation(std::deque<Expected>::iterator at, const resp::Value& reply);
  void check_signature(const std::string& tag, const std::string& text) const;
  void end_block(const resp::Value& reply);
  void end_unexecuted();
  void denied(const std::string& tag) const;
  [[noreturn]] void wrong(const std::string& why) const;

  Ledger* ledger_;
  std::size_t number_;
  std::size_t next_tag_ = 0;
  std::string inbox_;
  std::string history_;  // for whoever has to understand a finding
  std::deque<Expected> expected_;
  bool in_multi_ = false;             // as far as the replies received say
  std::vector<std::string> queued_;   // tags of the open block, +QUEUED or refused
  std::vector<std::string> refused_;  // tags of the open block that were refused
  std::set<std::string> channels_;
  std::string db_ = "0";  // empty: not known
  std::string name_;
  std::string block_name_;  // CLIENT SETNAME in the block that is open; empty: none
  int protocol_ = 2;
  bool expects_close_ = false;
  bool stopped_speaking_ = false;  // after QUIT and protocol errors nothing is answered
};

}  // namespace fairlead::fuzz
