"""Clients of the pair's address: one that asks again and again, one that is silent, one for whatever a test wants."""

import selectors
import socket
import threading
import time

from harness import wait_until
from resp_client import RawClient, encode

NETWORK = "10.213.7"
VIP = f"{NETWORK}.100"
PORT = 6379


class VipClient(RawClient):
    """A raw connection to the pair's address, or to another of the network."""

    def __init__(self, timeout=10.0, host=VIP):
        self.socket = socket.create_connection((host, PORT), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.timeout = timeout
        self.buffer = bytearray()
        self.pushes = []


class Prober:
    """A client that begins a new connection each 10 ms, says one command on it and waits for the answer.

    Attempts overlap: one that hangs does not hide what the next would see. An outage is the longest time between two
    answers.
    """

    INTERVAL = 0.010
    PATIENCE = 1.0

    def __init__(self, *command, host=VIP):
        self.question = encode(*(command or ("EXISTS", "pair")))
        self.address = (host, PORT)
        self.family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.answers = []  # when each came
        self.refused = 0
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        wait_until(lambda: len(self.answers) >= 5, what="the prober's first answers")

    def _run(self):
        selector = selectors.DefaultSelector()
        attempts = {}
        next_at = time.monotonic()
        while not self.stopping.is_set():
            now = time.monotonic()
            if now >= next_at:
                next_at = max(next_at + self.INTERVAL, now)
                self._begin(selector, attempts, now)
            for key, _ in selector.select(max(0.0, next_at - time.monotonic())):
                self._step(selector, attempts, key.fileobj)
            for sock, (began, _) in list(attempts.items()):
                if now - began > self.PATIENCE:
                    self._end(selector, attempts, sock)
        for sock in list(attempts):
            self._end(selector, attempts, sock)

    def _begin(self, selector, attempts, now):
        sock = socket.socket(self.family)
        sock.setblocking(False)
        try:
            sock.connect(self.address)
        except BlockingIOError:
            pass
        except OSError:
            sock.close()
            self.refused += 1
            return
        attempts[sock] = (now, "connecting")
        selector.register(sock, selectors.EVENT_WRITE)

    def _step(self, selector, attempts, sock):
        began, state = attempts[sock]
        try:
            if state == "connecting":
                sock.send(self.question)
                attempts[sock] = (began, "asked")
                selector.modify(sock, selectors.EVENT_READ)
                return
            if sock.recv(4096)[:1] in (b":", b"+", b"$"):
                self.answers.append(time.monotonic())
            else:
                self.refused += 1
        except OSError:
            self.refused += 1
        self._end(selector, attempts, sock)

    @staticmethod
    def _end(selector, attempts, sock):
        selector.unregister(sock)
        # With a reset: thousands of connections in TIME_WAIT would fill the ports.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        sock.close()
        del attempts[sock]

    def answered_since(self, moment):
        return bool(self.answers) and self.answers[-1] > moment

    def outage(self, since, until=None):
        """The longest time without an answer that overlaps `since`..`until`."""
        answers = list(self.answers)
        longest = 0.0
        for before, after in zip(answers, answers[1:]):
            if after >= since and (until is None or before <= until):
                longest = max(longest, after - before)
        return longest

    def stop(self):
        self.stopping.set()
        self.thread.join(10)


class Subscriber:
    """A client that says nothing after SUBSCRIBE, and notes when and how its connection ended."""

    def __init__(self, number, host=VIP):
        self.client = VipClient(30.0, host)
        self.client.command("SUBSCRIBE", f"channel-{number}")
        self.ended_at = None
        self.how = None
        self.thread = threading.Thread(target=self._wait, daemon=True)
        self.thread.start()

    def _wait(self):
        try:
            data = self.client.socket.recv(1)
            self.how = "end of file" if not data else f"data {data!r}"
        except socket.timeout:
            self.how = "nothing"
        except OSError as error:
            self.how = type(error).__name__
        self.ended_at = time.monotonic()

    def close(self):
        try:
            self.client.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.thread.join(5)
        self.client.close()
