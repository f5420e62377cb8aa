"""A few faults in network namespaces, with every acknowledgement counted; `tests/run --chaos N` runs them all, N times.

What is done and what may be seen of it is in chaos/scenarios.py, who judges it in chaos/checker.py.
"""

import shutil
import sys
import tempfile
import unittest

from chaos import checker, network, scenarios, workloads
from chaos.run import run
from chaos.workloads import Counter, Pusher

SEED = 1


class Chaos(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="fairlead-chaos-")
        cls.addClassCleanup(shutil.rmtree, cls.directory, ignore_errors=True)
        try:
            network.enter(cls.directory)
        except network.NotPermitted as error:
            print(f"\nCHAOS IS NOT TESTED: network namespaces are not permitted here ({error})", file=sys.stderr)
            raise unittest.SkipTest("no network namespaces") from error

    def survive(self, name):
        outcome = run(scenarios.by_name(name), SEED, self.directory, workloads.SMALL)
        verdict = outcome.verdict
        print(f"{name}: outage {outcome.outage:.2f} s, {verdict.acknowledged} acknowledged, {verdict.uncertain} uncertain, "
              f"{len(verdict.lost)} lost, {verdict.kept} of {verdict.connections} connections kept")
        self.assertEqual(verdict.violations, [])
        self.assertGreater(verdict.acknowledged, 1000)

    def test_kill_9(self):
        self.survive("kill9")

    def test_planned_failover(self):
        self.survive("planned")

    def test_master_cut_off(self):
        self.survive("master-alone")


class FakeServer:
    """Answers what a doctored set of keys would."""

    def __init__(self, values):
        self.values = values

    def client(self):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def command(self, _, key, *__):
        return self.values[key]


class FakeLoad:
    def __init__(self, *clients):
        self.clients = clients

    def of(self, *kinds):
        return [client for client in self.clients if isinstance(client, kinds)]


class FakeObserver:
    def __init__(self, strays=0):
        self.strays = strays

    def lag(self):
        return 0.01

    def stray_writes(self):
        return self.strays

    def deposed_asked_at(self):
        return 99.99

    def looks_at_deposed(self):
        return 5


class CheckerCanary(unittest.TestCase):
    """The checker finds what it is there to find: each planted fault, and nothing in a clean run."""

    FAULT = 100.0

    def judge(self, client, values, observer=None, **expectation):
        return checker.judge(FakeLoad(client), FakeServer(values), observer or FakeObserver(), [self.FAULT],
                             scenarios.Expectation(**expectation))

    @staticmethod
    def counter(values, uncertain=0):
        client = Counter("c", None, 0.0)
        client.acknowledged = list(values)
        client.uncertain = [(None, 100.0)] * uncertain
        return client

    @staticmethod
    def pusher(items):
        client = Pusher("p", None, 0.0)
        client.acknowledged = list(items)
        return client

    def assert_blamed(self, verdict, words):
        self.assertTrue(any(words in sentence for sentence in verdict.violations), (words, verdict.violations))

    def test_clean(self):
        verdict = self.judge(self.counter([(1, 99.0), (2, 101.0)]), {"counter:c": b"2"})
        self.assertEqual((verdict.violations, verdict.lost), ([], []))
        verdict = self.judge(self.pusher([(1, 99.0), (2, 101.0)]), {"list:p": [b"1", b"2"]})
        self.assertEqual((verdict.violations, verdict.lost), ([], []))

    def test_uncertain_may_or_may_not_have_run(self):
        for final, last in ((b"2", 2), (b"3", 3)):
            verdict = self.judge(self.counter([(1, 99.0), (last, 101.0)], uncertain=1), {"counter:c": final})
            self.assertEqual((verdict.violations, verdict.lost), ([], []))

    def test_executed_twice(self):
        self.assert_blamed(self.judge(self.counter([(1, 99.0), (3, 101.0)]), {"counter:c": b"3"}), "0 uncertain")
        self.assert_blamed(self.judge(self.counter([(1, 99.0)]), {"counter:c": b"2"}), "ran twice")
        self.assert_blamed(self.judge(self.pusher([(1, 99.0)]), {"list:p": [b"1", b"1"]}), "twice")

    def test_out_of_order(self):
        self.assert_blamed(self.judge(self.pusher([(1, 99.0), (2, 99.0)]), {"list:p": [b"2", b"1"]}), "out of order")

    def test_refused_yet_executed(self):
        self.assert_blamed(self.judge(self.pusher([(1, 99.0)]), {"list:p": [b"1", b"2"]}), "refused")

    def test_lost_long_before_the_fault(self):
        verdict = self.judge(self.counter([(1, 90.0), (1, 101.0)]), {"counter:c": b"1"})
        self.assertEqual(len(verdict.lost), 1)
        self.assert_blamed(verdict, "lost: 1 of c")
        self.assert_blamed(self.judge(self.pusher([(1, 90.0)]), {"list:p": []}), "lost: 1 of p")

    def test_lost_within_the_lag(self):
        lost = [(1, 99.995), (1, 101.0)]
        verdict = self.judge(self.counter(lost), {"counter:c": b"1"})
        self.assertEqual((len(verdict.lost), verdict.violations), (1, []))
        self.assert_blamed(self.judge(self.counter(lost), {"counter:c": b"1"}, loss="none"), "lost: 1 of c")

    def test_too_many_uncertain(self):
        self.assert_blamed(self.judge(self.counter([], uncertain=2), {"counter:c": b"0"}), "could be in flight")

    def test_stray_writes(self):
        self.assert_blamed(self.judge(self.counter([(1, 99.0)]), {"counter:c": b"1"}, FakeObserver(strays=1)), "deposed")

    def test_stray_writes_that_were_in_flight(self):
        client = self.counter([(1, 99.0)], uncertain=1)
        self.assertEqual(self.judge(client, {"counter:c": b"1"}, FakeObserver(strays=1), strays="sent").violations, [])
        self.assert_blamed(self.judge(client, {"counter:c": b"1"}, FakeObserver(strays=2), strays="sent"), "deposed")

    def test_nobody_looked(self):
        verdict = self.judge(self.counter([(1, 99.0)]), {"counter:c": b"1"}, looks_min=10)
        self.assert_blamed(verdict, "only 5 times")

    def test_lost_connection(self):
        client = self.counter([(1, 99.0)])
        client.broken = (101.0, "closed by the proxy")
        self.assert_blamed(self.judge(client, {"counter:c": b"1"}), "lost its connection")


if __name__ == "__main__":
    unittest.main()
