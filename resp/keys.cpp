#include "resp/keys.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <optional>
#include <string_view>

namespace fairlead::resp {
namespace {

// Positions are computed in 64 bits: the specification comes from a server and the numbers from a client.
using Position = std::int64_t;
using Positions = std::vector<std::uint32_t>;

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

/// A number of keys as Redis reads it (util.c, string2ll): decimal, nothing before or behind it, no leading
/// zero.
std::optional<Position> key_count(std::string_view text) {
  Position count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc() || end != text.data() + text.size() || count < 0) return std::nullopt;
  if (text.front() == '-' || (text.front() == '0' && text.size() > 1)) return std::nullopt;
  return count;
}

/// Appends first, first + step ... last. False when one lies outside of the arguments.
bool append_range(Position first, Position last, Position step, Position argc, Positions& positions) {
  if (first < 1 || step < 1 || last < first || last >= argc) return false;
  for (Position at = first; at <= last; at += step) positions.push_back(static_cast<std::uint32_t>(at));
  return true;
}

enum class Begin : std::uint8_t { found, absent, unknown };
struct BeginResult {
  Begin outcome = Begin::unknown;
  Position first = 0;
};

BeginResult begin_search(const KeySpec& spec, const CommandView& command) {
  const Position argc = command.size();
  switch (spec.begin) {
    case KeySpec::Begin::unknown:
      return {};
    case KeySpec::Begin::index:
      return {Begin::found, spec.index};
    case KeySpec::Begin::keyword:
      break;
  }
  // From the start forwards or from the end backwards. A keyword as the last argument has no key behind it
  // when looked for forwards; backwards, the command's name and its first argument are no keywords (db.c,
  // getKeysUsingKeySpecs).
  const bool forwards = spec.index > 0;
  const Position from = forwards ? spec.index : argc + spec.index;
  const Position end = forwards ? argc - 1 : 1;
  for (Position at = from; forwards ? at < end : at > end; at += forwards ? 1 : -1) {
    if (at < 1 || at >= argc) break;
    if (equals_ignoring_case(command[static_cast<std::uint32_t>(at)], spec.keyword))
      return {Begin::found, at + 1};
  }
  return {Begin::absent, 0};
}

bool append_by_range(const KeySpec& spec, Position first, Position argc, Positions& positions) {
  Position last = 0;
  if (spec.last_key >= 0) {
    last = first + spec.last_key;
  } else if (spec.limit > 1) {
    last = first + (argc - first) / spec.limit + spec.last_key;
  } else {
    last = argc + spec.last_key;
  }
  return append_range(first, last, spec.step, argc, positions);
}

bool append_by_count(const CommandSpec& command_spec, const KeySpec& spec, Position first,
                     const CommandView& command, Positions& positions) {
  const Position argc = command.size();
  const Position count_at = first + spec.keynum_index;
  if (count_at < 1 || count_at >= argc) return false;
  const std::optional<Position> count = key_count(command[static_cast<std::uint32_t>(count_at)]);
  if (!count || *count > argc) return false;
  // EVAL script 0 has no keys and needs none; ZUNION 0 is an error.
  if (*count == 0) return command_spec.is(command_flag::no_mandatory_keys);
  const Position first_key = first + spec.first_key;
  return append_range(first_key, first_key + (*count - 1) * spec.step, spec.step, argc, positions);
}

/// False when the specification does not fit, or does not tell all.
bool append_by_spec(const CommandSpec& command_spec, const KeySpec& spec, const CommandView& command,
                    Positions& positions) {
  const BeginResult begin = begin_search(spec, command);
  if (begin.outcome == Begin::unknown) return false;
  if (begin.outcome == Begin::absent) return !spec.incomplete;
  switch (spec.find) {
    case KeySpec::Find::unknown:
      return false;
    case KeySpec::Find::range:
      return append_by_range(spec, begin.first, command.size(), positions) && !spec.incomplete;
    case KeySpec::Find::keynum:
      return append_by_count(command_spec, spec, begin.first, command, positions) && !spec.incomplete;
  }
  return false;
}

/// The only kind of redis 6.2 and older, and enough for each command without the flag movable_keys.
bool append_first_last_step(const CommandSpec& spec, Position argc, Positions& positions) {
  if (spec.first_key == 0) return true;
  const Position last = spec.last_key < 0 ? argc + spec.last_key : spec.last_key;
  // The arity allows that there are none: SUNSUBSCRIBE without channels.
  if (spec.first_key == argc && last < spec.first_key) return true;
  return append_range(spec.first_key, last, spec.key_step, argc, positions);
}

}  // namespace

bool find_keys(const CommandSpec& spec, const CommandView& command, std::vector<std::uint32_t>& positions) {
  positions.clear();
  if (!spec.arity_fits(command.size())) return false;
  if (!spec.is(command_flag::movable_keys)) return append_first_last_step(spec, command.size(), positions);
  if (spec.key_specs.empty()) {
    // A module that tells its keys only when asked, call by call.
    (void)append_first_last_step(spec, command.size(), positions);
    return false;
  }
  bool complete = true;
  for (const KeySpec& key_spec : spec.key_specs) {
    complete = append_by_spec(spec, key_spec, command, positions) && complete;
  }
  return complete;
}

}  // namespace fairlead::resp
