"""Many clients of the pair's address that each keep a connection, and all come back at once when they lose it.

Each of them owns a key and asks for it on every connection, so that an answer that went to the wrong client is seen.
"""

import errno
import selectors
import socket
import threading
import time

from harness import wait_until
from resp_client import encode

RETRY_PAUSE = 0.010
# A connection request that falls between the two owners is answered by nobody, and TCP repeats it only after a second;
# these clients begin another connection before that. Shorter than this thread may need to look at all of them once, it
# would give up attempts that have succeeded.
PATIENCE = 0.25


class Client:
    """One of the herd: a connection, or the attempt to get one."""

    def __init__(self, number):
        self.number = number
        self.socket = None
        self.state = "away"  # away, connecting, asked, served
        self.due = 0.0       # of the next attempt, or of this one's end
        self.served = 0      # connections on which it was answered
        self.served_at = 0.0
        self.received = b""

    def question(self):
        return encode("SET", f"herd:{self.number}", self.number) if self.served == 0 \
            else encode("GET", f"herd:{self.number}")

    def expected(self):
        digits = str(self.number).encode()
        return b"+OK\r\n" if self.served == 0 else b"$%d\r\n%s\r\n" % (len(digits), digits)


class Herd:
    """`count` clients in a thread of their own; all are connected and answered when the constructor returns."""

    def __init__(self, address, count, timeout=30.0):
        self.address = address  # host and port
        self.family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.clients = [Client(number) for number in range(count)]
        self.wrong = []       # what was answered and should not have been
        self.attempts = 0
        self.selector = selectors.DefaultSelector()
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        wait_until(lambda: self.served_times(1), timeout, f"{count} clients to be served")

    def served_times(self, times):
        """Whether each of them was answered on that many connections."""
        return all(client.served >= times for client in self.clients)

    def last_served_at(self):
        return max(client.served_at for client in self.clients)

    def stop(self):
        self.stopping.set()
        self.thread.join(10)

    def _run(self):
        while not self.stopping.is_set():
            now = time.monotonic()
            for client in self.clients:
                if client.state != "served" and now >= client.due:
                    self._leave(client)
                    self._begin(client, now)
            for key, _ in self.selector.select(RETRY_PAUSE):
                self._step(key.data)
        for client in self.clients:
            self._leave(client)

    def _begin(self, client, now):
        self.attempts += 1
        client.socket = socket.socket(self.family)
        client.socket.setblocking(False)
        client.received = b""
        code = client.socket.connect_ex(self.address)
        if code not in (0, errno.EINPROGRESS):
            self._leave(client)
            client.due = now + RETRY_PAUSE
            return
        client.state, client.due = "connecting", now + PATIENCE
        self.selector.register(client.socket, selectors.EVENT_WRITE, client)

    def _step(self, client):
        try:
            if client.state == "connecting":
                client.socket.send(client.question())
                client.state = "asked"
                self.selector.modify(client.socket, selectors.EVENT_READ, client)
                return
            data = client.socket.recv(4096)
        except OSError:
            data = b""
        if not data:
            self._leave(client)
            client.due = time.monotonic() + RETRY_PAUSE
            return
        client.received += data
        if client.received == client.expected():
            client.state, client.received = "served", b""
            client.served += 1
            client.served_at = time.monotonic()
        elif client.state == "served" or not client.expected().startswith(client.received):
            self.wrong.append((client.number, client.received))

    def _leave(self, client):
        if client.socket is not None:
            try:
                self.selector.unregister(client.socket)
            except KeyError:
                pass  # was never waited for
            # With a reset: thousands of connections in TIME_WAIT would fill the ports.
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.socket.close()
        client.socket, client.state = None, "away"
