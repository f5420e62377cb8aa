// "did you mean ...?": the known name that is nearest to a mistyped one. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace fairlead::proxy {

/// How many letters must be inserted, removed, replaced or swapped with their neighbour to make one of the
/// other (optimal string alignment, a restricted Damerau-Levenshtein distance).
[[nodiscard]] std::size_t edit_distance(std::string_view left, std::string_view right);

/// The nearest candidate, or empty when none is near: at most a third of the letters, one to three, may be
/// wrong. The first of equally near candidates wins.
[[nodiscard]] std::string suggest(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace fairlead::proxy
