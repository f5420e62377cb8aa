"""Sends the same bytes to the real server and to the proxy and compares what comes back and whether the connection
stays open."""

from resp_client import RawClient

# Round trips on a second connection after which a server that reads its sockets in turn has read the first one to its
# end: Redis takes at most 16 KiB of a client at a time.
ROUND_TRIPS = 12


class Answer:
    """What a server did with some bytes: its reply, and whether it closed."""

    def __init__(self, data, closed):
        self.data = data
        self.closed = closed

    def __eq__(self, other):
        return (self.data, self.closed) == (other.data, other.closed)

    def __repr__(self):
        return f"{self.data!r} and {'closed' if self.closed else 'stays open'}"


def pieces_of(payload, size):
    return [payload[start:start + size] for start in range(0, len(payload), size)]


def send_pieces(client, payload, size):
    """Sends in pieces; a server that has seen enough may close before the last one."""
    try:
        for piece in pieces_of(payload, size):
            client.send(piece)
    except ConnectionError:
        pass


def round_trips(port, login):
    """Time for the server to read what other connections have sent before, without guessing how long that is."""
    with RawClient(port) as client:
        for _ in range(ROUND_TRIPS):
            client.send(login or b"PING\r\n")
            client.reply()


def ask_server(port, payload, size, login=b""):
    """The real server's answer. Redis is single-threaded and reads in turn, so the round trips suffice."""
    with RawClient(port) as client:
        send_pieces(client, payload, size)
        data, closed = b"", False
        for _ in range(2):
            round_trips(port, login)
            more, closed = client.read_available()
            data += more
            if closed:
                break
        return Answer(data, closed)


def ask_proxy(port, payload, size, expected, login=b""):
    """The proxy's answer: as many bytes as expected, with a deadline, and then whether more or an end follows."""
    with RawClient(port) as client:
        send_pieces(client, payload, size)
        if expected.closed:
            try:
                return Answer(client.read_until_closed(10), True)
            except TimeoutError:
                return Answer(bytes(client.buffer), False)
        try:
            data = client.read_exactly(len(expected.data), 10)
        except TimeoutError:
            return Answer(bytes(client.buffer), False)
        round_trips(port, login)
        more, closed = client.read_available()
        return Answer(data + more, closed)


def compare(test, server_port, proxy_port, payload, size, login=b""):
    """Asserts that the proxy answers `payload`, sent in pieces of `size` bytes, as the server does."""
    expected = ask_server(server_port, payload, size, login)
    actual = ask_proxy(proxy_port, payload, size, expected, login)
    shown = payload if len(payload) <= 80 else payload[:60] + b"... (%d bytes)" % len(payload)
    test.assertEqual(actual, expected, f"{shown!r} in pieces of {size}")
    return expected

