#include "proxy/engine/client_pause.hpp"

#include <iterator>
#include <string_view>

namespace fairlead::engine {

namespace {

/// Takes the part of `text` before the next `separator`, and the separator.
std::string_view take_part(std::string_view& text, char separator) {
  const std::size_t end = std::min(text.find(separator), text.size());
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

/// The script's first line is like `#!lua flags=no-writes,allow-stale` (redis eval.c).
bool declares_no_writes(std::string_view script) {
  if (!script.starts_with("#!")) return false;
  std::string_view line = take_part(script, '\n');
  while (!line.empty()) {
    std::string_view word = take_part(line, ' ');
    if (!word.starts_with("flags=")) continue;
    word.remove_prefix(std::string_view("flags=").size());
    while (!word.empty()) {
      if (take_part(word, ',') == "no-writes") return true;
    }
  }
  return false;
}

}  // namespace

bool may_write(const resp::CommandSpec* spec, const resp::CommandView& command) {
  using namespace resp::command_flag;
  if (spec == nullptr || spec->is(write | may_replicate)) return true;
  if (spec->name == "eval" && command.size() > 1 && declares_no_writes(command[1])) return false;
  // Redis has the second flag on these, and hides it from COMMAND (server.c, addReplyFlagsForCommand).
  constexpr std::string_view replicated[] = {"eval", "evalsha", "fcall", "pfcount", "publish", "spublish"};
  return std::find(std::begin(replicated), std::end(replicated), spec->name) != std::end(replicated);
}

}  // namespace fairlead::engine
