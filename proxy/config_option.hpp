// The ONE list of options. TOML keys, flags, environment names, --help, the example file and the summary of
// --check-config are all made from it; an option that is not in the list does not exist.
// Constant after its first use; read on the main thread at start and at reload. It never decides which source
// wins: that is config.cpp.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/options.hpp"

namespace fairlead::proxy {

enum class OptionKind : std::uint8_t {
  addresses,  // TOML: array of strings, or one string
  words,      // the same
  text,
  secret,       // text that is never shown and has no flag
  secret_file,  // the path of a file that holds the secret
  count,        // TOML: integer
  duration,     // TOML: string with a unit, or 0
  size,         // TOML: string with a unit, or an integer of bytes
  toggle,       // TOML: boolean
  choice,       // one of a few words
};

/// Whether an option of this kind holds several values.
[[nodiscard]] constexpr bool is_list(OptionKind kind) {
  return kind == OptionKind::addresses || kind == OptionKind::words;
}

/// One value as it was written, and where, ready to begin an error with: `fairlead.toml:12:8: 'hold' in
/// [failover]`.
struct Item {
  std::string text;
  std::string where;
};
using Items = std::vector<Item>;

/// An environment variable of existing deployments. When `port_name` is not empty, that variable gives the
/// port of a host without one.
struct CompatibleName {
  std::string_view name;
  std::string_view port_name;
};

struct Option {
  std::string_view section;
  std::string_view key;
  std::string_view flag;  // with its dashes; empty for secrets
  OptionKind kind = OptionKind::text;
  std::string_view help;
  std::vector<CompatibleName> compatible_names{};
  std::vector<std::string> choices{};  // of OptionKind::choice

  /// Puts the items into the options and returns the errors. Lists are replaced as a whole; all other kinds
  /// get exactly one item.
  std::function<std::vector<std::string>(Options&, const Items&)> set{};
  /// The value as TOML; for secrets and their files `""`.
  std::function<std::string(const Options&)> show{};
};

[[nodiscard]] const std::vector<Option>& option_list();

/// What stands above a section in the example file; every section of the list has a sentence.
[[nodiscard]] std::string_view section_help(std::string_view section);

/// FAIRLEAD_LISTEN for [proxy] listen, FAIRLEAD_STATS_LISTEN for [stats] listen: [proxy], [backend] and
/// [failover] are left out of the name.
[[nodiscard]] std::string environment_name(const Option& option);

/// The text of one error about an item.
[[nodiscard]] std::string item_error(const Item& item, std::string_view sentence);

/// Makes the values agree that two modules keep of the same thing (login to the servers, connect timeout).
/// Called once, after the last source.
void complete_options(Options& options);

}  // namespace fairlead::proxy
