"""Limits at scale: what thousands of hostile or merely slow clients cost in memory, and what others feel of them.

FAIRLEAD_SCALE=full runs it with 10 000 clients, as `tests/run --scale` does; without, with a tenth of them. Memory is
fairlead's resident set; what the kernel keeps in socket buffers is the kernel's and is kept small by the clients.
"""

import json
import os
import pathlib
import re
import select
import threading
import time
import unittest

from harness import Process, TestCase, wait_until
from mass_clients import MassClients, mass_clients
from percentiles import percentile
from resp_client import RawClient, encode

FULL = os.environ.get("FAIRLEAD_SCALE") == "full"
CLIENTS = 10_000 if FULL else 1_000
MEGABYTE = 1_000_000


def resident_limit(base, cap, clients):
    """What the process may take when its buffers may take `cap`: the cap; a quarter of it, since malloc's heap has holes
    when chunks of several sizes come and go; what a client takes beside its buffers; and chunks kept for reuse."""
    return base + cap + cap // 4 + clients * 4096 + (32 << 20)


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
        if select.select([client.socket], [], [], pause)[0]:
            raise AssertionError("the healthy client was given more than it asked for")
    return sorted(found)


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
        """500 x 1 MB each. Memory stays at the configured cap, and a healthy client is served all the time.

        Its p99 is compared with that alone, and with that while others fetch the same values from the server itself, as
        fast as they can: so much is the price of a busy server and busy cores, and not of the proxy."""
        cap, rounds = 256 << 20, 3 if FULL else 1
        proxy = self.fairlead(self.set, "--memory", str(cap), "--max-clients", "12000", threads=1).wait_ready()
        healthy = self.open(proxy.port, timeout=60)
        latencies_ms(healthy, 0.5)
        base = resident_bytes(proxy.process)
        alone, busy, attacked, peak = [], [], [], 0
        for _ in range(rounds):
            alone += latencies_ms(healthy, 1.5)
            load = Process("load", ["redis-benchmark", "-p", self.master.port, "-c", "8", "-n", "100000000", "GET", "big"],
                           self.directory)
            busy += latencies_ms(healthy, 1.5)
            self.assertTrue(load.running(), load.log())
            load.kill()
            with PeakMemory(proxy.process) as memory:
                attacked += self.under_attack(proxy, healthy)
            peak = max(peak, memory.bytes)
        p99 = {name: percentile(values, 99) for name, values in
               (("alone", alone), ("busy_server", busy), ("attacked", attacked))}
        self.tell(clients=CLIENTS, cap_mib=cap >> 20, base_mib=round(base / 2**20, 1), peak_mib=round(peak / 2**20, 1),
                  closed_at_memory=metric(proxy, "fairlead_limit_memory_total"), worst_ms=round(max(attacked), 1),
                  **{f"p99_{name}_ms": round(value, 2) for name, value in p99.items()})
        self.assertEqual(metric(proxy, "fairlead_backend_links_lost_total"), 0)
        self.assertLessEqual(peak, resident_limit(base, cap, CLIENTS))
        if FULL:
            self.assertLessEqual(p99["attacked"], 2 * max(p99["alone"], p99["busy_server"]))

    def under_attack(self, proxy, healthy):
        """The healthy client's latencies from the attackers' first connection until two seconds after the last of them
        has said all, and the cap was reached."""
        found, told = [], []
        closed_before, deadline = metric(proxy, "fairlead_limit_memory_total"), time.monotonic() + 120
        with mass_clients(proxy.port, CLIENTS, 500, "GET", "big") as attackers:
            reader = threading.Thread(target=lambda: told.append(attackers.stdout.readline()), daemon=True)
            reader.start()
            while reader.is_alive() or metric(proxy, "fairlead_limit_memory_total") == closed_before:
                found += latencies_ms(healthy, 0.2)
                self.assertLess(time.monotonic(), deadline, "the cap was not reached")
            found += latencies_ms(healthy, 2)
        self.assertEqual(told, ["sent\n"])
        # One that was not served yet looks half-closed: it is owed its replies, and costs the server at least one.
        wait_until(lambda: metric(proxy, "fairlead_frontend_current_sessions") <= 1, 240, "the attackers to be gone")
        return found

    # --- Announced giants

    def giants(self, proxy, payload, login=None):
        """As many clients that each announce a giant and wait; and the resident memory of each, counted from before any
        of them: what an earlier payload has cost counts again."""
        if not hasattr(proxy, "base"):
            proxy.base = resident_bytes(proxy.process)
        clients = MassClients(proxy.port, CLIENTS, (encode("AUTH", login) if login else b"") + payload)
        self.addCleanup(clients.close)
        self.assertTrue(clients.send_all(), "the clients could not send")
        announced = CLIENTS * len(payload)
        wait_until(lambda: metric(proxy, "fairlead_frontend_bytes_in_total") >= announced, 60, "all of it to arrive")
        return clients, (resident_bytes(proxy.process) - proxy.base) / CLIENTS

    def check_giants(self, proxy, name, payload, login=None):
        clients, each = self.giants(proxy, payload, login)
        self.tell(announced=name, clients=CLIENTS, still_open=clients.still_open(), bytes_each=round(each))
        self.assertEqual(clients.still_open(), CLIENTS)  # Redis waits for the rest as well
        self.assertLessEqual(each, 32 * 1024)
        with RawClient(proxy.port, 30) as other:
            if login:
                other.command("AUTH", login)
            self.assertEqual(other.command("GET", "small"), b"value")
        clients.close()
        wait_until(lambda: metric(proxy, "fairlead_frontend_current_sessions") == 0, 60, "the clients to be gone")

    def test_announced_giants(self):
        proxy = self.fairlead(self.set, "--max-clients", "12000", threads=1).wait_ready()
        self.check_giants(proxy, "count", b"*2147483647\r\n")
        self.check_giants(proxy, "argument", b"*2\r\n$3\r\nGET\r\n$536870912\r\n")
        self.check_giants(proxy, "argument begun", b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$536870912\r\n" + b"x" * 4000)
        self.check_giants(proxy, "many arguments", b"*1048576\r\n" + b"$1\r\na\r\n" * 300)

    def test_announced_giants_after_login(self):
        proxy = self.proxy_with_password()
        self.check_giants(proxy, "argument after login", b"*2\r\n$3\r\nGET\r\n$536870912\r\nbegun", login="secret")

    def proxy_with_password(self):
        return self.fairlead(self.set, "--max-clients", "12000", threads=1,
                             env={"FAIRLEAD_CLIENTS_PASSWORD": "secret"}).wait_listening()

    def test_announced_giants_before_login(self):
        """Whoever has not logged in may announce ten arguments of 16 KiB, as Redis has it; more ends the connection."""
        proxy = self.proxy_with_password()
        for name, payload in (("count", b"*2147483647\r\n"), ("eleven", b"*11\r\n"),
                              ("argument", b"*2\r\n$4\r\nAUTH\r\n$16385\r\n")):
            clients, each = self.giants(proxy, payload)
            wait_until(lambda c=clients: c.still_open() == 0, 60, "fairlead to close them all")
            self.tell(announced=f"{name} before login", clients=CLIENTS, bytes_each=round(each))
            self.assertLessEqual(each, 32 * 1024)
            clients.close()
        self.assertEqual(metric(proxy, "fairlead_protocol_errors_total"), 3 * CLIENTS)
        # The most that one may say and leave unfinished: it costs what arrived, and a chunk's rounding.
        most = b"*10\r\n$4\r\nAUTH\r\n$16384\r\n" + b"x" * 16000
        clients, each = self.giants(proxy, most)
        self.tell(announced="16 000 bytes before login", clients=CLIENTS, still_open=clients.still_open(),
                  bytes_each=round(each))
        self.assertLessEqual(each, 32 * 1024)

    # --- Slow clients

    def test_clients_that_send_one_byte_at_a_time(self):
        """A thousand of them, in step. Every command is answered, and a healthy client beside them as well."""
        proxy = self.fairlead(self.set, threads=1).wait_ready()
        healthy = self.open(proxy.port)
        clients = [self.open(proxy.port, timeout=60) for _ in range(1000)]
        frames = [encode("SET", f"slow:{number:04}", number) for number in range(len(clients))]
        longest = max(len(frame) for frame in frames)
        base = resident_bytes(proxy.process)
        for position in range(longest):
            for client, frame in zip(clients, frames):
                if position < len(frame):
                    client.send(frame[position:position + 1])
            self.assertEqual(healthy.command("GET", "small"), b"value")
        each = (resident_bytes(proxy.process) - base) / len(clients)
        self.assertEqual([client.reply() for client in clients], ["OK"] * len(clients))
        self.assertEqual(self.master.call("MGET", *(f"slow:{number:04}" for number in range(len(clients)))),
                         [b"%d" % number for number in range(len(clients))])
        self.tell(clients=len(clients), bytes_each=round(each))
        self.assertLessEqual(each, 32 * 1024)


if __name__ == "__main__":
    unittest.main()
