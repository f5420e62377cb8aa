#include "proxy/log_repeat.hpp"

#include <utility>

namespace fairlead::proxy {

RepeatFilter::Verdict RepeatFilter::admit(const std::string& key, const std::string& text, TimePoint now) {
  const auto [entry, is_new] = entries_.try_emplace(key, Entry{now + window, {}, 0});
  if (is_new) return Verdict::tell;
  entry->second.last_text = text;
  ++entry->second.counted;
  return Verdict::counted;
}

std::vector<RepeatFilter::Summary> RepeatFilter::take_finished(TimePoint now) {
  std::vector<Summary> summaries;
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    if (entry->second.until > now) {
      ++entry;
      continue;
    }
    if (entry->second.counted > 0) {
      summaries.push_back({entry->first, std::move(entry->second.last_text), entry->second.counted});
    }
    entry = entries_.erase(entry);
  }
  return summaries;
}

std::vector<RepeatFilter::Summary> RepeatFilter::take_all() {
  return take_finished(TimePoint::max());
}

}  // namespace fairlead::proxy
