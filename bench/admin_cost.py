#!/usr/bin/env python3
"""What it costs that somebody looks: throughput and CPU with 1000 clients, without and with the page and Prometheus.

    bench/admin_cost.py [--fairlead PROGRAM] [--clients 1000] [--rounds 6] [--requests 300000] [--out DIRECTORY]

Rounds alternate within one run: in every other one a process of its own fetches what an open page fetches
(/api/v1/status, with the samples of the charts that it does not have) and what Prometheus fetches (/metrics), each once a
second on a connection that it keeps. Ratios are taken between neighbours. The CPU time of the control thread, which alone
answers, is counted apart: it does not move with the noise of the machine, and it is what the looking costs.
"""

import argparse
import http.client
import json
import multiprocessing
import pathlib
import re
import statistics
import sys
import tempfile
import time

from machine import Noise, describe
from measure import check_replies, closed_loop, cpu_seconds
from targets import ROOT, RedisServer, Target
from workloads import Workload

from harness import Process, free_port  # noqa: E402  (targets has put its directory on the path)

INTERVAL = 1.0
SILENT, WATCHED = "nobody looks", "page and scrape each second"


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fairlead", default=str(ROOT / "build" / "release" / "fairlead"))
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--pipeline", type=int, default=1)
    parser.add_argument("--requests", type=int, default=300_000, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=6, help="pairs of one measurement without and one with")
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


def watch(port, told):
    """Until it is ended: one look after the other, each on its kept connection. Tells how many and how large they were."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    looks, after = 0, 0
    sizes = {}
    while True:
        began = time.monotonic()
        for name, path in (("page", f"/api/v1/status?after={after}"), ("scrape", "/metrics")):
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
            if response.status != 200:
                raise SystemExit(f"{path}: {response.status}")
            sizes[name] = len(body)
            found = re.match(rb'\{"now_ms":(\d+)', body)
            after = int(found.group(1)) - 1500 if found else after
        looks += 1
        told.value = looks
        told.page, told.scrape = sizes["page"], sizes["scrape"]
        time.sleep(max(0.0, began + INTERVAL - time.monotonic()))


class Watcher:
    """The one who looks, in a process of its own, so that the load is not made slower by Python's lock."""

    def __init__(self, port):
        self.manager = multiprocessing.Manager()
        self.told = self.manager.Namespace(value=0, page=0, scrape=0)
        self.process = multiprocessing.Process(target=watch, args=(port, self.told), daemon=True)
        self.process.start()
        deadline = time.monotonic() + 20
        while self.told.value == 0:
            if time.monotonic() > deadline or not self.process.is_alive():
                raise SystemExit("nobody could look")
            time.sleep(0.01)

    def end(self):
        figures = {"looks": self.told.value, "page_bytes": self.told.page, "scrape_bytes": self.told.scrape}
        self.process.terminate()
        self.process.join(10)
        self.manager.shutdown()
        return figures


def measure(server, target, stats_port, workload, options, kind):
    watcher = Watcher(stats_port) if kind == WATCHED else None
    try:
        began, control, total = time.monotonic(), control_seconds(target.process), cpu_seconds(target.process)
        figures = closed_loop(server, target, workload, "GET", options.requests)
        took = time.monotonic() - began
        figures["seconds"] = took
        figures["proxy_ms_per_s"] = (cpu_seconds(target.process) - total) / took * 1000
        if control is not None:
            figures["control_ms_per_s"] = (control_seconds(target.process) - control) / took * 1000
    finally:
        looked = watcher.end() if watcher else {}
    figures.update(looked)
    return figures


def run(options):
    with tempfile.TemporaryDirectory(prefix="fairlead-admin-") as directory:
        server = RedisServer("redis", directory)
        target = None
        try:
            target, stats_port = start(server, options, directory)
            check_replies(server, target)
            workload = Workload(f"c{options.clients}-P{options.pipeline}", options.clients, options.pipeline, 64,
                                options.requests, ())
            rounds, noise = [], Noise()
            for number in range(options.rounds):
                order = (SILENT, WATCHED) if number % 2 == 0 else (WATCHED, SILENT)
                rounds.append({kind: measure(server, target, stats_port, workload, options, kind) for kind in order})
                noise.sample()
                print(f"round {number + 1} of {options.rounds}: " +
                      ", ".join(f"{kind} {rounds[-1][kind]['rps']:.0f}/s" for kind in (SILENT, WATCHED)), flush=True)
            return {"machine": describe(options.fairlead), "noise": noise.summary(), "workload": workload.name, "rounds": rounds}
        finally:
            if target:
                target.process.stop()
            server.process.stop()


def summarise(rounds):
    """Medians of each kind, and the median, lowest and highest of the ratios within the rounds."""
    summary = {}
    for figure in ("rps", "proxy_us", "p50_ms", "p99_ms", "proxy_ms_per_s", "control_ms_per_s"):
        if not all(figure in entry[kind] for entry in rounds for kind in (SILENT, WATCHED)):
            continue
        ratios = [entry[WATCHED][figure] / entry[SILENT][figure] for entry in rounds if entry[SILENT][figure]]
        summary[figure] = {"silent": statistics.median(entry[SILENT][figure] for entry in rounds),
                           "watched": statistics.median(entry[WATCHED][figure] for entry in rounds),
                           "ratio": (statistics.median(ratios), min(ratios), max(ratios)) if ratios else None}
    return summary


def table(results):
    names = {"rps": "requests a second", "proxy_us": "CPU of the proxy for a request, us", "p50_ms": "latency p50, ms",
             "p99_ms": "latency p99, ms", "proxy_ms_per_s": "CPU of the proxy, ms in a second",
             "control_ms_per_s": "CPU of its control thread, ms in a second"}
    looked = [entry[WATCHED] for entry in results["rounds"]]
    lines = [f"{results['workload']}, GET, {len(results['rounds'])} rounds; looked at "
             f"{sum(entry['looks'] for entry in looked)} times, {looked[-1]['page_bytes'] / 1024:.0f} KB for the page and "
             f"{looked[-1]['scrape_bytes'] / 1024:.0f} KB for the scrape", "",
             f"| | {SILENT} | {WATCHED} | ratio (lowest to highest) |", "|---|---|---|---|"]
    for figure, row in summarise(results["rounds"]).items():
        ratio = "{:.3f} ({:.3f} to {:.3f})".format(*row["ratio"]) if row["ratio"] else "-"
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
