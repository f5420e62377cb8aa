// Fuzzes the Engine: the input's bytes choose options and then events, clients, servers and the time move as
// they say. What must hold:
//
//   - no check of the Engine's own fails, and every turn ends;
//   - each client gets the right answers in the right order, of its own database and protocol: servers answer
//     with the command's tag;
//   - no write is sent again after it may have been executed, and none whose client was told otherwise;
//   - the writes of one client are executed in its order, and what is acknowledged was executed;
//   - nothing is written to a link whose route was revoked;
//   - no client is closed without a reason, and once all is well, everybody gets what is owed;
//   - at the end no client, link, lease or byte is left.
#include <cstdint>

#include "tests/fuzz/engine_fuzz_world.hpp"

namespace {

constexpr int steps_max = 400;  // longer inputs find nothing that shorter ones do not, only later

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fairlead::fuzz::Choices choices(data, size);
  fairlead::fuzz::FuzzWorld world(choices);
  for (int step = 0; step < steps_max && !choices.exhausted(); ++step) world.step();
  world.finish();
  return 0;
}
