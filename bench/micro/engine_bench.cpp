// The Engine from a client's bytes to its answer, without sockets: arguments are clients and pipeline.
#include <benchmark/benchmark.h>

#include "bench/micro/engine_loop.hpp"
#include "bench/micro/samples.hpp"

namespace fairlead::bench {
namespace {

void run_rounds(benchmark::State& state, EngineLoop& loop) {
  loop.round();
  const std::uint64_t before = loop.buffer_bytes();
  for (auto _ : state) loop.round();
  if (loop.buffer_bytes() != before) return state.SkipWithError("buffers are left over");
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(loop.commands_per_round()));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(loop.bytes_per_round()));
}

void engine_get(benchmark::State& state) {
  EngineLoop loop(static_cast<std::size_t>(state.range(0)), static_cast<std::size_t>(state.range(1)),
                  get_command(), bulk(std::string(64, 'v')));
  run_rounds(state, loop);
}
BENCHMARK(engine_get)->Args({1, 1})->Args({50, 1})->Args({50, 16})->Args({1000, 1})->Args({9000, 1});

void engine_set(benchmark::State& state) {
  EngineLoop loop(50, 1, set_command(static_cast<std::size_t>(state.range(0))), "+OK\r\n");
  run_rounds(state, loop);
}
BENCHMARK(engine_set)->Arg(64)->Arg(1024)->Arg(16384);

}  // namespace
}  // namespace fairlead::bench
