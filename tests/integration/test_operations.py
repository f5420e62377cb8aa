"""What an operator does and what happens to him: pause, reload, restarts of the proxy and of the master, lost Sentinels."""

import pathlib
import signal
import tempfile
import unittest

from harness import TestCase, wait_until
from resp_client import ReplyError, encode
from test_stats import metrics


def write_config(path, redis_set, **sections):
    """A configuration file for this set; sections as dictionaries of TOML values."""
    sentinels = ", ".join(f'"{sentinel.address}"' for sentinel in redis_set.sentinels)
    lines = ["[backend]", f"sentinels = [{sentinels}]", f'master-name = "{redis_set.MASTER}"']
    for section, values in sections.items():
        lines += [f"[{section}]"] + [f"{key} = {value}" for key, value in values.items()]
    pathlib.Path(path).write_text("\n".join(lines) + "\n")


class Operator(TestCase):
    @classmethod
    def start_servers(cls):
        cls.set = cls.redis_set(replicas=1, sentinels=3)

    def test_pause_and_resume(self):
        proxy = self.fairlead(self.set).wait_ready()
        clients = [self.open(proxy.port) for _ in range(4)]
        proxy.process.signal(signal.SIGUSR1)
        proxy.wait_log("paused by the operator")
        wait_until(lambda: metrics(proxy)["fairlead_paused"] == 1, what="the gauge")
        before = self.set.servers[0].calls_of("incr")
        for client in clients:
            client.send(encode("INCR", "paused"))
        wait_until(lambda: metrics(proxy)["fairlead_held_requests"] == 4, what="the clients to be held")
        self.assertEqual(self.set.servers[0].calls_of("incr"), before)
        self.assertEqual([client.read_available() for client in clients], [(b"", False)] * 4)
        proxy.process.signal(signal.SIGUSR2)
        self.assertEqual(sorted(client.reply() for client in clients), [1, 2, 3, 4])
        proxy.wait_log("resumed by the operator")

    def test_pause_ends_at_the_hold_time(self):
        proxy = self.fairlead(self.set, "--hold", "300ms").wait_ready()
        client = self.open(proxy.port)
        self.assertEqual(client.command("PING"), "PONG")
        proxy.process.signal(signal.SIGUSR1)
        proxy.wait_log("paused by the operator")
        client.send(encode("SET", "x", "1"))
        self.assertIn("MASTERDOWN fairlead: paused by the operator for 300 ms", str(client.reply()))
        proxy.process.signal(signal.SIGUSR2)
        wait_until(lambda: client.command("SET", "x", "2") == "OK", what="the first write after the pause")

    def test_reload(self):
        config = pathlib.Path(tempfile.mkdtemp(dir=self.directory)) / "fairlead.toml"
        write_config(config, self.set, failover={"hold": '"10s"'})
        proxy = self.fairlead([], "--config", config).wait_ready()
        client, subscriber = self.open(proxy.port), self.open(proxy.port)
        self.assertEqual(client.command("SET", "kept", "1"), "OK")
        subscriber.command("SUBSCRIBE", "news")
        # Changes that can be made now, and one that cannot.
        write_config(config, self.set, failover={"hold": '"200ms"'}, clients={"deny": '["default", "flushall"]'},
                     proxy={"drain-timeout": '"1s"', "links-per-server": "3"})
        proxy.process.signal(signal.SIGHUP)
        proxy.wait_log("changed: [failover] hold", "10s", "200ms")
        proxy.wait_log("not changed: [proxy] links-per-server", "restart")
        proxy.wait_log("the configuration was read again")
        wait_until(lambda: self.refused(client, "FLUSHALL"), what="FLUSHALL to be refused")
        self.assertEqual(client.command("GET", "kept"), b"1")
        # A bad file changes nothing.
        config.write_text(config.read_text() + "[proxy]\nthreads = many\n")
        proxy.process.signal(signal.SIGHUP)
        proxy.wait_log("the configuration has errors; nothing was changed")
        self.assertTrue(self.refused(client, "FLUSHALL"))
        # Fewer Sentinels: the route stays, and nobody is dropped.
        redis_set = self.set
        lines = [f'sentinels = ["{redis_set.sentinels[1].address}"]', f'master-name = "{redis_set.MASTER}"']
        config.write_text("[backend]\n" + "\n".join(lines) + "\n")
        proxy.process.signal(signal.SIGHUP)
        proxy.wait_log("changed: [backend] sentinels")
        self.assertEqual(client.command("GET", "kept"), b"1")
        wait_until(lambda: client.command("PUBLISH", "news", "hello") == 1, what="the subscriber")
        self.assertEqual(subscriber.reply()[0], b"message")

    @staticmethod
    def refused(client, *command):
        try:
            client.command(*command)
            return False
        except ReplyError as error:
            return str(error).startswith("NOPERM")


class Memory(TestCase):
    def test_a_proxy_that_is_started_again_knows_its_term(self):
        redis_set = self.redis_set(replicas=1, sentinels=3)
        state = pathlib.Path(tempfile.mkdtemp(dir=self.directory)) / "state"
        proxy = self.fairlead(redis_set, "--state-dir", state).wait_ready()
        old = redis_set.servers[0]
        redis_set.failover()
        new = redis_set.wait_for_other_master(old)
        proxy.wait_log("event=route_confirmed")
        wait_until(lambda: f"address {new.address}\n" in (state / "route").read_text()
                   and "epoch 1\n" in (state / "route").read_text(), what="the new route in the state file")
        proxy.process.kill()
        again = self.fairlead(redis_set, "--state-dir", state, name="again").wait_ready()
        line = again.wait_log("event=term_remembered")
        self.assertIn(f"{new.address} at term 1", line)
        self.assertIn("at term 1", again.wait_log("event=route_verified"))

    def test_a_state_directory_that_cannot_be_used_is_told_at_once(self):
        redis_set = self.redis_set(replicas=0, sentinels=1)
        proxy = self.fairlead(redis_set, "--state-dir", "/proc/fairlead")
        self.assertEqual(proxy.process.wait(), 1)
        self.assertIn("state-dir", proxy.process.log())


class Strict(TestCase):
    def test_without_a_majority_of_sentinels_nothing_is_sent(self):
        redis_set = self.redis_set(replicas=1, sentinels=3)
        proxy = self.fairlead(redis_set, "--strict", "--hold", "60s").wait_ready()
        client = self.open(proxy.port, 60)
        self.assertEqual(client.command("INCR", "strict"), 1)
        stopped = redis_set.sentinels[:2]
        for sentinel in stopped:
            sentinel.process.signal(signal.SIGSTOP)
        try:
            proxy.wait_log("event=route_isolated")
            client.send(encode("INCR", "strict"))
            self.assertEqual(client.read_available(), (b"", False))
            self.assertEqual(redis_set.servers[0].call("GET", "strict"), b"1")
        finally:
            for sentinel in stopped:
                sentinel.process.signal(signal.SIGCONT)
        self.assertEqual(client.reply(), 2)


class RestartedMaster(TestCase):
    def restart(self, **settings):
        """A master that held a key is killed and is back before Sentinel noticed."""
        redis_set = self.redis_set(replicas=1, sentinels=1, **settings)
        master = redis_set.servers[0]
        proxy = self.fairlead(redis_set, "--hold", "60s").wait_ready()
        client = self.open(proxy.port, 60)
        self.assertEqual(client.command("SET", "precious", "1"), "OK")
        master.process.kill()
        master.start()
        return master, proxy, client

    def test_an_empty_one_waits_for_the_operator(self):
        master, proxy, client = self.restart()
        proxy.wait_log("event=restart_held", "SENTINEL FAILOVER", "USR2")
        client.send(encode("SET", "after", "1"))
        self.assertEqual(client.read_available(), (b"", False))
        self.assertEqual(master.call("EXISTS", "after"), 0)
        proxy.process.signal(signal.SIGUSR2)
        self.assertEqual(client.reply(), "OK")
        proxy.wait_log("event=restart_accepted", "operator")

    def test_one_with_an_append_only_file_is_taken(self):
        _, proxy, client = self.restart(settings=("appendonly yes", "appendfsync always"))
        self.assertEqual(client.command("GET", "precious"), b"1")
        proxy.wait_log("event=restart_accepted", "append-only file")


class EarlyPromotion(TestCase):
    def test_writes_go_on_before_the_announcement(self):
        redis_set = self.redis_set()
        proxy = self.fairlead(redis_set).wait_ready()
        client = self.open(proxy.port)

        def said(event):
            return proxy.process.log().count(f"event={event}")

        # On a machine that stands still for seconds Sentinel itself gives a failover up: then once more.
        for attempt in range(1, 4):
            written = client.command("INCR", "early")
            redis_set.failover()
            wait_until(lambda: said("route_provisional") == attempt, 20, "the provisional route")
            announced = said("route_confirmed")
            self.assertEqual(client.command("INCR", "early"), written + 1)
            wait_until(lambda: said("route_confirmed") + said("route_revoked") == attempt, 20, "the Sentinels' word")
            if said("route_confirmed") > announced:
                break
        self.assertGreater(said("route_confirmed"), 0)
        self.assertEqual(client.command("INCR", "early"), written + 2)
        self.assertEqual(metrics(proxy)["fairlead_promotions_revoked_total"], said("route_revoked"))


if __name__ == "__main__":
    unittest.main()
