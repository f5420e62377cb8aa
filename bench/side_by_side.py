#!/usr/bin/env python3
"""Compares fairlead with a direct connection and with HAProxy in tcp mode, on this machine, in one run.

One redis-server on loopback is loaded by redis-benchmark through each of the three in turn, in rounds whose order
rotates. Load generator, proxy and server share the machine's cores, so an absolute figure says little: compare within
one run, by the ratio to `direct` of the same round, and look at the CPU time per request, which is steadier.

    /usr/bin/python3 bench/side_by_side.py --fairlead build/release/fairlead --rounds 7 --out results
"""

import argparse
import csv
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "integration"))

from harness import Process, RedisServer, free_port, wait_until  # noqa: E402
from resp_client import RawClient  # noqa: E402

# Name, arguments of redis-benchmark, and requests of each test in one round.
WORKLOADS = {
    "c50-P1": (["-c", "50", "-P", "1", "-d", "64", "-r", "10000"], 100_000),
    "c50-P16": (["-c", "50", "-P", "16", "-d", "64", "-r", "10000"], 800_000),
    "c500-P1": (["-c", "500", "-P", "1", "-d", "64", "-r", "10000"], 100_000),
    "c20-512k": (["-c", "20", "-P", "1", "-d", "524288", "-r", "20"], 4_000),
}
DEFAULT_WORKLOADS = ["c50-P1", "c50-P16"]
TESTS = ("SET", "GET")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

HAPROXY_CONFIG = """\
global
    nbthread 1
    maxconn 4000
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
frontend clients
    bind 127.0.0.1:{port}
    default_backend redis
backend redis
    server master 127.0.0.1:{server}
"""


class Target:
    """Something that listens in front of the server; `process` is None for the direct connection."""

    def __init__(self, name, port, process=None):
        self.name = name
        self.port = port
        self.process = process

    def wait_listening(self):
        def answers():
            if self.process and not self.process.running():
                raise SystemExit(f"{self.name} ended:\n{self.process.log()[-2000:]}")
            with RawClient(self.port) as client:
                return client.command("EXISTS", "a") == 0
        wait_until(answers, 20, f"{self.name} to answer")
        return self


def start_targets(server, fairlead, threads, directory):
    targets = [Target("direct", server.port)]
    if shutil.which("haproxy"):
        port = free_port()
        config = pathlib.Path(directory) / "haproxy.cfg"
        config.write_text(HAPROXY_CONFIG.format(port=port, server=server.port), encoding="utf-8")
        targets.append(Target("haproxy", port, Process("haproxy", ["haproxy", "-db", "-f", config], directory)))
    else:
        print("haproxy is not installed; it is left out", file=sys.stderr)
    port = free_port()
    arguments = [fairlead, "run", "--listen", f"127.0.0.1:{port}", "--stats", f"127.0.0.1:{free_port()}",
                 "--threads", threads, "--server", server.address]
    targets.append(Target("fairlead", port, Process("fairlead", arguments, directory)))
    return [target.wait_listening() for target in targets]


def cpu_seconds(process):
    """User and system time of a process and all its threads so far."""
    if process is None:
        return 0.0
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def check_replies(server, target, size=1000):
    """What goes in through the target is what the server has and what comes out, small, large and pipelined."""
    with RawClient(target.port) as client:
        for length in (1, 64, size, 600_000):
            value = os.urandom(length)
            if client.command("SET", "bench:check", value) != "OK" or client.command("GET", "bench:check") != value:
                raise SystemExit(f"{target.name} does not return what was stored ({length} bytes)")
            if server.call("GET", "bench:check") != value:
                raise SystemExit(f"{target.name} stored something else ({length} bytes)")
    with RawClient(target.port) as client:
        client.send(b"".join(b"ECHO %d\r\n" % number for number in range(1000)))
        if [client.reply() for _ in range(1000)] != [b"%d" % number for number in range(1000)]:
            raise SystemExit(f"{target.name} mixes up the order of a pipeline")


def measure(server, target, arguments, test, requests):
    """One run of redis-benchmark: requests per second, latency, and CPU microseconds per request."""
    calls_before = server.calls_of(test.lower())
    proxy_before, server_before = cpu_seconds(target.process), cpu_seconds(server.process)
    command = ["redis-benchmark", "-p", str(target.port), "-t", test.lower(), "-n", str(requests), "--csv", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    proxy_cpu = cpu_seconds(target.process) - proxy_before
    server_cpu = cpu_seconds(server.process) - server_before
    if done.returncode != 0 or "rror" in done.stdout + done.stderr:
        raise SystemExit(f"redis-benchmark failed through {target.name}:\n{done.stdout}{done.stderr}")
    # redis-benchmark sends whole pipelines, so it may send a few more than it was told.
    executed = server.calls_of(test.lower()) - calls_before
    if not requests <= executed <= requests * 1.01 + 1000:
        raise SystemExit(f"{target.name}: the server executed {executed} of {requests} requests")
    row = next(row for row in csv.DictReader(done.stdout.splitlines()) if row["test"].startswith(test))
    return {"rps": float(row["rps"]), "p50_ms": float(row["p50_latency_ms"]), "p99_ms": float(row["p99_latency_ms"]),
            "proxy_us": proxy_cpu / executed * 1e6, "redis_us": server_cpu / executed * 1e6}


def run_rounds(server, targets, workloads, rounds, scale):
    """Results by workload and test, then by target: a list with one entry for each round."""
    results = {}
    for round_number in range(rounds):
        order = targets[round_number % len(targets):] + targets[:round_number % len(targets)]
        for workload in workloads:
            arguments, requests = WORKLOADS[workload]
            for test in TESTS:
                for target in order:
                    figures = measure(server, target, arguments, test, max(1000, int(requests * scale)))
                    results.setdefault(f"{workload} {test}", {}).setdefault(target.name, []).append(figures)
                    print(f"round {round_number + 1}/{rounds}  {workload} {test}  {target.name:9} "
                          f"{figures['rps']:10.0f}/s", file=sys.stderr)
    return results


def summarise(results):
    """Medians over the rounds, the range of the throughput, and the median of the ratios within each round."""
    rows = []
    for name, by_target in results.items():
        direct = [figures["rps"] for figures in by_target["direct"]]
        haproxy = [figures["rps"] for figures in by_target.get("haproxy", [])]
        for target, rounds in by_target.items():
            rps = [figures["rps"] for figures in rounds]
            row = {"workload": name, "target": target, "rps": statistics.median(rps), "rps_min": min(rps),
                   "rps_max": max(rps), "to_direct": statistics.median(a / b for a, b in zip(rps, direct)),
                   "to_haproxy": statistics.median(a / b for a, b in zip(rps, haproxy)) if haproxy else None}
            for key in ("p50_ms", "p99_ms", "proxy_us", "redis_us"):
                row[key] = statistics.median(figures[key] for figures in rounds)
            rows.append(row)
    return rows


def first_line(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False, cwd=ROOT)
        return done.stdout.splitlines()[0].strip() if done.stdout else "unknown"
    except OSError:
        return "unknown"


def describe_machine(fairlead):
    memory_kb = next(int(line.split()[1]) for line in open("/proc/meminfo", encoding="ascii") if "MemTotal" in line)
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8")
                  if line.startswith("model name")), platform.machine())
    return {"date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), "cores": os.cpu_count(), "cpu": model,
            "memory_gb": round(memory_kb / 1e6, 1), "kernel": platform.release(),
            "commit": first_line("git", "rev-parse", "--short", "HEAD"), "fairlead": first_line(fairlead, "--version"),
            "redis": first_line("redis-server", "--version"), "haproxy": first_line("haproxy", "-v")}


def markdown(machine, rows, rounds, threads):
    lines = ["# Side by side", "",
             f"{machine['date']}, {machine['cores']} cores ({machine['cpu']}), kernel {machine['kernel']}, "
             f"commit {machine['commit']}.", "",
             f"- {machine['fairlead']}, {threads} worker(s)", f"- {machine['haproxy']}, 1 thread, tcp mode",
             f"- {machine['redis']}", "",
             f"Medians of {rounds} interleaved rounds (lowest and highest in brackets); ratios are medians of the ratios within "
             "a round. CPU is user and system time per request. Load generator, proxy and server share the machine.", "",
             "| workload | through | requests/s | to direct | to HAProxy | p50 ms | p99 ms | proxy us | Redis us |",
             "|---|---|---|---|---|---|---|---|---|"]
    for row in rows:
        to_haproxy = f"{row['to_haproxy']:.2f}" if row["to_haproxy"] else "-"
        proxy_us = "-" if row["target"] == "direct" else f"{row['proxy_us']:.2f}"
        lines.append(f"| {row['workload']} | {row['target']} | {row['rps']:.0f} ({row['rps_min']:.0f}-{row['rps_max']:.0f}) | "
                     f"{row['to_direct']:.2f} | {to_haproxy} | {row['p50_ms']:.2f} | {row['p99_ms']:.2f} | {proxy_us} | "
                     f"{row['redis_us']:.2f} |")
    return "\n".join(lines) + "\n"


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fairlead", default=str(ROOT / "build" / "release" / "fairlead"), help="the program")
    parser.add_argument("--threads", type=int, default=1, help="workers of fairlead")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the number of requests")
    parser.add_argument("--workload", action="append", choices=sorted(WORKLOADS), help="repeatable; default: "
                        + ", ".join(DEFAULT_WORKLOADS))
    parser.add_argument("--out", default="", help="directory for results.json and results.md; default: only printed")
    return parser.parse_args()


def main():
    options = parse_arguments()
    fairlead = str(pathlib.Path(options.fairlead).resolve())
    if not os.access(fairlead, os.X_OK):
        raise SystemExit(f"{fairlead} is not there; build it: cmake --preset release && cmake --build build/release")
    directory = tempfile.mkdtemp(prefix="fairlead-bench-")
    processes = []
    try:
        server = RedisServer("redis", directory)
        processes.append(server.process)
        targets = start_targets(server, fairlead, options.threads, directory)
        processes += [target.process for target in targets if target.process]
        for target in targets:
            check_replies(server, target)
        server.call("DEL", "bench:check")
        results = run_rounds(server, targets, options.workload or DEFAULT_WORKLOADS, options.rounds, options.scale)
        for target in targets:
            check_replies(server, target)
    finally:
        for process in processes:
            process.stop()
        shutil.rmtree(directory, ignore_errors=True)
    machine, rows = describe_machine(fairlead), summarise(results)
    table = markdown(machine, rows, options.rounds, options.threads)
    if options.out:
        out = pathlib.Path(options.out)
        out.mkdir(parents=True, exist_ok=True)
        (out / "results.md").write_text(table, encoding="utf-8")
        (out / "results.json").write_text(json.dumps({"machine": machine, "rounds": options.rounds,
                                                      "threads": options.threads, "summary": rows, "raw": results},
                                                     indent=1) + "\n", encoding="utf-8")
    print(table)


if __name__ == "__main__":
    main()
