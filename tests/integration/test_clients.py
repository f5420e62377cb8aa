"""Unmodified clients work: redis-cli, redis-benchmark and python3-redis, in front of a whole set."""

import threading
import time
import unittest

import redis

from harness import TestCase, wait_until
from resp_client import encode


class Clients(TestCase):
    @classmethod
    def start_servers(cls):
        cls.set = cls.redis_set()
        cls.proxy = cls.shared_fairlead(cls.set)

    def setUp(self):
        self.set.servers[0].call("FLUSHALL")

    def cli(self, *args, **options):
        done = self.run_program(["redis-cli", "-p", self.proxy.port, *args], **options)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def redis(self, **options):
        client = redis.Redis(port=self.proxy.port, socket_timeout=15, **options)
        self.addCleanup(client.close)
        return client

    def test_redis_cli_sets_and_gets(self):
        self.assertEqual(self.cli("set", "a", "1"), "OK\n")
        self.assertEqual(self.cli("get", "a"), "1\n")
        self.assertEqual(self.set.servers[0].call("GET", "a"), b"1")

    def test_redis_cli_speaks_resp3(self):
        self.cli("hset", "h", "field", "1")
        self.assertEqual(self.cli("-3", "--no-raw", "hgetall", "h"), '1# "field" => "1"\n')

    def test_redis_cli_pipe_of_100000_commands(self):
        data = b"".join(encode("SET", f"key:{number}", number) for number in range(100_000))
        done = self.run_program(["redis-cli", "-p", self.proxy.port, "--pipe"], input=data.decode(), timeout=120)
        self.assertIn("errors: 0, replies: 100000", done.stdout, done.stderr)
        self.assertEqual(self.set.servers[0].call("DBSIZE"), 100_000)

    def test_redis_benchmark_pipelined(self):
        done = self.run_program(["redis-benchmark", "-p", self.proxy.port, "-t", "set,get", "-P", "16", "-c", "50",
                                 "-n", "100000", "-r", "1000", "--csv"], timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r'"SET","[1-9]')
        self.assertRegex(done.stdout, r'"GET","[1-9]')
        self.assertNotIn("rror", done.stdout + done.stderr)
        # Warm-up aside: every request of the benchmark is a command on the master.
        self.assertGreater(self.set.servers[0].call("DBSIZE"), 900)

    def test_values_of_8_mib(self):
        value = bytes(range(256)) * (8 * 4096)
        client = self.redis()
        for number in range(4):
            client.set(f"big:{number}", value)
        for number in range(4):
            self.assertTrue(client.get(f"big:{number}") == value)
        pipeline = client.pipeline(transaction=False)
        for number in range(4):
            pipeline.get(f"big:{number}")
        self.assertTrue(pipeline.execute() == [value] * 4)

    def test_pipelines_keep_their_order(self):
        pipeline = self.redis().pipeline(transaction=False)
        for number in range(5000):
            pipeline.set(f"k{number}", number)
            pipeline.get(f"k{number}")
        replies = pipeline.execute()
        self.assertEqual(replies[0::2], [True] * 5000)
        self.assertEqual(replies[1::2], [b"%d" % number for number in range(5000)])

    def test_transactions(self):
        client = self.redis()
        transaction = client.pipeline(transaction=True)
        transaction.incr("n").incr("n").lpush("n", "x").get("n")
        self.assertEqual(transaction.execute(raise_on_error=False)[:2], [1, 2])
        self.assertEqual(client.get("n"), b"2")

    def test_watch_conflict(self):
        client, rival = self.redis(), self.redis()
        client.set("balance", 10)
        with client.pipeline() as transaction:
            transaction.watch("balance")
            rival.set("balance", 11)
            transaction.multi()
            transaction.set("balance", 9)
            self.assertRaises(redis.WatchError, transaction.execute)
        self.assertEqual(client.get("balance"), b"11")
        with client.pipeline() as transaction:
            transaction.watch("balance")
            transaction.multi()
            transaction.set("balance", 12)
            self.assertEqual(transaction.execute(), [True])
        self.assertEqual(client.get("balance"), b"12")

    def test_discard_leaves_the_connection_usable(self):
        raw = self.open(self.proxy.port)
        self.assertEqual(raw.command("MULTI"), "OK")
        self.assertEqual(raw.command("SET", "d", "1"), "QUEUED")
        self.assertEqual(raw.command("DISCARD"), "OK")
        self.assertIsNone(raw.command("GET", "d"))

    def test_pub_sub(self):
        subscriber = self.redis().pubsub()
        self.addCleanup(subscriber.close)
        subscriber.subscribe("news")
        subscriber.psubscribe("ne*")
        self.assertEqual([subscriber.get_message(timeout=10)["type"] for _ in range(2)], ["subscribe", "psubscribe"])
        self.assertEqual(self.redis().publish("news", "hello"), 2)
        messages = [subscriber.get_message(timeout=10) for _ in range(2)]
        self.assertEqual([message["data"] for message in messages], [b"hello"] * 2)
        self.assertEqual({message["type"] for message in messages}, {"message", "pmessage"})
        subscriber.unsubscribe()
        subscriber.punsubscribe()
        self.assertEqual([subscriber.get_message(timeout=10)["type"] for _ in range(2)],
                         ["unsubscribe", "punsubscribe"])

    def test_blocking_pop_waits_for_another_client(self):
        waiting = self.open(self.proxy.port)
        waiting.send(encode("BLPOP", "queue", "10"))
        wait_until(lambda: self.set.servers[0].info("clients")["blocked_clients"] == "1", what="the blocked client")
        # Others are not held up by it.
        self.assertEqual(self.open(self.proxy.port).command("RPUSH", "queue", "job"), 1)
        self.assertEqual(waiting.reply(), [b"queue", b"job"])
        self.assertEqual(waiting.command("LLEN", "queue"), 0)

    def test_blocking_pop_times_out(self):
        client = self.open(self.proxy.port)
        started = time.monotonic()
        self.assertIsNone(client.command("BLPOP", "nothing", "0.5"))
        self.assertGreater(time.monotonic() - started, 0.45)
        self.assertEqual(client.command("ECHO", "after"), b"after")

    def test_databases_are_apart(self):
        zero, five = self.redis(), self.redis(db=5)
        zero.set("where", "zero")
        five.set("where", "five")
        self.assertEqual((zero.get("where"), five.get("where")), (b"zero", b"five"))
        raw = self.open(self.proxy.port)
        self.assertEqual(raw.command("SELECT", "5"), "OK")
        self.assertEqual(raw.command("GET", "where"), b"five")
        self.assertEqual(raw.command("SELECT", "0"), "OK")
        self.assertEqual(raw.command("GET", "where"), b"zero")
        self.assertEqual(five.dbsize(), 1)

    def test_scripts(self):
        script = self.redis().register_script("return {KEYS[1], ARGV[1], redis.call('incr', KEYS[1])}")
        self.assertEqual(script(keys=["counter"], args=["x"]), [b"counter", b"x", 1])
        self.assertEqual(script(keys=["counter"], args=["y"]), [b"counter", b"y", 2])

    def test_many_threads_get_their_own_answers(self):
        """Replies of clients that share a link never change places."""
        wrong = []

        def work(number):
            client = redis.Redis(port=self.proxy.port, socket_timeout=15)
            for turn in range(300):
                value = f"{number}:{turn}".encode()
                client.set(f"own:{number}", value)
                if client.get(f"own:{number}") != value:
                    wrong.append((number, turn))
            client.close()

        threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertFalse(any(thread.is_alive() for thread in threads))
        self.assertEqual(wrong, [])
        for number in range(16):
            self.assertEqual(self.set.servers[0].call("GET", f"own:{number}"), b"%d:299" % number)


if __name__ == "__main__":
    unittest.main()
