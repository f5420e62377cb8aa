#!/usr/bin/python3
"""Compares what resp/ knows of commands with a live redis-server.

1. The rows of the built-in table are those the server's COMMAND reply makes (only for the version they were made of).
2. The positions in tests/resp/keys_test.cpp, which the unit test holds find_keys() to, are the keys that the server
   itself finds (COMMAND GETKEYS).

Exit code 0: the same; 1: differences, which are printed; 77: no redis-server to ask.
"""
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import redis

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "resp"))
sys.dont_write_bytecode = True
import make_builtin_table  # noqa: E402

ROWS = ROOT / "resp" / "command_table_rows.inc"
CASES = ROOT / "tests" / "resp" / "keys_test.cpp"
CASE = re.compile(r'^\s*\{"([^"]*)", \{([0-9, ]*)\}\},$', re.MULTILINE)
START_SECONDS_MAX = 10


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_server(directory):
    """A server on a port of its own. Another program may take the port first, so a few are tried."""
    for _ in range(5):
        port = free_port()
        server = subprocess.Popen(
            ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", directory],
            stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS_MAX
        while server.poll() is None and time.monotonic() < deadline:
            try:
                if redis.Redis(port=port).info("server")["process_id"] == server.pid:
                    return server, port
            except redis.exceptions.RedisError:
                pass
            time.sleep(0.02)
        server.kill()
        server.wait()
    raise RuntimeError("redis-server did not start")


def check_rows(port):
    live = make_builtin_table.table_text(port)
    committed = ROWS.read_text()
    if live.splitlines()[0] != committed.splitlines()[0]:
        print("rows: made of another version of Redis than this server's, not compared")
        return []
    missing = sorted(set(live.splitlines()) - set(committed.splitlines()))
    extra = sorted(set(committed.splitlines()) - set(live.splitlines()))
    return ["rows: the server has  " + line for line in missing] + ["rows: only built in    " + line for line in extra]


def check_keys(port):
    cases = CASE.findall(CASES.read_text())
    failures = [] if len(cases) > 40 else ["keys: only %d cases found in %s" % (len(cases), CASES.name)]
    client = redis.Redis(port=port, decode_responses=True)
    for line, positions in cases:
        words = ["" if word == "''" else word for word in line.split(" ")]
        ours = [words[int(at)] for at in positions.replace(" ", "").split(",") if at]
        try:
            theirs = client.execute_command("COMMAND GETKEYS", *words)
        except redis.exceptions.ResponseError as error:
            theirs = str(error)
        if ours != theirs:
            failures.append("keys: %s: the server finds %s, the test expects %s" % (line, theirs, ours))
    print("keys: %d commands compared" % len(cases))
    return failures


def main():
    if shutil.which("redis-server") is None:
        print("no redis-server here")
        return 77
    with tempfile.TemporaryDirectory() as directory:
        server, port = start_server(directory)
        try:
            failures = check_rows(port) + check_keys(port)
        finally:
            server.terminate()
            server.wait()
    for failure in failures:
        print(failure)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
