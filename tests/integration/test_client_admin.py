"""Client administration over two workers: who is connected is fairlead's to tell, whichever worker has the client."""

import time
import unittest

import redis

from harness import TestCase, wait_until
from resp_client import ReplyError, encode

FIELDS = ("id addr laddr fd name age idle flags db sub psub ssub multi qbuf qbuf-free argv-mem multi-mem rbs rbp obl "
          "oll omem tot-mem events cmd user redir resp").split()


def parse(text):
    """The lines of CLIENT LIST as dictionaries."""
    return [dict(field.split("=", 1) for field in line.split(" ")) for line in text.decode().splitlines()]


class ClientAdmin(TestCase):
    WORKERS = 2

    @classmethod
    def start_servers(cls):
        cls.set = cls.redis_set(replicas=0, sentinels=0)
        cls.master = cls.set.servers[0]
        cls.unix_path = f"{cls.directory}/clients.sock"
        cls.proxy = cls.shared_fairlead(cls.set, "--listen", f"unix:{cls.unix_path}", threads=cls.WORKERS)

    def client(self):
        return self.open(self.proxy.port)

    def id_of(self, client):
        return client.command("CLIENT", "ID")

    def on_other_worker(self, client):
        """A client whose worker is another one: ids of one worker are WORKERS apart."""
        rest = self.id_of(client) % self.WORKERS
        for _ in range(200):
            other = self.client()
            if self.id_of(other) % self.WORKERS != rest:
                return other
        raise AssertionError("all clients came to one worker")

    def pair(self):
        first = self.client()
        return first, self.on_other_worker(first)

    def listed(self, client, *args):
        return {int(line["id"]): line for line in parse(client.command("CLIENT", "LIST", *args))}

    def assert_closed(self, client):
        self.assertEqual(client.read_until_closed(), b"")

    # --- LIST and INFO

    def test_list_covers_both_workers(self):
        one, two = self.pair()
        two.command("CLIENT", "SETNAME", "across")
        lines = parse(one.command("CLIENT", "LIST"))
        self.assertEqual([list(line) for line in lines], [FIELDS] * len(lines))
        ids = [int(line["id"]) for line in lines]
        self.assertEqual(ids, sorted(ids))
        found = self.listed(one)
        self.assertEqual(found[self.id_of(two)]["name"], "across")
        for client in (one, two):
            line = found[self.id_of(client)]
            self.assertEqual(line["addr"], "127.0.0.1:%d" % client.socket.getsockname()[1])
            self.assertEqual(line["laddr"], self.proxy.address)
            self.assertEqual((line["flags"], line["db"], line["user"], line["resp"]), ("N", "0", "default", "2"))
        self.assertEqual(found[self.id_of(one)]["cmd"], "client|list")
        self.assertEqual(found[self.id_of(two)]["cmd"], "client|setname")

    def test_fields_are_those_of_the_server(self):
        """Name by name, and for an idle client value by value, but for numbers that belong to the process."""
        own = self.client()
        with self.master.client() as direct:
            there = parse(direct.command("CLIENT", "LIST"))[-1]
            info_there = parse(direct.command("CLIENT", "INFO"))[0]
        here = self.listed(own)[self.id_of(own)]
        self.assertEqual(list(there), list(here))
        info_here = parse(own.command("CLIENT", "INFO"))[0]
        own_business = {"id", "addr", "laddr", "fd", "age", "qbuf-free", "rbs", "rbp", "tot-mem"}
        for field in set(FIELDS) - own_business:
            self.assertEqual(info_here[field], info_there[field], field)

    def test_list_by_type_and_id(self):
        one, two = self.pair()
        two.command("SUBSCRIBE", "list-by-type")
        id_two = max(self.listed(one, "TYPE", "pubsub"))
        self.assertEqual(self.listed(one, "TYPE", "pubsub")[id_two]["flags"], "P")
        self.assertNotIn(self.id_of(one), self.listed(one, "TYPE", "pubsub"))
        self.assertEqual(one.command("CLIENT", "LIST", "TYPE", "replica"), b"")
        lines = parse(one.command("CLIENT", "LIST", "ID", id_two, self.id_of(one), 999_999_999))
        self.assertEqual([int(line["id"]) for line in lines], [id_two, self.id_of(one)])

    def test_flags_of_a_transaction_and_of_a_unix_socket(self):
        asker, busy, local = self.client(), self.client(), self.open(self.unix_path)
        id_busy, id_local = self.id_of(busy), self.id_of(local)
        for words in (("MULTI",), ("SET", "a", "1"), ("GET", "a")):
            busy.command(*words)
        found = self.listed(asker)
        self.assertEqual((found[id_busy]["flags"], found[id_busy]["multi"]), ("x", "2"))
        self.assertEqual((found[id_local]["flags"], found[id_local]["addr"]), ("U", f"{self.unix_path}:0"))

    def test_list_is_a_verbatim_string_in_resp3(self):
        client = self.client()
        client.command("HELLO", "3")
        for words in (("CLIENT", "LIST"), ("CLIENT", "INFO")):
            client.send(encode(*words))
            head = client.read_exactly(1)
            self.assertEqual(head, b"=")
            client.buffer[:0] = head
            self.assertTrue(client.reply().startswith(b"txt:id="))

    def test_python_client_understands_the_list(self):
        client = redis.Redis(port=self.proxy.port, socket_timeout=15, client_name="pythonic")
        self.addCleanup(client.close)
        self.assertIn("pythonic", [entry["name"] for entry in client.client_list()])
        self.assertEqual(client.client_info()["name"], "pythonic")

    # --- KILL

    def test_kill_by_id_across_workers(self):
        one, two = self.pair()
        self.assertEqual(one.command("CLIENT", "KILL", "ID", self.id_of(two)), 1)
        self.assert_closed(two)
        self.assertEqual(one.command("PING"), "PONG")

    def test_kill_by_address_across_workers(self):
        one, two = self.pair()
        address = "127.0.0.1:%d" % two.socket.getsockname()[1]
        self.assertEqual(one.command("CLIENT", "KILL", address), "OK")
        self.assert_closed(two)
        with self.assertRaisesRegex(ReplyError, "^ERR No such client$"):
            one.command("CLIENT", "KILL", address)
        self.assertEqual(one.command("CLIENT", "KILL", "ADDR", address), 0)

    def test_kill_oneself_hears_the_answer_first(self):
        client = self.client()
        client.send(encode("CLIENT", "KILL", "ID", self.id_of(client), "SKIPME", "no") + encode("SET", "late", "1"))
        self.assertEqual(client.read_until_closed(), b":1\r\n")
        self.assertEqual(self.master.call("EXISTS", "late"), 0)

    def test_kill_errors_are_the_servers(self):
        client, direct = self.client(), self.open(self.master.port)
        for words in (("KILL",), ("KILL", "id", "10", "wrong_arg"), ("KILL", "id", "str"), ("KILL", "id", "0"),
                      ("KILL", "type", "wrong"), ("KILL", "user", "wrong"), ("KILL", "skipme", "yes_or_no"),
                      ("KILL", "ADDR", "1.2.3.4:5"), ("KILL", "1.2.3.4:5"), ("LIST", "id"), ("LIST", "id", "x"),
                      ("LIST", "type", "x"), ("LIST", "more"), ("INFO", "more"), ("UNBLOCK", "x"), ("UNBLOCK",),
                      ("UNBLOCK", "1", "x"), ("UNBLOCK", "1", "error", "x"), ("UNBLOCK", "99999999"),
                      ("PAUSE", "x"), ("PAUSE", "-1"), ("PAUSE", "1", "x"), ("PAUSE", "1", "all", "x"), ("UNPAUSE", "x"),
                      ("REPLY", "x"), ("REPLY",), ("NO-EVICT", "x"), ("NO-EVICT", "on"), ("NO-EVICT", "off"),
                      ("NOSUCH",), ("HELP",), ()):
            answers = []
            for connection in (client, direct):
                connection.send(encode("CLIENT", *words))
                answers.append(connection.reply())
            self.assertEqual(answers[0], answers[1], words)

    def test_users_may_do_what_their_acl_lets_them(self):
        """A user whom the server would not let kill others cannot do it here either, though fairlead does the killing."""
        self.master.call("ACL", "SETUSER", "ann", "on", ">secret", "~*", "&*", "+@all", "-client|kill", "-client|pause")
        self.addCleanup(self.master.call, "ACL", "DELUSER", "ann")
        user, victim = self.pair()
        self.assertEqual(user.command("AUTH", "ann", "secret"), "OK")
        for words in (("KILL", "ID", self.id_of(victim)), ("PAUSE", "60000")):
            with self.assertRaisesRegex(ReplyError, "^NOPERM .*client.%s" % words[0].lower()):
                user.command("CLIENT", *words)
        self.assertEqual(victim.command("PING"), "PONG")
        found = self.listed(user)
        self.assertEqual(found[self.id_of(user)]["user"], "ann")
        self.assertEqual(found[self.id_of(victim)]["user"], "default")
        self.assertEqual(victim.command("CLIENT", "KILL", "USER", "ann"), 1)
        self.assert_closed(user)

    def test_no_touch_is_known_before_the_server_knows_it(self):
        """A command of redis 7.2, answered here: clients may say it whatever the server's version."""
        client = self.client()
        self.assertEqual(client.command("CLIENT", "NO-TOUCH", "on"), "OK")
        with self.assertRaisesRegex(ReplyError, "^ERR syntax error$"):
            client.command("CLIENT", "NO-TOUCH", "x")

    # --- UNBLOCK

    def blocked(self, client, *words):
        """Sends a blocking command and waits until the server blocks; returns the client's id."""
        number = self.id_of(client)
        client.send(encode(*words))
        wait_until(lambda: self.master.info("clients")["blocked_clients"] == "1", what="the blocked client")
        return number

    def test_unblock_across_workers(self):
        one, two = self.pair()
        number = self.blocked(two, "BLPOP", "unblock", "0")
        self.assertEqual(self.listed(one)[number]["flags"], "b")
        self.assertEqual(one.command("CLIENT", "UNBLOCK", number), 1)
        self.assertIsNone(two.reply())
        number = self.blocked(two, "BLPOP", "unblock", "0")
        self.assertEqual(one.command("CLIENT", "UNBLOCK", number, "ERROR"), 1)
        self.assertEqual(two.reply(), ReplyError("UNBLOCKED client unblocked via CLIENT UNBLOCK"))
        self.assertEqual(one.command("CLIENT", "UNBLOCK", number), 0)
        self.assertEqual(two.command("ECHO", "free"), b"free")

    # --- PAUSE

    def test_pause_write_stops_writes_of_both_workers_only(self):
        one, two = self.pair()
        self.master.call("DEL", "paused")
        self.assertEqual(one.command("CLIENT", "PAUSE", "60000", "WRITE"), "OK")
        number = self.id_of(two)
        writers = (one, two)
        for client in writers:
            client.send(encode("INCR", "paused"))
        operator = self.client()
        self.assertIsNone(operator.command("GET", "paused"))
        wait_until(lambda: self.listed(operator)[number]["flags"] == "b", what="the writer to wait")
        self.assertEqual(self.master.call("EXISTS", "paused"), 0)
        self.assertEqual(operator.command("CLIENT", "UNPAUSE"), "OK")
        self.assertEqual(sorted(client.reply() for client in writers), [1, 2])

    def test_pause_ends_by_itself(self):
        one, two = self.pair()
        started = time.monotonic()
        self.assertEqual(one.command("CLIENT", "PAUSE", "300"), "OK")
        for client in (one, two):
            client.send(encode("ECHO", "after"))
        for client in (one, two):
            self.assertEqual(client.reply(), b"after")
        self.assertGreater(time.monotonic() - started, 0.29)
        self.assertNotIn("paused", self.master.info("clients"))

    # --- REPLY

    def test_reply_modes_are_the_servers(self):
        """The same bytes to both, and the same bytes back."""
        sequences = (
            encode("CLIENT", "REPLY", "OFF") + encode("PING") + encode("SET", "r", "1") + encode("NOSUCH")
            + encode("CLIENT", "REPLY", "ON") + encode("GET", "r"),
            encode("CLIENT", "REPLY", "SKIP") + encode("GET", "r") + encode("GET", "r"),
            encode("CLIENT", "REPLY", "SKIP") + b"\r\n" + encode("PING", "heard"),
            encode("CLIENT", "REPLY", "SKIP") + encode("CLIENT", "REPLY", "ON") + encode("PING"),
            encode("CLIENT", "REPLY", "SKIP") + encode("CLIENT", "REPLY", "SKIP") + encode("PING", "1") + encode("PING", "2"),
            encode("CLIENT", "REPLY", "OFF") + encode("MULTI") + encode("INCR", "r") + encode("EXEC")
            + encode("CLIENT", "REPLY", "ON") + encode("GET", "r"),
            encode("CLIENT", "REPLY", "OFF") + encode("CLIENT", "LIST") + encode("CLIENT", "REPLY", "no")
            + encode("RESET") + encode("PING"),
            encode("CLIENT", "REPLY", "SKIP") + encode("RESET") + encode("PING"),
            encode("CLIENT", "REPLY", "OFF") + encode("SUBSCRIBE", "silent") + encode("PING") + encode("UNSUBSCRIBE", "silent"),
            encode("CLIENT", "REPLY", "OFF") + encode("BLPOP", "empty", "0.05") + encode("CLIENT", "REPLY", "ON"),
        )
        for number, bytes_out in enumerate(sequences):
            heard = []
            for port in (self.master.port, self.proxy.port):
                self.master.call("SET", "r", "0")
                client = self.open(port)
                client.send(bytes_out + encode("QUIT"))
                heard.append(client.read_until_closed())
            self.assertEqual(heard[1], heard[0], number)

    # --- INFO

    def test_info_has_a_section_of_ours(self):
        client = redis.Redis(port=self.proxy.port, socket_timeout=15)
        self.addCleanup(client.close)
        for sections in ((), ("all",), ("everything",), ("default",), ("server", "fairlead")):
            info = client.info(*sections)
            self.assertEqual(info["redis_version"], self.master.info("server")["redis_version"], sections)
            self.assertEqual(info["workers"], self.WORKERS, sections)
            self.assertEqual(info["route"], self.master.address, sections)
        self.assertNotIn("workers", client.info("server"))
        alone = client.execute_command("INFO", "fairlead")
        self.assertNotIn("redis_version", alone)
        self.assertGreaterEqual(alone["clients"], 1)
        raw = self.client()
        raw.command("HELLO", "3")
        text = raw.command("INFO")
        self.assertTrue(text.startswith(b"txt:# Server\r\n"))
        self.assertIn(b"\r\n\r\n# Fairlead\r\nfairlead_version:", text)
        self.assertEqual(raw.command("PING"), "PONG")


if __name__ == "__main__":
    unittest.main()
