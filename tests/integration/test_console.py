"""The operator's console, as redis-cli and programs see it, and `fairlead top` on it."""

import pathlib
import signal
import tempfile
import unittest
import urllib.error
import urllib.request

from harness import FAIRLEAD, Process, TestCase, free_port, wait_until
from resp_client import ReplyError

PASSWORD = "console-secret"


def readiness(proxy, path="/readyz"):
    """Status and words of one path."""
    login = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    login.add_password(None, f"http://127.0.0.1:{proxy.stats_port}", "admin", PASSWORD)
    opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(login))
    try:
        with opener.open(f"http://127.0.0.1:{proxy.stats_port}{path}", timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


class Console(TestCase):
    @classmethod
    def start_servers(cls):
        cls.set = cls.redis_set(replicas=1, sentinels=3)
        cls.console_port = free_port()
        directory = tempfile.mkdtemp(dir=cls.directory)
        cls.path = f"{directory}/console.sock"
        cls.secret = pathlib.Path(directory) / "password"
        cls.secret.write_text(PASSWORD)
        cls.args = ["--console", f"127.0.0.1:{cls.console_port}", "--console", f"unix:{cls.path}",
                    "--stats-user", "admin", "--stats-password-file", cls.secret]
        cls.proxy = cls.shared_fairlead(cls.set, *cls.args, "--stats-admin", "--slow-command", "1ms")
        with cls.proxy.client() as client:
            for number in range(50):
                client.command("SET", "k", str(number))

    def console(self):
        client = self.open(self.console_port)
        self.assertEqual(client.command("AUTH", "admin", PASSWORD), "OK")
        return client

    def redis_cli(self, *words, protocol=()):
        return self.run_program(["redis-cli", "-p", self.console_port, "--no-auth-warning", "--user", "admin",
                                 "--pass", PASSWORD, *protocol, *words])

    def test_login(self):
        client = self.open(self.console_port)
        for words in (("SHOW", "SERVERS"), ("KILL", "1"), ("HELP",)):
            with self.assertRaisesRegex(ReplyError, "NOAUTH"):
                client.command(*words)
        with self.assertRaisesRegex(ReplyError, "WRONGPASS"):
            client.command("AUTH", "admin", "wrong")
        self.assertEqual(client.command("AUTH", "admin", PASSWORD), "OK")
        self.assertEqual(client.command("PING"), "PONG")

    def test_tables_for_people(self):
        for topic in ("summary", "servers", "sentinels", "clients", "commands", "slow", "hot", "big", "failovers",
                      "traffic", "stats", "events", "config", "links", "latency", "vrrp", "operator"):
            done = self.redis_cli("show", topic)
            self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
            self.assertGreaterEqual(len(done.stdout.splitlines()), 1, topic)
        wait_until(lambda: self.set.servers[1].address in self.redis_cli("show", "servers").stdout, what="the replica")
        table = self.redis_cli("show", "servers").stdout.splitlines()
        self.assertTrue(table[0].startswith("SERVER"), table)
        self.assertEqual(len(table), 3, table)
        self.assertNotIn(PASSWORD, self.redis_cli("show", "config").stdout)

    def test_maps_for_programs(self):
        client = self.console()
        hello = client.command("HELLO", "3")
        self.assertIn(b"fairlead console", str(hello).encode())
        wait_until(lambda: any(row[b"name"] == b"set" and row[b"calls"] >= 50 for row in client.command("SHOW", "COMMANDS")),
                   what="SET to be counted")
        servers = client.command("SHOW", "SERVERS")
        self.assertEqual({row[b"address"].decode() for row in servers}, {server.address for server in self.set.servers})
        self.assertEqual([row[b"address"].decode() for row in servers if row[b"is_route"]], [self.set.master().address])

    def test_unix_socket(self):
        done = self.run_program(["redis-cli", "-s", self.path, "--no-auth-warning", "--user", "admin", "--pass", PASSWORD,
                                 "show", "summary"])
        self.assertIn(self.set.master().address, done.stdout)

    def test_kill(self):
        victim = self.open(self.proxy.port)
        victim.command("CLIENT", "SETNAME", "victim")
        key = str(victim.command("CLIENT", "ID"))
        client = self.console()
        wait_until(lambda: client.command("KILL", key) == "OK", what="the client to be listed, and closed")
        self.assertEqual(victim.read_until_closed(), b"")
        with self.assertRaisesRegex(ReplyError, "no client of this id"):
            client.command("KILL", "123456789")

    def test_kill_needs_permission(self):
        port = free_port()
        proxy = self.fairlead(self.set, "--console", f"127.0.0.1:{port}").wait_ready()
        client = self.open(port)
        for words in (("KILL", "1"), ("PAUSE",), ("RESUME",), ("FAILOVER",), ("DRAIN",), ("READY",), ("RELOAD",),
                      ("MAINT", self.set.servers[1].address), ("DRAIN", self.set.servers[1].address)):
            with self.assertRaisesRegex(ReplyError, "NOPERM", msg=words):
                client.command(*words)
        self.assertEqual(proxy.process.running(), True)

    def test_help_and_mistakes(self):
        client = self.console()
        commands = [line.split()[0] for line in client.command("HELP")]
        for name in ("SHOW", "KILL", "SLOWLOG", "LATENCY", "AUTH", "HELLO", "PING", "QUIT", "HELP", "PAUSE", "RESUME", "FAILOVER",
                     "DRAIN", "READY", "MAINT", "RELOAD"):
            self.assertIn(name, commands)
            self.assertTrue(client.command("HELP", name))
        for words in (("NONSENSE",), ("SHOW",), ("SHOW", "NOTHING"), ("KILL",), ("HELLO", "4"), ("HELP", "NOTHING"),
                      ("SLOWLOG",), ("FLUSHALL",), ("LATENCY",), ("MAINT",), ("MAINT", "nonsense"), ("PAUSE", "1", "2")):
            with self.assertRaises(ReplyError, msg=words):
                client.command(*words)
        self.assertEqual(client.command("PING"), "PONG")

    def test_pause_and_resume(self):
        console = self.console()
        client = self.open(self.proxy.port)
        client.command("SET", "paused", "1")
        self.assertTrue(console.command("PAUSE").startswith("OK paused"))
        self.addCleanup(console.command, "RESUME")
        self.assertIn("already, by admin at 127.0.0.1", console.command("PAUSE"))
        client.send(b"*2\r\n$4\r\nINCR\r\n$6\r\npaused\r\n")
        console.command("HELLO", "3")
        wait_until(lambda: console.command("SHOW", "SUMMARY")[b"held"] >= 1, what="the command to be held")
        told = console.command("SHOW", "OPERATOR")[b"paused"]
        self.assertEqual(told[b"given"], True)
        self.assertTrue(told[b"by"].startswith(b"admin at 127.0.0.1:"), told)
        self.assertTrue(told[b"by"].endswith(b" (console)"), told)
        self.assertIn(b"Paused by admin", console.command("SHOW", "SUMMARY")[b"text"])
        self.assertEqual(self.set.master().call("GET", "paused"), b"1", "a paused command was sent")
        self.assertEqual(console.command("RESUME"), "OK resumed")
        self.assertEqual(client.reply(), 2)
        self.assertEqual(console.command("RESUME"), "OK it was not paused")

    def test_pause_by_a_signal_is_the_same_pause(self):
        console = self.console()
        self.proxy.process.signal(signal.SIGUSR1)
        self.addCleanup(self.proxy.process.signal, signal.SIGUSR2)
        wait_until(lambda: any("by=SIGUSR1" in line for line in console.command("SHOW", "OPERATOR")), what="the pause")
        self.assertEqual(console.command("RESUME"), "OK resumed")
        client = self.open(self.proxy.port)
        self.assertIn(client.command("EXISTS", "k"), (0, 1))

    def test_drain_without_a_pair_is_told_by_readyz_alone(self):
        console = self.console()
        self.assertEqual(readiness(self.proxy)[0], 200)
        client = self.open(self.proxy.port)
        self.assertTrue(console.command("DRAIN").startswith("OK drained"))
        self.addCleanup(console.command, "READY")
        status, why = readiness(self.proxy)
        self.assertEqual(status, 503)
        self.assertIn("drained by the operator (admin at 127.0.0.1", why)
        self.assertEqual(readiness(self.proxy, "/healthz")[0], 200, "the process is well")
        self.assertIn(client.command("EXISTS", "k"), (0, 1))
        self.assertIn(self.open(self.proxy.port).command("EXISTS", "k"), (0, 1), "who comes is served")
        self.assertTrue(console.command("READY").startswith("OK ready"))
        self.assertEqual(readiness(self.proxy)[0], 200)

    def test_maintenance_of_a_replica(self):
        console = self.console()
        console.command("HELLO", "3")
        master = self.set.master()
        replica = self.set.others(master)[0]
        with self.assertRaisesRegex(ReplyError, "is the master; FAILOVER"):
            console.command("MAINT", master.address)
        with self.assertRaisesRegex(ReplyError, "nothing to drain"):
            console.command("DRAIN", replica.address)
        with self.assertRaisesRegex(ReplyError, "there is no server"):
            console.command("MAINT", "127.0.0.1:1")

        def row():
            return next(r for r in console.command("SHOW", "SERVERS") if r[b"address"].decode() == replica.address)
        self.assertIn("Sentinel may still promote it", console.command("MAINT", replica.address))
        wait_until(lambda: row()[b"standing"] == b"maint", what="the mark")
        replica.process.kill()
        wait_until(lambda: not row()[b"reachable"], what="the replica to be missed")
        self.assertEqual(console.command("SHOW", "SUMMARY")[b"level"], b"ok", "it is down on purpose")
        self.assertIn(f"fairlead_server_maintenance{{server=\"{replica.address}\"}} 1", readiness(self.proxy, "/metrics")[1])
        console.command("READY", replica.address)
        wait_until(lambda: console.command("SHOW", "SUMMARY")[b"level"] == b"warn", what="the warning")
        replica.start()
        wait_until(lambda: console.command("SHOW", "SUMMARY")[b"level"] == b"ok", 20, "all to be well")

    def test_links(self):
        console = self.console()
        console.command("HELLO", "3")
        blocked = self.open(self.proxy.port)
        key = blocked.command("CLIENT", "ID")
        blocked.send(b"*3\r\n$5\r\nBLPOP\r\n$5\r\nnever\r\n$1\r\n0\r\n")
        subscriber = self.open(self.proxy.port)
        subscriber.command("SUBSCRIBE", "news")
        links = wait_until(lambda: self.links_of_kinds(console, {b"leased", b"shared", b"subscriptions"}), what="three kinds")
        leased = next(link for link in links if link[b"kind"] == b"leased")
        self.assertEqual((leased[b"client_id"], leased[b"in_flight"]), (key, 1))
        self.assertEqual({link[b"server"].decode() for link in links}, {self.set.master().address})
        shared = max(link[b"sent_bytes"] for link in links if link[b"kind"] == b"shared")
        self.assertGreater(shared, 50 * len(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\n1\r\n"))
        self.assertGreaterEqual(min(link[b"age_ms"] for link in links), 0)

    @staticmethod
    def links_of_kinds(console, kinds):
        links = console.command("SHOW", "LINKS")
        return links if kinds <= {link[b"kind"] for link in links} else None

    def test_latency(self):
        console = self.console()
        told = wait_until(lambda: console.command("LATENCY", "HISTOGRAM", "SET"), what="SET to be measured")
        self.assertEqual(told[0], b"set")
        details = dict(zip(told[1][::2], told[1][1::2]))
        self.assertGreaterEqual(details[b"calls"], 50)
        counts = details[b"histogram_usec"][1::2]
        self.assertEqual(counts, sorted(counts))
        self.assertGreaterEqual(counts[-1], 50)
        self.assertIn("(turn)", self.redis_cli("show", "latency").stdout)

    def test_reload(self):
        directory = pathlib.Path(tempfile.mkdtemp(dir=self.directory))
        config = directory / "fairlead.toml"
        port, console_port = free_port(), free_port()
        text = (f'[proxy]\nlisten = ["127.0.0.1:{port}"]\n[backend]\nservers = ["{self.set.servers[0].address}"]\n'
                f'[stats]\nlisten = []\nadmin = true\n[console]\nlisten = ["127.0.0.1:{console_port}"]\n')
        config.write_text(text + '[failover]\nhold = "7s"\n')
        process = Process("reloaded", [FAIRLEAD, "--config", config], directory)
        self.addCleanup(process.stop)
        console = wait_until(lambda: self.open(console_port), what="the console")
        config.write_text(text + '[failover]\nhold = "nonsense"\nno-such-key = 1\n')
        with self.assertRaisesRegex(ReplyError, "the configuration has errors; nothing was changed; .*no-such-key"):
            console.command("RELOAD")
        config.write_text(text + '[failover]\nhold = "5s"\n')
        answer = console.command("RELOAD")
        self.assertIn("OK the configuration was read again: 1 changed, 0 not", answer[0])
        self.assertIn('"7s" -> "5s"', answer[1])

    def test_failover_needs_a_sentinel(self):
        port = free_port()
        backend = ["--server", self.set.servers[0].address, "--server", self.set.servers[1].address]
        proxy = self.fairlead(backend, "--console", f"127.0.0.1:{port}", "--stats-admin").wait_ready()
        client = self.open(port)
        with self.assertRaisesRegex(ReplyError, "without Sentinel nobody can be asked"):
            client.command("FAILOVER")
        self.assertIn("it is not followed as a master until READY", client.command("DRAIN", self.other_server()))
        self.assertTrue(proxy.process.running())

    def other_server(self):
        return self.set.others(self.set.master())[0].address

    def test_z_failover(self):
        """Last by its name: the master is another one afterwards."""
        console = self.console()
        old = self.set.master()
        wait_until(lambda: console.command("FAILOVER").startswith("OK 127.0.0.1:"), 30, "Sentinel to accept the order")
        with self.assertRaisesRegex(ReplyError, "127.0.0.1:[0-9]+ says: INPROG"):
            console.command("FAILOVER")
        new = self.set.wait_for_other_master(old)
        client = self.open(self.proxy.port)
        client.command("SET", "after", "1")
        wait_until(lambda: new.call("GET", "after") == b"1", what="the write at the new master")
        for server in (old, new):
            wait_until(lambda: server is new or server.in_sync(), 30, "the old master to be a replica")

    def test_too_long_a_command_ends_the_connection(self):
        client = self.console()
        client.send(b"*2\r\n$4\r\nSHOW\r\n$100000\r\n" + b"x" * 50000)
        self.assertTrue(client.read_until_closed().startswith(b"-ERR "))

    def test_slow_commands_as_redis_tells_them(self):
        with self.proxy.client() as client:
            client.command("EVAL", "local n = 0 for i = 1, 1000000 do n = n + i end return n", "0")
        console = self.console()
        entry = wait_until(lambda: next((e for e in console.command("SLOWLOG", "GET", "128") if e[3][0] == b"EVAL"), None),
                           what="the script in the slow log")
        self.assertEqual(len(entry), 6)
        self.assertGreaterEqual(entry[2], 1000)
        self.assertGreaterEqual(console.command("SLOWLOG", "LEN"), 1)

    def test_top(self):
        done = self.run_program([FAIRLEAD, "top", "--sentinel", "127.0.0.1:1", *self.args])
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn(self.set.master().address, done.stdout)
        self.assertIn("COMMANDS", done.stdout)
        nobody = self.run_program([FAIRLEAD, "top", "--sentinel", "127.0.0.1:1", "--console", f"127.0.0.1:{free_port()}"])
        self.assertEqual(nobody.returncode, 1)
        self.assertIn("does not answer", nobody.stderr)


if __name__ == "__main__":
    unittest.main()
