"""From measurements to medians, ranges and ratios, and to Markdown."""

import statistics

TARGETS = ("direct", "haproxy", "twemproxy", "fairlead", "baseline")


def ratios(ours, theirs, key):
    """Median and range of the ratios within each round; None where there is nothing to compare."""
    pairs = [(a[key], b[key]) for a, b in zip(ours, theirs) if a.get(key) is not None and b.get(key)]
    found = [a / b for a, b in pairs]
    return (statistics.median(found), min(found), max(found)) if found else None


def summarise(results):
    """One row for each workload and target, from {workload: {target: [figures of each round]}}."""
    rows = []
    for name, by_target in results.items():
        for target, rounds in by_target.items():
            rps = [figures["rps"] for figures in rounds]
            row = {"workload": name, "target": target, "rounds": len(rounds), "rps": statistics.median(rps),
                   "rps_min": min(rps), "rps_max": max(rps)}
            for other in TARGETS:
                if other in by_target and other != target:
                    row[f"rps_to_{other}"] = ratios(rounds, by_target[other], "rps")
                    row[f"proxy_us_to_{other}"] = ratios(rounds, by_target[other], "proxy_us")
                    row[f"redis_us_to_{other}"] = ratios(rounds, by_target[other], "redis_us")
            for key in ("p50_ms", "p99_ms", "proxy_us", "redis_us"):
                row[key] = statistics.median(figures[key] for figures in rounds)
            rows.append(row)
    return rows


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
    "c20-512k": [("rps", "haproxy", 1.2, "least"), ("proxy_us", "haproxy", 0.70, "most")],
}
NOUNS = {"rps": "throughput", "proxy_us": "CPU of the proxy", "redis_us": "CPU of Redis"}


def judge_goals(rows):
    """Each goal with what was seen: lines (workload, text of the goal, median, least, largest, reached)."""
    found = []
    for row in rows:
        if row["target"] != "fairlead":
            continue
        for what, whom, bound, kind in GOALS.get(row["workload"].split()[0], []):
            seen = row.get(f"{what}_to_{whom}")
            if seen is None:
                continue
            reached = seen[0] >= bound if kind == "least" else seen[0] <= bound
            sign = ">=" if kind == "least" else "<="
            found.append((row["workload"], f"{NOUNS[what]} {sign} {bound} x {whom}", *seen, reached))
    return found


def cell(ratio):
    return "-" if ratio is None else f"{ratio[0]:.2f} ({ratio[1]:.2f}-{ratio[2]:.2f})"


def machine_lines(machine, noise, threads, persistence, rounds):
    return [f"{machine['date']}, {machine['cores']} cores ({machine['cpu']}), {machine['memory_gb']} GB, kernel "
            f"{machine['kernel']}, commit {machine['commit']}.", "",
            f"- {machine['fairlead']}, {threads} worker(s)", f"- {machine['haproxy']}, {threads} thread(s), tcp mode",
            f"- {machine['twemproxy']}", f"- {machine['redis']}, persistence {persistence}",
            f"- noise: load {noise['load_before']} before the run, {noise['stolen_share']:.1%} of the time stolen, the same "
            f"piece of work took up to {noise['same_work_max_to_median']} x its median", "",
            f"Medians of {rounds} interleaved rounds, lowest and highest in brackets; ratios are taken within each round. CPU "
            "is user and system time per request. Load generator, proxy and server share the machine."]


def markdown(machine, noise, rows, options, extra):
    lines = ["# Side by side", "", *machine_lines(machine, noise, options.threads, options.persistence, options.rounds), "",
             "| workload | through | requests/s | to direct | to HAProxy | p50 ms | p99 ms | proxy us | Redis us |",
             "|---|---|---|---|---|---|---|---|---|"]
    for row in rows:
        proxy_us = "-" if row["target"] == "direct" else f"{row['proxy_us']:.2f}"
        lines.append(f"| {row['workload']} | {row['target']} | {row['rps']:.0f} ({row['rps_min']:.0f}-{row['rps_max']:.0f}) | "
                     f"{cell(row.get('rps_to_direct'))} | {cell(row.get('rps_to_haproxy'))} | {row['p50_ms']:.2f} | "
                     f"{row['p99_ms']:.2f} | {proxy_us} | {row['redis_us']:.2f} |")
    goals = judge_goals(rows)
    if goals:
        lines += ["", "## Goals", "", "| workload | goal | seen | reached |", "|---|---|---|---|"]
        lines += [f"| {name} | {goal} | {cell((median, low, high))} | {'yes' if reached else '**no**'} |"
                  for name, goal, median, low, high, reached in goals]
    return "\n".join(lines + extra) + "\n"


def open_loop_lines(results, rate, connections):
    """Markdown of {target: [figures of each round]}."""
    keys = ("p50_us", "p99_us", "p99.9_us", "p99.99_us")
    lines = ["", f"## {rate}/s over {connections} connections, open loop", "",
             "Latency from the time at which a command was meant to leave; `lag` is how late the generator itself was.", "",
             "| through | p50 ms | p99 ms | p99.9 ms | p99.99 ms | unanswered | lag p99 ms |", "|---|---|---|---|---|---|---|"]
    for target, rounds in results.items():
        cells = []
        for key in keys:
            values = [figures[key] / 1e3 for figures in rounds]
            cells.append(f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})")
        lag = statistics.median(figures["send_lag_p99_us"] for figures in rounds) / 1e3
        lines.append(f"| {target} | {' | '.join(cells)} | {sum(figures['unanswered'] for figures in rounds)} | {lag:.2f} |")
    return lines


def memory_lines(memory, connections):
    lines = ["", f"## Memory of {connections} idle connections", "", "| through | proxy, bytes each | Redis, bytes each |",
             "|---|---|---|"]
    for target, figures in memory.items():
        proxy = "-" if figures["proxy_bytes"] is None else f"{figures['proxy_bytes']:.0f}"
        lines.append(f"| {target} | {proxy} | {figures['redis_bytes']:.0f} |")
    return lines
