// Asks a running fairlead whether it is fit, as a client would: by its real port and by /healthz. Used by
// `fairlead check`; runs an io_context of its own on the calling thread, for a bounded time. It never asks
// Redis anything and needs no password: a refusal is an answer too.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "proxy/options.hpp"

namespace fairlead::proxy {

struct ProbeResult {
  std::vector<std::string> faults;  // sentences; empty: fit
  std::vector<std::string> notes;   // what could not be asked, and why
  std::size_t answers = 0;
};

/// Where this host itself can reach a listener: the address, or loopback for one that stands for all; nullopt
/// when the address is not on this host now, so that a connection would reach somebody else.
[[nodiscard]] std::optional<resp::Address> reachable_here(const resp::Address& listen);

[[nodiscard]] ProbeResult probe_instance(const Options& options, std::chrono::milliseconds within);

}  // namespace fairlead::proxy
