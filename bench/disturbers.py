"""Clients that make it hard for others, each in a process of its own: `python3 disturbers.py KIND --port PORT`.

Each prints `ready` when its first request is on its way, and goes on until standard input is closed.
"""

import argparse
import contextlib
import select
import selectors
import socket
import subprocess
import sys
import time

from targets import RawClient
from children import end_child  # these two are found by way of targets
from resp_client import encode

LARGE_BYTES, HUGE_BYTES = 512 * 1024, 8 << 20
LARGE_CONNECTIONS = 4
SCRIPT = "local n = 0 for i = 1, tonumber(ARGV[1]) do n = n + i % 7 end return n"
SCRIPT_LOOPS = 1_000_000


def prepare(server):
    """The values that the disturbers ask for."""
    with server.client(60) as client:
        client.command("SET", "disturb:large", b"l" * LARGE_BYTES)
        client.command("SET", "disturb:huge", b"h" * HUGE_BYTES)


def asked_to_end():
    return bool(select.select([sys.stdin], [], [], 0)[0])


def slow_reader(port):
    """Asks for many large values and reads a byte every 10 ms."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", port))
        client.sendall(encode("GET", "disturb:large") * 200)
        yield
        while client.recv(1):
            time.sleep(0.01)
            yield


def large_values(port):
    """Fetches 512 KiB values in a loop over several connections."""
    return ask_in_a_loop(port, encode("GET", "disturb:large"), len(b"$%d\r\n" % LARGE_BYTES) + LARGE_BYTES + 2)


def large_writes(port):
    """Sets 512 KiB values in a loop over several connections."""
    return ask_in_a_loop(port, encode("SET", "disturb:set", b"s" * LARGE_BYTES), len(b"+OK\r\n"))


def ask_in_a_loop(port, request, frame):
    """The next request of each connection follows the reply, of `frame` bytes."""
    buffer = bytearray(1 << 20)
    with selectors.DefaultSelector() as selector, contextlib.ExitStack() as stack:
        left = {}
        for _ in range(LARGE_CONNECTIONS):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            client.sendall(request)
            left[client] = frame
            selector.register(client, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                client = key.fileobj
                received = client.recv_into(buffer, min(left[client], len(buffer)))
                if received == 0:
                    raise SystemExit("a connection of the disturber was closed")
                left[client] -= received
                if left[client] == 0:
                    client.sendall(request)
                    left[client] = frame
            yield


def huge_values(port):
    """Fetches 8 MiB values in a loop."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        buffer = bytearray(1 << 20)
        frame = len(b"$%d\r\n" % HUGE_BYTES) + HUGE_BYTES + 2
        while True:
            client.sendall(encode("GET", "disturb:huge"))
            left = frame
            while left > 0:
                left -= client.recv_into(buffer, min(left, len(buffer)))
            yield


def blocked(port):
    """Sits in BLPOP."""
    with RawClient(port) as client:
        client.send(encode("BLPOP", "disturb:nothing", "0"))
        while True:
            yield
            time.sleep(0.01)


def slow_script(port):
    """Runs a Lua script of some milliseconds ten times a second. Redis itself does nothing else meanwhile."""
    with RawClient(port, 60) as client:
        while True:
            client.command("EVAL", SCRIPT, "0", SCRIPT_LOOPS)
            yield
            time.sleep(0.1)


def flood(port):
    """Pipelines of 1000 small commands, one behind the other."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        payload = encode("SET", "disturb:small", "v" * 64) * 1000
        while True:
            client.sendall(payload)
            left = 1000 * len(b"+OK\r\n")
            while left > 0:
                left -= len(client.recv(min(left, 1 << 16)))
            yield


KINDS = {"slow-reader": slow_reader, "512-kib-values": large_values, "512-kib-writes": large_writes,
         "8-mib-values": huge_values, "blpop": blocked, "slow-script": slow_script, "pipelines-of-1000": flood}


@contextlib.contextmanager
def disturber(kind, port):
    """Such a client, at work while the block runs."""
    process = subprocess.Popen([sys.executable, __file__, kind, "--port", str(port)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout.readline().strip() != "ready":
            raise SystemExit(f"the disturber {kind} did not start")
        yield
        if process.poll() is not None:
            raise SystemExit(f"the disturber {kind} ended before the measurement did")
    finally:
        end_child(process, 5)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=sorted(KINDS))
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    steps = KINDS[options.kind](options.port)
    next(steps)
    print("ready", flush=True)
    for _ in steps:
        if asked_to_end():
            return


if __name__ == "__main__":
    main()
