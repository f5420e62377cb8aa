// A fixed amount of work for `valgrind --tool=callgrind`: its count of instructions is a figure that noise
// cannot touch. `fairlead_bench_script NAME ROUNDS`; the difference of two numbers of rounds leaves the
// start-up out.
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <memory>

#include "bench/micro/engine_loop.hpp"
#include "bench/micro/samples.hpp"

using fairlead::bench::EngineLoop;

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: fairlead_bench_script get-P1|get-P16|set-1k|get-16k ROUNDS\n";
    return 2;
  }
  const std::string name = argv[1];
  const std::string value(64, 'v');
  std::unique_ptr<EngineLoop> loop;
  if (name == "get-P1")
    loop = std::make_unique<EngineLoop>(50, 1, fairlead::bench::get_command(), fairlead::bench::bulk(value));
  if (name == "get-P16")
    loop = std::make_unique<EngineLoop>(50, 16, fairlead::bench::get_command(), fairlead::bench::bulk(value));
  if (name == "set-1k")
    loop = std::make_unique<EngineLoop>(50, 1, fairlead::bench::set_command(1024), "+OK\r\n");
  if (name == "get-16k") {
    loop = std::make_unique<EngineLoop>(50, 1, fairlead::bench::get_command(),
                                        fairlead::bench::bulk(std::string(16384, 'v')));
  }
  if (loop == nullptr) {
    std::cerr << "no script " << name << '\n';
    return 2;
  }
  for (long left = std::atol(argv[2]); left > 0; --left) loop->round();
  std::cout << loop->commands_per_round() << '\n';
  return 0;
}
