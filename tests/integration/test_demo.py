"""The demo leaves nothing behind, however it ends, and says what it needs."""

import os
import pathlib
import re
import signal
import socket
import tempfile
import unittest

from harness import FAIRLEAD, Process, TestCase, free_port, wait_until
from resp_client import RawClient, encode


def children_of(pid):
    """The processes that this one has started and that still run."""
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found


def is_running(pid):
    """False also for one that has ended and that its parent has not reaped yet."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Demo(TestCase):
    def demo(self, *args, path=None):
        """The demo with a temporary directory of its own, on ports that are surely free."""
        self.port, self.stats_port = free_port(), free_port()
        self.temporary = pathlib.Path(tempfile.mkdtemp(dir=self.directory))
        environment = {"TMPDIR": str(self.temporary), **({"PATH": path} if path else {})}
        arguments = [FAIRLEAD, "demo", "--stats-port", self.stats_port, *(args or ("--port", self.port))]
        process = Process("demo", arguments, tempfile.mkdtemp(dir=self.directory), environment)
        self.addCleanup(process.stop)
        return process

    def ready_demo(self, *args):
        process = self.demo(*args)

        def ready():
            self.assertTrue(process.running(), process.log())
            return "Ctrl-C ends everything" in process.log()

        wait_until(ready, 40, "the demo to be ready")
        return process

    def assert_nothing_left(self, children):
        wait_until(lambda: not any(is_running(pid) for pid in children), what="the servers to end")
        self.assertEqual(list(self.temporary.iterdir()), [])

    def test_sigterm_and_sigint_clean_up(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number):
                process = self.ready_demo()
                children = children_of(process.pid)
                self.assertEqual(len(children), 6)
                process.signal(number)
                self.assertEqual(process.wait(), 0)
                self.assert_nothing_left(children)

    def test_stopped_while_it_starts(self):
        process = self.demo()
        children = wait_until(lambda: len(found := children_of(process.pid)) >= 2 and found, what="the first servers")
        process.signal(signal.SIGTERM)
        self.assertEqual(process.wait(), 0)
        self.assertNotIn("fairlead is ready", process.log())
        self.assert_nothing_left(children)

    def test_servers_do_not_outlive_a_killed_demo(self):
        process = self.ready_demo()
        children = children_of(process.pid)
        self.assertEqual(len(children), 6)
        process.kill()
        wait_until(lambda: not any(is_running(pid) for pid in children), what="the servers to end")

    def test_a_taken_port(self):
        with socket.socket() as other:
            # The next ports are below those of outgoing connections as well, so that one of them stays free.
            taken = free_port()
            other.bind(("127.0.0.1", taken))
            other.listen()
            process = self.ready_demo("--port", taken)
            line = re.search(rf"Port {taken} cannot be used \(.*in use\); fairlead listens on (\d+) instead", process.log())
            self.assertIsNotNone(line, process.log())
            with RawClient(int(line.group(1))) as client:
                self.assertEqual(client.command("SET", "demo", "1"), "OK")

    def test_without_redis(self):
        process = self.demo(path="/nonexistent")
        self.assertEqual(process.wait(), 1)
        self.assertRegex(process.log(), "redis-server is not in PATH; on Debian: apt-get install .*redis-server")
        self.assert_nothing_left([])

    def test_the_master_dies_and_returns(self):
        """What the demo tells people to do: kill the master; a client that stays connected goes on."""
        process = self.ready_demo()
        client = self.open(self.port, 30)
        self.assertEqual(client.command("SET", "demo", "before"), "OK")
        os.kill(int(re.search(r"kill -9 (\d+) +kills the master", process.log()).group(1)), signal.SIGKILL)
        # The first write may have been on its way to the master when that died.
        client.send(encode("SET", "demo", "on its way"))
        self.assertIn(str(client.reply()).split()[0], ("OK", "UNCERTAIN"))
        self.assertEqual(client.command("SET", "demo", "after"), "OK")
        self.assertEqual(client.command("GET", "demo"), b"after")
        wait_until(lambda: "is started again as process" in process.log(), 30, "the killed server to be started again")
        self.assertEqual(len(children_of(process.pid)), 6)


if __name__ == "__main__":
    unittest.main()
