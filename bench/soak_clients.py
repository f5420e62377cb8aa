"""The clients of the soak: each kind lives again and again until it is told to stop, and compares every reply.

A kind is a function that lives one life (some seconds at most) on connections of its own. What goes wrong in a life is
counted, and the next life begins.
"""

import os
import random
import socket
import struct
import threading

from targets import RawClient

from harness import Process  # these two are found by way of targets
from resp_client import Closed, ReplyError, encode

TIMEOUT = 30.0
LARGE_BYTES = 64 << 10
ROUNDS_OF_A_LIFE = 200
PAUSE = 0.002  # between two rounds: the load comes from redis-benchmark, these come for their variety
ERRORS_KEPT = 20
LARGE_KEY = "soak:large"
# Name, then clients, pipeline, requests of a life, and what is sent.
BENCHMARKS = {"P1 GET": (50, 1, 100_000, ("-t", "get")), "P1 SET": (50, 1, 100_000, ("-t", "set")),
              "P16 GET": (50, 16, 800_000, ("-t", "get")), "P16 SET": (50, 16, 800_000, ("-t", "set")),
              "64 KiB GET": (4, 1, 5_000, ("GET", LARGE_KEY))}


def prepare(server):
    """The value that redis-benchmark fetches, and only fetches."""
    with server.client() as client:
        client.command("SET", LARGE_KEY, b"l" * LARGE_BYTES)


class Tally:
    """What the clients did and what went wrong; used by all their threads."""

    def __init__(self):
        self._lock = threading.Lock()
        self.rounds = {}
        self.errors = 0
        self.messages = []

    def count(self, kind, number=1):
        with self._lock:
            self.rounds[kind] = self.rounds.get(kind, 0) + number

    def failed(self, kind, error):
        with self._lock:
            self.errors += 1
            if len(self.messages) < ERRORS_KEPT:
                self.messages.append(f"{kind}: {type(error).__name__} {error}"[:300])


def expect(got, wanted):
    if got != wanted:
        raise AssertionError(f"{got!r:.100} instead of {wanted!r:.100}")


def rounds(stop):
    """The numbers of the rounds of one life, with a pause after each."""
    for number in range(ROUNDS_OF_A_LIFE):
        if stop.wait(PAUSE):
            return
        yield number


def large_values(port, stop, count):
    """Stores 64 KiB under keys of its own, and fetches them."""
    with RawClient(port, TIMEOUT) as client:
        value = os.urandom(LARGE_BYTES)
        for number in rounds(stop):
            key = f"soak:large:{threading.get_ident()}:{number % 8}"
            expect(client.command("SET", key, value), "OK")
            expect(client.command("GET", key), value)
            count()


def comers_and_goers(port, stop, count):
    """A connection for each round, which ends in order, with a reset, or in the middle of a command."""
    for number in rounds(stop):
        with RawClient(port, TIMEOUT) as client:
            expect(client.command("SET", "soak:comer", str(number)), "OK")
            way = random.randrange(3)
            if way == 1:
                client.send(encode("GET", "soak:comer")[:-5])
            elif way == 2:
                client.send(encode("GET", "soak:comer") * 10)
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        count()


def publisher_and_subscriber(port, stop, count):
    """Each message comes once and in order. A new channel each time: the worker of the last subscriber may not have heard
    yet that it is gone, and would be counted among the receivers."""
    channel = f"soak:channel:{random.getrandbits(64):x}"
    with RawClient(port, TIMEOUT) as subscriber, RawClient(port, TIMEOUT) as publisher:
        expect(subscriber.command("SUBSCRIBE", channel), [b"subscribe", channel.encode(), 1])
        for number in rounds(stop):
            expect(publisher.command("PUBLISH", channel, f"message {number}"), 1)
            expect(subscriber.reply(), [b"message", channel.encode(), b"message %d" % number])
            count()


def transactions(port, stop, count):
    """MULTI and EXEC in one piece, and now and then WATCH or DISCARD."""
    key = f"soak:counter:{threading.get_ident()}"
    with RawClient(port, TIMEOUT) as client:
        client.command("DEL", key)
        for number in rounds(stop):
            client.send(encode("MULTI") + encode("INCR", key) + encode("GET", key) + encode("EXEC"))
            wanted = ["OK", "QUEUED", "QUEUED", [number + 1, b"%d" % (number + 1)]]
            expect([client.reply() for _ in wanted], wanted)
            if number % 10 == 0:
                expect(client.command("WATCH", key), "OK")
                expect(client.command("MULTI"), "OK")
                expect(client.command("INCR", key), "QUEUED")
                expect(client.command("DISCARD"), "OK")
            count()


def queue_users(port, stop, count):
    """One sits in BLPOP until the other pushes; now and then nobody does."""
    key = f"soak:queue:{threading.get_ident()}"
    with RawClient(port, TIMEOUT) as worker, RawClient(port, TIMEOUT) as pusher:
        pusher.command("DEL", key)
        for number in rounds(stop):
            worker.send(encode("BLPOP", key, "20"))
            expect(pusher.command("RPUSH", key, f"item {number}"), 1)
            expect(worker.reply(), [key.encode(), b"item %d" % number])
            if number % 20 == 0:
                expect(worker.command("BLPOP", key, "0.02"), None)
            count()


# Kind, then how many of them there are.
KINDS = {large_values: 2, comers_and_goers: 2, publisher_and_subscriber: 1, transactions: 2, queue_users: 2}


def benchmark(name, port, stop, count, directory):
    """One run of redis-benchmark, which is ended when the soak ends."""
    clients, pipeline, requests, what = BENCHMARKS[name]
    argv = ["redis-benchmark", "-p", port, "-n", requests, "--csv", "-c", clients, "-P", pipeline, "-d", 64, "-r", 10_000, *what]
    process = Process(f"redis-benchmark-{name.replace(' ', '-')}", argv, directory)
    try:
        while process.running():
            if stop.wait(0.1):
                return
        if process.popen.returncode != 0 or "rror" in process.log():
            raise AssertionError(process.log()[-200:])
        count(requests)
    finally:
        process.stop()


def live(name, life, stop, tally):
    """Lives until `stop`, whatever happens."""
    while not stop.is_set():
        try:
            life()
        except (OSError, Closed, ReplyError, AssertionError) as error:
            tally.failed(name, error)
            stop.wait(0.2)


def start(port, stop, tally, directory):
    """The threads of all clients, running."""
    threads = []
    for kind, number in KINDS.items():
        name = kind.__name__.replace("_", " ")
        for _ in range(number):
            def life(kind=kind, name=name):
                kind(port, stop, lambda: tally.count(name))
            threads.append(threading.Thread(target=live, args=(name, life, stop, tally), daemon=True))
    for name in BENCHMARKS:
        def life(name=name):
            benchmark(name, port, stop, lambda requests: tally.count(f"redis-benchmark {name}", requests), directory)
        threads.append(threading.Thread(target=live, args=(f"redis-benchmark {name}", life, stop, tally), daemon=True))
    for thread in threads:
        thread.start()
    return threads
