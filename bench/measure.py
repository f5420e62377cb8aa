"""Single measurements through one target: closed loop with redis-benchmark, open loop with our generator, memory."""

import csv
import json
import os
import pathlib
import re
import subprocess
import time

from targets import RawClient

from harness import wait_until  # targets has put its directory on the path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
IDLE_OTHERS_MOST = 50  # connections of the proxies themselves
STEADY_EVERY = 0.1  # seconds between two looks
STEADY_SHARE_LEAST = 0.25  # of the requests; what was seen of fewer says nothing


def cpu_seconds(process):
    """Time on a core of a process and all its threads so far, in user space and in the kernel.

    /proc/PID/schedstat counts nanoseconds where the kernel keeps it; /proc/PID/stat has ticks of 10 ms."""
    if process is None:
        return 0.0
    directory = pathlib.Path(f"/proc/{process.pid}")
    try:
        threads = (directory / "task").iterdir()
        return sum(int((thread / "schedstat").read_text(encoding="ascii").split()[0]) for thread in threads) / 1e9
    except OSError:
        fields = (directory / "stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def resident_bytes(process):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    return int(re.search(r"^VmRSS:\s+(\d+) kB", status, re.M).group(1)) * 1024


def check_replies(server, target, size=1000):
    """What goes in through the target is what the server has and what comes out, small, large and pipelined."""
    with RawClient(target.port) as client:
        for length in (1, 64, size, 600_000):
            value = os.urandom(length)
            if client.command("SET", "bench:check", value) != "OK" or client.command("GET", "bench:check") != value:
                raise SystemExit(f"{target.name} does not return what was stored ({length} bytes)")
            if server.call("GET", "bench:check") != value:
                raise SystemExit(f"{target.name} stored something else ({length} bytes)")
    with RawClient(target.port) as client:
        keys = [f"bench:order:{number}" for number in range(1000)]
        for number, key in enumerate(keys):
            server_reply = b"%d" % number
            client.send(b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (len(key), key.encode(), len(server_reply),
                                                                       server_reply))
        if [client.reply() for _ in keys] != ["OK"] * len(keys):
            raise SystemExit(f"{target.name} does not take a pipeline of SET")
        client.send(b"".join(b"*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n" % (len(key), key.encode()) for key in keys))
        if [client.reply() for _ in keys] != [b"%d" % number for number in range(len(keys))]:
            raise SystemExit(f"{target.name} mixes up the order of a pipeline")


def steady_cpu(process, sample, clients, requests):
    """CPU microseconds of the proxy per request while the load `process` runs, without what its connections cost to
    make and to end: with thousands of them and few requests on each, that would be most of it. `sample()` tells requests
    executed and CPU seconds so far. None when the load was too short."""
    first = last = None
    while process.poll() is None:
        seen = sample()
        if 2 * clients <= seen[0] < requests:
            first, last = first or seen, seen
        time.sleep(STEADY_EVERY)
    if first is None or last[0] - first[0] < STEADY_SHARE_LEAST * requests:
        return None
    return (last[1] - first[1]) / (last[0] - first[0]) * 1e6


def closed_loop(server, target, workload, test, requests, steady=False):
    """One run of redis-benchmark: requests per second, latency, and CPU microseconds per request; with `steady` also
    those of the proxy between the beginning and the end."""
    calls_before = server.calls_of(test.lower())
    proxy_before, server_before = cpu_seconds(target.process), cpu_seconds(server.process)
    command = ["redis-benchmark", "-p", str(target.port), "-t", test.lower(), "-n", str(requests), "--csv",
               "-c", str(workload.clients), "-P", str(workload.pipeline), "-d", str(workload.value_bytes),
               "-r", str(workload.keys)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        def sample():
            return server.calls_of(test.lower()) - calls_before, cpu_seconds(target.process)
        steady_us = steady_cpu(process, sample, workload.clients, requests) if steady and target.process else None
        output, errors = process.communicate(timeout=600)
    proxy_cpu = cpu_seconds(target.process) - proxy_before
    server_cpu = cpu_seconds(server.process) - server_before
    if process.returncode != 0 or "rror" in output + errors:
        raise SystemExit(f"redis-benchmark failed through {target.name}:\n{output}{errors}")
    # redis-benchmark sends whole pipelines, so it may send a few more than it was told.
    executed = server.calls_of(test.lower()) - calls_before
    surplus = workload.clients * workload.pipeline
    if not requests <= executed <= requests + surplus + 1000:
        raise SystemExit(f"{target.name}: the server executed {executed} of {requests} requests")
    row = next(row for row in csv.DictReader(output.splitlines()) if row["test"].startswith(test))
    return {"rps": float(row["rps"]), "p50_ms": float(row["p50_latency_ms"]), "p99_ms": float(row["p99_latency_ms"]),
            "proxy_us": proxy_cpu / executed * 1e6, "redis_us": server_cpu / executed * 1e6,
            **({"steady_us": steady_us} if steady else {})}


def open_loop(generator, target, rate, connections, seconds, value_bytes=64):
    """Latencies at a fixed rate, from the intended time of sending; the generator compares every reply."""
    command = [str(generator), "--port", str(target.port), "--rate", str(rate), "--connections", str(connections),
               "--seconds", str(seconds), "--value-bytes", str(value_bytes)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=False)
    if done.returncode != 0:
        raise SystemExit(f"the load generator failed through {target.name}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def idle_memory(server, target, connections):
    """Resident bytes per idle connection that has said something once: of the proxy, and of the server, from which the
    clients of the target before this one are gone, and their memory as well."""
    wait_until(lambda: int(server.info("clients")["connected_clients"]) < IDLE_OTHERS_MOST, 20, "other clients to be gone")
    server.call("MEMORY", "PURGE")
    before = resident_bytes(target.process) if target.process else 0
    server_before = resident_bytes(server.process)
    clients = []
    try:
        for _ in range(connections):
            clients.append(RawClient(target.port, 30))
            clients[-1].command("EXISTS", "bench:idle")
        proxy = (resident_bytes(target.process) - before) / connections if target.process else None
        return {"proxy_bytes": proxy, "redis_bytes": (resident_bytes(server.process) - server_before) / connections}
    finally:
        for client in clients:
            client.close()
