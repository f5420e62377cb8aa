#!/usr/bin/env python3
"""What one client's heavy requests do to another client: directly, through HAProxy and through fairlead, in one run.

A healthy client sends small commands at a fixed rate over a few connections (open loop: each latency counts from the
time at which the command was meant to leave) while another client disturbs. One worker, one thread, so that both are
on the same one. Rounds are interleaved; each round also measures without a disturber.
"""

import argparse
import json
import pathlib
import statistics
import sys
import tempfile

from disturbers import KINDS, disturber, prepare
from goals import judge_head_of_line
from machine import Noise, describe
from measure import open_loop
from report import goal_lines, machine_lines
from targets import ROOT, RedisServer, start_targets

ALONE = "alone"
NOTES = {
    ALONE: "nobody else",
    "slow-reader": "another asks for 200 x 512 KiB and reads a byte every 10 ms",
    "512-kib-values": "others, over 4 connections, fetch 512 KiB values in a loop",
    "512-kib-writes": "others, over 4 connections, set 512 KiB values in a loop",
    "8-mib-values": "another fetches 8 MiB values in a loop",
    "blpop": "another sits in BLPOP",
    "slow-script": "another runs a Lua script of some milliseconds ten times a second; Redis does nothing else meanwhile, so the "
                   "direct connection waits as well",
    "pipelines-of-1000": "another sends pipelines of 1000 SET",
}


def parse_arguments():
    release = ROOT / "build" / "release"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fairlead", default=str(release / "fairlead"))
    parser.add_argument("--baseline", help="another build of it, to compare with in the same rounds")
    parser.add_argument("--generator", default=str(release / "bench" / "fairlead_bench_load"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rate", type=int, default=1000, help="of the healthy client, commands per second")
    parser.add_argument("--connections", type=int, default=5, help="of the healthy client")
    parser.add_argument("--disturber", action="append", choices=sorted(KINDS))
    parser.add_argument("--out", help="directory for head_of_line.json and head_of_line.md")
    options = parser.parse_args()
    options.threads, options.through, options.persistence, options.floor = 1, ["haproxy"], "off", {}
    options.fairlead = str(pathlib.Path(options.fairlead).resolve())
    return options


def measure(target, kind, options):
    def healthy():
        return open_loop(options.generator, target, options.rate, options.connections, options.seconds)
    if kind == ALONE:
        return healthy()
    with disturber(kind, target.port):
        return healthy()


def run_rounds(targets, kinds, options, noise):
    """{kind: {target: [figures of each round]}}"""
    results = {kind: {target.name: [] for target in targets} for kind in kinds}
    for number in range(options.rounds):
        noise.sample()
        for kind in kinds:
            for target in targets[number % len(targets):] + targets[:number % len(targets)]:
                figures = measure(target, kind, options)
                results[kind][target.name].append(figures)
                print(f"round {number + 1}/{options.rounds}  {kind:18} {target.name:9} p99 {figures['p99_us'] / 1e3:.2f} ms",
                      file=sys.stderr)
    return results


def spread(values):
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def markdown(results, machine, noise, options):
    lines = ["# Head of line", "",
             *machine_lines(machine, noise.summary(), options.threads, options.persistence, options.rounds), "",
             f"A healthy client: GET of 64 bytes, {options.rate}/s over {options.connections} connections, open loop, "
             f"{options.seconds:g} s each. Milliseconds; `to alone` is p99 divided by that without a disturber, through the same, "
             "in the same round.", "",
             "| disturber | through | p50 | p99 | p99.9 | p99 to alone | unanswered |", "|---|---|---|---|---|---|---|"]
    for kind, by_target in results.items():
        for target, rounds in by_target.items():
            to_alone = [ours["p99_us"] / alone["p99_us"] for ours, alone in zip(rounds, results[ALONE][target])]
            cells = [spread([figures[key] / 1e3 for figures in rounds]) for key in ("p50_us", "p99_us", "p99.9_us")]
            lines.append(f"| {kind} | {target} | {' | '.join(cells)} | {spread(to_alone)} | "
                         f"{sum(figures['unanswered'] for figures in rounds)} |")
    lines += goal_lines(judge_head_of_line(results))
    lines += ["", *(f"- {kind}: {NOTES[kind]}" for kind in results)]
    return "\n".join(lines) + "\n"


def main():
    options = parse_arguments()
    kinds = [ALONE, *(options.disturber or KINDS)]
    noise = Noise()
    with tempfile.TemporaryDirectory(prefix="fairlead-bench-") as directory:
        server = RedisServer("redis", directory)
        prepare(server)
        results = run_rounds(start_targets(server, options, directory), kinds, options, noise)
    report = markdown(results, describe(options.fairlead), noise, options)
    print(report, end="")
    if options.out:
        out = pathlib.Path(options.out)
        out.mkdir(parents=True, exist_ok=True)
        (out / "head_of_line.md").write_text(report, encoding="utf-8")
        data = {"machine": describe(options.fairlead), "noise": noise.summary(), "rate": options.rate,
                "connections": options.connections, "seconds": options.seconds,
                "goals": [goal._asdict() for goal in judge_head_of_line(results)], "results": results}
        (out / "head_of_line.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
