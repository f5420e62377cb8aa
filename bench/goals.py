"""The goals, and whether a run reached them. Ratios are taken within rounds; their median is what is judged."""

import statistics
from typing import NamedTuple

US = "fairlead"

# Workload, then (what, against whom, the bound, "least" or "most").
GOALS = {
    "c50-P1": [("rps", "haproxy", 1.75, "least"), ("rps", "twemproxy", 1.05, "least"),
               ("proxy_us", "haproxy", 0.58, "most"), ("proxy_us", "twemproxy", 0.82, "most"),
               ("redis_us", "direct", 0.45, "most")],
    "c500-P1": [("rps", "haproxy", 1.75, "least"), ("rps", "direct", 0.98, "least"),
                ("proxy_us", "haproxy", 0.58, "most"), ("redis_us", "direct", 0.35, "most")],
    "c50-P16": [("rps", "haproxy", 1.45, "least"), ("proxy_us", "haproxy", 0.78, "most"),
                ("redis_us", "direct", 0.95, "most")],
    "c10-P100": [("rps", "haproxy", 1.0, "least"), ("proxy_us", "haproxy", 1.3, "most")],
    "c20-64k": [("rps", "haproxy", 1.2, "least"), ("proxy_us", "haproxy", 0.70, "most")],
    "c20-512k": [("rps", "haproxy", 1.2, "least"), ("proxy_us", "haproxy", 0.70, "most"),
                 ("proxy_us", "relay", 1.05, "most")],
}
OPEN_LOOP_RATE = 20_000  # the goals of the open loop are stated for this one
OPEN_LOOP_GOALS = [("p50_us", "direct", 1.0, "most"), ("p99_us", "direct", 1.15, "most")]
HEAD_OF_LINE_GOALS = {"512-kib-values": [("p99_us", "haproxy", 1.0, "most"), ("p50_us", "haproxy", 0.6, "most")]}
NOUNS = {"rps": "throughput", "proxy_us": "CPU of the proxy", "redis_us": "CPU of Redis", "p50_us": "p50", "p99_us": "p99"}

# Cost for a request must not grow with the number of connections. With fewer of these nothing is judged.
GROWTH_BASE = "c50-P1 GET"
GROWTH_NEEDED = ("c2000-P1 GET", "c9000-P1 GET")
GROWTH_STEPS = ("c500-P1 GET", *GROWTH_NEEDED)
GROWTH_MOST = 1.10

# Redis shall know nothing of idle clients; what is below this are pages that it took meanwhile for something else.
IDLE_PROXY_KB_MOST, IDLE_REDIS_KB_MOST = 1.0, 0.05
IDLE_CONNECTIONS_LEAST = 1000  # with fewer, what the proxy allocates once would be counted as theirs


class Goal(NamedTuple):
    """One goal with what was seen."""

    workload: str
    goal: str
    median: float
    low: float
    high: float
    reached: bool


def ratios(ours, theirs, key):
    """Median and range of the ratios within each round; None where there is nothing to compare."""
    pairs = [(a[key], b[key]) for a, b in zip(ours, theirs) if a.get(key) is not None and b.get(key)]
    found = [a / b for a, b in pairs]
    return (statistics.median(found), min(found), max(found)) if found else None


def _judged(workload, what, whom, bound, kind, seen):
    sign = ">=" if kind == "least" else "<="
    reached = seen[0] >= bound if kind == "least" else seen[0] <= bound
    return Goal(workload, f"{NOUNS[what]} {sign} {bound} x {whom}", *seen, reached)


def judge_closed_loops(rows):
    """From the rows of report.summarise; what a goal compares with may not have run, and then it is left out."""
    return [_judged(row["workload"], what, whom, bound, kind, row[f"{what}_to_{whom}"])
            for row in rows if row["target"] == US
            for what, whom, bound, kind in GOALS.get(row["workload"].split()[0], [])
            if row.get(f"{what}_to_{whom}") is not None]


def judge_latencies(name, goals, by_target):
    """`by_target`: {target: [figures of each round]} of the open loop."""
    found = []
    for what, whom, bound, kind in goals:
        seen = ratios(by_target.get(US, []), by_target.get(whom, []), what)
        if seen is not None:
            found.append(_judged(name, what, whom, bound, kind, seen))
    return found


def judge_head_of_line(results):
    """`results`: {disturber: {target: [figures of each round]}}"""
    return [goal for kind, goals in HEAD_OF_LINE_GOALS.items()
            for goal in judge_latencies(kind, goals, results.get(kind, {}))]


def judge_idle_memory(memory, connections):
    if US not in memory or connections < IDLE_CONNECTIONS_LEAST:
        return []
    found = []
    for key, noun, bound in (("proxy_bytes", "memory of the proxy", IDLE_PROXY_KB_MOST),
                             ("redis_bytes", "memory of Redis", IDLE_REDIS_KB_MOST)):
        seen = memory[US][key] / 1024
        found.append(Goal(f"{connections} idle", f"{noun} <= {bound} KB each", seen, seen, seen, seen <= bound))
    return found


def measures_growth(names):
    """Whether a run of these workloads tells how cost grows with the number of connections."""
    return all(name in names for name in (GROWTH_BASE, *GROWTH_NEEDED))


def connection_growth(results):
    """{target: {workload: CPU of the proxy per request, relative to that of 50 connections}}, from {workload: {target:
    [figures of each round]}}; empty unless few and many connections were measured. What it costs to make and to end the
    connections is not in it."""
    if not measures_growth(results):
        return {}
    growth = {}
    for target, base in results[GROWTH_BASE].items():
        steps = {name: ratios(results[name].get(target, []), base, "steady_us") for name in GROWTH_STEPS if name in results}
        if all(steps.values()):
            growth[target] = steps
    return growth


def judge_growth(growth):
    """Less than at 50 connections is no failure."""
    return [Goal(name, f"CPU of the proxy <= {GROWTH_MOST} x that of 50 connections", *seen, seen[0] <= GROWTH_MOST)
            for name, seen in growth.get(US, {}).items()]


def judge(rows, growth, latencies, rate, memory, idle):
    """Every goal that this run can tell something about."""
    open_loop = judge_latencies(f"{rate}/s open loop", OPEN_LOOP_GOALS, latencies) if rate == OPEN_LOOP_RATE else []
    return judge_closed_loops(rows) + judge_growth(growth) + open_loop + judge_idle_memory(memory, idle)
