#!/usr/bin/python3
"""The differential protocol fuzzer: conversations of a grammar (diff_grammar.py), cut at random places, go to fairlead and
to a real redis-server of equal content; replies and whether the connection ends must be the same.

    FAIRLEAD_BIN=build/release/fairlead tests/integration/protocol_fuzz.py --seconds 30
    FAIRLEAD_BIN=build/release/fairlead tests/integration/protocol_fuzz.py --count 10000000 --seed 7

Exit code 0: no difference; 1: differences, each printed with the inputs that are left when all that is not needed for it
was taken away. The same seed makes the same conversations.
"""

import argparse
import random
import re
import select
import shutil
import socket
import struct
import sys
import tempfile
import time
from collections import Counter

from diff_grammar import PASSWORD, Grammar, all_comparable
from harness import Fairlead, RedisSet
from resp_client import RawClient

BATCH = 100          # conversations at once
PIECES_MAX = 6       # how often one conversation is cut
ANSWER_SECONDS = 5   # until the proxy has said what the server has said
RETRY_SECONDS = 0.5  # the same, when a difference is only made smaller
# Round trips on a second connection after which a server that reads its sockets in turn has read all others to the end:
# Redis takes at most 16 KiB of a client at a time.
ROUND_TRIPS = 12
DIFFERENCES_MAX = 20
LINGER_NONE = struct.pack("ii", 1, 0)  # a reset when closed: thousands of ports a second must not wait

# What differs by nature.
CLIENT_ID = re.compile(rb"(\$2\r\nid\r\n:)\d+")
# A bare UNSUBSCRIBE names the channels in the order of a hash table.
UNSUBSCRIBED = re.compile(rb"(unsubscribe\r\n)\$\d+\r\n[^\r]*")
# Redis closes at once when somebody speaks HTTP to it. Answers to what it read together with that are lost, answers to
# what it read before are not; how a stream falls into reads is the kernel's affair, and a busy machine's.
RESET = re.compile(rb"reset", re.IGNORECASE)
HTTP = re.compile(rb"post|host:", re.IGNORECASE)


# The README names both: a message to oneself comes over another connection than the answers, and the server hears a
# moment after the client that nobody is subscribed any more.
OWN_MESSAGE = re.compile(rb">3\r\n\$[78]\r\ns?message\r\n(?:\$\d+\r\n[^\r]*\r\n){2}|"
                         rb">4\r\n\$8\r\npmessage\r\n(?:\$\d+\r\n[^\r]*\r\n){3}")
HEARD_BY = re.compile(rb":[01]\r\n")
# redis-server's own end of a connection without one byte, also not the answer to its first command, and never again with
# the same words: nothing to compare with. So few of them are counted apart; fairlead may never end one so.
CUT_OFF = (b"", True)
CUT_OFF_MAX = 2


def without_publishing(sent, data):
    if re.search(rb"publish", sent, re.IGNORECASE) is None:
        return data, Counter()
    if re.search(rb"unsubscribe|reset", sent, re.IGNORECASE) is not None:
        data = HEARD_BY.sub(b":n\r\n", data)
    return OWN_MESSAGE.sub(b"", data), Counter(OWN_MESSAGE.findall(data))


def alike(sent, expected, actual):
    if expected == actual:
        return True
    wanted, heard = without_publishing(sent, expected[0]), without_publishing(sent, actual[0])
    # Who has left does not hear it any more.
    all_heard = heard[1] <= wanted[1] if actual[1] else heard[1] == wanted[1]
    if expected[1] == actual[1] and wanted[0] == heard[0] and all_heard:
        return True
    closed = expected[1] and actual[1]
    # Redis ends a client that is not logged in, and RESET makes it one, when it has more than a block of answers to read;
    # how many are unread then is a matter of moments.
    if expected[1] and RESET.search(sent) and len(actual[0]) > 16000 and actual[0].startswith(expected[0]):
        return True
    cut = actual[0].startswith(expected[0]) or expected[0].startswith(actual[0])
    return closed and cut and HTTP.search(sent) is not None


class Side:
    """One end of a conversation: its socket, what came back, and whether the peer closed."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NONE)
        self.data = bytearray()
        self.closed = False

    def send(self, piece):
        try:
            self.socket.sendall(piece)
        except ConnectionError:
            pass  # it has seen enough; what it said before is still to be read

    def receive(self):
        """All that has arrived."""
        while not self.closed:
            try:
                data = self.socket.recv(1 << 16, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except ConnectionError:
                data = b""
            self.closed = not data
            self.data += data

    def answer(self):
        return UNSUBSCRIBED.sub(rb"\g<1>", CLIENT_ID.sub(rb"\g<1>0", bytes(self.data))), self.closed


class Pair:
    """A proxy and a server to compare it with, both with empty databases."""

    def __init__(self, directory, password):
        self.password = password
        self.behind = RedisSet(tempfile.mkdtemp(dir=directory), replicas=0, sentinels=0, password=password)
        self.direct = RedisSet(tempfile.mkdtemp(dir=directory), replicas=0, sentinels=0, password=password).servers[0]
        arguments = []
        if password:
            config = f"{directory}/fairlead.toml"
            with open(config, "w", encoding="utf-8") as file:
                file.write(f'[backend]\npassword = "{password}"\n[clients]\npassword = "{password}"\n')
            arguments = ["--config", config]
        self.proxy = Fairlead(tempfile.mkdtemp(dir=directory), self.behind, *arguments, threads=1).wait_listening()
        self.probes = [self.probe(self.direct.port), self.probe(self.proxy.port)]

    def probe(self, port):
        client = RawClient(port, 30)
        if self.password:
            client.command("AUTH", self.password)
        client.command("EXISTS", "a")
        return client

    def round_trips(self, probe):
        for _ in range(ROUND_TRIPS):
            probe.command("EXISTS", "a")

    def flush(self):
        for probe in self.probes:
            probe.command("FLUSHALL")

    def converse(self, conversations, seconds=ANSWER_SECONDS):
        """Each conversation is a list of pieces. Returns the answers as pairs (server's, proxy's)."""
        server = self.ask(self.direct.port, conversations)
        self.round_trips(self.probes[0])
        self.round_trips(self.probes[0])
        for side in server:
            side.receive()
        proxy = self.ask(self.proxy.port, conversations)
        self.await_answers(proxy, server, seconds)
        self.round_trips(self.probes[1])
        answers = []
        for ours, theirs in zip(proxy, server):
            ours.receive()
            theirs.receive()
            answers.append((theirs.answer(), ours.answer()))
            ours.socket.close()
            theirs.socket.close()
        return answers

    def ask(self, port, conversations):
        sides = [Side(port) for _ in conversations]
        for turn in range(PIECES_MAX):
            for side, pieces in zip(sides, conversations):
                if turn < len(pieces):
                    side.send(pieces[turn])
                    side.receive()
        return sides

    @staticmethod
    def await_answers(proxy, server, seconds):
        """Until each side has as much as the server gave and has ended where the server ended, or time is up."""
        deadline = time.monotonic() + seconds
        missing = {}
        poll = select.poll()
        for ours, theirs in zip(proxy, server):
            missing[ours.socket.fileno()] = (ours, theirs)
            poll.register(ours.socket, select.POLLIN)
        while missing:
            for number, (ours, theirs) in list(missing.items()):
                ours.receive()
                complete = len(ours.answer()[0]) >= len(theirs.answer()[0]) and (ours.closed or not theirs.closed)
                if complete or ours.closed:
                    poll.unregister(number)
                    del missing[number]
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return
            if missing:
                poll.poll(1000 * remaining)

    def stop(self):
        self.proxy.process.stop()
        self.behind.stop()
        self.direct.process.stop()


def cut(rng, inputs):
    """The inputs' bytes in pieces: at most PIECES_MAX, often one."""
    data = b"".join(inputs)
    if rng.random() < 0.3 or len(data) < 2:
        return [data]
    cuts = sorted(rng.randrange(1, len(data)) for _ in range(rng.randrange(1, PIECES_MAX)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)]) if start < end]


class Fuzzer:
    def __init__(self, pair, seed):
        self.pair = pair
        self.seed = seed
        self.conversations = 0
        self.inputs = 0
        self.seen = set()
        self.cut_off = 0

    def batch(self):
        all_inputs, all_pieces = [], []
        for _ in range(BATCH):
            self.conversations += 1
            rng = random.Random(f"{self.seed}.{bool(self.pair.password)}.{self.conversations}")
            inputs = Grammar(rng, self.conversations, login=bool(self.pair.password)).conversation()
            all_inputs.append(inputs)
            all_pieces.append(cut(rng, inputs))
            self.inputs += len(inputs)
        number = self.conversations - BATCH
        for inputs, pieces, (expected, actual) in zip(all_inputs, all_pieces, self.pair.converse(all_pieces)):
            number += 1
            if not alike(b"".join(inputs), expected, actual):
                self.report(number, inputs, pieces, (expected, actual))
        self.pair.flush()

    def differs(self, pieces):
        self.pair.flush()
        expected, actual = self.pair.converse([pieces], RETRY_SECONDS)[0]
        return None if alike(b"".join(pieces), expected, actual) else (expected, actual)

    def report(self, number, inputs, pieces, first):
        """Takes away what the difference does not need, and prints the rest unless its like was printed before."""
        found = self.differs([b"".join(inputs)])
        if found:
            inputs, found = self.smaller(inputs, found)
            shown = b"".join(inputs)
        else:
            found = self.differs(pieces)
            shown = pieces
        if not found and first[0] == CUT_OFF and self.cut_off < CUT_OFF_MAX:
            self.cut_off += 1
            return
        kind = self.kind_of(inputs) if found else "not seen a second time"
        found = found or first
        if kind in self.seen:
            return
        self.seen.add(kind)
        print(f"difference in conversation {number} of seed {self.seed}: {kind}\n  {shown!r}"[:1500], flush=True)
        print(f"  redis:    {found[0]!r}"[:1000], f"  fairlead: {found[1]!r}"[:1000], sep="\n", flush=True)

    def smaller(self, inputs, found):
        for at in range(len(inputs) - 1, -1, -1):
            fewer = inputs[:at] + inputs[at + 1:]
            less = self.differs([b"".join(fewer)]) if fewer and all_comparable(fewer) else None
            if less:
                inputs, found = fewer, less
        return inputs, found

    @staticmethod
    def kind_of(inputs):
        """Inputs of one kind differ for the same reason, most likely: the names and numbers of words."""
        def name(one):
            words = getattr(one, "words", ())
            if not words:
                return repr(one[:20])
            return f"{re.sub('^(P|S)?(UN)?SUB', 'SUB', words[0].upper())}/{len(words)}"
        return " | ".join(name(one) for one in inputs)

    def run(self, inputs_max, deadline):
        while self.inputs < inputs_max and time.monotonic() < deadline and len(self.seen) < DIFFERENCES_MAX:
            self.batch()


def fuzz(seed, inputs_max, seconds, passwords=(None, PASSWORD)):
    """Half of the inputs, or of the time, without and half with a password. Returns the fuzzers."""
    fuzzers = []
    for password in passwords:
        directory = tempfile.mkdtemp(prefix="fairlead-fuzz-")
        pair = Pair(directory, password)
        try:
            fuzzer = Fuzzer(pair, seed)
            started = time.monotonic()
            fuzzer.run(inputs_max // len(passwords), started + seconds / len(passwords))
            print(f"{'with' if password else 'without'} password: {fuzzer.inputs} inputs in {fuzzer.conversations} "
                  f"conversations, {time.monotonic() - started:.0f} s, {len(fuzzer.seen)} kinds of differences, "
                  f"{fuzzer.cut_off} cut off before the first answer, once", flush=True)
            fuzzers.append(fuzzer)
        finally:
            pair.stop()
            shutil.rmtree(directory, ignore_errors=True)
    return fuzzers


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--count", type=int, default=None, help="inputs to send (default: as many as fit into the time)")
    parser.add_argument("--seconds", type=float, default=None, help="how long (default: 30 when there is no --count)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    seconds = options.seconds or (30 if options.count is None else float("inf"))
    fuzzers = fuzz(options.seed, options.count or sys.maxsize, seconds)
    if not all(fuzzer.inputs for fuzzer in fuzzers):
        return 1
    return 1 if any(fuzzer.seen for fuzzer in fuzzers) else 0


if __name__ == "__main__":
    sys.exit(main())
