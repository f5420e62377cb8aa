#include "resp/command_table_builtin.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <span>
#include <string_view>

namespace fairlead::resp {
namespace {

/// One command or, behind its container's row, one subcommand.
struct Row {
  const char* name;
  int arity;
  std::uint32_t flags;
  int first_key;
  int last_key;
  int key_step;
  const char* categories;  // separated by single spaces
  /// Only of commands whose keys move; separated by "; ". Each is `BEGIN FIND`, with `incomplete` as a third
  /// word if it is. BEGIN is `POSITION`, `KEYWORD@START` or `?`; FIND is `range:LAST,STEP,LIMIT`,
  /// `keynum:KEYNUM_INDEX,FIRST_KEY,STEP` or `?`.
  const char* key_specs;
};

using namespace command_flag;

constexpr Row built_in_rows[] = {
#include "resp/command_table_rows.inc"
};

/// What no redis 7.0 names in COMMAND, and the traits must know all the same. CLIENT SETINFO and NO-TOUCH are
/// of redis 7.2; today's client libraries send SETINFO at connect. POST and Host: are the marks of a browser
/// that was led to talk to a Redis port (networking.c, securityWarningCommand).
constexpr Row hidden_rows[] = {
    {"client", -2, 0, 0, 0, 0, "", ""},
    {"client|setinfo", 4, noscript | loading | stale, 0, 0, 0, "slow connection", ""},
    {"client|no-touch", 3, noscript | loading | stale, 0, 0, 0, "slow connection", ""},
    {"host:", -1, loading | stale, 0, 0, 0, "", ""},
    {"post", -1, loading | stale, 0, 0, 0, "", ""},
};

/// The text up to `separator`, which is removed from `text` with it.
std::string_view take_until(std::string_view& text, std::string_view separator) {
  const std::string_view part = text.substr(0, text.find(separator));
  text.remove_prefix(std::min(text.size(), part.size() + separator.size()));
  return part;
}

int take_number(std::string_view& text) {
  const std::string_view digits = take_until(text, ",");
  int number = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return number;
}

KeySpec key_spec_of_row(std::string_view text) {
  KeySpec spec;
  std::string_view begin = take_until(text, " ");
  std::string_view find = take_until(text, " ");
  spec.incomplete = text == "incomplete";
  if (begin.find('@') != std::string_view::npos) {
    spec.begin = KeySpec::Begin::keyword;
    spec.keyword = take_until(begin, "@");
    spec.index = take_number(begin);
  } else if (begin != "?") {
    spec.begin = KeySpec::Begin::index;
    spec.index = take_number(begin);
  }
  const std::string_view type = take_until(find, ":");
  if (type == "range") {
    spec.find = KeySpec::Find::range;
    spec.last_key = take_number(find);
    spec.step = take_number(find);
    spec.limit = take_number(find);
  } else if (type == "keynum") {
    spec.find = KeySpec::Find::keynum;
    spec.keynum_index = take_number(find);
    spec.first_key = take_number(find);
    spec.step = take_number(find);
  }
  return spec;
}

CommandSpec spec_of_row(const Row& row) {
  CommandSpec spec;
  spec.name = row.name;
  spec.arity = row.arity;
  spec.flags = row.flags;
  spec.first_key = row.first_key;
  spec.last_key = row.last_key;
  spec.key_step = row.key_step;
  std::string_view categories = row.categories;
  while (!categories.empty()) spec.categories.emplace_back(take_until(categories, " "));
  std::string_view key_specs = row.key_specs;
  while (!key_specs.empty()) spec.key_specs.push_back(key_spec_of_row(take_until(key_specs, "; ")));
  return spec;
}

/// A subcommand's row stands behind its container's.
std::vector<CommandSpec> specs_of_rows(std::span<const Row> rows) {
  std::vector<CommandSpec> specs;
  for (const Row& row : rows) {
    const bool is_subcommand = std::string_view(row.name).find('|') != std::string_view::npos;
    (is_subcommand ? specs.back().subcommands : specs).push_back(spec_of_row(row));
  }
  return specs;
}

}  // namespace

std::vector<CommandSpec> built_in_specs() {
  return specs_of_rows(built_in_rows);
}

std::vector<CommandSpec> hidden_specs() {
  return specs_of_rows(hidden_rows);
}

}  // namespace fairlead::resp
