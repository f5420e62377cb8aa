#include "proxy/engine/remaining_timeout.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <vector>

#include "resp/command_reader.hpp"
#include "resp/writer.hpp"

namespace fairlead::engine {

namespace {

enum class Unit : std::uint8_t { seconds, milliseconds };

struct Timeout {
  std::size_t index = 0;
  Unit unit = Unit::seconds;
};

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return text;
}

// XREAD [COUNT n] [BLOCK ms] STREAMS ..., XREADGROUP GROUP group consumer [COUNT n] [BLOCK ms] [NOACK]
// STREAMS
// ...: options come before STREAMS, and a group may be called anything.
std::optional<Timeout> block_option(const std::vector<std::string>& words) {
  for (std::size_t i = 1; i + 1 < words.size(); ++i) {
    const std::string word = lower(words[i]);
    if (word == "streams") return std::nullopt;
    if (word == "block") return Timeout{i + 1, Unit::milliseconds};
    if (word == "group") i += 2;
    if (word == "count") i += 1;
  }
  return std::nullopt;
}

std::optional<Timeout> timeout_of(const std::vector<std::string>& words) {
  constexpr std::array<std::string_view, 6> at_the_end{"blpop",  "brpop",    "brpoplpush",
                                                       "blmove", "bzpopmin", "bzpopmax"};
  const std::string name = lower(words.front());
  if (std::find(at_the_end.begin(), at_the_end.end(), name) != at_the_end.end()) {
    return Timeout{words.size() - 1, Unit::seconds};
  }
  if (name == "blmpop" || name == "bzmpop") return Timeout{1, Unit::seconds};
  if (name == "wait") return Timeout{2, Unit::milliseconds};
  if (name == "waitaof") return Timeout{3, Unit::milliseconds};
  if (name == "xread" || name == "xreadgroup") return block_option(words);
  return std::nullopt;
}

std::vector<std::string> words_of(std::string_view frame) {
  resp::CommandLimits limits;
  limits.bulk_bytes_max = frame.size();
  resp::CommandReader reader(limits);
  resp::CommandScratch scratch;
  const resp::CommandResult read = reader.read(frame, scratch, resp::LoginState::authenticated);
  std::vector<std::string> words;
  if (read.status != resp::ReadStatus::command) return words;
  for (std::uint32_t i = 0; i < read.command.size(); ++i) words.emplace_back(read.command[i]);
  return words;
}

}  // namespace

std::optional<std::string> with_remaining_timeout(std::string_view frame, std::chrono::milliseconds waited) {
  std::vector<std::string> words = words_of(frame);
  if (words.empty()) return std::nullopt;
  const auto timeout = timeout_of(words);
  if (!timeout || timeout->index == 0 || timeout->index >= words.size()) return std::nullopt;
  std::string& text = words[timeout->index];
  double number = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = status == std::errc() && end == text.data() + text.size();
  if (!whole || !std::isfinite(number) || number <= 0) return std::nullopt;
  const bool in_seconds = timeout->unit == Unit::seconds;
  const double total_ms = in_seconds ? number * 1000 : number;
  constexpr double ms_max = 1e15;  // more than Redis takes; the server says so itself
  if (total_ms > ms_max) return std::nullopt;
  const double waited_ms = static_cast<double>(waited.count());
  const auto left = static_cast<std::int64_t>(std::max(1.0, std::ceil(total_ms - waited_ms)));
  if (in_seconds) {
    const std::string thousandths = std::to_string(1000 + left % 1000).substr(1);
    text = std::to_string(left / 1000) + "." + thousandths;
  } else {
    text = std::to_string(left);
  }
  std::string out;
  resp::append_command(out, words);
  return out;
}

}  // namespace fairlead::engine
