"""From measurements to medians, ranges and ratios, and to Markdown."""

import statistics

from goals import GROWTH_BASE, ratios

TARGETS = ("direct", "haproxy", "twemproxy", "relay", "mux", "fairlead", "baseline")
FLOOR_NOTE = ("relay copies bytes between a client and a server connection of its own, mux frames commands and shares one "
              "connection; neither does anything else, and neither is a proxy to use.")


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


def goal_lines(goals):
    if not goals:
        return []
    return ["", "## Goals", "", "| workload | goal | seen | reached |", "|---|---|---|---|",
            *(f"| {goal.workload} | {goal.goal} | {cell((goal.median, goal.low, goal.high))} | "
              f"{'yes' if goal.reached else '**no**'} |" for goal in goals)]


def growth_lines(growth):
    """Markdown of goals.connection_growth."""
    if not growth:
        return []
    names = list(next(iter(growth.values())))
    return ["", "## CPU of the proxy per request, relative to 50 connections", "",
            f"Each next to {GROWTH_BASE} of the same round, through the same, and without what it costs to make and to end the "
            "connections. The goal is flat within 10 %.", "",
            f"| through | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|",
            *(f"| {target} | {' | '.join(cell(steps[name]) for name in names)} |" for target, steps in growth.items())]


def markdown(machine, noise, rows, goals, options, extra):
    lines = ["# Side by side", "", *machine_lines(machine, noise, options.threads, options.persistence, options.rounds), "",
             "| workload | through | requests/s | to direct | to HAProxy | p50 ms | p99 ms | proxy us | Redis us |",
             "|---|---|---|---|---|---|---|---|---|"]
    for row in rows:
        proxy_us = "-" if row["target"] == "direct" else f"{row['proxy_us']:.2f}"
        lines.append(f"| {row['workload']} | {row['target']} | {row['rps']:.0f} ({row['rps_min']:.0f}-{row['rps_max']:.0f}) | "
                     f"{cell(row.get('rps_to_direct'))} | {cell(row.get('rps_to_haproxy'))} | {row['p50_ms']:.2f} | "
                     f"{row['p99_ms']:.2f} | {proxy_us} | {row['redis_us']:.2f} |")
    if options.floor:
        lines += ["", FLOOR_NOTE]
    return "\n".join(lines + goal_lines(goals) + extra) + "\n"


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
