// Redis' commands as fairlead knows them without a server. Only command_table.cpp asks for them, once, to
// build CommandTable::built_in(). Pure; safe on any thread.
#pragma once

#include <vector>

#include "resp/command_table.hpp"

namespace fairlead::resp {

/// What redis 7.0 answers to COMMAND, without traits.
[[nodiscard]] std::vector<CommandSpec> built_in_specs();

/// What no redis 7.0 names in COMMAND, and fairlead must know all the same, without traits.
[[nodiscard]] std::vector<CommandSpec> hidden_specs();

}  // namespace fairlead::resp
