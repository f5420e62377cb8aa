// Reads the sources of configuration into a draft, one after the other, the strongest last; an option that a
// later source names is replaced as a whole. Owned by load_config (config.cpp) for one reading, on the main
// thread. The text of the file and the environment are handed in; the readers themselves open nothing but the
// files of secrets.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/config_option.hpp"

namespace fairlead::proxy {

enum class Source : std::uint8_t { file, environment, flags };

/// Fairlead's own names, or those of existing deployments.
enum class NameStyle : std::uint8_t { own, compatible };

/// Failed: the option was named, but its value was wrong, so that checks which miss it would only confuse.
enum class Reading : std::uint8_t { good, failed };

/// The last source that named an option.
struct Mention {
  Source source = Source::file;
  std::string origin;  // `fairlead.toml:12:1`, `FAIRLEAD_LISTEN`, `--listen`
  NameStyle style = NameStyle::own;
  Reading reading = Reading::good;
};

using Mentions = std::map<const Option*, Mention>;

struct ConfigDraft {
  Options options;
  std::vector<std::string> errors;
  Mentions mentions;
  Reading file = Reading::good;  // failed: nobody knows what else the file says
};

/// One flag as it was given, all of its values in order.
struct FlagValues {
  std::string flag;  // with its dashes
  std::vector<std::string> values;
};

/// getenv's shape: nullptr when the variable is not set.
using Environment = std::function<const char*(const char*)>;

/// Puts one option into the draft. An empty secret says nothing; a secret and its file from one source are an
/// error.
void apply(ConfigDraft& draft, const Option& option, const Items& items, Mention mention);

/// Reads TOML text; `name` is how errors call it. In config_toml.cpp.
void read_toml(ConfigDraft& draft, std::string_view text, std::string_view name);

/// A variable that is set but empty counts as not set: compose and unit files write `NAME=${NAME:-}`.
void read_environment(ConfigDraft& draft, const Environment& environment);

/// A flag that takes one value must be given once; a list may be repeated, separated by commas, or both.
void read_flags(ConfigDraft& draft, const std::vector<FlagValues>& flags);

/// The option with this key; nullptr when there is none.
[[nodiscard]] const Option* find_option(std::string_view section, std::string_view key);

}  // namespace fairlead::proxy
