// From the sources of configuration to Options: flags win over the environment, the environment over the
// file, the file over the defaults. Called by the subcommands on the main thread, at start and at reload;
// keeps nothing. All errors are collected and returned at once; it never prints and never ends the process.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "proxy/config_source.hpp"
#include "proxy/options.hpp"

namespace fairlead::proxy {

struct ConfigSources {
  std::vector<FlagValues> flags;
  std::string file;  // --config; empty: what FAIRLEAD_CONFIG names, if anything
  std::optional<std::string>
      file_text;            // the file's content, when it needs not be opened; `file` is then its name
  Environment environment;  // empty: no environment
};

struct ConfigResult {
  Options options;  // to be used only when there are no errors
  std::vector<std::string>
      errors;         // one line each, in the order of the file, then environment, flags and their sums
  Mentions mentions;  // who named what
};

[[nodiscard]] ConfigResult load_config(const ConfigSources& sources);

/// All values as they are in force, as TOML with their origins. Without secrets: whether one is set is all it
/// tells.
[[nodiscard]] std::string effective_config(const ConfigResult& result);

/// A commented configuration file with every option at its default; loading it, with or without the comment
/// signs, changes nothing.
[[nodiscard]] std::string example_config();

}  // namespace fairlead::proxy
