#!/usr/bin/env python3
"""How long clients miss the pair's address when it moves: real keepalived, both hosts in network namespaces.

    bench/pair_moves.py [--fairlead PROGRAM] [--moves 30] [--scenario NAME ...] [--ipv6] [--keep]

A client begins a connection each 10 ms and asks the master something on it; the outage of a move is the longest time
between two answers. Prints median, p99 (with 30 moves: the worst) and worst of each kind of move, next to what must
hold, and exits with 1 when something does not. Needs root. Everything measured
runs in front of what else the machine does (SCHED_RR). The figures are those of this machine at this moment: say with
them how busy it was, which is printed too.
"""

import argparse
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "integration"))

from percentiles import percentile  # noqa: E402

SUBSCRIBERS = 20
STORM_CLIENTS = 1000


class Bench:
    """One pair, moved again and again."""

    def __init__(self, pair_module, herd_module, harness, protocol):
        self.module = pair_module
        self.herd_module = herd_module
        self.wait_until = harness.wait_until
        self.directory = tempfile.mkdtemp(prefix="fairlead-moves-")
        self.set = pair_module.LanRedisSet(self.directory)
        self.pair = pair_module.Pair(self.directory, self.set, protocol)
        self.protocol = protocol
        self.figures = {}

    def close(self, keep=False):
        self.pair.stop()
        self.set.stop()
        if keep:
            print(f"logs: {self.directory}")
        else:
            shutil.rmtree(self.directory, ignore_errors=True)

    def note(self, name, seconds):
        self.figures.setdefault(name, []).append(seconds)
        if seconds > LIMITS[name]:
            print(f"  {time.strftime('%H:%M:%S')} {name}: {seconds:.3f} s", flush=True)

    def measure(self, name, cause, mend):
        """One move: `cause(owner)` takes the address away, `mend(owner)` makes the old owner whole again."""
        owner, standby = self.pair.wait_ready_to_move(60)
        prober = self.module.Prober(host=self.protocol.vip)
        try:
            began = time.monotonic()
            cause(owner)
            self.wait_until(standby.has_address, 20, "the peer to have the address")
            # Half a second of answers behind the move: what limps is seen too.
            moved = time.monotonic()
            self.wait_until(lambda: prober.answered_since(moved + 0.5), 30, "answers of the new owner")
            self.note(name, prober.outage(began))
        finally:
            prober.stop()
        mend(owner, standby)

    # --- Kinds of moves

    def restart(self, owner, _):
        if owner.fairlead.running():
            owner.fairlead.kill()
        else:
            owner.fairlead.wait()
        owner.start_fairlead()

    def kill_9(self):
        self.measure("kill -9 of fairlead", lambda owner: owner.fairlead.signal(signal.SIGKILL), self.restart)

    def storm(self):
        """All clients of the owner come back at once. Counted until the last of them is answered."""
        owner, standby = self.pair.wait_ready_to_move(60)
        herd = self.herd_module.Herd((self.protocol.vip, self.module.PORT), STORM_CLIENTS)
        began = time.monotonic()
        owner.fairlead.signal(signal.SIGKILL)
        self.wait_until(lambda: herd.served_times(2), 60, "all clients to be served again")
        self.note(f"{STORM_CLIENTS} clients served again after kill -9", herd.last_served_at() - began)
        assert not herd.wrong, herd.wrong
        herd.stop()
        self.restart(owner, standby)

    def sigterm(self):
        subscribers = [self.module.Subscriber(number, self.protocol.vip) for number in range(SUBSCRIBERS)]
        told = {}

        def cause(owner):
            told["at"] = time.monotonic()
            owner.fairlead.signal(signal.SIGTERM)

        self.measure("SIGTERM (drain for an upgrade)", cause, self.restart)
        for subscriber in subscribers:
            self.wait_until(lambda: subscriber.how, 10, "a subscriber to be reset")
            assert subscriber.how == "ConnectionResetError", subscriber.how
        self.note("reset of silent subscribers at SIGTERM", max(s.ended_at for s in subscribers) - told["at"])
        for subscriber in subscribers:
            subscriber.close()

    def ready_file(self):
        self.measure("readiness file, by hand", lambda owner: owner.ready_file.write_text("1\n"),
                     lambda owner, _: owner.ready_file.write_text("0\n"))

    def hang(self):
        def mend(owner, _):
            owner.fairlead.signal(signal.SIGCONT)

        self.measure("hang (SIGSTOP) of fairlead", lambda owner: owner.fairlead.signal(signal.SIGSTOP), mend)

    def cut(self):
        def mend(owner, _):
            prober = self.module.Prober(host=self.protocol.vip)
            healed = time.monotonic()
            owner.heal()
            self.wait_until(lambda: len(self.pair.owners()) == 1, 20, "one owner")
            alone = time.monotonic()
            self.note("one owner after healing", alone - healed)
            self.wait_until(lambda: prober.answered_since(alone + 0.5), 30, "answers after healing")
            prober.stop()
            self.note("outage by healing", prober.outage(healed))

        self.measure("cut link, silently", lambda owner: owner.cut(), mend)

    def dead_host(self):
        """Nothing comes from it any more, and what ran there is gone."""
        def cause(owner):
            owner.cut()
            owner.fairlead.signal(signal.SIGKILL)
            owner.kill_keepalived()

        def mend(owner, _):
            address = f"{self.protocol.vip}/{self.protocol.prefix}"
            self.module.run(*owner.inside, "ip", "addr", "del", address, "dev", "eth0")
            owner.fairlead.wait()
            owner.start_fairlead()
            owner.start_keepalived()
            owner.heal()

        self.measure("dead host", cause, mend)


LIMITS = {
    "kill -9 of fairlead": 0.25,
    "SIGTERM (drain for an upgrade)": 0.15,
    "reset of silent subscribers at SIGTERM": 0.10,
    "readiness file, by hand": 0.15,
    "hang (SIGSTOP) of fairlead": 1.5,
    "cut link, silently": 0.8,
    "one owner after healing": 1.0,
    "outage by healing": 1.0,
    "dead host": 0.8,
    f"{STORM_CLIENTS} clients served again after kill -9": 0.55,
}
SCENARIOS = {"kill": Bench.kill_9, "sigterm": Bench.sigterm, "ready": Bench.ready_file, "hang": Bench.hang,
             "cut": Bench.cut, "dead": Bench.dead_host, "storm": Bench.storm}


def report(figures):
    """Prints the table; the number of kinds that took too long."""
    broken = 0
    print(f"{'':40} moves  median     p99   worst   limit")
    for name, limit in LIMITS.items():
        values = figures.get(name)
        if not values:
            continue
        p99 = percentile(values, 99)
        broken += p99 > limit
        print(f"{name:40} {len(values):5} {percentile(values, 50):6.3f}s {p99:6.3f}s {max(values):6.3f}s {limit:6.2f}s"
              f"  {'holds' if p99 <= limit else 'TOO LONG'}")
    return broken


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fairlead", help="the program; FAIRLEAD_BIN or build/release/fairlead otherwise")
    parser.add_argument("--moves", type=int, default=30, help="of each kind")
    parser.add_argument("--scenario", action="append", choices=sorted(SCENARIOS), help="only these; repeatable")
    parser.add_argument("--ipv6", action="store_true", help="the address and the hosts' own ones are IPv6")
    parser.add_argument("--keep", action="store_true", help="keep the logs, and say where they are")
    arguments = parser.parse_args()
    if arguments.fairlead:
        os.environ["FAIRLEAD_BIN"] = str(pathlib.Path(arguments.fairlead).resolve())
    import harness  # pylint: disable=import-outside-toplevel
    import herd  # pylint: disable=import-outside-toplevel
    import pair  # pylint: disable=import-outside-toplevel
    reason = pair.why_not()
    if reason:
        sys.exit(f"pair_moves: {reason}")
    pair.become_the_network()
    protocol = pair.IPV6 if arguments.ipv6 else pair.IPV4
    bench = Bench(pair, herd, harness, protocol)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, advert_int 0.2 s, IPv{protocol.version}")
    try:
        for name, scenario in SCENARIOS.items():
            if arguments.scenario and name not in arguments.scenario:
                continue
            for _ in range(arguments.moves):
                scenario(bench)
            print(f"  {name} done, load {os.getloadavg()[0]:.1f}", flush=True)
    finally:
        broken = report(bench.figures)
        bench.close(arguments.keep)
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
