"""How connections behave: shared links, huge pipelines, half-closed and vanishing clients, names, limits, the end."""

import signal
import socket
import struct
import unittest

from harness import TestCase, wait_until
from resp_client import RawClient, ReplyError, encode


class Connections(TestCase):
    @classmethod
    def start_servers(cls):
        cls.set = cls.redis_set(replicas=0, sentinels=0)
        cls.master = cls.set.servers[0]
        cls.unix_path = f"{cls.directory}/clients.sock"
        cls.proxy = cls.shared_fairlead(cls.set, "--listen", f"unix:{cls.unix_path}", threads=2)

    def test_10000_commands_in_one_write(self):
        client = self.open(self.proxy.port)
        self.master.call("DEL", "n")
        client.send(encode("INCR", "n") * 10_000)
        self.assertEqual([client.reply() for _ in range(10_000)], list(range(1, 10_001)))

    def test_half_closed_client_gets_every_reply(self):
        """What `printf ... | nc` does: the client sends, closes its side, and reads to the end."""
        client = self.open(self.proxy.port)
        self.master.call("SET", "big", "v" * 100_000)
        client.send(encode("GET", "big") * 20 + encode("ECHO", "last"))
        client.socket.shutdown(socket.SHUT_WR)
        expected = (b"$100000\r\n" + b"v" * 100_000 + b"\r\n") * 20 + b"$4\r\nlast\r\n"
        self.assertTrue(client.read_until_closed() == expected)

    def test_half_closed_after_an_unfinished_command(self):
        client = self.open(self.proxy.port)
        client.send(encode("SET", "whole", "1") + b"*3\r\n$3\r\nSET\r\n$4\r\nhalf")
        client.socket.shutdown(socket.SHUT_WR)
        self.assertEqual(client.read_until_closed(), b"+OK\r\n")
        self.assertEqual(self.master.call("MGET", "whole", "half"), [b"1", None])

    def test_clients_that_vanish_in_mid_reply(self):
        """Neither a reset nor unread replies on one connection disturb another that shares the link."""
        self.master.call("SET", "big", "v" * 1_000_000)
        healthy = self.open(self.proxy.port)
        for _ in range(20):
            rude = RawClient(self.proxy.port)
            rude.send(encode("GET", "big") * 10 + encode("INCR", "rude"))
            rude.read_exactly(1000)
            rude.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            rude.close()
            self.assertEqual(healthy.command("ECHO", "fine"), b"fine")
            self.assertEqual(healthy.command("STRLEN", "big"), 1_000_000)

    def test_a_client_that_does_not_read_disturbs_nobody(self):
        self.master.call("SET", "big", "v" * 1_000_000)
        healthy = self.open(self.proxy.port)
        lazy = self.open(self.proxy.port)
        lazy.send(encode("GET", "big") * 50)
        for _ in range(50):
            self.assertEqual(healthy.command("STRLEN", "big"), 1_000_000)
        for _ in range(50):
            self.assertEqual(len(lazy.reply()), 1_000_000)

    def test_a_client_that_stalls_in_mid_command_disturbs_nobody(self):
        stalled = self.open(self.proxy.port)
        stalled.send(b"*3\r\n$3\r\nSET\r\n$7\r\nstalled\r\n$100000\r\nabc")
        self.assertEqual(self.open(self.proxy.port).command("EXISTS", "stalled"), 0)
        stalled.send(b"d" * 99_997 + b"\r\n")
        self.assertEqual(stalled.reply(), "OK")
        self.assertEqual(self.master.call("STRLEN", "stalled"), 100_000)

    def test_1000_clients_share_few_links(self):
        clients = [self.open(self.proxy.port) for _ in range(1000)]
        for number, client in enumerate(clients):
            client.send(encode("SET", f"shared:{number}", number))
        self.assertEqual([client.reply() for client in clients], ["OK"] * 1000)
        for number, client in enumerate(clients):
            client.send(encode("GET", f"shared:{number}"))
        self.assertEqual([client.reply() for client in clients], [b"%d" % number for number in range(1000)])
        # A link or two for each of two workers, the monitor's, and the connection that asks.
        self.assertLessEqual(len(self.master.call("CLIENT", "LIST").splitlines()), 10)

    def test_leases_are_given_back(self):
        """WATCH and BLPOP take a connection of their own, which is gone or reused when they are over; SUBSCRIBE takes none."""
        before = len(self.master.call("CLIENT", "LIST").splitlines())
        for _ in range(30):
            with RawClient(self.proxy.port) as client:
                client.command("WATCH", "a")
                client.command("UNWATCH")
                client.command("BLPOP", "nothing", "0.01")
                client.command("SUBSCRIBE", "c")
                client.command("UNSUBSCRIBE", "c")
                self.assertEqual(client.command("ECHO", "x"), b"x")
        wait_until(lambda: len(self.master.call("CLIENT", "LIST").splitlines()) <= before + 8, what="leases to end")

    def test_a_vanished_client_leaves_nothing_behind(self):
        """A client that dies in MULTI, in WATCH or blocked takes its transaction with it."""
        for commands in (encode("MULTI") + encode("SET", "ghost", "1"), encode("WATCH", "ghost"),
                         encode("SUBSCRIBE", "ghost")):
            with RawClient(self.proxy.port) as client:
                client.send(commands)
                client.reply()
        with RawClient(self.proxy.port) as client:
            client.send(encode("BLPOP", "ghost-list", "0"))
            wait_until(lambda: self.master.info("clients")["blocked_clients"] == "1", what="the blocked client")
        wait_until(lambda: self.master.info("clients")["blocked_clients"] == "0", what="nobody to be blocked")
        wait_until(lambda: self.master.call("PUBSUB", "NUMSUB", "ghost")[1] == 0, what="nobody to be subscribed")
        client = self.open(self.proxy.port)
        self.assertEqual(client.command("RPUSH", "ghost-list", "x"), 1)
        self.assertEqual(client.command("LPOP", "ghost-list"), b"x")
        self.assertIsNone(client.command("GET", "ghost"))

    def test_monitor_sees_the_commands_of_others(self):
        watcher = self.open(self.proxy.port)
        self.assertEqual(watcher.command("MONITOR"), "OK")
        self.assertEqual(self.open(self.proxy.port).command("SET", "watched", "1"), "OK")
        seen = []
        wait_until(lambda: seen.append(watcher.reply()) or '"SET" "watched" "1"' in seen[-1], what="MONITOR's line")

    def test_client_names_and_ids(self):
        one, two = self.open(self.proxy.port), self.open(self.proxy.port)
        self.assertIsNone(one.command("CLIENT", "GETNAME"))
        self.assertEqual(one.command("CLIENT", "SETNAME", "first"), "OK")
        self.assertEqual(two.command("CLIENT", "SETNAME", "second"), "OK")
        self.assertEqual(one.command("CLIENT", "GETNAME"), b"first")
        self.assertEqual(two.command("CLIENT", "GETNAME"), b"second")
        self.assertNotEqual(one.command("CLIENT", "ID"), two.command("CLIENT", "ID"))
        self.assertEqual(one.command("CLIENT", "ID"), one.command("CLIENT", "ID"))
        # Newer clients say this at connect; a 7.0 server knows it not, and clients live with either answer.
        for attribute in ("LIB-NAME", "LIB-VER"):
            one.send(encode("CLIENT", "SETINFO", attribute, "x"))
            self.assertIn(str(one.reply())[:3], ("OK", "ERR"))
        with self.assertRaisesRegex(ReplyError, "cannot contain spaces"):
            one.command("CLIENT", "SETNAME", "a name")
        self.assertEqual(one.command("RESET"), "RESET")
        self.assertIsNone(one.command("CLIENT", "GETNAME"))

    def test_hello_switches_between_protocols(self):
        client = self.open(self.proxy.port)
        self.master.call("HSET", "hash", "f", "v")
        hello = client.command("HELLO", "3", "SETNAME", "three")
        self.assertIsInstance(hello, dict)
        self.assertEqual((hello[b"server"], hello[b"proto"], hello[b"role"]), (b"redis", 3, b"master"))
        self.assertEqual(hello[b"id"], client.command("CLIENT", "ID"))
        self.assertEqual(client.command("HGETALL", "hash"), {b"f": b"v"})
        self.assertEqual(client.command("CLIENT", "GETNAME"), b"three")
        self.assertIsInstance(client.command("HELLO", "2"), list)
        self.assertEqual(client.command("HGETALL", "hash"), [b"f", b"v"])

    def test_both_protocols_at_once(self):
        two, three = self.open(self.proxy.port), self.open(self.proxy.port)
        three.command("HELLO", "3")
        self.master.call("HSET", "hash", "f", "v")
        for _ in range(100):
            two.send(encode("HGETALL", "hash") + encode("GET", "none"))
            three.send(encode("HGETALL", "hash") + encode("GET", "none"))
        for _ in range(100):
            self.assertEqual((two.reply(), two.reply()), ([b"f", b"v"], None))
            self.assertEqual((three.reply(), three.reply()), ({b"f": b"v"}, None))

    def test_resp3_pushes_between_replies(self):
        client = self.open(self.proxy.port)
        client.command("HELLO", "3")
        client.send(encode("SUBSCRIBE", "pushes"))
        self.assertEqual(client.push(), [b"subscribe", b"pushes", 1])
        # Unlike RESP2, a subscriber may go on with ordinary commands.
        self.assertEqual(client.command("SET", "meanwhile", "1"), "OK")
        self.assertEqual(self.open(self.proxy.port).command("PUBLISH", "pushes", "hello"), 1)
        self.assertEqual(client.push(), [b"message", b"pushes", b"hello"])
        self.assertEqual(client.command("GET", "meanwhile"), b"1")

    def test_unix_socket(self):
        client = self.open(self.unix_path)
        self.assertEqual(client.command("SET", "unix", "1"), "OK")
        self.assertEqual(self.open(self.proxy.port).command("GET", "unix"), b"1")


class Limits(TestCase):
    @classmethod
    def start_servers(cls):
        cls.set = cls.redis_set(replicas=0, sentinels=0)
        cls.master = cls.set.servers[0]

    def test_max_clients(self):
        proxy = self.fairlead(self.set, "--max-clients", "4", threads=1).wait_ready()
        clients = []

        def let_in():
            """Connects until four clients are in. The connections of wait_ready may still be on their way out."""
            while len(clients) < 4:
                client = self.open(proxy.port)
                client.command("PING")
                clients.append(client)
            return True

        wait_until(let_in, what="four clients to be let in")
        self.assertEqual(self.open(proxy.port).read_until_closed(), b"-ERR max number of clients reached\r\n")
        self.assertEqual([client.command("PING") for client in clients], ["PONG"] * 4)
        clients.pop().close()
        wait_until(let_in, what="a place that became free to be given away")

    def test_sigterm_answers_what_is_in_flight_and_exits_0(self):
        proxy = self.fairlead(self.set).wait_ready()
        slow, idle = self.open(proxy.port), self.open(proxy.port)
        self.assertEqual(idle.command("PING"), "PONG")
        # The master keeps the reply back until it is told otherwise, so the command is surely in flight.
        self.master.call("CLIENT", "PAUSE", "60000", "WRITE")
        self.addCleanup(self.master.call, "CLIENT", "UNPAUSE")
        slow.send(encode("SET", "drained", "1"))
        wait_until(lambda: self.master.info("clients")["blocked_clients"] == "1", what="the write to reach the master")
        proxy.process.signal(signal.SIGTERM)
        wait_until(lambda: refuses(proxy.port), what="the listener to close")
        self.assertTrue(proxy.process.running())
        self.master.call("CLIENT", "UNPAUSE")
        self.assertEqual(slow.reply(), "OK")
        self.assertEqual(proxy.process.wait(), 0)
        self.assertEqual(idle.read_until_closed(), b"")

    def test_sigint_ends_at_once(self):
        proxy = self.fairlead(self.set).wait_ready()
        self.master.call("CLIENT", "PAUSE", "60000", "WRITE")
        self.addCleanup(self.master.call, "CLIENT", "UNPAUSE")
        waiting = self.open(proxy.port)
        waiting.send(encode("SET", "waiting", "1"))
        wait_until(lambda: self.master.info("clients")["blocked_clients"] == "1", what="the write to reach the master")
        proxy.process.signal(signal.SIGINT)
        self.assertEqual(proxy.process.wait(5), 0)


def refuses(port):
    """Whether nobody listens there any more."""
    try:
        RawClient(port).close()
    except ConnectionRefusedError:
        return True
    return False


if __name__ == "__main__":
    unittest.main()
