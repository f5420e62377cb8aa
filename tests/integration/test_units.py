"""What systemd and keepalived are given: the unit's hardening, its notifications, and the rendered example pair."""

import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import unittest

import harness
from harness import ROOT, TestCase, wait_until

DEPLOY = ROOT / "deploy" / "keepalived"
EXPOSURE_MAX = 1.2
WATCHDOG_US = 400_000


def exposure(unit):
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    if not found:
        raise AssertionError(f"no rating in: {done.stdout[-500:]}")
    return float(found.group(1))


class Units(TestCase):
    @unittest.skipUnless(shutil.which("systemd-analyze"), "systemd-analyze is not installed")
    def test_the_unit_exposes_little(self):
        self.assertLessEqual(exposure(DEPLOY / "fairlead.service"), EXPOSURE_MAX)
        # The rating itself can fail: the same unit without one of its walls is over the limit.
        weaker = pathlib.Path(tempfile.mkdtemp(dir=self.directory)) / "fairlead.service"
        text = (DEPLOY / "fairlead.service").read_text()
        weaker.write_text(text.replace("PrivateUsers=yes\n", "").replace("SystemCallFilter=", "#"))
        self.assertGreater(exposure(weaker), EXPOSURE_MAX)

    def test_the_example_pair_is_what_the_program_renders(self):
        for node in ("a", "b"):
            rendered = self.run_program([harness.FAIRLEAD, "keepalived", "--node", node,
                                         "--config", DEPLOY / "fairlead.toml"])
            self.assertEqual(rendered.returncode, 0, rendered.stderr)
            script = f'"{harness.FAIRLEAD} check --config {DEPLOY / "fairlead.toml"}"'
            self.assertIn(script, rendered.stdout)
            installed = rendered.stdout.replace(script, '"/usr/bin/fairlead check --config /etc/fairlead/fairlead.toml"')
            self.assertEqual(installed, (DEPLOY / f"node-{node}.conf").read_text(), "render the example again")

    def test_systemd_is_told_and_the_watchdog_is_fed(self):
        redis = self.redis("redis")
        path = pathlib.Path(tempfile.mkdtemp(dir=self.directory)) / "notify"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(str(path))
            notify.settimeout(20)
            proxy = self.fairlead(["--server", redis.address],
                                  env={"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": str(WATCHDOG_US)})
            said = self.hear(notify, lambda lines: "READY=1" in lines and lines.count("WATCHDOG=1") >= 5)
            self.assertLess(said.index("READY=1"), len(said) - 1)
            proxy.process.signal(signal.SIGSTOP)
            self.assertEqual(self.silence(notify), "silent", "a process that stands still feeds nothing")
            proxy.process.signal(signal.SIGCONT)
            self.hear(notify, lambda lines: "WATCHDOG=1" in lines)
            proxy.process.signal(signal.SIGTERM)
            self.hear(notify, lambda lines: "STOPPING=1" in lines)
            self.assertEqual(proxy.process.wait(), 0)

    @staticmethod
    def hear(notify, enough):
        """All lines until they are enough; the socket's timeout ends a wait in vain."""
        lines = []
        while not enough(lines):
            lines += notify.recv(4096).decode().splitlines()
        return lines

    @staticmethod
    def silence(notify):
        """Reads what was sent before; then waits for three times the interval in which more would be due."""
        notify.settimeout(3 * WATCHDOG_US / 4 / 1e6)
        try:
            for _ in range(50):
                notify.recv(4096)
        except TimeoutError:
            return "silent"
        finally:
            notify.settimeout(20)
        return "still fed"


class Check(TestCase):
    """`fairlead check` without a pair."""

    def check(self, proxy, *arguments):
        return self.run_program([harness.FAIRLEAD, "check", "--listen", proxy.address, "--stats",
                                 f"127.0.0.1:{proxy.stats_port}", "--threads", "2", "--server", "127.0.0.1:1",
                                 *arguments])

    def wait_fit(self, proxy):
        """The stats page opens a moment after the clients' port."""
        wait_until(lambda: (done := self.check(proxy)).returncode == 0 and done.stdout == "fit\n", what="fitness")

    def test_fit_without_any_redis_and_without_a_password(self):
        """Redis is nobody's local fault; and a client's password is not needed to see that a worker answers."""
        proxy = self.fairlead(["--server", "127.0.0.1:1"], env={"FAIRLEAD_CLIENTS_PASSWORD": "secret"})
        self.wait_fit(proxy.wait_listening())

    def test_the_reason_of_a_hang_and_of_an_end(self):
        proxy = self.fairlead(["--server", "127.0.0.1:1"]).wait_listening()
        self.wait_fit(proxy)
        proxy.process.signal(signal.SIGSTOP)
        done = self.check(proxy)
        self.assertEqual(done.returncode, 69)
        self.assertIn("a worker stands still", done.stdout)
        self.assertIn("/healthz did not answer", done.stdout)
        proxy.process.kill()
        wait_until(lambda: "nothing listens on" in self.check(proxy).stdout, what="the refusal")

    def test_draining(self):
        redis = self.redis("redis")
        proxy = self.fairlead(["--server", redis.address], "--drain-timeout", "20s").wait_ready()
        waiting = self.open(proxy.port)
        waiting.send(b"*3\r\n$5\r\nBLPOP\r\n$5\r\nnever\r\n$1\r\n5\r\n")
        wait_until(lambda: redis.info("clients")["blocked_clients"] == "1", what="a client in flight")
        proxy.process.signal(signal.SIGTERM)
        wait_until(lambda: "draining" in (done := self.check(proxy)).stdout and done.returncode == 69,
                   what="the check to say that it drains")

    def test_an_address_that_is_not_here_is_not_asked(self):
        """A standby listens on an address of the peer: connecting to it would ask the peer."""
        folder = pathlib.Path(tempfile.mkdtemp(dir=self.directory))
        ready = folder / "ready"
        away = ["--listen", "203.0.113.7:6379", "--stats", "none", "--vrrp-ready-file", ready, "--server", "x"]
        run = lambda: self.run_program([harness.FAIRLEAD, "check", *away])
        self.assertEqual(run().returncode, 69)
        ready.write_text("1\n")
        self.assertIn(f"{ready} says 1", run().stdout)
        ready.write_text("0\n")
        self.assertEqual(run().returncode, 0)


if __name__ == "__main__":
    unittest.main()
