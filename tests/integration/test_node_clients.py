"""Clients of the npm registry in front of a whole set: ioredis, node-redis and BullMQ, and a BullMQ pool in failovers.

The scripts and the lock file of their packages are in node/. They run in a directory below build/ (FAIRLEAD_NODE_DIR
names another), into which `npm ci` installs once for each lock file: nothing is installed into the source tree.
"""

import collections
import fcntl
import hashlib
import json
import os
import pathlib
import queue
import re
import shutil
import subprocess
import threading
import time
import unittest
import urllib.request

from harness import ROOT, TestCase, wait_until

SOURCES = pathlib.Path(__file__).resolve().parent / "node"
NODE_DIR = pathlib.Path(os.environ.get("FAIRLEAD_NODE_DIR") or ROOT / "build" / "node")
SCRIPT_SECONDS_MAX = 150
SETTLED_SECONDS = 0.8  # the counters come some times a second


def prepare():
    """Installs the packages when the lock file is another than last time. Several test runs may call it at once."""
    NODE_DIR.mkdir(parents=True, exist_ok=True)
    with open(NODE_DIR / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for source in SOURCES.iterdir():
            shutil.copy(source, NODE_DIR)
        wanted = hashlib.sha256((SOURCES / "package-lock.json").read_bytes()).hexdigest()
        stamp = NODE_DIR / ".installed"
        if stamp.exists() and stamp.read_text() == wanted:
            return
        # The optional packages are native accelerators that would have to be compiled; no script of a package is run.
        done = subprocess.run(["npm", "ci", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund"],
                              cwd=NODE_DIR, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=300, check=False)
        if done.returncode != 0:
            raise AssertionError(f"npm ci failed in {NODE_DIR}:\n{done.stdout}")
        stamp.write_text(wanted)


def environment(proxy):
    return {**os.environ, "FAIRLEAD_PORT": str(proxy.port), "NODE_NO_WARNINGS": "1"}


class NodeClients(TestCase):
    """Each script is a list of node's own tests; none may be missing, skipped or failed."""

    POOL_MODE = "multiplex"

    @classmethod
    def start_servers(cls):
        prepare()
        # No Sentinels: nothing here may fail over, however slow the machine is.
        cls.set = cls.redis_set(replicas=1, sentinels=0)
        cls.proxy = cls.shared_fairlead(cls.set, "--probe-misses", "30", "--pool-mode", cls.POOL_MODE)

    def run_script(self, name, tests_expected):
        done = self.run_program(["node", "--test-reporter=tap", name], timeout=SCRIPT_SECONDS_MAX, cwd=NODE_DIR,
                                env=environment(self.proxy), stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 0, done.stdout[-8000:] + done.stderr[-4000:])
        summary = dict(re.findall(r"^# (tests|pass|fail|cancelled|skipped|todo) (\d+)$", done.stdout, re.MULTILINE))
        self.assertEqual((summary["tests"], summary["pass"]), (str(tests_expected), str(tests_expected)), done.stdout)

    def test_ioredis(self):
        self.run_script("ioredis.mjs", 12)

    def test_node_redis(self):
        self.run_script("node_redis.mjs", 24)

    def test_bullmq(self):
        self.run_script("bullmq.mjs", 7)

    def test_a_failing_check_is_seen(self):
        """Without this, a script that checks nothing would look like one that passes."""
        with self.assertRaises(AssertionError):
            self.run_script("canary.mjs", 1)


class NodeClientsOnLinksOfTheirOwn(NodeClients):
    POOL_MODE = "session"


class Pool:
    """The process of bullmq_failover.mjs."""

    def __init__(self, proxy, *args):
        self.process = subprocess.Popen(["node", "bullmq_failover.mjs", *args], cwd=NODE_DIR, env=environment(proxy),
                                        text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.said = queue.Queue()
        self.complaints = []
        self.jobs = 0
        self.readers = [threading.Thread(target=self._read), threading.Thread(target=self._read_errors)]
        for reader in self.readers:
            reader.start()

    def _read(self):
        for line in self.process.stdout:
            message = json.loads(line)
            if "jobs" in message:
                self.jobs = message["jobs"]
            else:
                self.said.put(message)

    def _read_errors(self):
        self.complaints.extend(self.process.stderr)

    def hear(self, timeout):
        try:
            return self.said.get(timeout=timeout)
        except queue.Empty:
            raise AssertionError("the pool said nothing: " + "".join(self.complaints[-30:])) from None

    def order(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for reader in self.readers:
            reader.join()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()


class BullMqFailover(TestCase):
    """All jobs are completed, each once, and no connection is closed or opened."""

    @classmethod
    def start_servers(cls):
        prepare()

    def setUp(self):
        self.set = self.redis_set()
        self.master = self.set.servers[0]
        self.proxy = self.fairlead(self.set).wait_ready()

    def start_pool(self, *args):
        self.pool = Pool(self.proxy, *args)
        self.addCleanup(self.pool.end)
        self.assertTrue(self.pool.hear(30)["ready"])

    def frontend_connections(self):
        """How many connections clients have opened, and how many are open."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.proxy.stats_port}/metrics", timeout=10) as reply:
            metrics = dict(line.rsplit(" ", 1) for line in reply.read().decode().splitlines() if line[:1] != "#")
        return (int(metrics["fairlead_frontend_connections_total"]),
                int(metrics["fairlead_frontend_current_sessions"]))

    def settled_connections(self):
        """The counters come from the workers some times a second: read when they have stopped to change."""
        seen, since = None, time.monotonic()

        def settled():
            nonlocal seen, since
            now = self.frontend_connections()
            if now != seen:
                seen, since = now, time.monotonic()
            return time.monotonic() > since + SETTLED_SECONDS

        wait_until(settled, 15, "the number of connections to settle")
        return seen

    def work_through(self, fail_over):
        """Runs the pool before, in and after a failover, and checks what became of its jobs."""
        wait_until(lambda: self.pool.jobs >= 100, 30, "the first jobs")
        fail_over()
        self.set.wait_for_other_master(self.master)
        resumed_from = self.pool.jobs
        wait_until(lambda: self.pool.jobs >= resumed_from + 200, 30, "jobs after the failover")
        self.pool.order()
        result = self.pool.hear(75)
        print(f"{result['added']} jobs, {len(result['executed_twice'])} executed twice, "
              f"errors {dict(collections.Counter(text.split(' ')[0] for text in result['errors']))}")
        self.assertEqual(result["never_completed"], [], result)
        self.assertEqual(result["completed_twice"], [], result)
        self.assertEqual(result["counts"], {"completed": result["added"], "failed": 0, "active": 0, "wait": 0,
                                            "delayed": 0}, result)
        # A job runs again only when a write of its worker was uncertain, and nothing waited too long.
        uncertain = [text for text in result["errors"] if "UNCERTAIN " in text]
        self.assertLessEqual(len(result["executed_twice"]), len(uncertain), result)
        self.assertEqual([text for text in result["errors"] if "MASTERDOWN" in text], [], result)

    def end_pool(self):
        self.pool.order()
        self.assertEqual(self.pool.process.wait(15), 0)

    def connections_stay(self, fail_over):
        self.start_pool()
        before = self.settled_connections()
        # The queue has one connection and each worker two: one of them is for blocking commands.
        self.assertEqual(before[1], 9)
        self.work_through(fail_over)
        self.assertEqual(self.settled_connections(), before, "connections were opened or closed")
        self.end_pool()

    def test_planned_failover(self):
        self.connections_stay(self.set.failover)

    def test_master_killed(self):
        self.connections_stay(self.master.process.kill)

    def test_master_killed_with_delayed_jobs(self):
        self.start_pool("--delayed")
        self.work_through(self.master.process.kill)
        self.end_pool()


if __name__ == "__main__":
    unittest.main()
