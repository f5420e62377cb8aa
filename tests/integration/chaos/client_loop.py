"""Many clients in one thread. Each is a script: a generator that says what to send and is resumed with the answers.

A client does not reconnect, unless it says so, and never repeats a command; what happened to it is in its `broken`. Times
are monotonic seconds.
"""

import heapq
import itertools
import selectors
import socket
import threading
import time

from resp_client import ReplyError, encode


class Exchange:
    """Sends these commands at once; the script is resumed with so many replies, one for each command by default."""

    def __init__(self, *commands, replies=None):
        self.data = b"".join(encode(*command) for command in commands)
        self.replies = len(commands) if replies is None else replies


class Pause:
    """The script goes on after so many seconds."""

    def __init__(self, seconds):
        self.seconds = seconds


class Reconnect:
    """The script goes on with a new connection, as clients do that make one for each request."""


class Incomplete(Exception):
    """The reply has not arrived whole."""


def parse(data, at=0):
    """The RESP2 reply at `at` and where the next one begins. Replies here are short, so a rescan costs nothing."""
    end = data.find(b"\r\n", at)
    if end < 0:
        raise Incomplete
    kind, rest, after = data[at:at + 1], bytes(data[at + 1:end]), end + 2
    if kind == b"+":
        return rest.decode(), after
    if kind == b"-":
        return ReplyError(rest.decode()), after
    if kind == b":":
        return int(rest), after
    length = int(rest)
    if length < 0:
        return None, after
    if kind == b"$":
        if len(data) < after + length + 2:
            raise Incomplete
        return bytes(data[after:after + length]), after + length + 2
    if kind != b"*":
        raise AssertionError(f"no reply of Redis: {bytes(data[at:at + 40])!r}")
    values = []
    for _ in range(length):
        value, after = parse(data, after)
        values.append(value)
    return values, after


class Client:
    """One connection and the script that uses it. `patient`: it may wait for a reply when the run ends."""

    reconnect_after = None  # seconds from the loss of the connection to the next one; None: never

    def __init__(self, name, patient=False):
        self.name = name
        self.patient = patient
        self.broken = None      # (when, what ended the connection)
        self.waiting = None     # replies that are due, None while the script pauses
        self.sent_at = 0.0
        self.answered_at = 0.0
        self.done = False
        self.pause_number = None  # the number of the pause that it is in
        self.socket = None
        self.inbox = bytearray()
        self.outbox = b""
        self.replies = []
        self.steps = None

    def script(self):
        """The generator. Yields Exchange and Pause."""
        raise NotImplementedError

    def disconnected(self):
        """The connection was lost; said before a client that reconnects begins its script again."""


class ClientLoop(threading.Thread):
    """Runs all clients until `finish`."""

    def __init__(self, endpoint):
        super().__init__(daemon=True)
        self.endpoint = endpoint
        self.clients = []
        self.selector = selectors.DefaultSelector()
        self.pauses = []
        self.order = itertools.count()
        self.stopping = threading.Event()
        self.failure = None  # an error of a script itself
        self.failed = threading.Event()

    def add(self, client):
        """Connects a client; it begins when the thread is started."""
        self._connect(client)
        client.steps = client.script()
        self.clients.append(client)
        return client

    def _connect(self, client):
        client.socket = socket.create_connection(self.endpoint, 10)
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.socket.setblocking(False)
        client.inbox, client.outbox, client.replies = bytearray(), b"", []

    def run(self):
        try:
            for client in self.clients:
                self.selector.register(client.socket, selectors.EVENT_READ, client)
                self._advance(client, None)
            deadline = None
            while deadline is None or (time.monotonic() < deadline and not self._quiet()):
                if deadline is None and self.stopping.is_set():
                    deadline = time.monotonic() + 20
                self._turn()
        except Exception as error:  # pylint: disable=broad-except
            self.failure = error
            self.failed.set()
            raise
        finally:
            for client in self.clients:
                client.socket.close()
            self.selector.close()

    def finish(self):
        """Ends every client after the command in flight. A client that is still not answered then has a `waiting`."""
        self.stopping.set()
        self.join(30)
        self.blame()

    def blame(self):
        """Raises what a client's script raised."""
        if self.failure:
            raise AssertionError(f"a client's script failed: {self.failure!r}") from self.failure

    def _quiet(self):
        return all(client.done or client.broken or client.patient or client.waiting is None for client in self.clients)

    def _turn(self):
        now = time.monotonic()
        while self.pauses and self.pauses[0][0] <= now:
            _, number, client = heapq.heappop(self.pauses)
            if number == client.pause_number:  # not overtaken by the loss of the connection
                self._resume(client)
        timeout = min(0.05, max(0.0, self.pauses[0][0] - time.monotonic())) if self.pauses else 0.05
        for key, events in self.selector.select(timeout):
            if events & selectors.EVENT_WRITE:
                self._write(key.data)
            if events & selectors.EVENT_READ:
                self._read(key.data)

    def _resume(self, client):
        """After a pause, or after the time that a client waits before it connects again."""
        if client.broken and client.reconnect_after is not None and not self.stopping.is_set():
            try:
                self._connect(client)
            except OSError:
                self._later(client, client.reconnect_after)
                return
            client.broken = None
            client.steps = client.script()
            self.selector.register(client.socket, selectors.EVENT_READ, client)
        if not client.broken:
            self._advance(client, None)

    def _later(self, client, seconds):
        client.pause_number = next(self.order)
        heapq.heappush(self.pauses, (time.monotonic() + seconds, client.pause_number, client))

    def _advance(self, client, replies):
        """Gives the script its replies and does what it says next."""
        if self.stopping.is_set() and not client.patient:
            client.done, client.waiting = True, None
            if replies is not None:
                # What it notes about the last answer counts; what it would do next does not happen.
                self._next_step(client, replies)
            return
        step = self._next_step(client, replies)
        if isinstance(step, Pause):
            client.waiting = None
            self._later(client, step.seconds)
        elif isinstance(step, Reconnect):
            self._renew(client)
        elif step is not None:
            client.waiting, client.replies = step.replies, []
            client.sent_at = time.monotonic()
            client.outbox += step.data
            self._write(client)

    def _renew(self, client):
        self.selector.unregister(client.socket)
        client.socket.close()
        client.waiting = None
        try:
            self._connect(client)
        except OSError as error:
            self._lost(client, repr(error))
            return
        self.selector.register(client.socket, selectors.EVENT_READ, client)
        self._advance(client, None)

    @staticmethod
    def _next_step(client, replies):
        try:
            return client.steps.send(replies)
        except StopIteration:
            client.done, client.waiting = True, None
            return None

    def _write(self, client):
        if client.outbox:
            try:
                client.outbox = client.outbox[client.socket.send(client.outbox):]
            except BlockingIOError:
                pass
            except OSError as error:
                self._break(client, repr(error))
                return
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if client.outbox else 0)
        if self.selector.get_key(client.socket).events != wanted:
            self.selector.modify(client.socket, wanted, client)

    def _read(self, client):
        if client.broken:
            return
        try:
            data = client.socket.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError as error:
            self._break(client, repr(error))
            return
        if not data:
            self._break(client, "closed by the proxy")
            return
        client.answered_at = time.monotonic()
        client.inbox += data
        self._take_replies(client)

    def _take_replies(self, client):
        """One resumption for each complete exchange; what comes unasked is a fault."""
        try:
            while client.inbox and not client.broken:
                reply, after = parse(client.inbox)
                del client.inbox[:after]
                if client.waiting is None or client.waiting == 0:
                    self._break(client, f"an answer to nothing: {reply!r}")
                    return
                client.replies.append(reply)
                if len(client.replies) == client.waiting:
                    self._advance(client, client.replies)
        except Incomplete:
            pass

    def _break(self, client, what):
        self.selector.unregister(client.socket)
        client.socket.close()
        self._lost(client, what)

    def _lost(self, client, what):
        client.broken = (time.monotonic(), what)
        if client.reconnect_after is not None:
            client.disconnected()
            self._later(client, client.reconnect_after)
        client.waiting = None
