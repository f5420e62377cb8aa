// What one model Redis has stored, and the log of writes by which it got there. Replication copies the log;
// two servers with the same log have the same data. Owned by a RedisNode.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
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
  /// The number of the newest entry; 0 when there is none.
  [[nodiscard]] WriteNumber last_number() const { return log_.empty() ? 0 : log_.back().number; }
  /// True when a log of this length with this newest entry is the beginning of this one. Numbers are unique
  /// in the world: equal entries at equal places mean equal beginnings.
  [[nodiscard]] bool continues(std::size_t offset, WriteNumber last) const {
    return offset > 0 && offset <= log_.size() && log_[offset - 1].number == last;
  }

 private:
  struct Entry {
    std::vector<std::string> list;
    std::size_t popped = 0;  // from the front of the list
    std::string text;
    std::int64_t number = 0;
    std::uint64_t version = 0;
  };
  const Entry* find(const std::string& key) const;
  boost::unordered_flat_map<std::string, Entry> entries_;
  std::vector<LogEntry> log_;
};

}  // namespace fairlead::sim
