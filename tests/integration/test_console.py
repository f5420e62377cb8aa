"""The operator's console, as redis-cli and programs see it, and `fairlead top` on it."""

import pathlib
import tempfile
import unittest

from harness import FAIRLEAD, TestCase, free_port, wait_until
from resp_client import RawClient, ReplyError

PASSWORD = "console-secret"


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
                      "traffic", "stats", "events", "config"):
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
        with self.assertRaisesRegex(ReplyError, "NOPERM"):
            client.command("KILL", "1")
        self.assertEqual(proxy.process.running(), True)

    def test_help_and_mistakes(self):
        client = self.console()
        commands = [line.split()[0] for line in client.command("HELP")]
        for name in ("SHOW", "KILL", "SLOWLOG", "AUTH", "HELLO", "PING", "QUIT", "HELP"):
            self.assertIn(name, commands)
            self.assertTrue(client.command("HELP", name))
        for words in (("NONSENSE",), ("SHOW",), ("SHOW", "NOTHING"), ("KILL",), ("HELLO", "4"), ("HELP", "NOTHING"),
                      ("SLOWLOG",), ("FLUSHALL",)):
            with self.assertRaises(ReplyError, msg=words):
                client.command(*words)
        self.assertEqual(client.command("PING"), "PONG")

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
