"""What goes wrong at the start is said on the log, with the address and the remedy, and nothing reaches a wrong server."""

import pathlib
import socket
import time
import unittest

from harness import FAIRLEAD, TestCase, free_port, wait_until
from resp_client import encode

WRITES = ("set", "incr", "del", "lpush")


class Startup(TestCase):
    @classmethod
    def start_servers(cls):
        cls.set = cls.redis_set(replicas=1, sentinels=3)
        cls.master, cls.replica = cls.set.servers

    def held_write(self, proxy):
        """A client whose write is waiting in the proxy."""
        client = self.open(proxy.wait_listening().port)
        client.send(encode("SET", "held", "1"))
        return client

    def assert_never_written(self, server):
        self.assertEqual(server.calls_of(*WRITES), 0)

    def test_port_taken(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            proxy = self.fairlead(self.set, "--listen", f"127.0.0.1:{port}")
            self.assertEqual(proxy.process.wait(), 1)
            proxy.wait_log("level=error", f"127.0.0.1:{port}", "taken")

    def test_stats_port_taken(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            proxy = self.fairlead(self.set, "--stats", f"127.0.0.1:{port}")
            self.assertEqual(proxy.process.wait(), 1)
            proxy.wait_log("level=error", f"127.0.0.1:{port}", "taken")

    def test_address_of_another_machine(self):
        # 192.0.2.0/24 is for documentation: no machine has it.
        proxy = self.fairlead(self.set, "--listen", "192.0.2.1:7000")
        self.assertEqual(proxy.process.wait(), 1)
        proxy.wait_log("level=error", "192.0.2.1:7000")

    def test_no_sentinel_is_reachable(self):
        ports = [free_port(), free_port()]
        proxy = self.fairlead([arg for port in ports for arg in ("--sentinel", f"127.0.0.1:{port}")])
        self.held_write(proxy)
        proxy.wait_log("no Sentinel", f"127.0.0.1:{ports[0]}", f"127.0.0.1:{ports[1]}", "check [backend] sentinels")

    def test_one_unreachable_sentinel_does_not_matter(self):
        dead = free_port()
        proxy = self.fairlead(self.set, "--sentinel", f"127.0.0.1:{dead}").wait_ready()
        self.assertEqual(self.open(proxy.port).command("SET", "one-dead", "1"), "OK")
        proxy.wait_log(f"127.0.0.1:{dead}", "not reachable")
        self.assertEqual(self.master.call("DEL", "one-dead"), 1)

    def test_wrong_master_name(self):
        arguments = ["--sentinel", self.set.sentinels[0].address, "--master-name", "mymater"]
        proxy = self.fairlead(arguments)
        self.held_write(proxy)
        proxy.wait_log(self.set.sentinels[0].address, "mymater", "mymaster", "check [backend] master-name")

    def test_a_server_instead_of_a_sentinel(self):
        self.master.call("CONFIG", "RESETSTAT")
        proxy = self.fairlead(["--sentinel", self.master.address])
        self.held_write(proxy)
        proxy.wait_log(self.master.address, "Sentinel", "check [backend] sentinels")
        self.assert_never_written(self.master)

    def test_the_named_master_is_a_replica(self):
        """A Sentinel that watches a replica as if it were the master: nothing is written there."""
        # Servers without other Sentinels: those would be discovered, and a majority of them names the right one.
        master = self.redis("lone-master")
        replica = self.redis("lone-replica", f"replicaof 127.0.0.1 {master.port}")
        wait_until(replica.in_sync, what="the replica to be in sync")
        liar = self.redis("liar", f"sentinel monitor mymaster 127.0.0.1 {replica.port} 1",
                          "sentinel down-after-milliseconds mymaster 60000", sentinel=True)
        proxy = self.fairlead(["--sentinel", liar.address])
        client = self.held_write(proxy)
        proxy.wait_log(replica.address, "replica of", master.address, "nothing is sent to it")
        self.assertEqual(client.read_available(), (b"", False))
        self.assert_never_written(replica)
        self.assert_never_written(master)

    def test_one_lying_sentinel_is_outvoted(self):
        """Sentinels find each other through the servers they watch; a majority of those that are known decides."""
        liar = self.redis("liar", f"sentinel monitor mymaster 127.0.0.1 {self.replica.port} 1",
                          "sentinel down-after-milliseconds mymaster 60000", sentinel=True)
        proxy = self.fairlead(self.set, "--sentinel", liar.address).wait_ready()
        self.assertEqual(self.open(proxy.port).command("SET", "outvoted", "1"), "OK")
        self.assertEqual(self.master.call("DEL", "outvoted"), 1)

    def test_only_a_replica_in_the_list_of_servers(self):
        self.replica.call("CONFIG", "RESETSTAT")
        proxy = self.fairlead(["--server", self.replica.address])
        client = self.held_write(proxy)
        proxy.wait_log("no master", self.replica.address, "replica of", "nothing is sent to it")
        self.assertEqual(client.read_available(), (b"", False))
        self.assert_never_written(self.replica)

    def test_wrong_password(self):
        server = self.redis("locked", password="secret")
        config = pathlib.Path(self.directory) / "wrong-password.toml"
        config.write_text('[backend]\npassword = "not-the-secret"\n', encoding="utf-8")
        proxy = self.fairlead(["--server", server.address], "--config", config)
        self.held_write(proxy)
        proxy.wait_log("level=error", server.address, "password", "check [backend]")
        self.assertNotIn("not-the-secret", proxy.process.log())
        self.assert_never_written(server)

    def test_missing_password(self):
        server = self.redis("locked", password="secret")
        proxy = self.fairlead(["--server", server.address])
        self.held_write(proxy)
        proxy.wait_log(server.address, "NOAUTH")
        proxy.wait_log(server.address, "check [backend]", "password")
        self.assert_never_written(server)

    def test_two_masters_in_the_list(self):
        one, two = self.redis("one"), self.redis("two")
        proxy = self.fairlead(["--server", one.address, "--server", two.address])
        client = self.held_write(proxy)
        proxy.wait_log("more than one", one.address, two.address)
        self.assertEqual(client.read_available(), (b"", False))
        for server in (one, two):
            self.assert_never_written(server)
        # The operator does what the message says, and the held write goes to the one that is left.
        two.call("REPLICAOF", "127.0.0.1", one.port)
        self.assertEqual(client.reply(), "OK")
        self.assertEqual(one.call("GET", "held"), b"1")

    def test_started_before_redis(self):
        """Commands wait until there is a master, and then run, in their order."""
        later = free_port()
        proxy = self.fairlead(["--server", f"127.0.0.1:{later}"])
        client = self.open(proxy.wait_listening().port)
        client.send(encode("SET", "early", "1") + encode("INCR", "early") + encode("GET", "early"))
        proxy.wait_log(f"127.0.0.1:{later}", "not reachable")
        self.assertEqual(client.read_available(), (b"", False))
        self.redis("late", port=later)
        self.assertEqual([client.reply() for _ in range(3)], ["OK", 2, b"2"])


class HoldExpires(TestCase):
    def test_no_master_within_the_hold_time(self):
        proxy = self.fairlead(["--server", f"127.0.0.1:{free_port()}"], "--hold", "600ms").wait_listening()
        client = self.open(proxy.port)
        started = time.monotonic()
        client.send(encode("SET", "a", "1"))
        error = str(client.reply())
        waited = time.monotonic() - started
        self.assertRegex(error, r"^MASTERDOWN fairlead: no master for \d+ ms; the command was not executed$")
        self.assertGreaterEqual(waited, 0.55)
        self.assertLess(waited, 5)
        # The connection lives on, and what needs no master is answered.
        self.assertEqual(client.command("PING"), "PONG")


class Configuration(TestCase):
    def check(self, text, *arguments):
        path = pathlib.Path(self.directory) / "fairlead.toml"
        path.write_text(text, encoding="utf-8")
        return self.run_program([FAIRLEAD, *arguments, "--config", path], timeout=20)

    def test_all_errors_at_once_and_exit_78(self):
        done = self.check('[proxy]\nmax-client = 5\nthreads = "many"\n[backend]\nservers = ["localhost:99999"]\n', "run")
        self.assertEqual(done.returncode, 78, done.stdout + done.stderr)
        self.assertRegex(done.stderr, r"fairlead\.toml:2:1: unknown key 'max-client' in \[proxy\]; did you mean 'max-clients'\?")
        self.assertRegex(done.stderr, r"fairlead\.toml:3:\d+: .*threads")
        self.assertRegex(done.stderr, r"fairlead\.toml:5:\d+: .*localhost:99999")

    def test_no_backend_is_an_error_with_a_remedy(self):
        done = self.check("[proxy]\nthreads = 1\n", "run")
        self.assertEqual(done.returncode, 78)
        self.assertIn("--sentinel", done.stderr)

    def test_a_missing_file(self):
        done = self.run_program([FAIRLEAD, "run", "--config", f"{self.directory}/absent.toml"], timeout=20)
        self.assertEqual(done.returncode, 78)
        self.assertIn("absent.toml", done.stderr)

    def test_check_config(self):
        good = '[backend]\nsentinels = ["127.0.0.1:26379"]\npassword = "hidden-word"\n'
        done = self.check(good, "--check-config")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("valid", done.stdout)
        self.assertNotIn("hidden-word", done.stdout + done.stderr)
        self.assertEqual(self.check("[proxy\n", "--check-config").returncode, 78)

    def test_wrong_usage(self):
        done = self.run_program([FAIRLEAD, "run", "--no-such-flag"], timeout=20)
        self.assertEqual(done.returncode, 2)
        self.assertIn("--no-such-flag", done.stderr)

    def test_version_and_help(self):
        for flag, expected in (("--version", "fairlead"), ("--help", "--sentinel")):
            done = self.run_program([FAIRLEAD, flag], timeout=20)
            self.assertEqual(done.returncode, 0)
            self.assertIn(expected, done.stdout)

    def test_example_is_valid(self):
        example = self.run_program([FAIRLEAD, "--example-config"], timeout=20)
        self.assertEqual(example.returncode, 0)
        done = self.check(example.stdout, "--check-config", "--server", "127.0.0.1:6379")
        self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    unittest.main()
