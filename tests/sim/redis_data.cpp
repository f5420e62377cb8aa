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
      if (e.popped < e.list.size()) ++e.popped;
      break;
  }
}

const RedisData::Entry* RedisData::find(const std::string& key) const {
  const auto found = entries_.find(key);
  return found == entries_.end() ? nullptr : &found->second;
}

std::size_t RedisData::list_size(const std::string& key) const {
  const Entry* e = find(key);
  return e == nullptr ? 0 : e->list.size() - e->popped;
}

const std::string* RedisData::front(const std::string& key) const {
  const Entry* e = find(key);
  return e == nullptr || e->popped == e->list.size() ? nullptr : &e->list[e->popped];
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

}  // namespace fairlead::sim
