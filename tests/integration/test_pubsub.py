"""Subscriptions are shared upstream: however many clients have a channel, the server counts one for each worker, and
every client sees what it would see from the server."""

import unittest

from differential import compare
from harness import TestCase, wait_until
from resp_client import RawClient, ReplyError, encode

SUBSCRIBERS = 1000

# Sent as they are to the real server and to the proxy, whose bytes must be equal. A bare UNSUBSCRIBE of more than one
# channel is not here: Redis answers it in the order of a hash table.
SCRIPTS = {
    "channels": encode("SUBSCRIBE", "a", "b", "a") + encode("UNSUBSCRIBE", "b", "nothing", "a"),
    "one by one": b"".join(encode("SUBSCRIBE", f"c{number}") for number in range(50)) +
                  b"".join(encode("UNSUBSCRIBE", f"c{number}") for number in range(50)) + encode("ECHO", "free"),
    "patterns": encode("PSUBSCRIBE", "p*", "q?", "p*") + encode("PUNSUBSCRIBE"),
    "shard channels": encode("SSUBSCRIBE", "s", "t") + encode("SUNSUBSCRIBE", "s") + encode("SUNSUBSCRIBE"),
    "all kinds are counted": encode("SUBSCRIBE", "a") + encode("PSUBSCRIBE", "p*") + encode("SSUBSCRIBE", "s") +
                             encode("SUBSCRIBE", "b") + encode("UNSUBSCRIBE", "a") + encode("PUNSUBSCRIBE", "x", "p*") +
                             encode("SUNSUBSCRIBE", "s", "s") + encode("UNSUBSCRIBE", "b") + encode("EXISTS", "none"),
    "nothing to leave": encode("UNSUBSCRIBE") + encode("PUNSUBSCRIBE") + encode("SUNSUBSCRIBE") +
                        encode("UNSUBSCRIBE", "x", "y"),
    "bare, after the last": encode("SUBSCRIBE", "a") + encode("UNSUBSCRIBE") + encode("UNSUBSCRIBE"),
    "only some commands": encode("SUBSCRIBE", "a") + encode("GET", "k") + encode("CONFIG", "GET", "x") +
                          encode("CLIENT", "GETNAME") + encode("SELECT", "1") + encode("AUTH", "x") +
                          encode("HELLO", "3") + encode("MULTI") + encode("EXEC") + encode("EXEC", "x") + encode("BLPOP", "q", "0") +
                          encode("MONITOR") + encode("NOSUCH", "x") + encode("CLIENT", "NOSUCH") + encode("GET") +
                          encode("PUBSUB", "CHANNELS") + encode("PUBLISH", "a", "x") + encode("COMMAND", "COUNT"),
    "a shard channel is enough": encode("SSUBSCRIBE", "s") + encode("GET", "k"),
    "PING": encode("SUBSCRIBE", "a") + encode("PING") + encode("PING", "x") + encode("PING", "x", "y") +
            encode("UNSUBSCRIBE") + encode("PING") + encode("PING", "x"),
    "wrong arguments": encode("SUBSCRIBE") + encode("PSUBSCRIBE") + encode("SSUBSCRIBE") + encode("SUBSCRIBE", "a"),
    "strange names": encode("SUBSCRIBE", "", b"\r\n", b"\x00\xff", "a b") + encode("UNSUBSCRIBE", b"\r\n", ""),
    "among other commands": encode("SET", "k", "1") + encode("SUBSCRIBE", "a") + encode("GET", "k") +
                            encode("UNSUBSCRIBE") + encode("GET", "k") + encode("DEL", "k"),
    "inline": b"SUBSCRIBE a b\r\nUNSUBSCRIBE a\r\nPING\r\n",
    "QUIT": encode("SUBSCRIBE", "a") + encode("QUIT") + encode("PING"),
    "RESET": encode("SUBSCRIBE", "a") + encode("RESET") + encode("EXISTS", "none") + encode("UNSUBSCRIBE"),
}
# In RESP3 a subscriber may say everything.
RESP3_SCRIPTS = {name: SCRIPTS[name] for name in ("channels", "one by one", "patterns", "all kinds are counted", "PING",
                                                  "nothing to leave", "strange names", "among other commands")}
RESP3_SCRIPTS["everything is allowed"] = (
    encode("SUBSCRIBE", "a") + encode("SET", "k", "1") + encode("MULTI") + encode("GET", "k") + encode("EXEC") +
    encode("CLIENT", "GETNAME") + encode("SELECT", "1") + encode("SELECT", "0") + encode("DEL", "k") +
    encode("UNSUBSCRIBE"))
DENIED = {
    "one of two": encode("SUBSCRIBE", "ok:1", "secret") + encode("EXISTS", "none"),
    "the first was allowed": encode("SUBSCRIBE", "ok:1") + encode("SUBSCRIBE", "ok:2", "secret") + encode("PING") +
                             encode("UNSUBSCRIBE"),
    "a pattern": encode("PSUBSCRIBE", "*") + encode("PSUBSCRIBE", "ok:*"),
}


class PubSub(TestCase):
    @classmethod
    def start_servers(cls):
        cls.set = cls.redis_set(replicas=0, sentinels=0)
        cls.master = cls.set.servers[0]
        cls.proxy = cls.shared_fairlead(cls.set, threads=1)
        cls.direct = cls.redis_set(replicas=0, sentinels=0).servers[0]

    def numsub(self, channel):
        return self.master.call("PUBSUB", "NUMSUB", channel)[1]

    def test_a_thousand_subscribers_count_as_one(self):
        clients = [self.open(self.proxy.port) for _ in range(SUBSCRIBERS)]
        for client in clients:
            client.send(encode("SUBSCRIBE", "crowd"))
        for client in clients:
            self.assertEqual(client.reply(), [b"subscribe", b"crowd", 1])
        self.assertEqual(self.numsub("crowd"), 1)
        # The monitor's, a shared one, the hub's and the one that asks.
        self.assertLessEqual(len(self.master.call("CLIENT", "LIST").splitlines()), 6)
        publisher = self.open(self.proxy.port)
        for number in range(20):
            self.assertEqual(publisher.command("PUBLISH", "crowd", number), 1)
        for client in clients:
            for number in range(20):
                self.assertEqual(client.reply(), [b"message", b"crowd", b"%d" % number])
        for client in clients[1:]:
            client.close()
        self.assertEqual(publisher.command("PUBLISH", "crowd", "last"), 1)
        self.assertEqual(clients[0].reply(), [b"message", b"crowd", b"last"])
        clients[0].close()
        wait_until(lambda: self.numsub("crowd") == 0, what="the upstream subscription to end")

    def test_kinds_and_protocols_mixed(self):
        two, three = self.open(self.proxy.port), self.open(self.proxy.port)
        three.command("HELLO", "3")
        for client in (two, three):
            client.send(encode("SUBSCRIBE", "mixed") + encode("PSUBSCRIBE", "mi*") + encode("SSUBSCRIBE", "mixed"))
        self.assertEqual([two.reply() for _ in range(3)],
                         [[b"subscribe", b"mixed", 1], [b"psubscribe", b"mi*", 2], [b"ssubscribe", b"mixed", 1]])
        self.assertEqual([three.push() for _ in range(3)],
                         [[b"subscribe", b"mixed", 1], [b"psubscribe", b"mi*", 2], [b"ssubscribe", b"mixed", 1]])
        self.assertEqual(three.command("PUBLISH", "mixed", "x"), 2)
        self.assertEqual(three.command("SPUBLISH", "mixed", "y"), 1)
        expected = [[b"message", b"mixed", b"x"], [b"pmessage", b"mi*", b"mixed", b"x"], [b"smessage", b"mixed", b"y"]]
        self.assertEqual([two.reply() for _ in range(3)], expected)
        self.assertEqual([three.push() for _ in range(3)], expected)
        self.assertEqual(three.command("PUBSUB", "SHARDCHANNELS", "mixed"), [b"mixed"])

    def test_as_the_server(self):
        for size in (1 << 20, 3, 1):
            for name, payload in SCRIPTS.items():
                with self.subTest(name, size=size):
                    compare(self, self.direct.port, self.proxy.port, payload, size)

    @staticmethod
    def answer_in_resp3(port, payload):
        """What comes behind HELLO, up to the answer to a last command."""
        with RawClient(port) as client:
            client.command("HELLO", "3")
            client.send(payload + encode("ECHO", "the end"))
            data = b""
            while not data.endswith(b"$7\r\nthe end\r\n"):
                more = client.read_exactly(1)
                if not more:
                    return data + b" and closed"
                data += more
            return data

    def test_as_the_server_in_resp3(self):
        for name, payload in RESP3_SCRIPTS.items():
            with self.subTest(name):
                self.assertEqual(self.answer_in_resp3(self.proxy.port, payload),
                                 self.answer_in_resp3(self.direct.port, payload))

    def test_a_bare_unsubscribe_ends_all(self):
        payload = encode("SUBSCRIBE", *"abcdefgh") + encode("UNSUBSCRIBE")
        answers = []
        for port in (self.direct.port, self.proxy.port):
            with RawClient(port) as client:
                client.send(payload)
                replies = [client.reply() for _ in range(16)]
                answers.append((replies[:8], sorted(reply[1] for reply in replies[8:]),
                                [(reply[0], reply[2]) for reply in replies[8:]]))
        self.assertEqual(answers[1], answers[0])

    def test_messages_larger_than_any_buffer(self):
        clients = [self.open(self.proxy.port) for _ in range(20)]
        for client in clients:
            client.command("SUBSCRIBE", "large")
        publisher = self.open(self.proxy.port)
        text = bytes(range(256)) * 20_000
        for size in (15_000, 17_000, 64_000, 70_000, len(text)):
            self.assertEqual(publisher.command("PUBLISH", "large", text[:size]), 1)
            for client in clients:
                self.assertEqual(client.reply(), [b"message", b"large", text[:size]])

    def test_refusals_of_the_server(self):
        """An ACL of the server that allows some channels only."""
        user = ("on", "nopass", "allkeys", "allcommands", "resetchannels", "&ok:*")
        servers = [self.redis_set(replicas=0, sentinels=0) for _ in range(2)]
        for redis_set in servers:
            redis_set.servers[0].call("ACL", "SETUSER", "default", *user)
        proxy = self.fairlead(servers[0], threads=1).wait_ready()
        other = self.open(proxy.port)
        self.assertEqual(other.command("SUBSCRIBE", "ok:1"), [b"subscribe", b"ok:1", 1])
        for size in (1 << 20, 1):
            for name, payload in DENIED.items():
                with self.subTest(name, size=size):
                    compare(self, servers[1].servers[0].port, proxy.port, payload, size)
        server = servers[0].servers[0]
        wait_until(lambda: server.call("PUBSUB", "NUMPAT") == 0, what="the last client's pattern to be left")
        self.assertEqual(self.open(proxy.port).command("PUBLISH", "ok:1", "still there"), 1)
        self.assertEqual(other.reply(), [b"message", b"ok:1", b"still there"])

    def test_users_hear_what_they_may(self):
        redis_set = self.redis_set(replicas=0, sentinels=0)
        server = redis_set.servers[0]
        for name in ("alice", "bob"):
            server.call("ACL", "SETUSER", name, "on", ">secret", "allkeys", "allcommands", "resetchannels",
                        f"&{name}:*", "&both")
        proxy = self.fairlead(redis_set, threads=1).wait_ready()
        clients = {name: [self.open(proxy.port) for _ in range(5)] for name in ("alice", "bob")}
        for name, own in clients.items():
            for client in own:
                self.assertEqual(client.command("AUTH", name, "secret"), "OK")
                self.assertEqual(client.command("SUBSCRIBE", "both"), [b"subscribe", b"both", 1])
                self.assertEqual(client.command("SUBSCRIBE", f"{name}:1"), [b"subscribe", b"%s:1" % name.encode(), 2])
            with self.assertRaisesRegex(ReplyError, "NOPERM"):
                own[0].command("SUBSCRIBE", "alice:1" if name == "bob" else "bob:1")
        self.assertEqual(server.call("PUBSUB", "NUMSUB", "both", "alice:1"), [b"both", 2, b"alice:1", 1])
        server.call("PUBLISH", "alice:1", "for alice")
        server.call("PUBLISH", "both", "for both")
        for name, own in clients.items():
            for client in own:
                if name == "alice":
                    self.assertEqual(client.reply(), [b"message", b"alice:1", b"for alice"])
                self.assertEqual(client.reply(), [b"message", b"both", b"for both"])

    def test_an_upstream_link_that_is_cut(self):
        client = self.open(self.proxy.port)
        client.command("SUBSCRIBE", "cut")
        self.master.call("CLIENT", "KILL", "TYPE", "pubsub")
        wait_until(lambda: self.numsub("cut") == 1, what="the subscription to be made again")
        self.assertEqual(self.open(self.proxy.port).command("PUBLISH", "cut", "x"), 1)
        self.assertEqual(client.reply(), [b"message", b"cut", b"x"])

    def test_pool_mode_session_keeps_links_of_their_own(self):
        proxy = self.fairlead(self.set, "--pool-mode", "session", threads=1).wait_ready()
        clients = [self.open(proxy.port) for _ in range(3)]
        for client in clients:
            self.assertEqual(client.command("SUBSCRIBE", "own"), [b"subscribe", b"own", 1])
        self.assertEqual(self.numsub("own"), 3)
        self.assertEqual(self.master.call("PUBLISH", "own", "x"), 3)
        self.assertEqual([client.reply() for client in clients], [[b"message", b"own", b"x"]] * 3)


class Failover(TestCase):
    def setUp(self):
        self.set = self.redis_set()
        self.master = self.set.servers[0]
        self.proxy = self.fairlead(self.set, threads=1).wait_ready()

    def subscribe_all(self):
        clients = [self.open(self.proxy.port, 40) for _ in range(100)]
        for number, client in enumerate(clients):
            if number % 2:
                client.command("HELLO", "3")
            client.send(encode("SUBSCRIBE", "news", f"own:{number}") + encode("PSUBSCRIBE", "ne*"))
            receive = client.push if number % 2 else client.reply
            self.assertEqual([receive() for _ in range(3)][2], [b"psubscribe", b"ne*", 3])
        return clients

    def assert_subscribed_to(self, server, clients):
        wait_until(lambda: server.call("PUBSUB", "NUMSUB", "news", "own:7") == [b"news", 1, b"own:7", 1] and
                   server.call("PUBSUB", "NUMPAT") == 1, 30, "the subscriptions on the new master")
        publisher = self.open(self.proxy.port, 30)
        self.assertEqual(publisher.command("PUBLISH", "news", "after"), 2)
        self.assertEqual(publisher.command("PUBLISH", "own:7", "mine"), 1)
        for number, client in enumerate(clients):
            receive = client.push if number % 2 else client.reply
            self.assertCountEqual([receive(), receive()], [[b"message", b"news", b"after"],
                                                           [b"pmessage", b"ne*", b"news", b"after"]])
        self.assertEqual(clients[7].push(), [b"message", b"own:7", b"mine"])
        # Their own counts go on where they were.
        clients[0].send(encode("SUBSCRIBE", "more"))
        self.assertEqual(clients[0].reply(), [b"subscribe", b"more", 4])

    def test_planned(self):
        clients = self.subscribe_all()
        self.set.failover()
        self.assert_subscribed_to(self.set.wait_for_other_master(self.master), clients)

    def test_kill(self):
        clients = self.subscribe_all()
        self.master.process.kill()
        late = self.open(self.proxy.port, 40)
        late.send(encode("SUBSCRIBE", "while there is no master"))
        self.assert_subscribed_to(self.set.wait_for_other_master(self.master), clients)
        self.assertEqual(late.reply(), [b"subscribe", b"while there is no master", 1])


if __name__ == "__main__":
    unittest.main()
