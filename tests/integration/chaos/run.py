"""Runs scenarios and prints a table: `python3 -m chaos.run --rounds 3 --seed 7 --only kill9` in tests/integration.

Each run prints its seed first; `--seed N --rounds 1 --only NAME` does the same faults at the same times again. The machine
schedules processes as it likes, so a rerun resembles the run and does not equal it.
"""

import argparse
import dataclasses
import random
import shutil
import statistics
import sys
import tempfile
import time

from chaos import checker, network, scenarios, workloads
from chaos.cluster import Cluster
from chaos.observer import Observer
from harness import wait_until

HEADINGS = ("scenario", "seed", "outage s", "pause s", "role to write ms", "kept", "uncertain", "other errors",
            "acknowledged", "lost", "strays", "verdict")


class Outcome:
    """One run: the verdict and the times."""

    def __init__(self, scenario, seed, stage, verdict):
        self.scenario = scenario
        self.seed = seed
        self.verdict = verdict
        fault = stage.faults[0]
        answers = sorted(when for client in stage.load.busy() for _, when in client.acknowledged)
        self.outage = _longest_gap(answers, fault)
        self.pauses = sorted(_longest_gap([when for _, when in client.acknowledged], fault)
                             for client in stage.load.busy() if client.acknowledged)
        promoted = stage.observer.promoted_after(fault)
        first = next((when for when in answers if promoted and when > promoted), None)
        self.role_to_write = first - promoted if first else None
        self.flowed = bool(stage.mended) and any(fault + 0.5 < when < stage.mended for when in answers)

    def row(self):
        v = self.verdict
        lost = str(len(v.lost))
        if v.lost:  # how long before the fault the oldest of them was acknowledged
            lost += f" (-{v.lost_age_max * 1000:.0f} ms)" if v.lost_age_max > 0 else " (after the fault)"
        return (self.scenario.name, str(self.seed), f"{self.outage:.2f}", f"{self.pauses[-1]:.2f}",
                f"{self.role_to_write * 1000:.0f}" if self.role_to_write is not None else "-",
                f"{v.kept}/{v.connections}", str(v.uncertain), str(sum(v.errors.values())), str(v.acknowledged), lost,
                str(v.stray_writes), "FAIL" if v.violations else "ok")


def _longest_gap(times, since):
    """Between two answers, the second of which came after `since`."""
    return max((later - sooner for sooner, later in zip(times, times[1:]) if later > since), default=0.0)


def run(scenario, seed, directory, counts):
    """One scenario in a cluster of its own. Prints the logs when anything is wrong with it."""
    with Cluster(directory, scenario.setup) as cluster:
        try:
            outcome = _play(scenario, seed, cluster, counts)
        except BaseException:
            print(*cluster.logs(), sep="\n", file=sys.stderr)
            raise
        if outcome.verdict.violations:
            print(*cluster.logs(), sep="\n", file=sys.stderr)
        return outcome


def _play(scenario, seed, cluster, counts):
    rng = random.Random(seed)
    observer = Observer(cluster.servers)
    load = workloads.Load(cluster.proxy.endpoint, seed, counts)
    observer.start()
    try:
        load.start()
        stage = scenarios.Stage(cluster, observer, load, rng)
        scenario.inject(stage)
        stage.mended = time.monotonic()
        scenario.mend(stage)
        wait_until(cluster.in_order, 60, "one master, and replicas in sync with it")
        load.wait_for_writes()
        load.last_orders()
    finally:
        load.finish()
        observer.finish()
    master = cluster.master()
    expectation = dataclasses.replace(scenario.expect, consumers=len(load.of(workloads.Popper)))
    verdict = checker.judge(load, master, observer, stage.faults, expectation)
    outcome = Outcome(scenario, seed, stage, verdict)
    if expectation.failover == "yes" and not observer.promotions:
        verdict.blame("no other server became master")
    if expectation.failover == "no" and observer.promotions:
        verdict.blame("another server became master, which this fault should not cause")
    if expectation.flows == "yes" and not outcome.flowed:
        verdict.blame("nothing was answered while the fault lasted")
    if expectation.flows == "no" and outcome.flowed and not observer.promotions:
        verdict.blame("writes were acknowledged while the fault lasted")
    return outcome


def table(outcomes):
    """Markdown, with the columns aligned for a terminal."""
    rows = [HEADINGS, *[outcome.row() for outcome in outcomes]]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def summary(outcomes):
    """What was seen of each scenario over all rounds."""
    lines = []
    for name in dict.fromkeys(outcome.scenario.name for outcome in outcomes):
        own = [outcome for outcome in outcomes if outcome.scenario.name == name]
        resumed = [outcome.role_to_write * 1000 for outcome in own if outcome.role_to_write is not None]
        lines.append(f"{name}: {len(own)} runs, outage p50 {statistics.median(o.outage for o in own):.2f} s, "
                     f"max {max(o.outage for o in own):.2f} s" +
                     (f"; role to write p50 {statistics.median(resumed):.0f} ms, max {max(resumed):.0f} ms"
                      if resumed else "") +
                     f"; {sum(len(o.verdict.lost) for o in own)} lost, "
                     f"{sum(o.verdict.connections - o.verdict.kept for o in own)} disconnects, "
                     f"{sum(bool(o.verdict.violations) for o in own)} failed")
    return "\n".join(lines)


def parse_arguments():
    parser = argparse.ArgumentParser(prog="chaos.run", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=1, help="how often each scenario is run")
    parser.add_argument("--seed", type=int, default=None, help="of the first round; the next ones count up")
    parser.add_argument("--only", action="append", choices=[s.name for s in scenarios.SCENARIOS], help="repeatable")
    parser.add_argument("--keep-logs", action="store_true", help="leave the logs of all processes where they are")
    parser.add_argument("--small", action="store_true", help="140 clients instead of 1100")
    return parser.parse_args()


def run_all(options, chosen, directory):
    outcomes, failures = [], []
    first = options.seed if options.seed is not None else random.SystemRandom().randrange(1, 1_000_000)
    for number in range(options.rounds):
        for scenario in chosen:
            seed = first + number
            print(f"{time.strftime('%H:%M:%S')} {scenario.name} seed {seed}", flush=True)
            try:
                outcome = run(scenario, seed, directory, workloads.SMALL if options.small else workloads.FULL)
            except AssertionError as error:
                failures.append(f"{scenario.name} seed {seed}: {error}")
                print(f"  {error}", flush=True)
                continue
            outcomes.append(outcome)
            found = outcome.verdict.violations
            print("  " + " | ".join(f"{h} {c}" for h, c in zip(HEADINGS[2:], outcome.row()[2:])), flush=True)
            print("".join(f"  {sentence}\n" for sentence in found[:20]), end="", flush=True)
            failures += [f"{scenario.name} seed {seed}: {sentence}" for sentence in found[:5]]
    return outcomes, failures


def main():
    options = parse_arguments()
    sys.setswitchinterval(0.0005)  # the clients' thread must not wait for the observer's
    chosen = [scenarios.by_name(name) for name in options.only] if options.only else scenarios.SCENARIOS
    for scenario in [s for s in chosen if scenarios.lacks_option(s)]:
        print(f"left out: {scenario.name}; this fairlead has no {scenario.needs_option}")
        chosen = [s for s in chosen if s is not scenario]
    directory = tempfile.mkdtemp(prefix="fairlead-chaos-")
    try:
        network.enter(directory)
        outcomes, failures = run_all(options, chosen, directory)
    except network.NotPermitted as error:
        print(f"chaos: SKIPPED, network namespaces are not permitted here: {error}", file=sys.stderr)
        return 77
    finally:
        if options.keep_logs:
            print(f"the logs are in {directory}", file=sys.stderr)
        else:
            shutil.rmtree(directory, ignore_errors=True)
    if outcomes:
        print("", table(outcomes), "", summary(outcomes), sep="\n")
    print("", f"{len(outcomes)} runs, {len(failures)} findings", *failures, sep="\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
