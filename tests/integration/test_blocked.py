"""Blocking commands at a planned switch: what a server has popped for somebody reaches that client."""

import re
import threading
import time
import unittest
import urllib.request

from harness import TestCase, wait_until
from resp_client import Closed, RawClient, ReplyError, encode

CONSUMERS = 8
WAITING = 128  # more than a pusher serves between the promotion and the moment in which fairlead hears of it
END = b"end"


class Consumer(threading.Thread):
    """Takes values from the list until it takes the end, on one connection that it never opens again."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.client = RawClient(port, 60)
        self.values = []
        self.broken = None
        self.start()

    def run(self):
        try:
            while not self.values or self.values[-1] != END:
                self.values.append(self.client.command("BLPOP", "jobs", "0")[1])
        except Exception as error:  # told by the test, which sees what is missing
            self.broken = error
        finally:
            self.client.close()


class Pusher(threading.Thread):
    """Pushes unique values, one after the other."""

    def __init__(self, port, pause):
        super().__init__(daemon=True)
        self.client = RawClient(port, 30)
        self.pause = pause
        self.acknowledged, self.uncertain, self.unexpected = [], [], []
        self.stopped = threading.Event()

    def run(self):
        number = 0
        try:
            while not self.stopped.is_set():
                number += 1
                value = b"v%d" % number
                self.client.send(encode("RPUSH", "jobs", value))
                reply = self.client.reply()
                if not isinstance(reply, ReplyError):
                    self.acknowledged.append(value)
                elif str(reply).startswith("UNCERTAIN "):
                    self.uncertain.append(value)
                else:
                    self.unexpected.append(str(reply))
                self.stopped.wait(self.pause)
        except Exception as error:  # told by the test
            self.unexpected.append(repr(error))
        finally:
            self.client.close()

    def finish(self):
        self.stopped.set()
        if self.ident is not None:
            self.join(40)


class BlockedAtASwitch(TestCase):
    arguments = ()

    def setUp(self):
        self.set = self.redis_set()
        self.old = self.set.servers[0]
        self.proxy = self.fairlead(self.set, *self.arguments).wait_ready()

    def counter(self, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.proxy.stats_port}/metrics", timeout=10) as page:
            return int(float(re.search(rf"^fairlead_{name}_total (\S+)$", page.read().decode(), re.M).group(1)))

    def test_values_of_a_writer_are_popped_once(self):
        """Consumers and the writer come through fairlead; nothing is lost, doubled, or an error."""
        consumers = [Consumer(self.proxy.port) for _ in range(CONSUMERS)]
        pusher = Pusher(self.proxy.port, 0.001)
        self.addCleanup(pusher.finish)
        pusher.start()
        wait_until(lambda: len(pusher.acknowledged) > 100, what="the writer to run")
        self.set.failover()
        new = self.set.wait_for_other_master(self.old)
        before = len(pusher.acknowledged)
        wait_until(lambda: len(pusher.acknowledged) > before + 100, 30, "the writer to go on at the new master")
        pusher.finish()
        with self.proxy.client() as client:
            for _ in consumers:
                client.command("RPUSH", "jobs", END)
        for consumer in consumers:
            consumer.join(30)
            self.assertFalse(consumer.is_alive())
            self.assertIsNone(consumer.broken)
        self.assertEqual(pusher.unexpected, [])
        popped = [value for consumer in consumers for value in consumer.values if value != END]
        self.assertEqual(len(popped), len(set(popped)), "a value was popped twice")
        self.assertEqual(set(pusher.acknowledged) - set(popped), set())
        self.assertEqual(set(popped) - set(pusher.acknowledged) - set(pusher.uncertain), set())
        self.assertEqual(new.call("LLEN", "jobs"), 0)

    def test_what_the_old_master_popped_as_the_route_left(self):
        """Somebody pushes straight to the old master, which goes on as a master: all that it pops arrives."""
        waiting = [self.open(self.proxy.port, 60) for _ in range(WAITING)]
        for client in waiting:
            client.send(encode("BLPOP", "jobs", "0"))
        wait_until(lambda: self.old.info("clients")["blocked_clients"] == str(WAITING), what="all to wait")
        pusher = Pusher(self.old.port, 0)
        self.addCleanup(pusher.finish)
        replicas = [server.client() for server in self.set.others(self.old)]
        for replica in replicas:
            self.addCleanup(replica.close)
        self.set.failover()
        # Without a pause: fairlead hears of it within a few milliseconds.
        deadline = time.monotonic() + 20
        while not self.promoted(replicas):
            self.assertLess(time.monotonic(), deadline, "no replica was promoted")
        pusher.start()
        wait_until(lambda: self.old.call("LLEN", "jobs") > 0, 20, "nobody to wait at the old master")
        pusher.finish()
        self.assertEqual(pusher.unexpected, [])
        left = set(self.old.call("LRANGE", "jobs", "0", "-1"))
        self.set.wait_for_other_master(self.old)
        with self.proxy.client() as client:
            for _ in waiting:
                client.command("RPUSH", "jobs", END)
        popped = [client.reply()[1] for client in waiting]
        arrived = [value for value in popped if value != END]
        self.assertEqual(len(arrived), len(set(arrived)), "a value was popped twice")
        moved, answered = self.counter("blocked_moved"), self.counter("blocked_answered")
        unanswered = self.counter("blocked_unanswered")
        lost = set(pusher.acknowledged) - set(arrived) - left
        told = f"{moved} moved, {answered} answered, {unanswered} unanswered, {len(arrived)} arrived"
        # Only a machine that stands still for a quarter of a second gives no answer in time.
        self.assertLessEqual(len(lost), unanswered, f"lost {lost}; {told}")
        self.assertGreater(moved + answered + unanswered, 0, told)
        print(f"    {told}, {len(lost)} lost", flush=True)

    @staticmethod
    def promoted(replicas):
        """Sentinel's promotion closes these connections: then, too, it has happened."""
        try:
            return any(replica.command("ROLE")[0] == b"master" for replica in replicas)
        except (OSError, Closed):
            return True


class BlockedInSessionMode(BlockedAtASwitch):
    """Every client has a link of its own, and there is no shared one beside it."""

    arguments = ("--pool-mode", "session")


if __name__ == "__main__":
    unittest.main()
