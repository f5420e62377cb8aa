"""A C program with hiredis: hiredis_client.c, which HIREDIS_CLIENT_BIN names when it is built elsewhere."""

import os
import unittest

from harness import ROOT, TestCase

PROGRAM = os.environ.get("HIREDIS_CLIENT_BIN") or str(ROOT / "build/release/tests/integration/hiredis_client")
CHECKS = ["commands", "pipeline", "transaction", "big value", "script and blocking pop", "asynchronous commands",
          "subscription"]


class Hiredis(TestCase):
    @classmethod
    def start_servers(cls):
        cls.set = cls.redis_set(replicas=1, sentinels=0)

    def run_client(self, port):
        done = self.run_program([PROGRAM, port], timeout=60)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        self.assertEqual(done.stdout.splitlines(), [f"held: {check}" for check in CHECKS])

    def test_shared_links(self):
        self.set.servers[0].call("FLUSHALL")
        self.run_client(self.fairlead(self.set, "--probe-misses", "30").wait_ready().port)

    def test_links_of_their_own(self):
        self.set.servers[0].call("FLUSHALL")
        proxy = self.fairlead(self.set, "--probe-misses", "30", "--pool-mode", "session").wait_ready()
        self.run_client(proxy.port)

    def test_a_failing_check_is_seen(self):
        """A counter that is there already breaks the pipeline's numbers."""
        self.set.servers[0].call("SET", "c:n", "5")
        proxy = self.fairlead(self.set, "--probe-misses", "30").wait_ready()
        done = self.run_program([PROGRAM, proxy.port], timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertIn("FAILED: an absent counter", done.stderr)


if __name__ == "__main__":
    unittest.main()
