"""A raw Redis client for the tests: exact bytes out, exact bytes or parsed replies in, always with a deadline.

It knows nothing about retries or reconnecting, so a connection that breaks is seen as such.
"""

import socket
import time


class ReplyError(Exception):
    """An error reply; compares by its text."""

    def __eq__(self, other):
        return isinstance(other, ReplyError) and self.args == other.args

    __hash__ = Exception.__hash__


class Closed(Exception):
    """The peer closed the connection where a reply was due."""


class Push(list):
    """A RESP3 push message."""


def encode(*args):
    """One command as a multibulk request."""
    parts = [b"*%d\r\n" % len(args)]
    for arg in args:
        data = arg if isinstance(arg, bytes) else str(arg).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(parts)


class RawClient:
    """One connection. `address` is a port of 127.0.0.1, a pair of host and port, or the path of a unix socket."""

    def __init__(self, address, timeout=10.0):
        if isinstance(address, (int, tuple)):
            target = address if isinstance(address, tuple) else ("127.0.0.1", address)
            self.socket = socket.create_connection(target, timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(str(address))
        self.timeout = timeout
        self.buffer = bytearray()
        self.pushes = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def command(self, *args, timeout=None):
        """Sends a command and returns its reply; raises ReplyError for an error."""
        self.send(encode(*args))
        reply = self.reply(timeout)
        if isinstance(reply, ReplyError):
            raise reply
        return reply

    def reply(self, timeout=None):
        """The next reply, with errors as ReplyError objects. Push messages are put aside in `pushes`."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            value = self._value(deadline)
            if not isinstance(value, Push):
                return value
            self.pushes.append(value)

    def push(self, timeout=None):
        """The next push message."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while not self.pushes:
            value = self._value(deadline)
            if not isinstance(value, Push):
                raise AssertionError(f"expected a push message, got {value!r}")
            self.pushes.append(value)
        return self.pushes.pop(0)

    def read_until_closed(self, timeout=None):
        """All bytes until the peer closes. A reset counts as closed: it is one when input was left unread."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while self._receive(deadline):
            pass
        data, self.buffer = bytes(self.buffer), bytearray()
        return data

    def read_exactly(self, count, timeout=None):
        """`count` bytes, or fewer when the peer closes before."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while len(self.buffer) < count and self._receive(deadline):
            pass
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    def read_available(self):
        """What has already arrived, and whether the peer has closed."""
        self.socket.setblocking(False)
        closed = False
        try:
            while True:
                data = self.socket.recv(65536)
                if not data:
                    closed = True
                    break
                self.buffer += data
        except (BlockingIOError, ConnectionError) as error:
            closed = isinstance(error, ConnectionError)
        finally:
            self.socket.setblocking(True)
        data, self.buffer = bytes(self.buffer), bytearray()
        return data, closed

    def _receive(self, deadline):
        """Receives more into the buffer; False when the peer has closed."""
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError(f"no answer in time; so far: {bytes(self.buffer[:200])!r}")
        self.socket.settimeout(remaining)
        try:
            data = self.socket.recv(1 << 18)
        except ConnectionError:
            return False
        except TimeoutError:
            raise TimeoutError(f"no answer in time; so far: {bytes(self.buffer[:200])!r}") from None
        self.buffer += data
        return bool(data)

    def _need(self, count, deadline):
        while len(self.buffer) < count:
            if not self._receive(deadline):
                raise Closed(f"closed by the peer; so far: {bytes(self.buffer[:200])!r}")

    def _line(self, deadline):
        start = 0
        while True:
            end = self.buffer.find(b"\r\n", start)
            if end >= 0:
                line = bytes(self.buffer[:end])
                del self.buffer[:end + 2]
                return line
            start = max(0, len(self.buffer) - 1)
            self._need(len(self.buffer) + 1, deadline)

    def _bulk(self, length, deadline):
        self._need(length + 2, deadline)
        data = bytes(self.buffer[:length])
        del self.buffer[:length + 2]
        return data

    def _value(self, deadline):
        line = self._line(deadline)
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            return ReplyError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind in b"$=" and kind:
            return None if rest == b"-1" else self._bulk(int(rest), deadline)
        if kind == b"!":
            return ReplyError(self._bulk(int(rest), deadline).decode())
        if kind in (b"*", b"~", b">"):
            if rest == b"-1":
                return None
            values = [self._value(deadline) for _ in range(int(rest))]
            return Push(values) if kind == b">" else values
        if kind == b"%":
            return {self._key(deadline): self._value(deadline) for _ in range(int(rest))}
        if kind == b"_":
            return None
        if kind == b"#":
            return rest == b"t"
        if kind == b",":
            return float(rest)
        if kind == b"(":
            return int(rest)
        raise AssertionError(f"no reply of Redis: {line!r}")

    def _key(self, deadline):
        key = self._value(deadline)
        return tuple(key) if isinstance(key, list) else key
