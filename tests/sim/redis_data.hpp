// What one model Redis has stored, and the log of writes by which it got there. Replication copies the log;
// two servers with the same log have the same data. Owned by a RedisNode.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "tests/sim/ledger.hpp"

namespace fairlead::sim {

enum class Change : std::uint8_t { set, push, increment, pop };

/// One write as it is replicated.
struct LogEntry {
  WriteNumber number = 0;
  Change change = Change::set;
  std::string key;  // with its database: `0:key`
  std::string value;
};

class RedisData {
 public:
  void apply(const LogEntry& entry);

  [[nodiscard]] const std::vector<LogEntry>& log() const { return log_; }
  [[nodiscard]] std::size_t offset() const { return log_.size(); }
  [[nodiscard]] std::size_t list_size(const std::string& key) const;
  [[nodiscard]] const std::string* front(const std::string& key) const;
  [[nodiscard]] const std::string* text(const std::string& key) const;
  [[nodiscard]] std::int64_t number(const std::string& key) const;
  /// Grows with every change of the key, for WATCH.
  [[nodiscard]] std::uint64_t version(const std::string& key) const;
  [[nodiscard]] bool empty() const { return log_.empty(); }
  [[nodiscard]] std::vector<bool> numbers(WriteNumber last) const;
  /// True when this log is the beginning of the other one.
  [[nodiscard]] bool is_prefix_of(const RedisData& other) const;

 private:
  struct Entry {
    std::deque<std::string> list;
    std::string text;
    std::int64_t number = 0;
    std::uint64_t version = 0;
  };
  const Entry* find(const std::string& key) const;
  std::map<std::string, Entry> entries_;
  std::vector<LogEntry> log_;
};

}  // namespace fairlead::sim
