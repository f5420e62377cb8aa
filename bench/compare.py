#!/usr/bin/env python3
"""Compares fairlead with a direct connection, HAProxy (tcp mode) and twemproxy, on this machine, in one run.

With --floor also with two programs that do nothing that a proxy could leave out: what is left is the kernel's.

One redis-server on loopback is loaded through each of them in turn, in rounds whose order rotates. Load generator,
proxy and server share the machine's cores, so an absolute figure says little: compare within one run, by the ratios of
the same round, and look at the CPU time per request, which is steadier. `bench/run` builds what this needs.
"""

import argparse
import json
import pathlib
import shutil
import sys
import tempfile
import time

from goals import GROWTH_BASE, GROWTH_STEPS, connection_growth, judge, measures_growth
from machine import Noise, describe
from measure import check_replies, closed_loop, idle_memory, open_loop
from plot import cpu_chart, throughput_chart
from report import growth_lines, markdown, memory_lines, open_loop_lines, summarise
from targets import PERSISTENCE, ROOT, RedisServer, start_targets
from workloads import SETS, WORKLOADS, choose

OPEN_LOOP_CONNECTIONS = 50
FLOORS = ("relay", "mux")


def parse_arguments():
    release = ROOT / "build" / "release"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fairlead", default=str(release / "fairlead"), help="the program (a release build)")
    parser.add_argument("--baseline", help="another build of it, to compare with in the same rounds")
    parser.add_argument("--generator", default=str(release / "bench" / "fairlead_bench_load"),
                        help="the open-loop generator; without it that part is left out")
    parser.add_argument("--through", action="append", choices=["haproxy", "twemproxy"], help="peers (default: both)")
    parser.add_argument("--floor", action="store_true", help="also a raw relay and a multiplexing mock (bench/floor)")
    for name in FLOORS:
        parser.add_argument(f"--{name}", default=str(release / "bench" / f"fairlead_bench_{name}"), help="the program of it")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="workers of fairlead, threads of HAProxy")
    parser.add_argument("--workload", action="append", help=", ".join(workload.name for workload in WORKLOADS))
    parser.add_argument("--set", action="append", choices=SETS, help="workloads by purpose (default: goals)")
    parser.add_argument("--quick", action="store_true", help="three minutes: two rounds of a part of the goals")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the number of requests")
    parser.add_argument("--persistence", choices=sorted(PERSISTENCE), default="off", help="of the server")
    parser.add_argument("--rate", type=int, default=20_000, help="of the open loop, requests per second; 0: none")
    parser.add_argument("--idle", type=int, default=2000, help="idle connections for the memory figure; 0: none")
    parser.add_argument("--out", help="directory for results.json, results.md and the plots")
    options = parser.parse_args()
    options.through = options.through or ["haproxy", "twemproxy"]
    if options.quick:
        options.rounds, options.scale = 2, options.scale * 0.5
        options.set = options.set or ["quick"]
    options.set = options.set or ["goals"]
    options.floor = {name: getattr(options, name) for name in FLOORS} if options.floor else {}
    for name, program in options.floor.items():
        if not pathlib.Path(program).is_file():
            parser.error(f"{program} is not there: build it, or name it with --{name}")
        options.floor[name] = str(pathlib.Path(program).resolve())
    if not pathlib.Path(options.fairlead).is_file():
        parser.error(f"{options.fairlead} is not there: build it, or name it with --fairlead")
    if shutil.which("redis-benchmark") is None:
        parser.error("redis-benchmark is missing: install redis-tools")
    if not pathlib.Path(options.generator).is_file():
        options.rate = 0
    return options


def rotated(targets, round_number):
    start = round_number % len(targets)
    return targets[start:] + targets[:start]


class Progress:
    """Says on stderr what was measured, and how much of all that is."""

    def __init__(self, total):
        self.done, self.total, self.begun = 0, total, time.monotonic()

    def tell(self, name, target, figure):
        self.done += 1
        left = (time.monotonic() - self.begun) / self.done * (self.total - self.done)
        print(f"{self.done}/{self.total}  {name:16} {target:10} {figure:>14}   {left:.0f} s left", file=sys.stderr)


class StoredValues:
    """What the keys hold, which all workloads share: whoever only reads must find values of its own size."""

    def __init__(self):
        self.left_by = None

    def must_be_set_for(self, workload, test):
        """True when `test` would read what another workload has left. Whoever asks leaves its own."""
        before, self.left_by = self.left_by, (workload.value_bytes, workload.keys)
        return test == "GET" and before != self.left_by


def run_closed_loops(server, targets, workloads, options, noise):
    """{workload and test: {target: [figures of each round]}}"""
    results = {}
    stored = StoredValues()
    progress = Progress(options.rounds * len(targets) * sum(len(workload.tests) for workload in workloads))
    growth = measures_growth([f"{workload.name} {test}" for workload in workloads for test in workload.tests])
    for number in range(options.rounds):
        noise.sample()
        for workload in workloads:
            requests = max(int(workload.requests * options.scale), workload.clients)
            for test in workload.tests:
                name = f"{workload.name} {test}"
                if stored.must_be_set_for(workload, test):
                    closed_loop(server, targets[0], workload, "SET", max(8 * workload.keys, workload.clients))
                for target in rotated(targets, number):
                    figures = closed_loop(server, target, workload, test, requests,
                                          steady=growth and name in (GROWTH_BASE, *GROWTH_STEPS))
                    results.setdefault(name, {}).setdefault(target.name, []).append(figures)
                    progress.tell(name, target.name, f"{figures['rps']:.0f}/s")
    return {name: {target.name: found[target.name] for target in targets} for name, found in results.items()}


def run_open_loops(targets, options):
    results = {target.name: [] for target in targets}
    progress = Progress(options.rounds * len(targets))
    for number in range(options.rounds):
        for target in rotated(targets, number):
            figures = open_loop(options.generator, target, options.rate, OPEN_LOOP_CONNECTIONS, 3)
            results[target.name].append(figures)
            progress.tell("open loop", target.name, f"p99 {figures['p99_us'] / 1e3:.2f} ms")
    return results


def write_results(out, report, data, results):
    out.mkdir(parents=True, exist_ok=True)
    (out / "results.md").write_text(report, encoding="utf-8")
    (out / "results.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    (out / "throughput.svg").write_text(throughput_chart(results), encoding="utf-8")
    (out / "proxy-cpu.svg").write_text(cpu_chart(results, "proxy_us", "CPU of the proxy"), encoding="utf-8")
    (out / "redis-cpu.svg").write_text(cpu_chart(results, "redis_us", "CPU of Redis"), encoding="utf-8")
    print(f"written to {out}", file=sys.stderr)


def main():
    options = parse_arguments()
    options.fairlead = str(pathlib.Path(options.fairlead).resolve())
    workloads = choose(options.workload, options.set)
    noise = Noise()
    with tempfile.TemporaryDirectory(prefix="fairlead-bench-") as directory:
        settings = ["maxclients 19000", *PERSISTENCE[options.persistence]]
        server = RedisServer("redis", directory, settings)
        targets = start_targets(server, options, directory)
        # First, while they are fresh: what an earlier load has left free would be given to the idle clients unseen.
        memory = {target.name: idle_memory(server, target, options.idle) for target in targets} if options.idle else {}
        for target in targets:
            check_replies(server, target)
        results = run_closed_loops(server, targets, workloads, options, noise)
        server.call("FLUSHALL")
        latencies = run_open_loops(targets, options) if options.rate else {}
        for target in targets:
            check_replies(server, target)
    machine, rows, growth = describe(options.fairlead), summarise(results), connection_growth(results)
    goals = judge(rows, growth, latencies, options.rate, memory, options.idle)
    extra = growth_lines(growth)
    extra += open_loop_lines(latencies, options.rate, OPEN_LOOP_CONNECTIONS) if latencies else []
    extra += memory_lines(memory, options.idle) if memory else []
    report = markdown(machine, noise.summary(), rows, goals, options, extra)
    print(report, end="")
    if options.out:
        data = {"machine": machine, "noise": noise.summary(), "threads": options.threads, "rounds": options.rounds,
                "scale": options.scale, "persistence": options.persistence, "rows": rows, "results": results,
                "goals": [goal._asdict() for goal in goals], "connection_growth": growth,
                "open_loop": {"rate": options.rate, "connections": OPEN_LOOP_CONNECTIONS, "results": latencies},
                "idle_connections": options.idle, "idle_memory": memory}
        write_results(pathlib.Path(options.out), report, data, results)


if __name__ == "__main__":
    main()
