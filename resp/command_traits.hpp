// From a command's flags to what a proxy does with it. Flags decide; a short list of overrides, each with its
// reason, corrects what flags do not say.
#pragma once

#include "resp/command_table.hpp"

namespace fairlead::resp {

/// Sets id, affinity, lease and is_repeatable of `spec` (and of its subcommands) from its name and flags. A
/// subcommand without an id of its own has its container's.
void assign_traits(CommandSpec& spec);

/// The affinity of one call: as the spec says, but for commands that are stateful or blocking only with
/// certain arguments (XREAD without BLOCK is shared). An unknown command (spec == nullptr) is leased.
struct CallTraits {
  Affinity affinity = Affinity::leased;
  LeaseSpan lease = LeaseSpan::one_unknown;
};
[[nodiscard]] CallTraits traits_of_call(const CommandSpec* spec, const CommandView& command);

/// May be dispatched once more after its reply was lost: declared read-only by the server, no script, not
/// blocking. Unknown commands may not.
[[nodiscard]] bool is_repeatable(const CommandSpec* spec);

}  // namespace fairlead::resp
