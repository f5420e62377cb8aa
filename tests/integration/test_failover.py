"""A failover is a pause, not a disconnect: planned and by kill -9, with writers that never reconnect."""

import time
import unittest

from checkers import SentinelListener, Writer
from harness import RedisSet, TestCase, wait_until
from resp_client import encode

WRITERS = 8
RESUME_MAX = 1.0  # seconds from the announcement to the first acknowledged write
WRITE_COMMANDS = ("set", "incr")


class Failover(TestCase):
    """Each test has a set of its own: a failover leaves the set changed for a while."""

    def setUp(self):
        self.set = self.redis_set()
        self.master = self.set.servers[0]
        self.proxy = self.fairlead(self.set).wait_ready()
        self.listeners = [SentinelListener(sentinel.port) for sentinel in self.set.sentinels]
        for listener in self.listeners:
            self.addCleanup(listener.close)
        self.writers = []
        self.addCleanup(self.finish_writers)

    def start_writers(self):
        self.writers = [Writer(self.proxy.port, f"writer:{number}") for number in range(WRITERS)]
        for writer in self.writers:
            writer.start()
        wait_until(lambda: all(len(writer.acknowledged) >= 20 for writer in self.writers), what="the writers to run")

    def finish_writers(self):
        for writer in self.writers:
            writer.finish()

    def wait_for_writes_after(self, moment):
        """Until every writer was answered well after `moment`."""
        wait_until(lambda: all(writer.broken or writer.first_after(moment + 0.2) for writer in self.writers), 30,
                   "every writer to be answered again")

    def announced(self):
        """When the first Sentinel said +switch-master."""
        times = [listener.when("+switch-master") for listener in self.listeners]
        return min((when for when in times if when), default=None)

    def assert_survived(self):
        for writer in self.writers:
            self.assertIsNone(writer.broken, f"{writer.key} lost its connection")
            unexpected = [text for _, text in writer.errors if not text.startswith("UNCERTAIN ")]
            self.assertEqual(unexpected, [], f"{writer.key}")
            # One command in flight at the most is uncertain at one loss of a link.
            self.assertLessEqual(len(writer.errors), 2, f"{writer.key}: {writer.errors}")

    def assert_resumed_soon(self, announced):
        for writer in self.writers:
            resumed = writer.first_after(announced)
            self.assertIsNotNone(resumed, writer.key)
            self.assertLessEqual(resumed - announced, RESUME_MAX, f"{writer.key} after +switch-master")

    def report(self, title):
        pauses = sorted(writer.longest_pause() for writer in self.writers)
        print(f"{title}: longest pause {pauses[-1]:.3f} s, median {pauses[len(pauses) // 2]:.3f} s, "
              f"{sum(len(writer.errors) for writer in self.writers)} uncertain, "
              f"{sum(len(writer.acknowledged) for writer in self.writers)} acknowledged")

    def test_planned_failover(self):
        idle = self.open(self.proxy.port)
        self.assertEqual(idle.command("SET", "before", "1"), "OK")
        self.start_writers()
        self.set.failover()
        new_master = self.set.wait_for_other_master(self.master)
        announced = wait_until(self.announced, what="+switch-master")
        self.wait_for_writes_after(announced)
        self.finish_writers()
        self.report("planned failover")
        self.assert_survived()
        self.assert_resumed_soon(announced)
        self.assertEqual(idle.command("SET", "after", "1"), "OK")
        self.assertEqual(new_master.call("GET", "after"), b"1")
        # The last acknowledged write of each is there, or one that came after it and was uncertain.
        for writer in self.writers:
            self.assertGreaterEqual(int(new_master.call("GET", writer.key)), writer.last_acknowledged())

    def test_master_killed(self):
        idle = [self.open(self.proxy.port) for _ in range(100)]
        for client in idle:
            self.assertEqual(client.command("PING"), "PONG")
        self.start_writers()
        killed = time.monotonic()
        self.master.process.kill()
        new_master = self.set.wait_for_other_master(self.master)
        announced = wait_until(self.announced, what="+switch-master")
        self.wait_for_writes_after(announced)
        self.finish_writers()
        self.report("kill -9")
        self.assert_survived()
        self.assert_resumed_soon(announced)
        self.assertLess(max(writer.first_after(killed + 0.5) for writer in self.writers) - killed, 10)
        for client in idle:
            self.assertEqual(client.command("EXISTS", "nothing"), 0)
        for writer in self.writers:
            self.assertIsNotNone(new_master.call("GET", writer.key))

    def test_old_master_that_returns_gets_no_write(self):
        """It comes back as a master for some seconds; ROLE alone would route to it."""
        self.start_writers()
        self.master.process.kill()
        new_master = self.set.wait_for_other_master(self.master)
        announced = wait_until(self.announced, what="+switch-master")
        self.wait_for_writes_after(announced)
        self.master.start()
        # Sentinel makes it a replica after about ten seconds; all that time the writers go on elsewhere. As a replica it
        # counts what its master sends it, so only what it counted while it still called itself master is looked at.
        written_as_master = []

        def demoted():
            calls = self.master.calls_of(*WRITE_COMMANDS)
            if self.master.role() == "master":
                written_as_master.append(calls)
                return False
            return True

        wait_until(demoted, 40, "Sentinel to demote the old master")
        self.finish_writers()
        self.assert_survived()
        self.assertGreater(len(written_as_master), 10)
        self.assertEqual(max(written_as_master), 0)
        for writer in self.writers:
            self.assertGreaterEqual(int(new_master.call("GET", writer.key)), writer.last_acknowledged())

    def test_only_the_master_is_written_to(self):
        """MONITOR on the replicas shows who sent what: every write comes from their master, none from the proxy."""
        replicas = self.set.others(self.master)
        monitors = [self.open(server.port) for server in replicas]
        for monitor in monitors:
            self.assertEqual(monitor.command("MONITOR"), "OK")
        client = self.open(self.proxy.port)
        for number in range(100):
            self.assertEqual(client.command("SET", f"routed:{number}", number), "OK")
        for server, monitor in zip(replicas, monitors):
            wait_until(lambda: server.call("GET", "routed:99") == b"99", what="the replica to follow")
            server.call("ECHO", "the end")
            lines = []
            while '"ECHO" "the end"' not in (lines[-1] if lines else ""):
                lines.append(monitor.reply())
            writes = [line for line in lines if '"SET" "routed:' in line]
            self.assertEqual(len(writes), 100)
            self.assertEqual([line for line in writes if f" 127.0.0.1:{self.master.port}]" not in line], [])

    def test_blocked_and_subscribed_clients_stay(self):
        blocked, subscribed = self.open(self.proxy.port, 60), self.open(self.proxy.port, 60)
        subscribed.command("SUBSCRIBE", "news")
        blocked.send(encode("BLPOP", "jobs", "0"))
        wait_until(lambda: self.master.info("clients")["blocked_clients"] == "1", what="the blocked client")
        self.set.failover()
        new_master = self.set.wait_for_other_master(self.master)
        wait_until(lambda: new_master.info("clients")["blocked_clients"] == "1", 30, "BLPOP to wait on the new master")
        wait_until(lambda: new_master.call("PUBSUB", "NUMSUB", "news")[1] == 1, 30, "the subscription on the new master")
        client = self.open(self.proxy.port)
        self.assertEqual(client.command("RPUSH", "jobs", "one"), 1)
        self.assertEqual(blocked.reply(), [b"jobs", b"one"])
        self.assertEqual(client.command("PUBLISH", "news", "hello"), 1)
        self.assertEqual(subscribed.reply(), [b"message", b"news", b"hello"])

    def test_transactions_around_a_failover(self):
        """A WATCH from before is a conflict after; a MULTI from before is executed whole."""
        watching, queueing = self.open(self.proxy.port), self.open(self.proxy.port)
        watching.command("WATCH", "balance")
        self.assertEqual(queueing.command("MULTI"), "OK")
        self.assertEqual(queueing.command("SET", "queued", "1"), "QUEUED")
        self.set.failover()
        new_master = self.set.wait_for_other_master(self.master)
        wait_until(lambda: self.open(self.proxy.port).command("SET", "x", "1") == "OK", what="the first write")
        self.assertEqual(watching.command("MULTI"), "OK")
        self.assertEqual(watching.command("SET", "balance", "1"), "QUEUED")
        self.assertIsNone(watching.command("EXEC"))
        queueing.send(encode("EXEC"))
        executed = queueing.reply()
        self.assertEqual(executed, ["OK"])
        self.assertEqual(new_master.call("MGET", "balance", "queued"), [None, b"1"])
        # The connections are as good as new.
        for client in (watching, queueing):
            self.assertEqual(client.command("MULTI"), "OK")
            self.assertEqual(client.command("INCR", "again"), "QUEUED")
            self.assertIsInstance(client.command("EXEC"), list)
        self.assertEqual(new_master.call("GET", "again"), b"2")

    def test_read_and_select_survive(self):
        client = self.open(self.proxy.port)
        client.command("SELECT", "3")
        client.command("CLIENT", "SETNAME", "survivor")
        client.command("SET", "in-three", "1")
        self.set.failover()
        new_master = self.set.wait_for_other_master(self.master)
        self.assertEqual(client.command("GET", "in-three"), b"1")
        self.assertEqual(client.command("SET", "in-three", "2"), "OK")
        self.assertEqual(client.command("CLIENT", "GETNAME"), b"survivor")
        with new_master.client() as direct:
            direct.command("SELECT", "3")
            self.assertEqual(direct.command("GET", "in-three"), b"2")


class LateSentinels(TestCase):
    def test_commands_wait_until_sentinel_names_a_master(self):
        """The proxy is started first; then a set without Sentinels; then the Sentinels."""
        redis_set = self.redis_set(replicas=1, sentinels=1)
        sentinel = redis_set.sentinels[0]
        sentinel.process.stop()
        proxy = self.fairlead(redis_set)
        client = self.open(proxy.wait_listening().port)
        client.send(encode("INCR", "waited") * 3)
        proxy.wait_log("no Sentinel", sentinel.address)
        self.assertEqual(client.read_available(), (b"", False))
        self.assertEqual(redis_set.servers[0].calls_of(*WRITE_COMMANDS), 0)
        sentinel.start()
        self.assertEqual([client.reply() for _ in range(3)], [1, 2, 3])


class ServerList(TestCase):
    def test_roles_swapped_by_the_operator(self):
        """--server mode: the one that says master gets the commands; two masters get none."""
        redis_set: RedisSet = self.redis_set(replicas=1, sentinels=0)
        old, new = redis_set.servers
        proxy = self.fairlead(redis_set).wait_ready()
        client = self.open(proxy.port)
        self.assertEqual(client.command("SET", "swap", "old"), "OK")
        wait_until(lambda: new.call("GET", "swap") == b"old", what="the replica to follow")
        # Demoted first, so that there is never a second master.
        with old.client() as direct_old, new.client() as direct_new:
            direct_old.command("REPLICAOF", "127.0.0.1", new.port)
            client.send(encode("SET", "swap", "new"))
            direct_new.command("REPLICAOF", "NO", "ONE")
        self.assertEqual(client.reply(), "OK")
        self.assertEqual(new.call("GET", "swap"), b"new")
        self.assertEqual(client.command("GET", "swap"), b"new")


if __name__ == "__main__":
    unittest.main()
