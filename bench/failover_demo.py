#!/usr/bin/env python3
"""The same failover, the same clients, through fairlead and through HAProxy's usual recipe for Redis, in one run.

A master, two replicas and three Sentinels, each in a network namespace of its own. Writers push unique items to lists of
their own and reconnect when they are disconnected. The master is killed with -9 and comes back some seconds later, or
Sentinel is asked for a planned switch. In the end each acknowledged item is looked for in the master's lists.

    /usr/bin/python3 bench/failover_demo.py --fairlead build/release/fairlead --rounds 3 --out build/bench
"""

import argparse
import json
import os
import pathlib
import random
import shutil
import statistics
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "integration"))

from failover_svg import draw  # noqa: E402
from side_by_side import describe_machine  # noqa: E402

from chaos import network  # noqa: E402
from chaos.client_loop import Client, ClientLoop, Exchange, Pause, Reconnect  # noqa: E402
from chaos.cluster import REDIS_NODES, REDIS_PORT, Cluster, Fairlead, Proxy  # noqa: E402
from chaos.observer import Observer  # noqa: E402
from harness import wait_until  # noqa: E402
from resp_client import RawClient, ReplyError  # noqa: E402

LEAD = 2.0          # seconds of load before the fault
RETURN_AFTER = 5.0  # seconds from the kill to the old master's return
TAIL = 2.0          # seconds of load after the set is whole again
RECONNECT_AFTER = 0.05
PERIOD = 0.01       # mean seconds between two writes of one client

# The recipe of HAProxy's blog and of many charts: the server that says role:master is up.
HAPROXY_CONFIG = """\
global
    maxconn 4000
defaults
    mode tcp
    timeout connect 4s
    timeout client 1h
    timeout server 1h
listen redis
    bind {host}:{port}
    option tcp-check
    tcp-check connect
    tcp-check send PING\\r\\n
    tcp-check expect string +PONG
    tcp-check send info\\ replication\\r\\n
    tcp-check expect string role:master
    tcp-check send QUIT\\r\\n
    tcp-check expect string +OK
    default-server check inter 1s {extra}
{servers}
"""


class Haproxy(Proxy):
    extra = ""

    def command_line(self):
        servers = "\n".join(f"    server {node} {network.address(node)}:{REDIS_PORT}" for node in REDIS_NODES)
        config = pathlib.Path(self.cluster.directory) / "haproxy.cfg"
        config.write_text(HAPROXY_CONFIG.format(host=self.endpoint[0], port=self.endpoint[1], extra=self.extra,
                                                servers=servers), encoding="ascii")
        return ["haproxy", "-db", "-f", config]

    def wait_ready(self):
        """Until the replicas are marked down: at its start HAProxy takes every server for a master."""
        def settled():
            for number in range(3 * len(REDIS_NODES)):
                with RawClient(self.endpoint, 5) as client:
                    client.command("SET", "settled", number)
            return True
        wait_until(settled, 20, "HAProxy to know the master")


class HaproxyShutdown(Haproxy):
    extra = "on-marked-down shutdown-sessions"


WAYS = {"fairlead": Fairlead, "HAProxy": Haproxy, "HAProxy, shutdown-sessions": HaproxyShutdown}
EVENTS = {"kill": "kill -9 of the master, which returns later", "planned": "SENTINEL FAILOVER"}


class Writer(Client):
    """RPUSH of unique items, one after the other's answer, as an application would: it reconnects, and never repeats."""

    reconnect_after = RECONNECT_AFTER

    def __init__(self, name, rng, each_time):
        super().__init__(name)
        self.rng = rng
        self.each_time = each_time  # it makes a connection for each write, as many web applications do
        self.number = 0
        self.acknowledged = []  # (item, when)
        self.errors = []        # (when, text)
        self.disconnects = []   # when

    def script(self):
        while True:
            self.number += 1
            reply, = yield Exchange(("RPUSH", f"list:{self.name}", self.number))
            if isinstance(reply, ReplyError):
                self.errors.append((self.answered_at, str(reply)))
            else:
                self.acknowledged.append((self.number, self.answered_at))
            yield Pause(PERIOD * self.rng.uniform(0.5, 1.5))
            if self.each_time:
                yield Reconnect()

    def disconnected(self):
        self.disconnects.append(self.broken[0])
        if self.waiting is not None:
            self.errors.append((self.broken[0], "the connection was lost with a command in flight"))


def inject(event, cluster, observer):
    """The fault, until the set is whole again. Returns when it was."""
    master, fault = cluster.master(), time.monotonic()
    if event == "planned":
        cluster.failover()
    else:
        master.process.kill()
    wait_until(lambda: observer.promoted_after(fault), 30, "a promotion")
    if event == "kill":
        wait_until(lambda: time.monotonic() - fault >= RETURN_AFTER, RETURN_AFTER + 1, "the old master's time to return")
        master.start()
    wait_until(cluster.in_order, 60, "one master, and replicas in sync with it")
    return fault


def measure(way, event, writers, directory):
    """One event through one way: what the clients saw, second by second."""
    with Cluster(directory, proxy=WAYS[way]) as cluster:
        loop, observer = ClientLoop(cluster.proxy.endpoint), Observer(cluster.servers)
        clients = [loop.add(Writer(f"w{number}", random.Random(number), number % 2 == 1))
                   for number in range(writers)]
        observer.start()
        loop.start()
        try:
            time.sleep(LEAD)
            fault = inject(event, cluster, observer)
            time.sleep(TAIL)
        finally:
            loop.finish()
            observer.finish()
        with cluster.master().client() as reader:
            present = {c.name: {int(i) for i in reader.command("LRANGE", f"list:{c.name}", 0, -1)} for c in clients}
        return figures(clients, present, fault, [when - fault for when, _ in observer.promotions])


def figures(clients, present, fault, promotions):
    answers = sorted(when - fault for client in clients for _, when in client.acknowledged)
    lost = sorted(when - fault for client in clients for item, when in client.acknowledged
                  if item not in present[client.name])
    errors = sorted(when - fault for client in clients for when, _ in client.errors)
    kinds = {}
    for client in clients:
        for _, text in client.errors:
            kind = text.split(":")[0][:60]
            kinds[kind] = kinds.get(kind, 0) + 1
    pauses = [longest_gap([when - fault for _, when in client.acknowledged]) for client in clients]
    return {"outage": longest_gap(answers), "pause_median": statistics.median(pauses), "pause_max": max(pauses),
            "promotions": promotions, "acknowledged": len(answers), "errors": len(errors), "error_kinds": kinds,
            "disconnects": sum(len(client.disconnects) for client in clients), "lost": len(lost),
            "timeline": {"answers": answers, "lost": lost, "errors": errors,
                         "disconnects": sorted(when - fault for client in clients for when in client.disconnects)}}


def longest_gap(times):
    """Between two answers, the second of which came after the fault, which is at 0."""
    return max((later - sooner for sooner, later in zip(times, times[1:]) if later > 0), default=0.0)


def run_rounds(options, directory):
    results = {event: {way: [] for way in options.way} for event in options.event}
    for number in range(options.rounds):
        for event in options.event:
            # The order rotates, so that a busy moment of the machine does not always meet the same one.
            shift = number % len(options.way)
            for way in options.way[shift:] + options.way[:shift]:
                seen = measure(way, event, options.writers, directory)
                results[event][way].append(seen)
                print(f"round {number + 1}/{options.rounds}  {event}  {way}: outage {seen['outage']:.2f} s, "
                      f"{seen['errors']} errors, {seen['disconnects']} disconnects, {seen['lost']} of "
                      f"{seen['acknowledged']} acknowledged writes lost, {len(seen['promotions'])} promotion(s)",
                      file=sys.stderr, flush=True)
    return results


def spread(values, form):
    """The median, and the lowest and highest when there are several."""
    middle = format(statistics.median(values), form)
    return middle if len(values) == 1 else f"{middle} ({min(values):{form}}-{max(values):{form}})"


def markdown(machine, results, options):
    lines = ["# The same failover, side by side", "",
             f"{machine['date']}, {machine['cores']} cores ({machine['cpu']}), kernel {machine['kernel']}, "
             f"commit {machine['commit']}; {machine['fairlead']}; {machine['haproxy']}; {machine['redis']}.", "",
             f"{options.writers} writers, one write each {PERIOD * 1000:.0f} ms, half of them with one connection that is "
             f"made anew {RECONNECT_AFTER * 1000:.0f} ms after it was lost, half with a connection for each write; two "
             f"replicas, three Sentinels, down-after 1000 ms; HAProxy: `role:master`, "
             f"inter 1s. Median of {options.rounds} rounds (lowest-highest). Outage: no client was answered; pause: one client "
             "was not. Lost: acknowledged, and not on the master after the old one had come back.", ""]
    for event in options.event:
        lines += [f"## {EVENTS[event]}", "",
                  "| through | outage s | longest pause of a client s | errors | disconnects | acknowledged | lost |",
                  "|---|---|---|---|---|---|---|"]
        for way in options.way:
            rounds = results[event][way]
            cells = [spread([r[key] for r in rounds], form) for key, form in
                     (("outage", ".2f"), ("pause_max", ".2f"), ("errors", ".0f"), ("disconnects", ".0f"),
                      ("acknowledged", ".0f"), ("lost", ".0f"))]
            lines.append(f"| {way} | " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def write_results(options, machine, results, text):
    out = pathlib.Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "failover.md").write_text(text, encoding="utf-8")
    brief = {event: {way: [{key: value for key, value in seen.items() if key != "timeline"} for seen in rounds]
                     for way, rounds in ways.items()} for event, ways in results.items()}
    (out / "failover.json").write_text(json.dumps({"machine": machine, "writers": options.writers, "results": brief},
                                                  indent=1) + "\n", encoding="utf-8")
    (out / "failover-timelines.json").write_text(json.dumps(results) + "\n", encoding="utf-8")
    for event in options.event:
        # One run of each is drawn: the one with the median of the lost writes, then of the outage.
        lanes = []
        for way in options.way:
            ranked = sorted(results[event][way], key=lambda r: (r["lost"], r["outage"]))
            lanes.append((way, ranked[len(ranked) // 2]))
        (out / f"failover-{event}.svg").write_text(draw(EVENTS[event], lanes, options.writers), encoding="utf-8")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fairlead", default=str(ROOT / "build" / "release" / "fairlead"), help="the program")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--writers", type=int, default=16)
    parser.add_argument("--way", action="append", choices=list(WAYS), help="repeatable; default: all")
    parser.add_argument("--event", action="append", choices=list(EVENTS), help="repeatable; default: both")
    parser.add_argument("--keep-logs", action="store_true", help="leave the logs of all processes where they are")
    parser.add_argument("--out", default="", help="directory for failover.md, .json and -*.svg; default: only printed")
    options = parser.parse_args()
    options.way = options.way or list(WAYS)
    options.event = options.event or list(EVENTS)
    return options


def main():
    options = parse_arguments()
    Fairlead.program = str(pathlib.Path(options.fairlead).resolve())
    if not os.access(Fairlead.program, os.X_OK):
        raise SystemExit(f"{Fairlead.program} is not there; build it: cmake --preset release && cmake --build build/release")
    if not shutil.which("haproxy"):
        raise SystemExit("haproxy is not installed (Debian: apt-get install haproxy)")
    sys.setswitchinterval(0.0005)
    machine = describe_machine(Fairlead.program)
    directory = tempfile.mkdtemp(prefix="fairlead-demo-")
    try:
        network.enter(directory)
        results = run_rounds(options, directory)
    except network.NotPermitted as error:
        raise SystemExit(f"network namespaces are not permitted here: {error}") from error
    finally:
        if options.keep_logs:
            print(f"the logs are in {directory}", file=sys.stderr)
        else:
            shutil.rmtree(directory, ignore_errors=True)
    text = markdown(machine, results, options)
    if options.out:
        write_results(options, machine, results, text)
    print(text)


if __name__ == "__main__":
    main()
