#include <cstdio>

#include <fmt/format.h>
#include <boost/version.hpp>

#include "proxy/commands.hpp"

// FAIRLEAD_VERSION and FAIRLEAD_BUILD_TYPE come from config_sources.cmake, for this file alone.

namespace fairlead::proxy {
namespace {

#if defined(__clang__)
constexpr const char* compiler = "clang " __clang_version__;
#else
constexpr const char* compiler = "g++ " __VERSION__;
#endif

#if defined(__SANITIZE_ADDRESS__)
constexpr const char* sanitizer = ", AddressSanitizer";
#elif defined(__SANITIZE_THREAD__)
constexpr const char* sanitizer = ", ThreadSanitizer";
#else
constexpr const char* sanitizer = "";
#endif

}  // namespace

std::string version() {
  return FAIRLEAD_VERSION;
}

int command_version() {
  fmt::print("fairlead {}\n", version());
  fmt::print("build: {}{}\n", FAIRLEAD_BUILD_TYPE, sanitizer);
  fmt::print("compiler: {}\n", compiler);
  fmt::print("boost: {}.{}.{}\n", BOOST_VERSION / 100000, BOOST_VERSION / 100 % 1000, BOOST_VERSION % 100);
  fmt::print("fmt: {}.{}.{}\n", FMT_VERSION / 10000, FMT_VERSION / 100 % 100, FMT_VERSION % 100);
  return exit_success;
}

}  // namespace fairlead::proxy
