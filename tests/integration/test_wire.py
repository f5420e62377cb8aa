"""What clients may write and read, byte for byte: the proxy answers as the real server does, however the bytes are cut."""

import unittest

from differential import compare
from harness import Fairlead, TestCase
from resp_client import encode

BIG = 70_000  # more than the 64 KiB that Redis allows for one header or inline line

# Name and bytes. The real server says what is right; the comments say why a case is here.
CASES = {
    "ping": b"PING\r\n",
    "multibulk length over the limit": b"*2147483648\r\n",
    "multibulk length, letter": b"*a\r\n",
    "multibulk length, plus sign": b"*+1\r\n",
    "multibulk length, leading zero": b"*01\r\n",
    "multibulk length, space": b"* 1\r\n",
    "multibulk length, empty": b"*\r\n",
    "multibulk length, minus zero": b"*-0\r\n",
    "huge multibulk waits": b"*2147483647\r\n",
    "large multibulk waits": b"*1048577\r\n",
    "null multibulk is skipped": b"*-1\r\n" + encode("PING"),
    "empty multibulk is skipped": b"*0\r\n" + encode("PING"),
    "bulk length, null": b"*1\r\n$-1\r\n",
    "bulk length, letter": b"*1\r\n$a\r\n",
    "bulk length, leading zero": b"*1\r\n$04\r\nPING\r\n",
    "bulk over the limit": b"*1\r\n$536870913\r\n",
    "bulk at the limit waits": b"*1\r\n$536870912\r\n",
    "not a bulk": b"*1\r\n:4\r\nPING\r\n",
    "not a bulk, second argument": b"*2\r\n$4\r\nECHO\r\n+x\r\n",
    "unbalanced quotes": b'SET a "x\r\n',
    "unbalanced single quotes": b"SET a 'x\r\n",
    "quotes followed by text": b'SET a "x"y\r\n',
    "quoted bytes": b'SET quoted "a\\x41\\n\\"b"\r\nGET quoted\r\n',
    "single quotes": b"SET quoted 'a\\'b'\r\nGET quoted\r\n",
    "quoted ping with a byte that is no text": b'PING "ax\\xff"\r\n',
    # Redis skips the two bytes behind a bulk unchecked; a proxy that does not lets clients smuggle commands.
    "wrong end of a bulk": b"*2\r\n$4\r\nECHOxx$3\r\nabcyy" + encode("PING"),
    "wrong byte behind a header's CR": b"*1\rx$4\r\nPING\r\n",
    "headers without CR wait": b"*1\n$4\nPING\n",
    "inline without CR": b"PING\n",
    "empty lines": b"\r\n\n\r\n" + b"PING\r\n",
    "blanks only": b"   \r\n" + encode("PING"),
    "inline with a NUL byte": b"PI\0NG\r\n",
    "inline, then multibulk": b"SET mixed 1\r\n" + encode("GET", "mixed") + b"GET mixed\r\n",
    "http POST": b"POST / HTTP/1.1\r\nHost: x\r\n\r\n",
    "http Host header": b"Host: x\r\n\r\n",
    "valid, then invalid": encode("SET", "v", "1") + encode("GET", "v") + b"*x\r\n" + encode("PING"),
    "valid, then invalid bulk": encode("GET", "nothing") + b"*1\r\n$x\r\n",
    "unknown command": encode("FOO", "a", "b"),
    "unknown command without arguments": encode("NOSUCH"),
    "unknown command with line ends": encode("foo\r\nbar", "x\ry"),
    "too few arguments": encode("GET"),
    "too many arguments": encode("GET", "a", "b"),
    "subcommand unknown": encode("CLIENT", "NOSUCH"),
    "EXEC alone": encode("EXEC"),
    "DISCARD alone": encode("DISCARD"),
    "MULTI twice": encode("MULTI") + encode("MULTI") + encode("DISCARD"),
    "WATCH in MULTI": encode("MULTI") + encode("WATCH", "a") + encode("DISCARD"),
    "EXEC after an error": encode("MULTI") + encode("GET") + encode("EXEC"),
    "empty transaction": encode("MULTI") + encode("EXEC"),
    "transaction": encode("MULTI") + encode("SET", "t", "1") + encode("GET", "t") + encode("EXEC"),
    "transaction with an error inside": encode("MULTI") + encode("SET", "t", "x") + encode("INCR", "t") + encode("EXEC"),
    "subscribed, then GET": encode("SUBSCRIBE", "c") + encode("GET", "a"),
    "subscribed, then PING": encode("SUBSCRIBE", "c") + encode("PING") + encode("PING", "x"),
    "subscribe and leave": encode("SUBSCRIBE", "c", "d") + encode("UNSUBSCRIBE", "c") + encode("UNSUBSCRIBE") +
                           encode("ECHO", "x"),
    "unsubscribe from nothing": encode("UNSUBSCRIBE") + encode("PUNSUBSCRIBE", "x"),
    "QUIT": encode("QUIT"),
    "QUIT and more behind it": encode("SET", "q", "1") + encode("QUIT") + encode("PING") + encode("SET", "q", "2"),
    "inline QUIT and more": b"QUIT\r\nPING\r\n",
    "RESET": encode("SELECT", "3") + encode("RESET") + encode("PING"),
    "HELLO of an unknown version": encode("HELLO", "4"),
    "HELLO with letters": encode("HELLO", "x"),
    "HELLO with an unknown option": encode("HELLO", "3", "NOSUCH"),
    "SELECT": encode("SELECT", "1") + encode("SELECT", "16") + encode("SELECT", "x") + encode("SELECT", "0"),
    "AUTH without a password set": encode("AUTH", "x"),
    "AUTH of an unknown user": encode("AUTH", "nobody", "x"),
    "empty argument": encode("SET", "", "") + encode("GET", ""),
    "empty command": b"*1\r\n$0\r\n\r\n" + encode("PING"),
    "error replies in order": encode("SET", "s", "x") + encode("INCR", "s") + encode("LPUSH", "s", "1") + encode("GET", "s"),
    "nested replies": encode("RPUSH", "{l}1", "a", "b") + encode("EVAL", "return {1,{2,{3,{}}},false,'x'}", "0") +
                      encode("LRANGE", "{l}1", "0", "-1") + encode("DEL", "{l}1"),
    "HELLO with half an option": b"HELLO 3 SETNAME\r\n" + encode("ZADD", "z3", "1.5", "m"),
}
# Redis frees such a client at once, with the reply to the first line still unsent, when it reads both lines together. In
# pieces it depends on the moment whether the reply was out by then, so only the whole is compared.
WHOLE_CASES = {
    "http GET with a Host header": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
}
BIG_CASES = {
    "header without an end": b"*" + b"1" * BIG,
    "bulk header without an end": b"*1\r\n$" + b"1" * BIG,
    "inline without an end": b"PING " + b"x" * BIG,
    "inline of 60 KiB": b"ECHO " + b"x" * 60_000 + b"\r\n",
    "value of 200 kB": encode("SET", "large", b"v" * 200_000) + encode("STRLEN", "large"),
}
# With requirepass; not logged in.
LOGIN_CASES = {
    "PING": encode("PING"),
    "GET": encode("GET", "a"),
    "unknown command": encode("NOSUCH"),
    "ten arguments": b"*10\r\n" + b"$1\r\nx\r\n" * 10,
    "eleven arguments": b"*11\r\n",
    "bulk of 16 KiB waits": b"*1\r\n$16384\r\n",
    "bulk over 16 KiB": b"*1\r\n$16385\r\n",
    "wrong password": encode("AUTH", "wrong") + encode("GET", "a"),
    "wrong user": encode("AUTH", "nobody", "secret"),
    "right password": encode("AUTH", "secret") + encode("SET", "l", "1") + encode("GET", "l"),
    "right user": encode("AUTH", "default", "secret") + encode("GET", "nothing"),
    "HELLO": encode("HELLO", "3"),
    "HELLO with a wrong password": encode("HELLO", "3", "AUTH", "default", "wrong"),
    "QUIT": encode("QUIT"),
    "RESET": encode("RESET") + encode("GET", "a"),
    "MULTI": encode("MULTI") + encode("GET", "a"),
    "CLIENT SETNAME": encode("CLIENT", "SETNAME", "x"),
}


class Wire(TestCase):
    @classmethod
    def start_servers(cls):
        cls.set = cls.redis_set(replicas=0, sentinels=0)
        cls.proxy = cls.shared_fairlead(cls.set, threads=1)
        # A server of its own beside the proxy's: what a client left behind on one is not seen on the other.
        cls.direct = cls.redis_set(replicas=0, sentinels=0).servers[0]

    def compare_all(self, cases, size):
        for name, payload in cases.items():
            with self.subTest(name, size=size):
                compare(self, self.direct.port, self.proxy.port, payload, size)

    def test_whole(self):
        self.compare_all({**CASES, **WHOLE_CASES}, 1 << 20)

    def test_byte_by_byte(self):
        self.compare_all(CASES, 1)

    def test_in_threes(self):
        self.compare_all(CASES, 3)

    def test_big_whole(self):
        self.compare_all(BIG_CASES, 1 << 20)

    def test_big_in_pieces(self):
        self.compare_all(BIG_CASES, 997)

    def test_the_comparison_can_fail(self):
        """Two servers that differ are told apart, in the reply and in whether they close."""
        with self.assertRaises(AssertionError):
            self.direct.call("SET", "canary", "1")
            compare(self, self.direct.port, self.proxy.port, encode("GET", "canary"), 1)
        closed = compare(self, self.direct.port, self.proxy.port, b"*a\r\n", 1)
        still_open = compare(self, self.direct.port, self.proxy.port, b"*2\r\n", 1)
        self.assertEqual((closed.closed, still_open.closed), (True, False))


class WireLogin(TestCase):
    @classmethod
    def start_servers(cls):
        cls.set = cls.redis_set(replicas=0, sentinels=0, password="secret")
        config = f"{cls.directory}/fairlead.toml"
        with open(config, "w", encoding="utf-8") as file:
            file.write('[backend]\npassword = "secret"\n[clients]\npassword = "secret"\n')
        cls.proxy = Fairlead(cls.directory, cls.set, "--config", config, threads=1)
        cls.addClassCleanup(cls.proxy.process.stop)
        cls.proxy.wait_listening()
        cls.direct = cls.redis_set(replicas=0, sentinels=0, password="secret").servers[0]

    def test_not_logged_in(self):
        for size in (1 << 20, 1):
            for name, payload in LOGIN_CASES.items():
                with self.subTest(name, size=size):
                    compare(self, self.direct.port, self.proxy.port, payload, size, login=encode("AUTH", "secret"))

    def test_right_password_reaches_the_master(self):
        client = self.open(self.proxy.port)
        self.assertEqual(client.command("AUTH", "secret"), "OK")
        self.assertEqual(client.command("SET", "through", "1"), "OK")
        self.assertEqual(self.set.servers[0].call("GET", "through"), b"1")


if __name__ == "__main__":
    unittest.main()
