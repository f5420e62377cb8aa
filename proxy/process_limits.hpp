// Limits that concern the whole process: the system's are raised, ours are divided among the workers. Called
// at the start and at a reload, on the control thread.
#pragma once

#include "proxy/options.hpp"

namespace fairlead::proxy {

/// Every client and every link needs a descriptor: as many as the system allows.
void raise_descriptor_limit(std::uint32_t clients_max);

/// What one of `workers` is to work with.
[[nodiscard]] engine::EngineOptions options_of_worker(const Options& options, unsigned workers);

}  // namespace fairlead::proxy
