// Text from outside (names, keys, arguments, errors) made fit for JSON and terminals. Pure.
#pragma once

#include <string>
#include <string_view>

namespace fairlead::proxy {

/// Valid UTF-8 stays; control characters and bytes that are none are written as \xNN.
[[nodiscard]] std::string printable(std::string_view bytes);

}  // namespace fairlead::proxy
