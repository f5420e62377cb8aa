"""Every command of the live COMMAND list, with arguments made from COMMAND DOCS, through fairlead and straight to a server
of equal content: the same bytes come back, in RESP2 and in RESP3.

FAIRLEAD_DIFF_SEED chooses other arguments, FAIRLEAD_DIFF_CALLS how many calls each command gets.
"""

import os
import random
import time
import unittest

from diff_arguments import PREPARATION, Arguments
from diff_rules import made_alike, not_compared
from harness import TestCase
from resp_client import Closed, RawClient, encode

SEED = int(os.environ.get("FAIRLEAD_DIFF_SEED", "1"))
CALLS = int(os.environ.get("FAIRLEAD_DIFF_CALLS", "8"))
SECONDS_MAX = 60      # of one protocol version; what is left then is counted as not compared, and fails
SHOWN_MAX = 40        # differences printed
COMMANDS_MIN = 300    # redis 7.0.15 has 366 with subcommands, of which 317 are compared; fewer: the list was not read
MARKER = b"end-of-call"


class Recorder(RawClient):
    """Keeps the exact bytes of each reply."""

    raw = b""

    def _line(self, deadline):
        line = super()._line(deadline)
        self.raw += line + b"\r\n"
        return line

    def _bulk(self, length, deadline):
        data = super()._bulk(length, deadline)
        self.raw += data + b"\r\n"
        return data

    def frame(self):
        self.raw = b""
        self._value(time.monotonic() + self.timeout)
        return self.raw

    def ask(self, words):
        """All frames that answer one call, and at the end how it went wrong, if it did."""
        frames = []
        try:
            self.send(encode(*words))
            frames.append(self.frame())
            self.send(encode("PING", MARKER))
            while True:
                frame = self.frame()
                if MARKER in frame or frame == b"+QUEUED\r\n":
                    return frames
                frames.append(frame)
        except (Closed, ConnectionError):
            return frames + [b"closed"]
        except TimeoutError:
            return frames + [b"no answer"]


class Differences:
    """What was compared, and what was not alike."""

    def __init__(self):
        self.commands = 0
        self.calls = 0
        self.left_out = {}
        self.found = []

    def add(self, version, words, expected, actual):
        self.found.append(f"RESP{version} {words!r}\n  redis:    {short(expected)}\n  fairlead: {short(actual)}")

    def __str__(self):
        return "\n".join([*self.found[:SHOWN_MAX], f"{len(self.found)} differences in {self.calls} calls"])


def short(frames):
    text = repr(b"".join(frames))
    return text if len(text) < 300 else text[:300] + f"... ({len(text)})"


def holds_times(words):
    """DUMP of a stream with a consumer: when that was seen last, on each server by its own clock."""
    return words[0].lower() == "dump" and "stream" in words[1:]


class CommandsDifferential(TestCase):
    @classmethod
    def start_servers(cls):
        cls.behind = cls.redis_set(replicas=0, sentinels=0).servers[0]
        cls.direct = cls.redis_set(replicas=0, sentinels=0).servers[0]
        cls.proxy = cls.shared_fairlead(["--server", cls.behind.address], threads=1)
        cls.preparers = [server.client() for server in (cls.behind, cls.direct)]
        for client in cls.preparers:
            cls.addClassCleanup(client.close)
        docs = cls.direct.call("COMMAND", "DOCS")
        cls.docs = dict(zip(docs[::2], docs[1::2]))
        cls.commands = sorted(cls.entries(cls.direct.call("COMMAND")))

    @classmethod
    def entries(cls, reply):
        """Name and flags of commands and their subcommands; containers stand for their unknown subcommands."""
        for entry in reply:
            yield entry[0].decode(), tuple(entry[2])
            yield from cls.entries(entry[9])

    def docs_of(self, name):
        entry = to_dict(self.docs[name.split("|")[0].encode()])
        if "|" not in name:
            return entry
        return to_dict(to_dict(entry[b"subcommands"])[name.encode()])

    def prepare(self):
        """Both servers have the same keys, and only those, before each call."""
        packet = b"".join(encode(*words) for words in PREPARATION)
        for client in self.preparers:
            client.send(packet)
        for client in self.preparers:
            for _ in PREPARATION:
                client.reply()

    def connect(self, port, version):
        client = Recorder(port, timeout=3)
        if version == 3:
            client.command("HELLO", "3")
        return client

    def compare_command(self, name, version, differences):
        rng = random.Random(f"{SEED}.{name}.{version}")
        arguments = Arguments(rng, name, self.docs_of(name))
        direct, proxied = (self.connect(port, version) for port in (self.direct.port, self.proxy.port))
        try:
            for _ in range(CALLS):
                words = arguments.call()
                if holds_times(words):
                    continue
                self.prepare()
                expected = made_alike(name, direct.ask(words))
                actual = made_alike(name, proxied.ask(words))
                differences.calls += 1
                if expected != actual or expected[-1] == b"no answer":
                    differences.add(version, words, expected, actual)
                if expected != actual or expected[-1] in (b"closed", b"no answer"):
                    direct.close()
                    proxied.close()
                    direct, proxied = (self.connect(port, version) for port in (self.direct.port, self.proxy.port))
        finally:
            direct.close()
            proxied.close()

    def compare_all(self, version):
        differences = Differences()
        deadline = time.monotonic() + SECONDS_MAX * CALLS / 8
        for name, flags in self.commands:
            reason = not_compared(name, flags)
            if reason:
                differences.left_out[name] = reason
                continue
            self.assertLess(time.monotonic(), deadline, f"at {name}: too slow")
            self.compare_command(name, version, differences)
            differences.commands += 1
        print(f"\nRESP{version}: {differences.commands} commands compared in {differences.calls} calls, "
              f"{len(differences.left_out)} left out: {differences.left_out}", flush=True)
        self.assertGreaterEqual(differences.commands, COMMANDS_MIN)
        if differences.found:
            self.fail(str(differences))

    def test_resp2(self):
        self.compare_all(2)

    def test_resp3(self):
        self.compare_all(3)

    def test_config_set(self):
        """The calls of CONFIG that neither end the server nor speak of its port."""
        differences = Differences()
        calls = [["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"], ["CONFIG", "GET", "maxmemory-policy"],
                 ["CONFIG", "SET", "maxmemory-policy", "nosuch"], ["CONFIG", "SET", "nosuch", "1"], ["CONFIG", "SET", "hz"],
                 ["CONFIG", "GET", "max*policy"], ["CONFIG", "SET", "maxmemory-policy", "noeviction", "hz", "10"],
                 ["CONFIG", "GET"], ["CONFIG", "GET", "nosuch"]]
        for version in (2, 3):
            direct, proxied = (self.connect(port, version) for port in (self.direct.port, self.proxy.port))
            for words in calls:
                expected, actual = direct.ask(words), proxied.ask(words)
                if expected != actual:
                    differences.add(version, words, expected, actual)
            direct.close()
            proxied.close()
        if differences.found:
            self.fail(str(differences))

    def test_the_comparison_can_fail(self):
        """A server with other content is told apart."""
        self.prepare()
        self.preparers[0].command("SET", "string", "other")
        direct, proxied = (self.connect(port, 2) for port in (self.direct.port, self.proxy.port))
        self.assertNotEqual(direct.ask(["GET", "string"]), proxied.ask(["GET", "string"]))
        self.assertEqual(direct.ask(["GET", "number"]), proxied.ask(["GET", "number"]))
        direct.close()
        proxied.close()


def to_dict(value):
    """A map as RESP2 writes it, and all maps below it that COMMAND DOCS has."""
    entry = value if isinstance(value, dict) else dict(zip(value[::2], value[1::2]))
    if b"arguments" in entry:
        entry[b"arguments"] = [to_dict(argument) for argument in entry[b"arguments"]]
    return entry


if __name__ == "__main__":
    unittest.main()
