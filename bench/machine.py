"""The machine a run was made on: what it is, what ran, and how noisy it was."""

import os
import pathlib
import platform
import statistics
import subprocess
import time

from targets import ROOT


def first_line(*command, pick=0):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False, cwd=ROOT)
        lines = (done.stdout or done.stderr).splitlines()
        return lines[pick].strip() if lines else "unknown"
    except OSError:
        return "not installed"


def describe(fairlead):
    memory_kb = next(int(line.split()[1]) for line in open("/proc/meminfo", encoding="ascii") if "MemTotal" in line)
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8")
                  if line.startswith("model name")), platform.machine())
    changed = first_line("git", "status", "--porcelain", "--untracked-files=no")
    return {"date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), "cores": os.cpu_count(), "cpu": model,
            "memory_gb": round(memory_kb / 1e6, 1), "kernel": platform.release(),
            "commit": first_line("git", "rev-parse", "--short", "HEAD") + ("" if changed == "unknown" else " and changes"),
            "fairlead": first_line(fairlead, "--version"), "redis": first_line("redis-server", "--version"),
            "haproxy": first_line("haproxy", "-v"), "twemproxy": first_line("nutcracker", "-V")}


def _busy_and_stolen():
    fields = [int(field) for field in pathlib.Path("/proc/stat").read_text(encoding="ascii").split("\n")[0].split()[1:]]
    return sum(fields), fields[3] + fields[4], fields[7]


class Noise:
    """What else kept the machine busy: the load before the run, time stolen by the hypervisor, and how evenly a fixed
    piece of work ran on it, measured before and between the rounds."""

    def __init__(self):
        self.load_before = os.getloadavg()[0]
        self._begin = _busy_and_stolen()
        self._spins = []
        self.sample()

    def sample(self):
        for _ in range(5):
            begun = time.perf_counter()
            sum(range(200_000))
            self._spins.append(time.perf_counter() - begun)

    def summary(self):
        total, _, stolen = (now - then for now, then in zip(_busy_and_stolen(), self._begin))
        return {"load_before": round(self.load_before, 2), "stolen_share": round(stolen / max(1, total), 4),
                "same_work_max_to_median": round(max(self._spins) / statistics.median(self._spins), 2)}
