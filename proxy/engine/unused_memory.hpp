// Tells AddressSanitizer which memory of our own nobody may touch now, as it knows by itself of what was
// freed. Costs nothing in any other build. The functions are its documented interface
// (sanitizer/asan_interface.h), declared here since nothing else of that header is needed.
#pragma once

#include <cstddef>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FAIRLEAD_ADDRESS_SANITIZER
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define FAIRLEAD_ADDRESS_SANITIZER
#endif

#ifdef FAIRLEAD_ADDRESS_SANITIZER
extern "C" void __asan_poison_memory_region(const volatile void* address, std::size_t size);
extern "C" void __asan_unpoison_memory_region(const volatile void* address, std::size_t size);
#endif

namespace fairlead::engine {

inline void mark_unused([[maybe_unused]] const void* memory, [[maybe_unused]] std::size_t size) {
#ifdef FAIRLEAD_ADDRESS_SANITIZER
  __asan_poison_memory_region(memory, size);
#endif
}

inline void mark_used([[maybe_unused]] const void* memory, [[maybe_unused]] std::size_t size) {
#ifdef FAIRLEAD_ADDRESS_SANITIZER
  __asan_unpoison_memory_region(memory, size);
#endif
}

}  // namespace fairlead::engine
