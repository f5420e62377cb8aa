"""redis-cli in all of its modes: its own protocol tricks, and a person at a terminal."""

import json
import os
import pty
import re
import select
import subprocess
import time
import unittest

from harness import TestCase, wait_until
from resp_client import encode


class Terminal:
    """A program that believes to talk to a person: its output is read until it says what is waited for."""

    def __init__(self, argv):
        self.fd, child = pty.openpty()
        self.process = subprocess.Popen([str(arg) for arg in argv], stdin=child, stdout=child, stderr=child,
                                        start_new_session=True, env={**os.environ, "TERM": "dumb"})
        os.close(child)
        self.text = ""

    def wait_for(self, pattern, timeout=15.0):
        """The first match of `pattern` in what was said since the last one."""
        deadline = time.monotonic() + timeout
        while not (found := re.search(pattern, self.text)):
            remaining = deadline - time.monotonic()
            if remaining <= 0 or not select.select([self.fd], [], [], remaining)[0]:
                raise AssertionError(f"waited {timeout} s for {pattern!r} in {self.text[-2000:]!r}")
            try:
                self.text += os.read(self.fd, 65536).decode(errors="replace")
            except OSError:
                raise AssertionError(f"it ended without {pattern!r}: {self.text[-2000:]!r}") from None
        self.text = self.text[found.end():]
        return found

    def type(self, line):
        os.write(self.fd, line.encode() + b"\n")

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.fd)


class RedisCliModes(TestCase):
    @classmethod
    def start_servers(cls):
        # No Sentinels: nothing here may fail over, however slow the machine is.
        cls.set = cls.redis_set(replicas=1, sentinels=0)
        cls.master = cls.set.servers[0]
        cls.proxy = cls.shared_fairlead(cls.set, "--probe-misses", "30")

    def setUp(self):
        self.master.call("FLUSHALL")

    def cli(self, *args, **options):
        done = self.run_program(["redis-cli", "-p", self.proxy.port, *args], **options)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def terminal(self, *args):
        terminal = Terminal(["redis-cli", "-p", self.proxy.port, *args])
        self.addCleanup(terminal.close)
        return terminal

    def prompted(self, *args):
        terminal = self.terminal(*args)
        terminal.wait_for(f"127.0.0.1:{self.proxy.port}> ")
        return terminal

    def fill(self, count):
        with self.open(self.proxy.port) as client:
            client.send(b"".join(encode("SET", f"key:{number}", "x" * number) for number in range(count)))
            for _ in range(count):
                self.assertEqual(client.reply(), "OK")

    def test_pipe_counts_errors(self):
        data = b"".join(encode("SET", f"k{number}", "x") for number in range(5000)) + encode("INCR", "k0") + b"PING\r\n"
        done = self.run_program(["redis-cli", "-p", self.proxy.port, "--pipe"], input=data.decode())
        self.assertIn("errors: 1, replies: 5002", done.stdout, done.stderr)
        self.assertEqual(self.master.call("DBSIZE"), 5000)

    def test_scan(self):
        self.fill(300)
        self.assertEqual(len(set(self.cli("--scan").split())), 300)
        self.assertEqual(sorted(self.cli("--scan", "--pattern", "key:1?").split()), [f"key:1{n}" for n in range(10)])
        self.assertEqual(len(self.cli("--scan", "--quoted-pattern", '"key:\\x31*"').split()), 111)

    def test_big_keys_and_memory_keys(self):
        self.fill(50)
        self.cli("rpush", "list", *range(20))
        found = self.cli("--bigkeys")
        self.assertIn("Sampled 51 keys in the keyspace!", found)
        self.assertRegex(found, r"""Biggest string found '"key:49"' has 49 bytes""")
        self.assertRegex(found, r"""Biggest   list found '"list"' has 20 items""")
        self.assertIn("Sampled 51 keys in the keyspace!", self.cli("--memkeys"))

    def test_latency(self):
        # Not at a terminal it measures for the interval and prints least, most, average and count.
        least, most, average, count = (float(word) for word in self.cli("--latency", "-i", "1").split())
        self.assertLessEqual(least, average)
        self.assertLessEqual(average, most)
        self.assertGreater(count, 10)

    def test_statistics(self):
        self.fill(25)
        terminal = self.terminal("--stat", "-i", "0.1")
        terminal.wait_for("keys +mem +clients")
        rows = [terminal.wait_for(r"\n(\d+) +\S+ +\d+ +\d+ +(\d+)") for _ in range(3)]
        self.assertEqual([row.group(1) for row in rows], ["25"] * 3)
        requests = [int(row.group(2)) for row in rows]
        self.assertEqual(requests, sorted(set(requests)))

    def test_resp3(self):
        self.cli("hset", "h", "f", "1")
        self.assertEqual(self.cli("-3", "--no-raw", "hgetall", "h"), '1# "f" => "1"\n')
        self.cli("zadd", "z", "1.5", "m")
        self.assertEqual(self.cli("-3", "--no-raw", "zscore", "z", "m"), "(double) 1.5\n")
        self.assertEqual(json.loads(self.cli("-3", "--json", "hgetall", "h")), {"f": "1"})

    def test_output_formats(self):
        self.cli("rpush", "l", "a", 'b"c', "ä")
        self.assertEqual(self.cli("--raw", "lrange", "l", "0", "-1"), 'a\nb"c\nä\n')
        self.assertEqual(self.cli("--no-raw", "lrange", "l", "0", "-1"), '1) "a"\n2) "b\\"c"\n3) "\\xc3\\xa4"\n')
        self.assertEqual(self.cli("--csv", "lrange", "l", "0", "1"), '"a","b\\"c"\n')
        failed = self.run_program(["redis-cli", "-p", self.proxy.port, "-e", "incr", "l"])
        self.assertEqual(failed.returncode, 1)
        self.assertIn("WRONGTYPE", failed.stdout + failed.stderr)

    def test_argument_from_input(self):
        value = "line one\nline two\n" * 50_000
        self.assertEqual(self.cli("-x", "set", "long", input=value), "OK\n")
        self.assertEqual(self.master.call("GET", "long").decode(), value)
        self.assertEqual(self.cli("-X", "tag", "set", "middle", "tag", "get", input="between"), "\n")
        self.assertEqual(self.master.call("GET", "middle"), b"between")

    def test_commands_from_input(self):
        done = self.cli(input="multi\nincr a\nincr a\nexec\nselect 3\nset b 3\nget b\n")
        self.assertEqual(done.split(), "OK QUEUED QUEUED 1 2 OK OK 3".split())
        self.assertEqual(self.cli("-n", "3", "get", "b"), "3\n")
        self.assertEqual(self.cli("get", "b"), "\n")

    def test_eval_file(self):
        path = f"{self.directory}/script.lua"
        with open(path, "w") as script:
            script.write("redis.call('set', KEYS[1], ARGV[1])\nreturn {KEYS[1], #ARGV, redis.call('get', KEYS[1])}\n")
        self.assertEqual(self.cli("--eval", path, "k", ",", "v", "w").split(), ["k", "2", "v"])

    def test_repetition(self):
        self.assertEqual(self.cli("-r", "5", "-i", "0.01", "incr", "n").split(), list("12345"))

    def test_names(self):
        with self.open(self.proxy.port) as named:
            self.assertEqual(named.command("CLIENT", "SETNAME", "somebody"), "OK")
            self.assertEqual(named.command("CLIENT", "GETNAME"), b"somebody")
            self.assertEqual(self.cli("client", "getname"), "\n")
        ids = self.cli(input="client id\nclient id\n").split()
        self.assertEqual(ids[0], ids[1])
        self.assertNotEqual(self.cli("client", "id"), ids[0] + "\n")

    def test_client_list_shows_the_proxys_clients(self):
        with self.open(self.proxy.port) as named:
            named.command("CLIENT", "SETNAME", "somebody")
            own_port = named.socket.getsockname()[1]
            mine = [line for line in self.cli("client", "list").splitlines() if " name=somebody " in line]
            self.assertEqual(len(mine), 1)
            self.assertIn(f" addr=127.0.0.1:{own_port} ", mine[0])
            self.assertIn(f"id={named.command('CLIENT', 'ID')} ", mine[0])
            self.assertIn(" name=somebody ", named.command("CLIENT", "INFO").decode())

    # Redis promises that a greater id belongs to a younger connection, whichever worker has it.
    def test_client_ids_grow(self):
        ids = []
        for _ in range(20):
            with self.open(self.proxy.port) as client:
                ids.append(client.command("CLIENT", "ID"))
        self.assertEqual(ids, sorted(ids))

    def test_monitor(self):
        terminal = self.terminal("monitor")
        terminal.wait_for("OK")
        with self.open(self.proxy.port) as client:
            client.command("SET", "seen", "a b")
        terminal.wait_for(r'\d+\.\d+ \[0 127\.0\.0\.1:\d+\] "SET" "seen" "a b"')

    def test_subscribe(self):
        terminal = self.terminal("subscribe", "one", "two")
        terminal.wait_for(r'1\) "subscribe"\s+2\) "two"\s+3\) \(integer\) 2')
        self.assertEqual(self.cli("publish", "two", "hello"), "1\n")
        terminal.wait_for(r'1\) "message"\s+2\) "two"\s+3\) "hello"')
        patterns = self.terminal("psubscribe", "t*")
        patterns.wait_for(r'"psubscribe"')
        self.assertEqual(self.cli("publish", "two", "again"), "2\n")
        patterns.wait_for(r'1\) "pmessage"\s+2\) "t\*"\s+3\) "two"\s+4\) "again"')
        self.assertEqual(self.cli("pubsub", "numsub", "two").split(), ["two", "1"])

    def test_interactive(self):
        terminal = self.prompted()
        prompt = f"127.0.0.1:{self.proxy.port}"
        terminal.type("set greeting hello")
        terminal.wait_for(f"OK\\s+{prompt}> ")
        terminal.type("incr greeting")
        terminal.wait_for(f"\\(error\\) ERR value is not an integer or out of range\\s+{prompt}> ")
        terminal.type("select 2")
        terminal.wait_for(f"OK\\s+{prompt}\\[2\\]> ")
        terminal.type("multi")
        terminal.wait_for(f"OK\\s+{prompt}\\[2\\]\\(TX\\)> ")
        terminal.type("incr n")
        terminal.wait_for(f"QUEUED\\s+{prompt}\\[2\\]\\(TX\\)> ")
        terminal.type("exec")
        terminal.wait_for(f"1\\) \\(integer\\) 1\\s+{prompt}\\[2\\]> ")
        terminal.type("help @string")
        terminal.wait_for("GETRANGE.*key start end")
        terminal.type("quit")
        self.assertEqual(terminal.process.wait(10), 0)

    def test_interactive_resp3_pushes(self):
        terminal = self.prompted("-3")
        terminal.type("client tracking on")
        terminal.wait_for("OK\\s")
        terminal.type("get tracked")
        terminal.wait_for(r"\(nil\)")
        self.cli("set", "tracked", "1")
        terminal.type("ping")
        terminal.wait_for(r"-> invalidate: 'tracked'")
        terminal.type("subscribe news")
        terminal.wait_for("subscribe")
        wait_until(lambda: self.cli("pubsub", "numsub", "news").split() == ["news", "1"], what="the subscription")
        self.cli("publish", "news", "hello")
        terminal.wait_for(r'"hello"')

    def test_replication_modes_are_refused(self):
        """--replica and --rdb ask for the replication stream, which only a server may have."""
        for mode in (["--replica"], ["--rdb", f"{self.directory}/stolen.rdb"]):
            done = self.run_program(["redis-cli", "-p", self.proxy.port, *mode], timeout=30)
            self.assertEqual(done.returncode, 1, mode)
            self.assertIn("NOPERM", done.stdout + done.stderr, mode)


if __name__ == "__main__":
    unittest.main()
