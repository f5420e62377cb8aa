// Assertions that stay on in release builds, for the places where a broken invariant could carry one client's
// bytes to another. Never used on what a peer sent: that is handled, not asserted.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace fairlead::engine {

[[noreturn]] inline void check_failed(const char* what, const char* file, int line) {
  std::fprintf(stderr, "fairlead: broken invariant: %s (%s:%d)\n", what, file, line);
  std::abort();
}

}  // namespace fairlead::engine

/// For a place that is never reached; `why` is a string literal that says why.
#define FAIRLEAD_UNREACHABLE(why) ::fairlead::engine::check_failed(why, __FILE__, __LINE__)

#define FAIRLEAD_CHECK(condition)                                       \
  do {                                                                  \
    if (!(condition)) [[unlikely]]                                      \
      ::fairlead::engine::check_failed(#condition, __FILE__, __LINE__); \
  } while (false)
