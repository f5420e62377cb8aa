#include "tests/sim/redis_data.hpp"

namespace fairlead::sim {

void RedisData::apply(const LogEntry& entry) {
  log_.push_back(entry);
  Entry& e = entries_[entry.key];
  ++e.version;
  switch (entry.change) {
    case Change::set:
      e.text = entry.value;
      break;
    case Change::push:
      e.list.push_back(entry.value);
      break;
    case Change::increment:
      ++e.number;
      break;
    case Change::pop:
      if (!e.list.empty()) e.list.pop_front();
      break;
  }
}

const RedisData::Entry* RedisData::find(const std::string& key) const {
  const auto found = entries_.find(key);
  return found == entries_.end() ? nullptr : &found->second;
}

std::size_t RedisData::list_size(const std::string& key) const {
  const Entry* e = find(key);
  return e == nullptr ? 0 : e->list.size();
}

const std::string* RedisData::front(const std::string& key) const {
  const Entry* e = find(key);
  return e == nullptr || e->list.empty() ? nullptr : &e->list.front();
}

const std::string* RedisData::text(const std::string& key) const {
  const Entry* e = find(key);
  return e == nullptr || e->text.empty() ? nullptr : &e->text;
}

std::int64_t RedisData::number(const std::string& key) const {
  const Entry* e = find(key);
  return e == nullptr ? 0 : e->number;
}

std::uint64_t RedisData::version(const std::string& key) const {
  const Entry* e = find(key);
  return e == nullptr ? 0 : e->version;
}

std::vector<bool> RedisData::numbers(WriteNumber last) const {
  std::vector<bool> present(last + 1U, false);
  for (const LogEntry& entry : log_) present[entry.number] = true;
  return present;
}

bool RedisData::is_prefix_of(const RedisData& other) const {
  // Numbers are unique in the world: equal last entries at equal places mean equal beginnings.
  return log_.empty() ||
         (log_.size() <= other.log_.size() && other.log_[log_.size() - 1].number == log_.back().number);
}

}  // namespace fairlead::sim
