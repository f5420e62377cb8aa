"""python3-redis in long-lived use: locks, threads, monitors, health checks, waiting queues, a proxy that restarts.

FAIRLEAD_IDLE_SECONDS is how long the idle queue worker waits: 3 in CI, 600 to look for timeouts that nobody announced.
"""

import os
import threading
import time
import unittest

import redis

from harness import Process, TestCase, wait_until

IDLE_SECONDS = float(os.environ.get("FAIRLEAD_IDLE_SECONDS") or 3)


class Clients(TestCase):
    """What all classes here need to make clients that end with their test."""

    def connect(self, port, **options):
        client = redis.Redis(port=port, socket_timeout=15, **options)
        self.addCleanup(client.close)
        return client

    def in_thread(self, work):
        """Runs it beside the test; its error fails the test when the result is asked for."""
        outcome = {}

        def run():
            try:
                outcome["result"] = work()
            except BaseException as error:  # It is raised again where somebody looks.
                outcome["error"] = error

        thread = threading.Thread(target=run, daemon=True)
        thread.start()

        def result(timeout=20):
            thread.join(timeout)
            self.assertFalse(thread.is_alive(), "the thread is still at work")
            if "error" in outcome:
                raise outcome["error"]
            return outcome["result"]

        return result


class PythonClients(Clients):
    @classmethod
    def start_servers(cls):
        # No Sentinels: nothing here may fail over, however slow the machine is.
        cls.set = cls.redis_set(replicas=1, sentinels=0)
        cls.master = cls.set.servers[0]
        cls.proxy = cls.shared_fairlead(cls.set, "--probe-misses", "30")

    def setUp(self):
        self.master.call("FLUSHALL")

    def redis(self, **options):
        return self.connect(self.proxy.port, **options)

    def blocked(self, count):
        wait_until(lambda: self.master.info("clients")["blocked_clients"] == str(count),
                   what=f"{count} blocked clients")

    def test_locks_exclude_each_other(self):
        inside, most, turns = [], [], 25

        def work(number):
            client = self.redis()
            for _ in range(turns):
                with client.lock("the-lock", timeout=10, sleep=0.001, blocking_timeout=15):
                    inside.append(number)
                    most.append(len(inside))
                    # Not atomic but for the lock: a lost update shows in the sum.
                    client.set("sum", int(client.get("sum") or 0) + 1)
                    inside.remove(number)

        for result in [self.in_thread(lambda number=number: work(number)) for number in range(4)]:
            result(60)
        self.assertEqual(max(most), 1)
        self.assertEqual(self.master.call("GET", "sum"), b"%d" % (4 * turns))

    def test_lock_of_another_cannot_be_released(self):
        mine, other = self.redis().lock("owned", timeout=10), self.redis().lock("owned", timeout=10)
        self.assertTrue(mine.acquire(blocking=False))
        self.assertFalse(other.acquire(blocking=False))
        self.assertTrue(mine.extend(5))
        self.assertTrue(mine.reacquire())
        self.master.call("SET", "owned", "somebody else")
        self.assertRaises(redis.exceptions.LockNotOwnedError, mine.release)

    def test_subscriptions_in_a_thread(self):
        got = []
        subscriber = self.redis().pubsub(ignore_subscribe_messages=True)
        subscriber.subscribe(**{"plain": lambda message: got.append(("plain", message["data"]))})
        subscriber.psubscribe(**{"p*": lambda message: got.append(("pattern", message["data"]))})
        thread = subscriber.run_in_thread(sleep_time=0.05, daemon=True)
        try:
            wait_until(lambda: self.redis().pubsub_numsub("plain") == [(b"plain", 1)] and
                       self.redis().pubsub_numpat() == 1, what="the subscriptions")
            publisher = self.redis()
            for number in range(200):
                self.assertEqual(publisher.publish("plain", number), 2)
            wait_until(lambda: len(got) == 400, what="all messages")
        finally:
            thread.stop()
            thread.join(10)
        self.assertFalse(thread.is_alive())
        for kind in ("plain", "pattern"):
            self.assertEqual([int(data) for which, data in got if which == kind], list(range(200)))

    def test_subscriber_with_health_checks(self):
        """Its PINGs are answered in the form for subscribers, between the messages."""
        subscriber = self.redis(health_check_interval=0.05).pubsub()
        self.addCleanup(subscriber.close)
        subscriber.subscribe("checked")
        self.assertEqual(subscriber.get_message(timeout=10)["type"], "subscribe")
        sent = []
        send = subscriber.connection.send_command

        def note_and_send(*args, **options):
            sent.append(args[0])
            return send(*args, **options)

        subscriber.connection.send_command = note_and_send
        publisher = self.redis()
        for number in range(10):
            publisher.publish("checked", number)
            message = wait_until(lambda: subscriber.get_message(timeout=1), what="the message")
            self.assertEqual(message["data"], b"%d" % number)
            # The check is due when the interval has passed since the last answer: a silent wait makes it so.
            self.assertIsNone(subscriber.get_message(timeout=0.1))
        self.assertGreaterEqual(sent.count("PING"), 3)
        wait_until(lambda: subscriber.get_message(timeout=0.1) is None and
                   subscriber.health_check_response_counter == 0, what="an answer to every check")

    def test_health_checks_of_ordinary_clients(self):
        client = self.redis(health_check_interval=1, single_connection_client=True)
        for number in range(3):
            client.set("k", number)
            client.connection.next_health_check = time.time() - 1
            self.assertEqual(client.get("k"), b"%d" % number)

    def test_pipelines_with_errors_inside(self):
        client = self.redis()
        replies = client.pipeline(transaction=False).set("s", "x").incr("s").get("s").execute(raise_on_error=False)
        self.assertEqual((replies[0], replies[2]), (True, b"x"))
        self.assertIsInstance(replies[1], redis.ResponseError)
        with self.assertRaises(redis.ResponseError):
            client.pipeline().set("s", "y").incr("s").execute()
        self.assertEqual(client.get("s"), b"y")
        increment = client.transaction(lambda pipe: (value := int(pipe.get("n") or 0), pipe.multi(),
                                                     pipe.set("n", value + 1)), "n")
        self.assertEqual((increment, client.get("n")), ([True], b"1"))

    def test_monitor(self):
        client = self.redis()
        with self.redis().monitor() as monitor:
            client.set("monitored", "with spaces")
            for _ in range(100):
                seen = monitor.next_command()
                if seen["command"].upper().startswith("SET MONITORED"):
                    break
            self.assertEqual(seen["command"].split(" ", 2)[2], "with spaces")
            self.assertEqual(seen["db"], 0)

    def test_blocking_pops_of_many_clients(self):
        """As many waiting clients as jobs: each gets one."""
        results = [self.in_thread(lambda: self.redis().brpop(["high", "low"], timeout=20)) for _ in range(20)]
        self.blocked(20)
        producer = self.redis()
        for number in range(20):
            producer.lpush("low" if number % 2 else "high", number)
        self.assertEqual(sorted(int(result()[1]) for result in results), list(range(20)))
        self.blocked(0)

    def test_stream_groups_claim_what_another_left(self):
        client = self.redis()
        client.xgroup_create("events", "group", mkstream=True)
        waiting = self.in_thread(lambda: self.redis().xreadgroup("group", "one", {"events": ">"}, block=15000))
        self.blocked(1)
        entry = client.xadd("events", {"n": 1})
        self.assertEqual(waiting(), [[b"events", [(entry, {b"n": b"1"})]]])
        claimed = client.xautoclaim("events", "group", "two", min_idle_time=0)
        self.assertIn((entry, {b"n": b"1"}), claimed if isinstance(claimed[0], tuple) else claimed[1])
        self.assertEqual(client.xack("events", "group", entry), 1)

    def test_idle_queue_worker(self):
        """A worker as Celery's: BRPOP with a short timeout again and again, and nothing to do. Others stay subscribed
        or block without a timeout for as long, and nothing closes their connections."""
        worker = self.redis(single_connection_client=True)
        own_port = worker.connection._sock.getsockname()
        subscriber = self.redis().pubsub()
        self.addCleanup(subscriber.close)
        subscriber.subscribe("idle")
        self.assertEqual(subscriber.get_message(timeout=10)["type"], "subscribe")
        endless = redis.Redis(port=self.proxy.port, socket_timeout=IDLE_SECONDS + 30, single_connection_client=True)
        self.addCleanup(endless.close)
        waiting = self.in_thread(lambda: endless.blpop("endless", timeout=0))
        idle = self.redis(single_connection_client=True)
        idle_port = idle.connection._sock.getsockname()
        ends = time.monotonic() + IDLE_SECONDS
        rounds = 0
        while time.monotonic() < ends:
            self.assertIsNone(worker.brpop(["celery", "celery:3", "celery:6"], timeout=1))
            rounds += 1
        self.assertGreaterEqual(rounds, int(IDLE_SECONDS / 2))
        producer = self.redis()
        producer.lpush("celery", "task")
        self.assertEqual(worker.brpop(["celery", "celery:3", "celery:6"], timeout=10), (b"celery", b"task"))
        producer.rpush("endless", "at last")
        self.assertEqual(waiting(), (b"endless", b"at last"))
        producer.publish("idle", "still there")
        self.assertEqual(subscriber.get_message(timeout=10)["data"], b"still there")
        self.assertTrue(idle.ping())
        self.assertEqual(worker.connection._sock.getsockname(), own_port)
        self.assertEqual(idle.connection._sock.getsockname(), idle_port)


class ProxyRestart(Clients):
    """The proxy itself goes away and comes back on its port: clients reconnect to the one address they know."""

    def test_clients_come_back(self):
        redis_set = self.redis_set(replicas=1, sentinels=0)
        proxy = self.fairlead(redis_set).wait_ready()
        client = self.connect(proxy.port)
        subscriber = client.pubsub()
        self.addCleanup(subscriber.close)
        subscriber.subscribe("news")
        self.assertEqual(subscriber.get_message(timeout=10)["type"], "subscribe")
        client.set("k", "before")
        proxy.process.kill()
        self.assertRaises(redis.ConnectionError, client.get, "k")
        proxy.process = Process("fairlead-again", proxy.process.argv, self.directory)
        self.addCleanup(proxy.process.stop)
        proxy.wait_ready()
        self.assertEqual(client.get("k"), b"before")
        # redis-py says once that the connection is gone, and then connects and subscribes again by itself.
        self.assertRaises(redis.ConnectionError, subscriber.get_message, timeout=10)
        self.assertEqual(subscriber.get_message(timeout=10)["type"], "subscribe")
        self.assertEqual(client.publish("news", "after"), 1)
        self.assertEqual(subscriber.get_message(timeout=10)["data"], b"after")


class QueueFailover(Clients):
    """A queue worker that waits, and a subscriber, on connections that outlive the master."""

    def test_waiting_worker_and_subscriber_go_on(self):
        redis_set = self.redis_set()
        master = redis_set.servers[0]
        proxy = self.fairlead(redis_set).wait_ready()
        worker = self.connect(proxy.port, single_connection_client=True, retry_on_timeout=False)
        own_port = worker.connection._sock.getsockname()
        subscriber = self.connect(proxy.port).pubsub()
        self.addCleanup(subscriber.close)
        subscriber.subscribe("news")
        self.assertEqual(subscriber.get_message(timeout=10)["type"], "subscribe")
        waiting = self.in_thread(lambda: redis.Redis.brpop(worker, ["celery"], timeout=0))
        wait_until(lambda: master.info("clients")["blocked_clients"] == "1", what="the waiting worker")
        master.process.kill()
        new_master = redis_set.wait_for_other_master(master)
        producer = self.connect(proxy.port)
        wait_until(lambda: new_master.info("clients")["blocked_clients"] == "1", what="the worker at the new master")
        self.assertEqual(producer.lpush("celery", "task"), 1)
        self.assertEqual(waiting(), (b"celery", b"task"))
        self.assertEqual(worker.connection._sock.getsockname(), own_port)
        wait_until(lambda: producer.publish("news", "after") == 1, what="the subscription at the new master")
        self.assertEqual(subscriber.get_message(timeout=10)["data"], b"after")


if __name__ == "__main__":
    unittest.main()
