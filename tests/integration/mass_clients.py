"""Many clients that ask and never read, in a process of their own, so that whoever measures beside them is not slowed.

    /usr/bin/python3 mass_clients.py --port 6379 --count 10000 --repeat 500 'GET big'

Prints `sent` when every client has connected and said all that it could, then the number of those that are still open
whenever a line comes on standard input, and ends when that is closed. The window of each socket is kept small, and its
segments as on an Ethernet: otherwise the kernel itself would buffer megabytes for each of them on loopback.
"""

import argparse
import contextlib
import resource
import selectors
import socket
import subprocess
import sys
import time

from children import end_child
from resp_client import encode

RECEIVE_BYTES = 4096
SEGMENT_BYTES = 1400
CONNECTING_MAX = 256


def open_socket(port):
    """A connecting socket whose kernel buffers stay small on both ends."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT_BYTES)
    client.setblocking(False)
    client.connect_ex(("127.0.0.1", port))
    return client


class MassClients:
    """`count` connections that each send `payload` and read nothing."""

    def __init__(self, port, count, payload):
        self.sockets = []
        self.lost = 0
        self.selector = selectors.DefaultSelector()
        self.port, self.count, self.payload = port, count, payload

    def send_all(self, timeout=120.0):
        """Connects and sends with a bounded number on their way; False when time ran out before all had sent."""
        deadline = time.monotonic() + timeout
        opened = 0
        while opened < self.count or self.selector.get_map():
            if time.monotonic() >= deadline:
                return False
            while opened < self.count and len(self.selector.get_map()) < CONNECTING_MAX:
                client = open_socket(self.port)
                opened += 1
                self.sockets.append(client)
                self.selector.register(client, selectors.EVENT_WRITE, memoryview(self.payload))
            for key, _ in self.selector.select(0.1):
                self._send(key)
        return True

    def _send(self, key):
        try:
            rest = key.data[key.fileobj.send(key.data):]
        except BlockingIOError:
            return
        except OSError:
            self.selector.unregister(key.fileobj)
            self.lost += 1
            return
        if rest:
            self.selector.modify(key.fileobj, selectors.EVENT_WRITE, rest)
        else:
            self.selector.unregister(key.fileobj)

    def still_open(self):
        """How many the peer has neither closed nor reset. Looks at the state of TCP, and reads nothing."""
        return sum(1 for client in self.sockets
                   if client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == b"\x01")

    def close(self):
        for client in self.sockets:
            client.close()
        self.selector.close()


@contextlib.contextmanager
def mass_clients(port, count, repeat, *command):
    """A process of such clients; yields it once it runs, and ends it."""
    argv = [sys.executable, __file__, "--port", str(port), "--count", str(count), "--repeat", str(repeat), *command]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        end_child(process, 20)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    clients = MassClients(options.port, options.count, encode(*options.command) * options.repeat)
    print("sent" if clients.send_all() else "unsent", flush=True)
    for _ in sys.stdin:
        print(clients.still_open(), flush=True)
    clients.close()


if __name__ == "__main__":
    main()
