#!/usr/bin/python3
"""Measures failovers of a real set: planned ones (SENTINEL FAILOVER) and kill -9 of the master, under writers.

Usage: FAIRLEAD_BIN=... failover_figures.py [--planned N] [--kills N] [--writers N] [--idle N] [--subscribed N]
           [--blocked N] [--down-after MS] [--judge]

Prints a line for each failover and the percentiles at the end: the pause (longest gap between two acknowledgements of
any writer), from the replica's ROLE=master to the first write that was answered after it, errors by kind, lost
connections, acknowledged writes that are missing afterwards, writes that were executed without having been sent. The
clients count for themselves; the servers are read directly. A write that was acknowledged by a killed master, and never
reached a replica, is lost by Redis' asynchronous replication: how long before the kill the first of them was acknowledged
is printed too. Idle clients, subscribers and blocked ones keep their connections through all failovers. With --judge the
figures are held against the limits that are promised, and the exit code is 1 when one is not kept.
"""

import argparse
import collections
import multiprocessing
import select
import shutil
import socket
import sys
import tempfile
import time

from companions import Companions, Publisher
from harness import Fairlead, RedisSet, wait_until
from percentiles import percentile
from resp_client import Closed, RawClient, ReplyError, encode

THINK_SECONDS = 0.01  # between an answer and the next command: the load is to leave room for what is measured
ROLE_INTERVAL = 0.002
# ms; of 50 failovers of each kind, with down-after 1000 ms.
LIMITS = (("planned", "pause", 50, 250.0), ("kill", "outage", 50, 1600.0), ("kill", "resume", 50, 30.0),
          ("kill", "resume", 99, 100.0))


def watch_roles(ports, pipe):
    """In a process of its own: tells (port, when) as soon as one of the ports says that it is a master."""
    clients = {}
    told = set()
    while not pipe.poll(ROLE_INTERVAL):
        for port in ports:
            try:
                if port not in clients:
                    clients[port] = RawClient(port, 2.0)
                if port not in told and clients[port].command("ROLE")[0] == b"master":
                    told.add(port)
                    pipe.send((port, time.monotonic()))
            except (OSError, Closed, ReplyError):
                clients.pop(port, None)
    pipe.recv()


class Writers:
    """Clients that never reconnect and INCR a counter of their own, and one that publishes, all in one loop."""

    def __init__(self, port, count, round_name):
        self.poll = select.epoll()
        self.writers = {}
        self.publisher = Publisher(round_name)
        for number in range(count):
            client = socket.create_connection(("127.0.0.1", port), 20)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.writers[client.fileno()] = {"socket": client, "key": f"{round_name}:{number}", "acked": [], "errors": [],
                                             "last": 0, "due": 0.0, "waiting": False, "closed": False}
            self.poll.register(client, select.EPOLLIN)
        client = socket.create_connection(("127.0.0.1", port), 20)
        self.publishing = {"socket": client, "due": 0.0, "waiting": False, "closed": False, "errors": []}
        self.poll.register(client, select.EPOLLIN)

    def run(self, until):
        """Writes until `until()` is true, and then until everybody is answered."""
        stopping, deadline = False, None
        while True:
            now = time.monotonic()
            stopping = stopping or until()
            if stopping and deadline is None:
                deadline = now + 15
            for writer in [*self.writers.values(), self.publishing]:
                if not stopping and not writer["waiting"] and not writer["closed"] and writer["due"] <= now:
                    writer["waiting"] = True
                    writer["socket"].sendall(self.command_of(writer))
            if stopping and (now > deadline or not any(w["waiting"] for w in [*self.writers.values(), self.publishing])):
                return
            for descriptor, _ in self.poll.poll(0.002):
                self.take(self.writers.get(descriptor, self.publishing))

    def command_of(self, writer):
        return self.publisher.command() if writer is self.publishing else encode("INCR", writer["key"])

    def take(self, writer):
        try:
            data = writer["socket"].recv(4096)
        except OSError:
            data = b""
        now = time.monotonic()
        if not data:
            writer.update(closed=True, waiting=False)
            self.poll.unregister(writer["socket"])
        elif data.startswith(b":") and writer is self.publishing:
            self.publisher.answered()
        elif data.startswith(b":"):
            writer["acked"].append(now)
            writer["last"] = int(data[1:])
        else:
            writer["errors"].append(data.decode(errors="replace").split()[0].lstrip("-"))
        writer["waiting"] = False
        writer["due"] = now + THINK_SECONDS

    def all(self):
        return list(self.writers.values())

    def close(self):
        for writer in [*self.writers.values(), self.publishing]:
            writer["socket"].close()


def judge(writers, master, struck):
    """Acknowledged writes that are missing, writes executed though not sent again, and how long before it struck the first
    of the missing was acknowledged. All must be 0 in a planned one."""
    lost = twice = 0
    lag = 0.0
    for writer in writers.all():
        final = int(master.call("GET", writer["key"]) or 0)
        acked, uncertain = len(writer["acked"]), len(writer["errors"])
        twice += max(0, final - acked - uncertain)
        if acked > final:
            lost += acked - final
            # Behind the last one that survived, and not behind the kill: later ones were counted on from there.
            before = [when for when in writer["acked"] if when <= struck]
            lag = max(lag, struck - before[-min(len(before), acked - final)])
    return lost, twice, lag


def all_follow(redis_set):
    master = redis_set.master()
    return all(server.role() == "slave" and server.in_sync() and server.info("replication")["master_port"] == str(master.port)
               for server in redis_set.others(master))


def one_failover(redis_set, proxy, companions, kind, count, round_name):
    old = redis_set.master()
    others = [server.port for server in redis_set.others(old)]
    writers = Writers(proxy.port, count, round_name)
    here, there = multiprocessing.Pipe()
    watcher = multiprocessing.Process(target=watch_roles, args=(others, there), daemon=True)
    watcher.start()
    begun = time.monotonic()
    writers.run(lambda: time.monotonic() > begun + 0.4)
    struck = time.monotonic()
    if kind == "kill":
        old.process.kill()
    else:
        wait_until(lambda: redis_set.sentinels[0].call("SENTINEL", "FAILOVER", redis_set.MASTER) == "OK", 30, "the order")
        struck = time.monotonic()
    promoted = []

    def over():
        if not promoted and here.poll():
            promoted.append(here.recv())
        now = time.monotonic()
        return now > struck + 20 or (promoted and now > promoted[0][1] + 1.5 and
                                     all(w["closed"] or (w["acked"] and w["acked"][-1] > promoted[0][1] + 0.3)
                                         for w in writers.all()))

    writers.run(over)
    here.send("done")
    watcher.join(5)
    new_port, role_at = promoted[0]
    new = redis_set.by_port(new_port)
    wait_until(lambda: redis_set.master() is new, 20, "Sentinel to name the promoted node")
    times = sorted(when for w in writers.all() for when in w["acked"])
    around = [(b - a, a) for a, b in zip(times, times[1:]) if b > struck]
    first_after = next((when for when in times if when > role_at), None)
    lost, twice, lag = judge(writers, new, struck)
    result = {
        "kind": kind, "pause": max(around)[0], "outage": next((t for t in times if t > role_at), struck) - struck,
        "resume": (first_after - role_at) if first_after else None, "lost": lost, "twice": twice,
        "lag": lag, "acked": len(times), "closed": sum(w["closed"] for w in [*writers.all(), writers.publishing]),
        "errors": collections.Counter(e for w in [*writers.all(), writers.publishing] for e in w["errors"]),
        "errors_of_one": max(len(w["errors"]) for w in [*writers.all(), writers.publishing]),
        "noticed": companions.judge(writers.publisher.since(role_at)),
    }
    writers.close()
    if kind == "kill":
        wait_until(lambda: old.role() == "slave" if old.process.running() else old.start(), 60, "the old master's return")
    wait_until(lambda: all_follow(redis_set), 60, "all to follow the master that Sentinel names")
    # Sentinels may order another failover at once: one of them can still hold what it knew of the old master against
    # the new one.
    result["again"] = redis_set.master() is not new
    new = redis_set.master()
    # With the old master a replica again, what was acknowledged must still be there, all the time until Sentinel would
    # begin another failover (twice its failover-timeout).
    result["lost_later"] = 0
    ready_at = struck + (11 if kind == "kill" else 0)

    def next_may_begin():
        result["lost_later"] = max(result["lost_later"], judge(writers, new, struck)[0])
        return time.monotonic() >= ready_at

    wait_until(next_may_begin, 20, "Sentinel to begin another failover")
    return result


def values_of(results, kind, name):
    return [1000 * r[name] for r in results if r["kind"] == kind and r[name] is not None]


def report(results):
    for kind in ("planned", "kill"):
        mine = [result for result in results if result["kind"] == kind]
        if not mine:
            continue
        print(f"{kind}: {len(mine)} failovers, {sum(r['acked'] for r in mine)} acknowledged")
        for name in ("pause", "outage", "resume"):
            values = values_of(mine, kind, name)
            print(f"  {name:7s} ms: p50 {percentile(values, 50):7.1f}  p99 {percentile(values, 99):7.1f}  "
                  f"max {max(values):7.1f}")
        errors = sum((r["errors"] for r in mine), collections.Counter())
        noticed = sum((collections.Counter(r["noticed"]) for r in mine), collections.Counter())
        print(f"  errors {dict(errors)}, disconnects {sum(r['closed'] for r in mine)}, "
              f"lost {sum(r['lost'] for r in mine)} (acknowledged {1000 * max(r['lag'] for r in mine):.1f} ms before, at most), "
              f"lost after the old master's return {sum(r['lost_later'] - r['lost'] for r in mine)}, "
              f"executed twice {sum(r['twice'] for r in mine)}, followed by another failover {sum(r['again'] for r in mine)}, "
              f"companions that noticed {dict(noticed)}")


def broken(results):
    """The promises that were not kept, as sentences."""
    for kind, name, percent, limit in LIMITS:
        values = values_of(results, kind, name)
        if values and percentile(values, percent) > limit:
            yield f"{kind}: {name} p{percent} is {percentile(values, percent):.1f} ms, over {limit:.0f}"
    for number, result in enumerate(results):
        name = f"failover {number} ({result['kind']})"
        if set(result["errors"]) - {"UNCERTAIN"} or result["errors_of_one"] > 1:
            yield f"{name}: errors {dict(result['errors'])}, {result['errors_of_one']} of one client"
        if result["closed"] or result["noticed"]:
            yield f"{name}: {result['closed']} disconnects, noticed by {result['noticed']}"
        if result["twice"]:
            yield f"{name}: {result['twice']} executed twice"
        if result["lost_later"] > (result["lost"] if result["kind"] == "kill" else 0):
            yield f"{name}: {result['lost_later']} acknowledged writes lost"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--planned", type=int, default=5)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--writers", type=int, default=16)
    parser.add_argument("--idle", type=int, default=0)
    parser.add_argument("--subscribed", type=int, default=0)
    parser.add_argument("--blocked", type=int, default=0)
    parser.add_argument("--judge", action="store_true", help="exit code 1 when a limit is not kept")
    parser.add_argument("--down-after", type=int, default=1000)
    parser.add_argument("--log", help="keep fairlead's log here")
    options = parser.parse_args()
    directory = tempfile.mkdtemp(prefix="fairlead-figures-")
    results, companions, proxy = [], None, None
    redis_set = RedisSet(directory, replicas=2, sentinels=0)
    try:
        redis_set.start_sentinels(3, options.down_after)
        proxy = Fairlead(directory, redis_set, threads=2).wait_ready()
        companions = Companions(proxy.port, options.idle, options.subscribed, options.blocked)
        for number in range(options.planned + options.kills):
            kind = "planned" if number < options.planned else "kill"
            result = one_failover(redis_set, proxy, companions, kind, options.writers, f"r{number}")
            results.append(result)
            print(f"{kind} {number}: pause {1000 * result['pause']:.0f} ms, outage {1000 * result['outage']:.0f} ms, "
                  f"ROLE=master to first write {1000 * (result['resume'] or -1):.1f} ms, errors {dict(result['errors'])}, "
                  f"lost {result['lost']} ({1000 * result['lag']:.1f} ms), later {result['lost_later'] - result['lost']}, "
                  f"twice {result['twice']}, closed {result['closed']}, noticed by {result['noticed']}", flush=True)
        report(results)
        proxy.process.stop()
    finally:
        if options.log and proxy:
            shutil.copy(proxy.process.log_path, options.log)
        if companions:
            companions.close()
        redis_set.stop()
        shutil.rmtree(directory, ignore_errors=True)
    failures = list(broken(results)) if options.judge else []
    for failure in failures:
        print(f"not kept: {failure}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
