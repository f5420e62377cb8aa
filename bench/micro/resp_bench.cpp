// What reading a command, finding the end of a reply and looking up a command cost.
#include <benchmark/benchmark.h>

#include "bench/micro/samples.hpp"
#include "resp/command_reader.hpp"
#include "resp/command_table.hpp"
#include "resp/reply_scanner.hpp"

namespace fairlead::bench {
namespace {

constexpr std::size_t batch = 64;

void read_commands(benchmark::State& state, const std::string& one) {
  const std::string all = repeated(one, batch);
  const resp::CommandLimits limits;
  resp::CommandReader reader(limits);
  resp::CommandScratch scratch;
  for (auto _ : state) {
    std::string_view rest = all;
    while (!rest.empty()) {
      const resp::CommandResult result = reader.read(rest, scratch, resp::LoginState::authenticated);
      if (result.status != resp::ReadStatus::command) return state.SkipWithError("not a command");
      benchmark::DoNotOptimize(result.command.size());
      rest.remove_prefix(result.frame_bytes);
    }
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(batch));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(all.size()));
}

void command_reader_get(benchmark::State& state) {
  read_commands(state, get_command());
}
BENCHMARK(command_reader_get);

void command_reader_set(benchmark::State& state) {
  read_commands(state, set_command(static_cast<std::size_t>(state.range(0))));
}
BENCHMARK(command_reader_set)->Arg(64)->Arg(1024);

void command_reader_inline(benchmark::State& state) {
  read_commands(state, "GET key:000000001234\r\n");
}
BENCHMARK(command_reader_inline);

void scan_replies(benchmark::State& state, const std::string& one) {
  const std::string all = repeated(one, batch);
  resp::ReplyScanner scanner;
  for (auto _ : state) {
    std::string_view rest = all;
    while (!rest.empty()) {
      const resp::ScanResult result = scanner.scan(rest);
      if (result.status != resp::ScanStatus::complete) return state.SkipWithError("not a reply");
      rest.remove_prefix(result.consumed);
    }
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(batch));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(all.size()));
}

void reply_scanner_ok(benchmark::State& state) {
  scan_replies(state, "+OK\r\n");
}
BENCHMARK(reply_scanner_ok);

void reply_scanner_bulk(benchmark::State& state) {
  scan_replies(state, bulk(std::string(static_cast<std::size_t>(state.range(0)), 'v')));
}
BENCHMARK(reply_scanner_bulk)->Arg(64)->Arg(1024)->Arg(65536);

void reply_scanner_array_of_100(benchmark::State& state) {
  scan_replies(state, "*100\r\n" + repeated(bulk("member:0001"), 100));
}
BENCHMARK(reply_scanner_array_of_100);

void table_lookup(benchmark::State& state, const std::string& command) {
  const auto table = resp::CommandTable::built_in();
  const resp::CommandLimits limits;
  resp::CommandReader reader(limits);
  resp::CommandScratch scratch;
  const resp::CommandResult read = reader.read(command, scratch, resp::LoginState::authenticated);
  for (auto _ : state) {
    const resp::CommandSpec* spec = table->find(read.command);
    if (spec == nullptr) return state.SkipWithError("not found");
    benchmark::DoNotOptimize(spec);
  }
  state.SetItemsProcessed(state.iterations());
}

void table_lookup_get(benchmark::State& state) {
  table_lookup(state, get_command());
}
BENCHMARK(table_lookup_get);

void table_lookup_subcommand(benchmark::State& state) {
  table_lookup(state, "*2\r\n" + bulk("CLIENT") + bulk("GETNAME"));
}
BENCHMARK(table_lookup_subcommand);

}  // namespace
}  // namespace fairlead::bench

BENCHMARK_MAIN();
