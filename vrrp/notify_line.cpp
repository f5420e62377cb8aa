#include "vrrp/notify_line.hpp"

#include <array>
#include <charconv>

namespace fairlead::vrrp {
namespace {

struct StateWord {
  std::string_view word;
  State state;
};

constexpr std::array<StateWord, 9> state_words{{
    {"MASTER", State::master},
    {"BACKUP", State::backup},
    {"FAULT", State::fault},
    {"STOP", State::stopped},
    {"DELETED", State::stopped},
    {"MASTER_RX_LOWER_PRI", State::master},
    {"MASTER_PRIORITY", State::unknown},
    {"BACKUP_PRIORITY", State::unknown},
    {"FAULT_PRIORITY", State::unknown},
}};

/// Takes the text up to the next space off the front.
std::string_view take_word(std::string_view& rest) {
  const std::size_t end = std::min(rest.find(' '), rest.size());
  const std::string_view word = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return word;
}

}  // namespace

const char* to_string(State state) {
  switch (state) {
    case State::unknown:
      return "unknown";
    case State::backup:
      return "backup";
    case State::master:
      return "master";
    case State::fault:
      return "fault";
    case State::stopped:
      return "stopped";
  }
  return "unknown";
}

std::optional<NotifyLine> parse_notify_line(std::string_view line) {
  NotifyLine read;
  if (line.ends_with(' ')) return std::nullopt;
  std::string_view rest = line;
  read.kind = take_word(rest);
  if (read.kind != "INSTANCE" && read.kind != "GROUP") return std::nullopt;
  // The name is in quotes and may hold spaces, but no quote.
  if (rest.empty() || rest.front() != '"') return std::nullopt;
  const std::size_t quote = rest.find('"', 1);
  if (quote == std::string_view::npos || quote == 1) return std::nullopt;
  read.name = rest.substr(1, quote - 1);
  rest.remove_prefix(quote + 1);
  if (rest.empty() || rest.front() != ' ') return std::nullopt;
  rest.remove_prefix(1);

  const std::string_view word = take_word(rest);
  const auto* known = state_words.begin();
  while (known != state_words.end() && known->word != word) ++known;
  if (known == state_words.end()) return std::nullopt;
  read.state = known->state;

  const std::string_view number = take_word(rest);
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), read.priority);
  if (error != std::errc{} || end != number.data() + number.size() || !rest.empty()) return std::nullopt;
  return read;
}

std::vector<std::string> LineCutter::feed(std::string_view bytes) {
  std::vector<std::string> lines;
  while (!bytes.empty()) {
    const std::size_t newline = bytes.find('\n');
    const std::string_view part = bytes.substr(0, newline);
    if (!skipping_ && line_.size() + part.size() > line_bytes_max) {
      skipping_ = true;
      ++overlong_;
      line_.clear();
    }
    if (!skipping_) line_.append(part);
    if (newline == std::string_view::npos) break;
    if (!skipping_) lines.push_back(std::move(line_));
    line_.clear();
    skipping_ = false;
    bytes.remove_prefix(newline + 1);
  }
  return lines;
}

void LineCutter::reset() {
  line_.clear();
  skipping_ = false;
}

}  // namespace fairlead::vrrp
