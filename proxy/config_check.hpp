// What no single option can know: rules between options. Pure; called by load_config after the last source.
#pragma once

#include "proxy/config_source.hpp"

namespace fairlead::proxy {

/// Adds an error to the draft for each broken rule, except where a value was already wrong by itself.
void check_options(ConfigDraft& draft);

}  // namespace fairlead::proxy
