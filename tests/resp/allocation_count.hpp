// Counts the heap allocations of this test binary, so that tests can say "none". The counting operator new is
// in allocation_count.cpp. One thread only.
#pragma once

#include <cstddef>

namespace fairlead::resp::testing {

[[nodiscard]] std::size_t allocations_made();    // since the program began
[[nodiscard]] std::size_t allocations_live();    // made and not freed yet
[[nodiscard]] std::size_t largest_allocation();  // bytes, since the last call of forget_largest_allocation
void forget_largest_allocation();

}  // namespace fairlead::resp::testing
