"""Limits at scale: what thousands of hostile or merely slow clients cost in memory, and what others feel of them.

FAIRLEAD_SCALE=full runs it with 10 000 clients, as `tests/run --scale` does; without, with a tenth of them. Memory is
fairlead's resident set; what the kernel keeps in socket buffers is the kernel's and is kept small by the clients.
"""

import json
import os
import pathlib
import re
import threading
import time
import unittest

from harness import TestCase, wait_until
from mass_clients import MassClients, mass_clients
from resp_client import Closed, RawClient, encode

FULL = os.environ.get("FAIRLEAD_SCALE") == "full"
CLIENTS = 10_000 if FULL else 1_000
MEGABYTE = 1_000_000
SANITIZED = "sanitized" in os.environ.get("FAIRLEAD_BIN", "") or "asan" in os.environ.get("FAIRLEAD_BIN", "")


def resident_bytes(process):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    return int(re.search(r"^VmRSS:\s+(\d+) kB", status, re.M).group(1)) * 1024


class PeakMemory:
    """Watches a process' resident set while the block runs."""

    def __init__(self, process):
        self.process = process
        self.bytes = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self):
        while not self._done.wait(0.02):
            self.bytes = max(self.bytes, resident_bytes(self.process))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()


def latencies_ms(client, seconds, pause=0.002):
    """Sorted latencies of a small command, asked again and again."""
    found, deadline = [], time.monotonic() + seconds
    while time.monotonic() < deadline:
        begun = time.monotonic()
        if client.command("GET", "small") != b"value":
            raise AssertionError("the healthy client was given something else")
        found.append((time.monotonic() - begun) * 1e3)
        time.sleep(pause)
    return sorted(found)


def percentile(sorted_values, fraction):
    return sorted_values[min(len(sorted_values) - 1, int(len(sorted_values) * fraction))]


def metric(proxy, name):
    """A number of /metrics, summed over its labels."""
    with RawClient(proxy.stats_port) as client:
        client.send(b"GET /metrics HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        text = client.read_until_closed().decode()
    values = re.findall(rf"^{name}(?:\{{[^}}]*\}})? ([0-9.e+]+)$", text, re.M)
    if not values:
        raise AssertionError(f"no metric {name}")
    return sum(float(value) for value in values)


class Scale(TestCase):
    @classmethod
    def start_servers(cls):
        cls.set = cls.redis_set(replicas=0, sentinels=0)
        cls.master = cls.set.servers[0]
        cls.master.call("SET", "small", "value")
        cls.master.call("SET", "big", "v" * MEGABYTE)

    def tell(self, **figures):
        """One line of figures, for whoever reads the log."""
        print(f"{self.id().rsplit('.', 1)[1]}: " + json.dumps(figures), flush=True)

    # --- Clients that never read

    def test_clients_that_ask_for_megabytes_and_never_read(self):
        """500 x 1 MB each. Memory stays at the configured cap, and a healthy client hardly notices."""
        cap, rounds = 256 << 20, 3
        proxy = self.fairlead(self.set, "--memory", str(cap), "--max-clients", "12000", threads=1).wait_ready()
        healthy = self.open(proxy.port, timeout=60)
        latencies_ms(healthy, 0.5)
        base = resident_bytes(proxy.process)
        alone, attacked, peak = [], [], 0
        for _ in range(rounds):
            alone += latencies_ms(healthy, 2)
            with PeakMemory(proxy.process) as memory, \
                    mass_clients(proxy.port, CLIENTS, 500, "GET", "big") as attackers:
                told = []
                reader = threading.Thread(target=lambda p=attackers: told.append(p.stdout.readline()))
                reader.start()
                while reader.is_alive() or not told:
                    attacked += latencies_ms(healthy, 0.5)
                attacked += latencies_ms(healthy, 2)
                self.assertEqual(told[0].strip(), "sent")
            peak = max(peak, memory.bytes)
            wait_until(lambda: metric(proxy, "fairlead_frontend_current_sessions") <= 2, 30, "the others to be gone")
        alone.sort()
        attacked.sort()
        ratio = percentile(attacked, 0.99) / percentile(alone, 0.99)
        self.tell(clients=CLIENTS, cap_mib=cap >> 20, base_mib=round(base / 2**20, 1), peak_mib=round(peak / 2**20, 1),
                  p99_alone_ms=round(percentile(alone, 0.99), 2), p99_ms=round(percentile(attacked, 0.99), 2),
                  worst_ms=round(attacked[-1], 1), ratio=round(ratio, 2))


if __name__ == "__main__":
    unittest.main()
