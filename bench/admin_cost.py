#!/usr/bin/env python3
"""What it costs that somebody looks: throughput and CPU with 1000 clients, without and with the page and Prometheus.

    bench/admin_cost.py [--fairlead PROGRAM] [--clients 1000] [--pairs 60] [--window 2.5] [--out DIRECTORY]

One load runs from the beginning to the end, and is cut into windows. In every other one, in the order of a pair that is
drawn, a process of its own fetches what an open page fetches (/api/v1/status, with the samples of the charts that it does
not have) and what Prometheus fetches (/metrics), each once a second on connections that it keeps. The server's own count
tells the commands of a window. Noise of the machine is slower than a pair, and what is left of it shrinks with the number
of pairs: the ratio is told with the interval that holds it with 95 % (bootstrap over the pairs). The CPU time of the
control thread, which alone answers, is counted apart: it is what the looking costs.
"""

import argparse
import http.client
import json
import math
import multiprocessing
import pathlib
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time

from machine import Noise, describe
from measure import check_replies, cpu_seconds
from targets import ROOT, RedisServer, Target

from harness import Process, free_port  # noqa: E402  (targets has put its directory on the path)

INTERVAL = 1.0
SETTLE = 0.2  # of the load after a window's beginning, and of what was asked for in the one before
RESAMPLES = 4000
SILENT, WATCHED = "nobody looks", "page and scrape each second"


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fairlead", default=str(ROOT / "build" / "release" / "fairlead"))
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--pipeline", type=int, default=1)
    parser.add_argument("--window", type=float, default=2.5, help="seconds of each measurement")
    parser.add_argument("--pairs", type=int, default=60, help="of one window without and one with")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", help="directory for admin_cost.json and admin_cost.md")
    options = parser.parse_args()
    options.fairlead = str(pathlib.Path(options.fairlead).resolve())
    return options


def start(server, options, directory):
    port, stats = free_port(), free_port()
    argv = [options.fairlead, "run", "--listen", f"127.0.0.1:{port}", "--stats", f"127.0.0.1:{stats}", "--threads",
            options.threads, "--server", server.address]
    return Target("fairlead", port, Process("fairlead", argv, directory)).wait_listening(), stats


def control_seconds(process):
    """CPU time of the main thread, where everything happens that is told to people; None where it is not counted."""
    try:
        text = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/schedstat").read_text(encoding="ascii")
        return int(text.split()[0]) / 1e9
    except OSError:
        return None


def watch(port, told, on):
    """Until it is ended: while `on` is set, one look each second on kept connections. Tells how many and how large."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    after = 0
    while True:
        on.wait()
        began = time.monotonic()
        sizes = []
        for path in (f"/api/v1/status?after={after}", "/metrics"):
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
            if response.status != 200:
                raise SystemExit(f"{path}: {response.status}")
            sizes.append(len(body))
            found = re.match(rb'\{"now_ms":(\d+)', body)
            after = int(found.group(1)) - 1500 if found else after
        told[:] = [told[0] + 1, *sizes]
        time.sleep(max(0.0, began + INTERVAL - time.monotonic()))


class Watcher:
    """The one who looks, in a process of its own, so that the load is not made slower by Python's lock."""

    def __init__(self, port):
        self.told = multiprocessing.Array("q", [0, 0, 0])  # looks, bytes of the page's, bytes of the scrape
        self.on = multiprocessing.Event()
        self.process = multiprocessing.Process(target=watch, args=(port, self.told, self.on), daemon=True)
        self.process.start()

    def end(self):
        self.process.terminate()
        self.process.join(10)


class Load:
    """redis-benchmark with more requests than it can send, until it is ended."""

    def __init__(self, target, options):
        command = ["redis-benchmark", "-p", str(target.port), "-t", "get", "-n", "2000000000", "-q",
                   "-c", str(options.clients), "-P", str(options.pipeline), "-d", "64", "-r", "10000"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def check(self):
        if self.process.poll() is not None:
            raise SystemExit("redis-benchmark ended")

    def end(self):
        self.process.terminate()
        self.process.wait(20)


def measure(server, target, seconds):
    """One window: commands a second that the server counted, and CPU of the proxy."""
    time.sleep(SETTLE)
    began, calls = time.monotonic(), server.calls_of("get")
    control, total = control_seconds(target.process), cpu_seconds(target.process)
    time.sleep(seconds)
    calls, took = server.calls_of("get") - calls, time.monotonic() - began
    figures = {"rps": calls / took, "proxy_us": (cpu_seconds(target.process) - total) / calls * 1e6}
    if control is not None:
        figures["control_ms_per_s"] = (control_seconds(target.process) - control) / took * 1000
    return figures


def measure_pairs(server, target, watcher, load, options, noise):
    pairs, order = [], random.Random(1)
    for number in range(options.pairs):
        pair = {}
        for kind in order.sample((SILENT, WATCHED), 2):
            looks = watcher.told[0]
            watcher.on.set() if kind == WATCHED else watcher.on.clear()
            pair[kind] = measure(server, target, options.window)
            pair[kind]["looks"] = watcher.told[0] - looks
            load.check()
        if pair[WATCHED]["looks"] == 0:
            raise SystemExit("nobody could look")
        pairs.append(pair)
        if number % 10 == 9:
            noise.sample()
            print(f"pair {number + 1} of {options.pairs}: ratio {geometric_mean(ratios_of(pairs, 'rps')):.4f}", flush=True)
    return pairs


def run(options):
    with tempfile.TemporaryDirectory(prefix="fairlead-admin-") as directory:
        server = RedisServer("redis", directory)
        target = load = watcher = None
        try:
            target, stats_port = start(server, options, directory)
            check_replies(server, target)
            noise, watcher, load = Noise(), Watcher(stats_port), Load(target, options)
            deadline = time.monotonic() + 30
            while server.calls_of("get") < 20 * options.clients:
                load.check()
                if time.monotonic() > deadline:
                    raise SystemExit("the load does not begin")
                time.sleep(0.05)
            pairs = measure_pairs(server, target, watcher, load, options, noise)
            return {"machine": describe(options.fairlead), "noise": noise.summary(),
                    "workload": f"c{options.clients}-P{options.pipeline}", "window_s": options.window, "rounds": pairs,
                    "page_bytes": watcher.told[1], "scrape_bytes": watcher.told[2]}
        finally:
            for running in (load, watcher):
                if running:
                    running.end()
            if target:
                target.process.stop()
            server.process.stop()


def ratios_of(rounds, figure):
    return [entry[WATCHED][figure] / entry[SILENT][figure] for entry in rounds if entry[SILENT][figure]]


def geometric_mean(ratios):
    return math.exp(statistics.fmean(math.log(ratio) for ratio in ratios))


def interval(ratios, draw=None):
    """The 95 % in the middle of the geometric means of samples drawn again from the ratios (percentile bootstrap,
    B. Efron, 1979)."""
    draw = draw or random.Random(2)
    means = sorted(geometric_mean(draw.choices(ratios, k=len(ratios))) for _ in range(RESAMPLES))
    return means[int(RESAMPLES * 0.025)], means[int(RESAMPLES * 0.975)]


def summarise(rounds):
    """Medians of each kind, and the geometric mean of the ratios within the pairs with its interval of 95 %."""
    summary = {}
    for figure in ("rps", "proxy_us", "control_ms_per_s"):
        if not all(figure in entry[kind] for entry in rounds for kind in (SILENT, WATCHED)):
            continue
        ratios = ratios_of(rounds, figure)
        summary[figure] = {"silent": statistics.median(entry[SILENT][figure] for entry in rounds),
                           "watched": statistics.median(entry[WATCHED][figure] for entry in rounds),
                           "ratio": (geometric_mean(ratios), *interval(ratios)) if ratios else None}
    return summary


def table(results):
    names = {"rps": "requests a second", "proxy_us": "CPU of the proxy for a request, us",
             "control_ms_per_s": "CPU of its control thread, ms in a second"}
    lines = [f"{results['workload']}, GET, {len(results['rounds'])} pairs of windows of {results['window_s']} s; looked at "
             f"{sum(entry[WATCHED]['looks'] for entry in results['rounds'])} times, {results['page_bytes'] / 1024:.0f} KB for "
             f"the page and {results['scrape_bytes'] / 1024:.0f} KB for the scrape", "",
             f"| | {SILENT} | {WATCHED} | ratio (95 % of it) |", "|---|---|---|---|"]
    for figure, row in summarise(results["rounds"]).items():
        ratio = "{:.4f} ({:.4f} to {:.4f})".format(*row["ratio"]) if row["ratio"] else "-"
        lines.append(f"| {names[figure]} | {row['silent']:.4g} | {row['watched']:.4g} | {ratio} |")
    return lines


def machine_lines(machine, noise):
    return [f"{machine['date']}, {machine['cores']} cores ({machine['cpu']}), commit {machine['commit']}, {machine['fairlead']}, "
            f"{machine['redis']}; load {noise['load_before']} before the run, the same piece of work took up to "
            f"{noise['same_work_max_to_median']} x its median. Load generator, proxy, server and who looks share the machine."]


def main():
    options = parse_arguments()
    results = run(options)
    text = "\n".join(table(results) + [""] + machine_lines(results["machine"], results["noise"]))
    print("\n" + text)
    if options.out:
        out = pathlib.Path(options.out)
        out.mkdir(parents=True, exist_ok=True)
        (out / "admin_cost.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        (out / "admin_cost.md").write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
