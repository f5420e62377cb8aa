// The simulator's program: plays seeds, says which are broken and why. `sim --help`.
#include <algorithm>
#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/sim/world.hpp"

namespace {

using fairlead::sim::Counts;
using fairlead::sim::World;

constexpr const char* usage =
    R"(usage: sim [--seed N] [--seeds A..B] [--regressions FILE] [--jobs J] [--trace] [--expect-broken]
  --seed N            plays one seed and says how it ended
  --seeds A..B        plays all seeds from A to B
  --regressions FILE  plays the seeds of the file first: one a line, `seed  # reason`
  --jobs J            worlds at a time, 1 by default
  --trace             prints what happens in each world
  --stop-after N      stops when N seeds are broken; 10 by default
  --expect-broken     succeeds when, and only when, a seed is broken: for builds with a planted bug
Exit code 0: nothing is broken; 1: something is; 2: wrong usage.
)";

struct Arguments {
  std::vector<std::uint64_t> first;  // single seeds and regressions
  std::uint64_t from = 1;
  std::uint64_t to = 0;
  std::size_t jobs = 1;
  std::size_t stop_after = 10;
  bool trace = false;
  bool expect_broken = false;
};

struct Totals {
  std::mutex mutex;
  Counts counts;
  std::uint64_t seeds = 0;
  std::vector<std::uint64_t> broken;
};

thread_local std::uint64_t seed_at_work = 0;

/// A check of the Engine's own ends the process; the seed must be known all the same.
void on_abort(int) {
  std::fprintf(stderr, "sim: aborted in seed %llu\n", static_cast<unsigned long long>(seed_at_work));
  std::_Exit(1);
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool read_regressions(const std::string& path, std::vector<std::uint64_t>& seeds) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    const auto seed = number(std::string_view(line).substr(0, line.find_first_of(" #\t")));
    if (seed) seeds.push_back(*seed);
  }
  return file.eof();
}

bool parse_value(std::string_view option, const std::string& value, Arguments& arguments) {
  if (option == "--regressions") return read_regressions(value, arguments.first);
  if (option == "--seeds") {
    const std::size_t dots = value.find("..");
    if (dots == std::string::npos) return false;
    const auto from = number(std::string_view(value).substr(0, dots));
    const auto to = number(std::string_view(value).substr(dots + 2));
    if (!from || !to) return false;
    arguments.from = *from;
    arguments.to = *to;
    return true;
  }
  const auto parsed = number(value);
  if (!parsed) return false;
  if (option == "--seed") arguments.first.push_back(*parsed);
  if (option == "--jobs") arguments.jobs = std::max<std::size_t>(1, *parsed);
  if (option == "--stop-after") arguments.stop_after = *parsed;
  return option == "--seed" || option == "--jobs" || option == "--stop-after";
}

bool parse(int argc, char** argv, Arguments& arguments) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    if (option == "--trace") {
      arguments.trace = true;
    } else if (option == "--expect-broken") {
      arguments.expect_broken = true;
    } else if (i + 1 >= argc || !parse_value(option, argv[++i], arguments)) {
      return false;
    }
  }
  return true;
}

void add(Counts& sum, const Counts& more) {
  sum.writes_done += more.writes_done;
  sum.uncertain += more.uncertain;
  sum.master_down += more.master_down;
  sum.refusals_passed += more.refusals_passed;
  sum.replica_waits += more.replica_waits;
  sum.no_replicas += more.no_replicas;
  sum.promotions += more.promotions;
  sum.lost_excused += more.lost_excused;
  sum.lost_unheard += more.lost_unheard;
  sum.lost_erased += more.lost_erased;
  sum.disconnects += more.disconnects;
  sum.proxy_restarts += more.proxy_restarts;
  sum.promotions_followed += more.promotions_followed;
  sum.promotions_late += more.promotions_late;
  sum.blocks_replayed += more.blocks_replayed;
  sum.isolations += more.isolations;
  sum.events += more.events;
  sum.digest += more.digest;
  sum.ready_ms.insert(sum.ready_ms.end(), more.ready_ms.begin(), more.ready_ms.end());
}

void play(std::uint64_t seed, const Arguments& arguments, Totals& totals) {
  seed_at_work = seed;
  World::Trace trace;
  if (arguments.trace) trace = [](const std::string& line) { std::printf("%s\n", line.c_str()); };
  World world(seed, std::move(trace));
  const std::string why = world.run();
  const std::lock_guard lock(totals.mutex);
  ++totals.seeds;
  add(totals.counts, world.counts());
  if (why.empty()) return;
  totals.broken.push_back(seed);
  std::printf("seed %llu is broken: %s\n", static_cast<unsigned long long>(seed), why.c_str());
  std::fflush(stdout);
}

void play_all(const Arguments& arguments, Totals& totals) {
  const std::size_t range = arguments.to >= arguments.from ? arguments.to - arguments.from + 1 : 0;
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i = next++; i < arguments.first.size() + range; i = next++) {
      const bool first = i < arguments.first.size();
      play(first ? arguments.first[i] : arguments.from + (i - arguments.first.size()), arguments, totals);
      const std::lock_guard lock(totals.mutex);
      if (totals.broken.size() >= arguments.stop_after) return;
    }
  };
  std::vector<std::thread> threads;
  for (std::size_t i = 1; i < arguments.jobs; ++i) threads.emplace_back(work);
  work();
  for (auto& thread : threads) thread.join();
}

void print_summary(Totals& totals) {
  Counts& c = totals.counts;
  const auto ull = [](std::uint64_t n) { return static_cast<unsigned long long>(n); };
  std::printf("%llu seeds, %llu events, %llu promotions; %llu broken\n", ull(totals.seeds), ull(c.events),
              ull(c.promotions), ull(totals.broken.size()));
  std::printf(
      "writes: %llu acknowledged; answers: %llu UNCERTAIN, %llu MASTERDOWN, %llu refusals passed on\n",
      ull(c.writes_done), ull(c.uncertain), ull(c.master_down), ull(c.refusals_passed));
  std::printf(
      "acknowledged and lost: %llu by replication, %llu by a master whose successor could not be heard "
      "of, %llu erased by a restart without data\n",
      ull(c.lost_excused), ull(c.lost_unheard), ull(c.lost_erased));
  std::printf("promotions that a proxy was free to follow at once: %llu, %llu of them later than 100 ms\n",
              ull(c.promotions_followed), ull(c.promotions_late));
  std::printf("fairlead: %llu restarts, %llu blocks said again, %llu times isolated in strict mode\n",
              ull(c.proxy_restarts), ull(c.blocks_replayed), ull(c.isolations));
  std::printf(
      "min-replicas-to-write: %llu times a write waited for a new master's replicas, %llu NOREPLICAS "
      "told\n",
      ull(c.replica_waits), ull(c.no_replicas));
  std::printf("clients closed because half an answer was lost: %llu\n", ull(c.disconnects));
  std::printf("digest of all histories: %016llx\n", ull(c.digest));
  if (c.ready_ms.empty()) return;
  std::sort(c.ready_ms.begin(), c.ready_ms.end());
  const auto part = [&](std::size_t percent) {
    return static_cast<long long>(c.ready_ms[(c.ready_ms.size() - 1) * percent / 100]);
  };
  std::printf(
      "STEADY after a master could be verified: p50 %lld ms, p90 %lld ms, p99 %lld ms, longest %lld ms "
      "(%zu)\n",
      part(50), part(90), part(99), part(100), c.ready_ms.size());
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (!parse(argc, argv, arguments) || (arguments.first.empty() && arguments.to < arguments.from)) {
    std::fputs(usage, stderr);
    return 2;
  }
  std::signal(SIGABRT, on_abort);
  Totals totals;
  play_all(arguments, totals);
  print_summary(totals);
  const bool broken = !totals.broken.empty();
  return broken == arguments.expect_broken ? 0 : 1;
}
