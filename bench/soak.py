#!/usr/bin/env python3
"""Whether memory grows under full load: one redis-server, one fairlead, and clients of all kinds for some minutes.

    bench/soak.py [--fairlead PROGRAM] [--minutes 10] [--threads 2] [--limit 64] [--out build/bench]

The resident memory of fairlead is sampled each second. What is left after the warm-up (a minute, or a fifth of a shorter
run) gets a straight line. Exits with 1 when its slope is above the limit with 95 % confidence, or when any client saw an
error. In a run of few minutes buffers still grow to the size that they keep, and it may fail for that.
"""

import argparse
import json
import pathlib
import sys
import tempfile
import threading
import time

from machine import Noise, describe
from measure import check_replies, resident_bytes
from plot import trend_chart
from soak_clients import Tally, prepare, start
from targets import ROOT, RedisServer, start_fairlead
from trend import fit

INTERVAL = 1.0
WARM_UP_SECONDS, WARM_UP_SHARE = 60.0, 0.2
MINUTES_LEAST, MINUTES_MOST = 0.5, 24 * 60
END_TIMEOUT = 60


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fairlead", default=str(ROOT / "build" / "release" / "fairlead"), help="a release build")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--threads", type=int, default=2, help="workers of fairlead")
    parser.add_argument("--limit", type=float, default=64, help="KiB per minute that memory may grow")
    parser.add_argument("--out", default=str(ROOT / "build" / "bench"), help="directory for soak.json and soak.svg")
    options = parser.parse_args()
    if not MINUTES_LEAST <= options.minutes <= MINUTES_MOST:
        parser.error(f"--minutes must be from {MINUTES_LEAST} to {MINUTES_MOST}")
    options.fairlead = str(pathlib.Path(options.fairlead).resolve())
    if not pathlib.Path(options.fairlead).is_file():
        parser.error(f"{options.fairlead} is not there: build it, or name it with --fairlead")
    return options


def warm_up_of(seconds):
    return min(WARM_UP_SECONDS, WARM_UP_SHARE * seconds)


def take_samples(target, seconds, tally):
    """Pairs of seconds since the beginning and KiB, one each second."""
    samples, began = [], time.monotonic()
    while (now := time.monotonic() - began) < seconds:
        if not target.process.running():
            raise SystemExit(f"fairlead ended:\n{target.process.log()[-2000:]}")
        samples.append((round(now, 3), resident_bytes(target.process) // 1024))
        if len(samples) % 30 == 0:
            print(f"{now:.0f} of {seconds:.0f} s  {samples[-1][1]} KiB  {tally.errors} errors", file=sys.stderr)
        time.sleep(max(0.0, began + len(samples) * INTERVAL - time.monotonic()))
    return samples


def run(options):
    tally, stop, noise = Tally(), threading.Event(), Noise()
    with tempfile.TemporaryDirectory(prefix="fairlead-soak-") as directory:
        server = RedisServer("redis", directory, ["maxclients 19000"])
        target = start_fairlead(server, options.fairlead, options.threads, directory).wait_listening()
        check_replies(server, target)
        prepare(server)
        before, began = int(server.info("stats")["total_commands_processed"]), time.monotonic()
        threads = start(target.port, stop, tally, directory)
        try:
            samples = take_samples(target, options.minutes * 60, tally)
            commands = int(server.info("stats")["total_commands_processed"]) - before
            took = time.monotonic() - began
        finally:
            stop.set()
            deadline = time.monotonic() + END_TIMEOUT
            for thread in threads:
                thread.join(max(0.0, deadline - time.monotonic()))
        hanging = sum(thread.is_alive() for thread in threads)
        if hanging:
            tally.failed("the end", TimeoutError(f"{hanging} clients did not come to an end in {END_TIMEOUT} s"))
        check_replies(server, target)
        noise.sample()
    return {"machine": describe(options.fairlead), "noise": noise.summary(), "minutes": options.minutes,
            "threads": options.threads, "samples": samples, "commands": commands, "seconds": took, "rounds": tally.rounds,
            "errors": tally.errors, "messages": tally.messages}


def judge(samples, errors, limit, minutes):
    """The line through what follows the warm-up, and why the soak failed: an empty list when it did not."""
    warm_up = warm_up_of(minutes * 60)
    trend = fit([(seconds / 60, kib) for seconds, kib in samples if seconds >= warm_up])
    why = []
    if trend.low > limit:
        why.append(f"memory grows by more than {limit:g} KiB/min")
    if errors:
        why.append(f"clients saw {errors} errors")
    return trend, why


def verdict(trend, why, limit):
    if why:
        return "failed: " + "; ".join(why)
    if trend.high > limit:
        return f"passed, but growth of more than {limit:g} KiB/min is not ruled out: let it run longer"
    return "passed"


def summary(results, trend, why, limit):
    machine, samples = results["machine"], results["samples"]
    settled = next(kib for seconds, kib in samples if seconds >= warm_up_of(results["minutes"] * 60))
    return [f"{machine['date']}, {machine['cores']} cores ({machine['cpu']}), commit {machine['commit']}, "
            f"{machine['fairlead']}, {results['threads']} worker(s), {machine['redis']}; load "
            f"{results['noise']['load_before']} before the run. All clients share the machine with both.", "",
            f"memory    {samples[0][1]} KiB at the beginning, {settled} after the warm-up, {samples[-1][1]} at the end, "
            f"{max(kib for _, kib in samples)} at most",
            f"slope     {trend.slope:.1f} KiB/min (95 %: {trend.low:.1f} to {trend.high:.1f}; limit {limit:g})",
            f"commands  {results['commands']} in {results['seconds']:.0f} s: {results['commands'] / results['seconds']:.0f}/s",
            *(f"          {name}: {number}" for name, number in sorted(results["rounds"].items())),
            f"errors    {results['errors']}", *(f"          {message}" for message in results["messages"]),
            "", verdict(trend, why, limit)]


def main():
    options = parse_arguments()
    results = run(options)
    trend, why = judge(results["samples"], results["errors"], options.limit, options.minutes)
    print("\n".join(summary(results, trend, why, options.limit)))
    out = pathlib.Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    data = {**results, "slope_kib_per_min": trend._asdict(), "limit_kib_per_min": options.limit, "failed": why}
    (out / "soak.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    warm_up = warm_up_of(options.minutes * 60) / 60
    chart = trend_chart("Resident memory of fairlead under load", [(seconds / 60, kib) for seconds, kib in results["samples"]],
                        trend, warm_up)
    (out / "soak.svg").write_text(chart, encoding="utf-8")
    print(f"written to {out}", file=sys.stderr)
    return 1 if why else 0


if __name__ == "__main__":
    sys.exit(main())
