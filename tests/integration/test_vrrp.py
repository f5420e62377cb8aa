"""Two instances, one address, with real keepalived: what moves the address, what does not, and what clients see.

How fast it moves is measured by bench/pair_moves.py (tests/run --vrrp N), which judges it; here everything has
generous deadlines, so that a busy machine fails nothing.
"""

import os
import re
import signal
import threading
import time
import unittest

import harness
from harness import TestCase, wait_until
from herd import Herd
from pair import (IPV4, IPV6, PORT, VIP, LanRedisSet, Pair, Prober, Subscriber, VipClient, become_the_network, run,
                  why_not)
from resp_client import encode

REASON = why_not()
SUBSCRIBERS = 20
STORM_CLIENTS = 1000
WORKERS = 2  # of each host, in pair.py


class PairCase(TestCase):
    """The pair is shared: since nobody takes the address back, each test begins with whoever owns it."""

    PROTOCOL = IPV4

    @classmethod
    def start_servers(cls):
        cls.set = LanRedisSet(cls.directory)
        cls.addClassCleanup(cls.set.stop)
        cls.pair = Pair(cls.directory, cls.set, cls.PROTOCOL)
        cls.addClassCleanup(cls.pair.stop)

    def setUp(self):
        for host in self.pair.hosts:
            if not host.fairlead.running():  # a test before this one failed half way
                host.start_fairlead()
        self.owner, self.standby = self.pair.wait_ready_to_move(40)

    def subscribers(self):
        subscribers = [Subscriber(number, self.PROTOCOL.vip) for number in range(SUBSCRIBERS)]
        for subscriber in subscribers:
            self.addCleanup(subscriber.close)
        return subscribers

    def assert_all_reset(self, subscribers):
        for subscriber in subscribers:
            wait_until(lambda: subscriber.how, what="a silent subscriber to learn that its connection ended")
            self.assertEqual(subscriber.how, "ConnectionResetError")

    def restart_fairlead(self, host):
        host.start_fairlead()
        wait_until(host.fit, 20, "the new fairlead to be fit")


def assert_accepted(case, host):
    text = run(*host.inside, "keepalived", "--config-test", "--use-file", host.keepalived_config())
    case.assertEqual(re.findall(r"(?i)error|warning|unknown|ignor", text), [], text)


@unittest.skipIf(REASON, REASON)
class Moves(PairCase):
    def test_kill_9_of_fairlead(self):
        self.owner.fairlead.kill()
        wait_until(lambda: not self.owner.fit(), what="the guard to write the fault")
        self.pair.wait_owner(self.standby)
        self.pair.wait_serving()
        self.restart_fairlead(self.owner)
        self.pair.wait_ready_to_move()
        self.assertEqual(self.pair.owner(), self.standby, "nobody takes the address back from a healthy owner")

    def test_hang(self):
        self.owner.fairlead.signal(signal.SIGSTOP)
        self.addCleanup(self.owner.fairlead.signal, signal.SIGCONT)
        wait_until(lambda: not self.owner.fit(), what="the guard to write the fault")
        code, words, _ = self.owner.check()
        self.assertEqual(code, 69, words)
        self.assertIn("a worker stands still", words)
        self.pair.wait_owner(self.standby)
        self.pair.wait_serving()
        self.owner.fairlead.signal(signal.SIGCONT)
        wait_until(self.owner.fit, what="fairlead to be fit again when it goes on")
        self.pair.wait_ready_to_move()
        self.assertEqual(self.pair.owner(), self.standby)

    def test_sigterm_tells_everybody_before_the_address_goes(self):
        subscribers = self.subscribers()
        busy = VipClient()
        self.addCleanup(busy.close)
        self.assertEqual(busy.command("SET", "before", "1"), "OK")
        blocked = VipClient()
        self.addCleanup(blocked.close)
        blocked.send(b"*3\r\n$5\r\nBLPOP\r\n$5\r\nnever\r\n$1\r\n0\r\n")
        self.owner.fairlead.signal(signal.SIGTERM)
        self.assert_all_reset(subscribers)
        for client in (busy, blocked):
            self.assertEqual(client.read_until_closed(10), b"")
        self.assertEqual(self.owner.fairlead.wait(), 0)
        # keepalived takes the address away when the file says so; the resets had left by then.
        told = self.owner.fairlead.log()
        self.assertLess(told.rindex("clients of the pair's address were let go"),
                        told.index("unfit to have the address"))
        self.assertFalse(self.owner.fit())
        self.pair.wait_owner(self.standby)
        self.pair.wait_serving()
        # The upgraded one comes back as the standby.
        self.restart_fairlead(self.owner)
        self.pair.wait_ready_to_move()
        self.assertEqual(self.pair.owner(), self.standby)

    def test_drain_and_ready_by_the_operator(self):
        subscribers = self.subscribers()
        own = VipClient(host=IPV4.own[self.owner.node])
        self.addCleanup(own.close)
        self.assertEqual(own.command("SET", "drained", "1"), "OK")
        self.assertIn("OK drained: the address goes to the peer", self.owner.console("DRAIN"))
        self.assert_all_reset(subscribers)
        self.pair.wait_owner(self.standby)
        self.pair.wait_serving()
        self.assertEqual(own.command("GET", "drained"), b"1", "who is not at the pair's address is served")
        with VipClient(host=IPV4.own[self.owner.node]) as late:
            self.assertEqual(late.command("GET", "drained"), b"1")
        told = self.owner.console("SHOW", "VRRP")
        self.assertRegex(told, r"verdict +unfit: drained by the operator")
        self.assertRegex(told, r"address_here +no")
        self.assertRegex(self.standby.console("SHOW", "VRRP"), r"address_here +yes")
        self.assertEqual(self.owner.metrics()["fairlead_healthy"], 1)
        self.assertEqual(self.owner.metrics()["fairlead_drained"], 1)
        self.assertIn("OK ready", self.owner.console("READY"))
        self.pair.wait_ready_to_move()
        self.assertEqual(self.pair.owner(), self.standby, "nobody takes the address back from a healthy owner")

    def test_what_is_in_flight_at_sigterm_is_answered(self):
        clients = [VipClient() for _ in range(20)]
        for client in clients:
            self.addCleanup(client.close)
            client.command("SET", "x", "1")
        counter = "in-flight"
        for client in clients:
            client.send(b"*2\r\n$4\r\nINCR\r\n$9\r\nin-flight\r\n")
        self.owner.fairlead.signal(signal.SIGTERM)
        answers = [client.read_until_closed(10) for client in clients]
        self.owner.fairlead.wait()
        self.pair.wait_owner(self.standby)
        self.pair.wait_serving()
        with VipClient() as client:
            executed = int(client.command("GET", counter) or 0)
        # Not read before the drain began: neither executed nor answered. Executed: answered.
        self.assertEqual(sum(1 for answer in answers if answer), executed)
        self.restart_fairlead(self.owner)

    def test_the_operators_hand_on_the_readiness_file(self):
        subscribers = self.subscribers()
        self.owner.ready_file.write_text("1\n")
        self.pair.wait_owner(self.standby)
        self.pair.wait_serving()
        # Nobody could know before; the process in this test has CAP_NET_RAW and sends the resets afterwards.
        self.assert_all_reset(subscribers)
        wait_until(lambda: self.owner.metrics()["fairlead_vrrp_losses_total"] >= 1, what="the loss in the metrics")
        self.assertGreaterEqual(self.owner.metrics()["fairlead_vrrp_clients_reset_total"], SUBSCRIBERS)
        self.owner.ready_file.write_text("0\n")
        self.pair.wait_ready_to_move()
        self.assertEqual(self.pair.owner(), self.standby)

    def test_kill_9_of_keepalived(self):
        self.owner.kill_keepalived()
        wait_until(self.standby.has_address, what="the peer to take the address")
        # Two have it now. The one without keepalived knows, and clients reach the new one.
        wait_until(lambda: "keepalived has gone" in self.owner.fairlead.log(), what="fairlead to notice")
        self.pair.wait_serving()
        before = self.standby.metrics()["fairlead_frontend_connections_total"]
        with VipClient() as client:
            client.command("EXISTS", "x")
        wait_until(lambda: self.standby.metrics()["fairlead_frontend_connections_total"] > before,
                   what="the connection at the new owner")
        self.owner.start_keepalived()
        self.pair.wait_owner(self.standby)
        self.pair.wait_ready_to_move()

    def test_a_plug_that_is_pulled(self):
        self.owner.pull_plug()
        self.pair.wait_owner(self.standby)
        self.pair.wait_serving()
        self.owner.plug_in()
        self.pair.wait_ready_to_move()
        self.assertEqual(self.pair.owner(), self.standby)


@unittest.skipIf(REASON, REASON)
class Splits(PairCase):
    """Both have the address while the link between them is cut. When it heals, node b gives way, whoever had it."""

    def split_and_heal(self, node):
        owner, other = self.make_owner(node)
        prober = Prober()
        self.addCleanup(prober.stop)
        subscribers = self.subscribers()
        owner.cut()
        wait_until(other.has_address, what="the other side to take the address")
        self.assertTrue(owner.has_address(), "nobody told the cut-off owner")
        moved = time.monotonic()
        wait_until(lambda: prober.answered_since(moved), what="answers of the new owner")
        self.assertEqual(self.reached(), other.mac())
        late = self.subscribers()  # of the side that the network reaches
        healed = time.monotonic()
        owner.heal()
        one = self.pair.wait_one_owner()
        alone = time.monotonic()
        self.assertEqual(one, self.pair.a)
        wait_until(lambda: prober.answered_since(alone), what="answers after healing")
        print(f"owner {node} cut off: one owner {alone - healed:.3f} s after healing, longest time without an answer "
              f"{prober.outage(healed):.3f} s")
        # The last word that the network heard is the owner's, also of those who ask nobody and only listen.
        wait_until(lambda: self.reached() == one.mac(), what="the network to know the owner")
        before = one.metrics()["fairlead_frontend_connections_total"]
        wait_until(lambda: one.metrics()["fairlead_frontend_connections_total"] > before,
                   what="connections at the owner")
        # Who had connected to the one that gave way has learnt that; who had not keeps its connection.
        self.assert_all_reset(late if other is self.pair.b else subscribers)
        for subscriber in subscribers if other is self.pair.b else late:
            self.assertIsNone(subscriber.how)
        prober.stop()
        self.assertEqual(self.pair.wait_ready_to_move(), (self.pair.a, self.pair.b))

    def make_owner(self, node):
        """That node as the owner, and the other."""
        if self.owner.node != node:
            self.owner.ready_file.write_text("1\n")
            self.pair.wait_owner(self.standby)
            self.owner.ready_file.write_text("0\n")
            self.owner, self.standby = self.pair.wait_ready_to_move()
        return self.owner, self.standby

    @staticmethod
    def reached():
        """The hardware address to which the clients' host sends what is for the pair's address."""
        return run("ip", "neigh", "show", "to", VIP).split("lladdr ")[1].split()[0]

    def test_node_a_is_cut_off(self):
        self.split_and_heal("a")

    def test_node_b_is_cut_off(self):
        self.split_and_heal("b")


@unittest.skipIf(REASON, REASON)
class Ipv6(PairCase):
    """The address, the hosts' own addresses and what keepalived says between them are IPv6."""

    PROTOCOL = IPV6

    def setUp(self):
        super().setUp()
        self.prober = Prober(host=IPV6.vip)
        self.addCleanup(self.prober.stop)

    def assert_moved(self):
        self.pair.wait_owner(self.standby)
        moved = time.monotonic()
        wait_until(lambda: self.prober.answered_since(moved), what="answers of the new owner")

    def test_kill_9_of_fairlead(self):
        self.owner.fairlead.kill()
        self.assert_moved()
        self.restart_fairlead(self.owner)

    def test_sigterm_tells_silent_subscribers(self):
        subscribers = self.subscribers()
        self.owner.fairlead.signal(signal.SIGTERM)
        self.assert_all_reset(subscribers)
        self.assertEqual(self.owner.fairlead.wait(), 0)
        self.assert_moved()
        self.restart_fairlead(self.owner)

    def test_the_operators_hand_on_the_readiness_file(self):
        subscribers = self.subscribers()
        self.owner.ready_file.write_text("1\n")
        self.assert_moved()
        self.assert_all_reset(subscribers)  # by an owner that has the address no more
        self.owner.ready_file.write_text("0\n")

    def test_a_cut_that_heals(self):
        self.owner.cut()
        wait_until(self.standby.has_address, what="the other side to take the address")
        moved = time.monotonic()
        wait_until(lambda: self.prober.answered_since(moved), what="answers of the new owner")
        self.owner.heal()
        self.assertEqual(self.pair.wait_one_owner(), self.pair.a)
        alone = time.monotonic()
        wait_until(lambda: self.prober.answered_since(alone), what="answers after healing")

    def test_keepalived_accepts_both_nodes(self):
        for host in self.pair.hosts:
            assert_accepted(self, host)


@unittest.skipIf(REASON, REASON)
class Redis(PairCase):
    def test_no_master_moves_nothing(self):
        gains = self.standby.metrics()["fairlead_vrrp_gains_total"]
        client = VipClient(30)
        self.addCleanup(client.close)
        self.assertEqual(client.command("SET", "no-master", "1"), "OK")
        stopped = [server.process for server in self.set.servers]
        for process in stopped:
            process.signal(signal.SIGSTOP)
        try:
            for host in self.pair.hosts:
                wait_until(lambda: self.steady(host) == 0, 20, f"host {host.node} to have no master")
            # Longer than any of keepalived's timers, seen at every check of its script.
            deadline = time.monotonic() + 5
            while time.monotonic() < deadline:
                self.assertEqual(self.pair.owners(), [self.owner])
                for host in self.pair.hosts:
                    self.assertTrue(host.fit())
                    self.assertEqual(host.check()[:2], (0, "fit"))
            client.send(encode("GET", "no-master"))
        finally:
            for process in stopped:
                process.signal(signal.SIGCONT)
        wait_until(lambda: self.steady(self.owner) == 1, 30, "the master to be back")
        self.assertEqual(self.pair.owners(), [self.owner])
        self.assertEqual(self.standby.metrics()["fairlead_vrrp_gains_total"], gains)
        # The connection stayed, and what it asked meanwhile was held.
        self.assertEqual(client.reply(), b"1")

    @staticmethod
    def steady(host):
        return host.metrics().get("fairlead_route_steady")

    def test_a_failover_of_redis_and_a_move_at_once(self):
        old = self.set.master()
        prober = Prober("SET", "pair", "1")
        self.addCleanup(prober.stop)
        self.set.failover()
        self.owner.fairlead.kill()
        self.pair.wait_owner(self.standby)
        self.set.wait_for_other_master(old)
        moment = time.monotonic()
        wait_until(lambda: prober.answered_since(moment), 30, "writes to go on at the new owner and the new master")
        self.restart_fairlead(self.owner)

    def test_a_thousand_clients_reconnect_without_a_storm_at_redis(self):
        herd = Herd((VIP, PORT), STORM_CLIENTS)
        self.addCleanup(herd.stop)
        wait_until(lambda: self.links(self.standby)[0] == WORKERS, 20, "a warm link of each worker and no other")
        warm = self.links(self.standby)
        held = self.standby.metrics()["fairlead_held_total"]
        master = self.set.master()
        before = int(master.info("clients")["connected_clients"])
        most = [before]
        moved = threading.Event()

        def watch():
            while not moved.is_set():
                most[0] = max(most[0], int(master.info("clients")["connected_clients"]))

        watcher = threading.Thread(target=watch)
        watcher.start()
        began = time.monotonic()
        try:
            self.owner.fairlead.kill()
            wait_until(lambda: herd.served_times(2), 60, "all clients to be served by the new owner")
        finally:
            moved.set()
            watcher.join()
        self.assertEqual(herd.wrong, [])
        # The workers' counters are copied four times a second.
        wait_until(lambda: self.standby.metrics()["fairlead_frontend_current_sessions"] >= STORM_CLIENTS,
                   what="all clients to be counted")
        print(f"{STORM_CLIENTS} clients were served again {herd.last_served_at() - began:.3f} s after kill -9; the master "
              f"had {before} connections before and {most[0]} at most")
        # Those links were there before, and sufficed; so nobody waited for one.
        self.assertEqual(self.links(self.standby), warm)
        self.assertEqual(self.standby.metrics()["fairlead_held_total"], held)
        # Of the watcher's own connections the last one may still be counted beside the next.
        self.assertLessEqual(most[0], before + 1)
        herd.stop()
        self.restart_fairlead(self.owner)

    @staticmethod
    def links(host):
        """To the master: open now, and opened since the start."""
        metrics = host.metrics()
        return metrics["fairlead_backend_current_links"], metrics["fairlead_backend_links_opened_total"]


@unittest.skipIf(REASON, REASON)
class Tools(PairCase):
    def test_keepalived_accepts_both_nodes(self):
        for host in self.pair.hosts:
            assert_accepted(self, host)

    def test_keepalived_says_what_is_missing(self):
        done = self.run_program([harness.FAIRLEAD, "keepalived", "--node", "a", "--server", "x"])
        self.assertEqual(done.returncode, 78)
        for key in ("address", "interface", "node-a", "node-b", "ready-file", "notify-fifo"):
            self.assertIn(f"'{key}' in [vrrp] is missing", done.stderr)
        self.assertEqual(self.run_program([harness.FAIRLEAD, "keepalived", "--node", "c"]).returncode, 2)

    def test_check(self):
        for host in self.pair.hosts:
            code, words, took = host.check()
            self.assertEqual((code, words), (0, "fit"))
            print(f"check: {took * 1000:.0f} ms")
        host = self.standby
        host.fairlead.kill()
        code, words, _ = host.check()
        self.assertEqual(code, 69)
        self.assertIn("nothing listens on 127.0.0.1:6379", words)
        self.restart_fairlead(host)

    def test_the_guard_is_replaced_and_the_address_stays(self):
        owner = self.owner
        guards = [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and self.is_guard_of(pid, owner.fairlead.pid)]
        self.assertEqual(len(guards), 1)
        os.kill(guards[0], signal.SIGKILL)
        wait_until(lambda: owner.metrics()["fairlead_vrrp_guard_restarts_total"] == 1, what="another guard")
        wait_until(lambda: owner.metrics()["fairlead_vrrp_guard_up"] == 1, what="its first answer")
        self.assertEqual(self.pair.owners(), [owner])
        self.assertTrue(owner.fit())

    @staticmethod
    def is_guard_of(pid, parent):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
                text = stat.read()
        except OSError:
            return False
        name, rest = text[text.index("(") + 1:].rsplit(")", 1)
        return name == "fairlead-guard" and int(rest.split()[1]) == parent

    def test_garbage_in_the_fifo_changes_nothing(self):
        fifo = os.open(self.owner.directory / "notify.fifo", os.O_WRONLY | os.O_NONBLOCK)
        before = self.owner.metrics()
        os.write(fifo, b"\0\xff nonsense\nINSTANCE \"another\" FAULT 1\nINSTANCE \"fairlead\" FAULT 250\n")
        os.close(fifo)
        wait_until(lambda: self.owner.metrics()["fairlead_vrrp_notify_garbage_total"] ==
                   before["fairlead_vrrp_notify_garbage_total"] + 1, what="the garbage to be counted")
        # A lie about the state is not confirmed by the kernel: no client is touched.
        wait_until(lambda: "still on this host" in self.owner.fairlead.log(), what="the contradiction to be told")
        after = self.owner.metrics()
        self.assertEqual(after["fairlead_vrrp_losses_total"], before["fairlead_vrrp_losses_total"])
        self.assertEqual(after["fairlead_vrrp_address_here"], 1)


def setUpModule():
    if not REASON:
        become_the_network()


if __name__ == "__main__":
    unittest.main()
