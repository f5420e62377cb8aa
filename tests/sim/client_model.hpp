// One client of the proxy: says commands with values of its own, and checks that every answer is there once,
// in order, and the answer to that command. What it was told goes into the Ledger. Owned by the World.
#pragma once

#include <deque>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "resp/value.hpp"
#include "tests/sim/ledger.hpp"
#include "tests/sim/network.hpp"
#include "tests/sim/random.hpp"

namespace fairlead::sim {

class World;

enum class Habit : std::uint8_t { writer, transactions, popper, subscriber, idle };

class ClientModel {
 public:
  ClientModel(World& world, std::size_t number, Habit habit, HostId proxy);

  void connect();
  /// Says what its habit is, again and again, until `quiet()`.
  void quiet();
  /// One write that must succeed now.
  void say_last_write(std::string_view key);
  void say_last_news(std::string_view message);
  /// Closes without waiting for what is owed.
  void leave();

  [[nodiscard]] bool gone() const { return gone_; }
  [[nodiscard]] bool owed_nothing() const { return expected_.empty() && inbox_.empty(); }
  [[nodiscard]] bool last_write_done() const { return last_write_done_; }
  [[nodiscard]] Habit habit() const { return habit_; }
  [[nodiscard]] bool subscribed() const { return confirmed_; }
  [[nodiscard]] bool heard(const std::string& message) const { return heard_.count(message) > 0; }
  [[nodiscard]] std::string describe() const;

 private:
  enum class Kind : std::uint8_t { hello, select, write, read, publish, multi, exec, watch, pop, subscribe };
  struct Expected {
    Kind kind = Kind::write;
    std::string tag;
    std::string name;  // the command's
    bool in_block = false;
    TimePoint said_at{};
  };

  void act();
  void say_something();
  void say_write(bool in_block);
  void say_block();
  void go_on_with_block();
  void say_pop();
  void say(std::initializer_list<std::string_view> words, Kind kind, std::string tag, bool in_block);
  void send_said();
  [[nodiscard]] std::string next_tag();

  void on_bytes(std::string_view bytes);
  void on_ended(Ending why);
  void on_reply(const resp::Value& reply, std::string_view raw);
  [[nodiscard]] bool on_message(const resp::Value& reply);
  void on_error(const Expected& expected, const std::string& text);
  void on_answer(const Expected& expected, const resp::Value& reply, std::string_view raw);
  void on_write_answer(const Expected& expected, std::string_view raw);
  void end_block(const resp::Value& reply);
  void close_block(Told told);
  [[nodiscard]] Told judge_error(const Expected& expected, const std::string& text);
  void say_last_again(const Expected& expected, const std::string& text);
  void forget_pending();
  void wrong(const std::string& why);

  World& world_;
  const std::size_t number_;
  const Habit habit_;
  const HostId proxy_;
  Random random_;
  ConnKey key_ = 0;
  bool connected_ = false;
  bool gone_ = false;
  bool quiet_ = false;
  bool last_write_done_ = false;
  bool confirmed_ = false;
  std::string last_tag_;
  std::string last_key_;
  std::string last_news_;
  std::size_t said_ = 0;
  std::string outbox_;
  std::string inbox_;
  int protocol_ = 2;
  std::string db_ = "0";
  std::deque<Expected> expected_;
  bool multi_failed_ = false;
  TimePoint multi_said_at_{};   // of the block that is being answered
  std::size_t block_left_ = 0;  // commands to be said before EXEC; the block is open on the client's side
  bool block_open_ = false;
  bool block_told_lost_ = false;      // a command of the block was answered as lost
  bool block_excused_ = false;        // ... after another one was refused by a server, or waited too long
  std::vector<std::string> queued_;   // tags of the open block that were queued
  std::vector<std::string> refused_;  // ... that were not
  std::set<std::string> heard_;
};

}  // namespace fairlead::sim
