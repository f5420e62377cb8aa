// The two ends of a client's socket, in the words of CLIENT LIST.
#pragma once

#include "proxy/engine/io.hpp"

namespace fairlead::proxy {

/// Asks the system. An end that is gone, or that has no name, is `?:0`, as in Redis.
[[nodiscard]] engine::ConnectionNames names_of_socket(int descriptor);

}  // namespace fairlead::proxy
