"""The Monitor against real servers and Sentinels, seen through monitor_probe's lines.

What is checked is the order of what it published and when: closed before the promotion, opened on the new master within
a second of the announcement, and never on the old one again.
"""

import os
import pathlib
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))
from harness import Process, TestCase, free_port, wait_until  # noqa: E402

PROBE = os.environ.get("MONITOR_PROBE", "monitor_probe")
FROM_ANNOUNCEMENT_MAX = 1.0


class Probe:
    """A running monitor_probe and the lines it has written."""

    def __init__(self, test, mode, addresses, name="mymaster", password=""):
        directory = tempfile.mkdtemp(dir=test.directory)
        self.process = Process("probe", [PROBE, mode, ",".join(addresses), name, password, "120"], directory)
        test.addCleanup(self.process.stop)

    def lines(self, kind):
        """Time and text of each complete line of this kind (topology, event)."""
        found = []
        for line in self.process.log().split("\n")[:-1]:
            seconds, what, text = line.split(" ", 2)
            if what == kind:
                found.append((float(seconds), text))
        return found

    def states(self, since):
        return [(seconds, text) for seconds, text in self.lines("topology") if seconds >= since]

    def wait_steady(self, address, since=0.0, timeout=15.0):
        """When a topology with this route was published first."""
        def find():
            return [seconds for seconds, text in self.states(since) if text.startswith(f"steady {address} ")]
        return wait_until(find, timeout, f"the route to be {address}")[0]

    def wait_event(self, kind, *words, timeout=15.0):
        def find():
            return [text for _, text in self.lines("event")
                    if text.startswith(kind + " ") and all(word in text for word in words)]
        return wait_until(find, timeout, f"an event {kind} with {words}")[0]


class Failover(TestCase):
    def setUp(self):
        self.set = self.redis_set(replicas=2, sentinels=3)
        self.old = self.set.servers[0]
        self.sentinels = [sentinel.address for sentinel in self.set.sentinels]

    def other_steady(self, probe, since):
        """Time and server of the first route to another server."""
        def find():
            return [(seconds, text.split(" ")[1]) for seconds, text in probe.states(since)
                    if text.startswith("steady ") and f"steady {self.old.address} " not in text]
        return wait_until(find, 20, "a route to another server")[0]

    def listen(self):
        client = self.set.sentinels[1].client(timeout=20)
        self.addCleanup(client.close)
        client.command("SUBSCRIBE", "+switch-master")
        return client

    def assert_never_back(self, probe, since):
        steady = [text for seconds, text in probe.states(since) if text.startswith("steady ")]
        self.assertFalse([text for text in steady if self.old.address in text], "the route went back to the old master")

    def test_planned(self):
        probe = Probe(self, "sentinel", self.sentinels)
        probe.wait_steady(self.old.address)
        client = self.listen()
        begin = time.time()
        self.set.failover()
        client.reply()
        announced = time.time()
        opened, address = self.other_steady(probe, begin)
        closed = [seconds for seconds, text in probe.states(begin) if text.startswith("suspect ")]
        self.assertLess(closed[0] - begin, 0.1, "the election did not close the gate")
        self.assertLess(opened - announced, FROM_ANNOUNCEMENT_MAX)
        wait_until(lambda: self.old.role() == "slave", 30, "the old master to be demoted")
        self.assertEqual(self.set.master().address, address)
        self.assert_never_back(probe, opened)

    def test_crash_seen_through_one_sentinel(self):
        """The other Sentinels and the replicas are found by the first, which is given by name."""
        probe = Probe(self, "sentinel", [f"localhost:{self.set.sentinels[0].port}"])
        probe.wait_steady(self.old.address)
        wait_until(lambda: "servers 3 sentinels 3" in probe.lines("topology")[-1][1], what="the set to be known")
        client = self.listen()
        begin = time.time()
        self.old.process.kill()
        client.reply()
        announced = time.time()
        opened, _ = self.other_steady(probe, begin)
        self.assertLess(opened - announced, FROM_ANNOUNCEMENT_MAX)
        self.old.start()
        probe.wait_event("server_rogue", self.old.address)
        wait_until(lambda: self.old.role() == "slave", 30, "the old master to be demoted")
        self.assert_never_back(probe, opened)

    def test_restart_of_the_master(self):
        probe = Probe(self, "sentinel", self.sentinels)
        probe.wait_steady(self.old.address)
        begin = time.time()
        self.old.process.kill()
        self.old.start()
        probe.wait_event("route_restarted", self.old.address)
        # It wrote nothing to disk: nobody is to work on an empty data set unasked.
        probe.wait_event("restart_held", self.old.address)
        wait_until(lambda: self.set.sentinels[0].call("SENTINEL", "FAILOVER", self.set.MASTER) == "OK", 30,
                   "Sentinel to accept the failover")
        self.other_steady(probe, begin)


class Refusals(TestCase):
    @classmethod
    def start_servers(cls):
        cls.set = cls.redis_set(replicas=1, sentinels=1, password="pa#ss")
        cls.sentinel = cls.set.sentinels[0].address

    def test_password(self):
        Probe(self, "sentinel", [self.sentinel], password="pa#ss").wait_steady(self.set.servers[0].address)
        wrong = Probe(self, "sentinel", [self.sentinel], password="pa")
        wrong.wait_event("no_master_waiting", self.set.servers[0].address, "WRONGPASS", "[backend] username and password")
        self.assertFalse([text for _, text in wrong.lines("topology") if text.startswith("steady ")])

    def test_name(self):
        probe = Probe(self, "sentinel", [self.sentinel], name="other")
        probe.wait_event("no_master_waiting", self.sentinel, "'other'", "it knows: mymaster", "master-name")

    def test_no_sentinel(self):
        address = f"127.0.0.1:{free_port()}"
        probe = Probe(self, "sentinel", [address])
        probe.wait_event("no_master_waiting", address, "refused", "check [backend] sentinels")

    def test_a_server_for_a_sentinel(self):
        server = self.redis("plain")
        probe = Probe(self, "sentinel", [server.address])
        probe.wait_event("no_master_waiting", server.address, "does not answer as a Sentinel")


class WithoutSentinel(TestCase):
    def test_two_masters(self):
        redis_set = self.redis_set(replicas=1, sentinels=0)
        master, replica = redis_set.servers
        addresses = [master.address, replica.address]
        probe = Probe(self, "server", addresses, password="")
        probe.wait_steady(master.address)
        replica.call("REPLICAOF", "NO", "ONE")
        probe.wait_event("two_masters", replica.address)
        self.assertIn(f"steady {master.address} ", probe.lines("topology")[-1][1])
        late = Probe(self, "server", addresses)
        late.wait_event("no_master_waiting", master.address, replica.address, "REPLICAOF")
        self.assertFalse([text for _, text in late.lines("topology") if text.startswith("steady ")])

    def test_unix_socket(self):
        path = f"{tempfile.mkdtemp(dir=self.directory)}/redis.sock"
        self.redis("local", f"unixsocket {path}")
        Probe(self, "server", [path]).wait_steady(f"unix:{path}")


if __name__ == "__main__":
    unittest.main()
