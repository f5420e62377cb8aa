"""The faults. Each scenario says what it does to the cluster, what it mends afterwards, and what may be seen of it."""

import dataclasses
import signal
import subprocess
import time
from typing import Callable

from chaos.cluster import REDIS_NODES, Setup
from harness import FAIRLEAD, wait_until
from resp_client import Closed, ReplyError


@dataclasses.dataclass
class Expectation:
    """What the checker allows."""

    failover: str = "yes"         # another server becomes master: yes, no, or maybe where a busy machine decides
    loss: str = "lag"             # none; lag: what replication lost at the fault; any: this scenario promises nothing
    diverging: float = 0.1        # so long after the fault the old master may acknowledge what the new one never sees
    links_lost: int = 1           # how often a client may lose the command that it has in flight
    hold_may_end: bool = False    # -MASTERDOWN is an answer here
    flows: str = "maybe"          # whether commands are answered while the fault lasts: yes, no, or maybe
    strays: str = "none"          # writes a deposed master may execute: none; sent: what was in flight to it; any
    looks_min: int = 0            # so often a deposed master must have been seen as one, or the strays prove nothing
    consumers: int = 0            # how many clients pop; set by the run

    def strays_max(self, in_flight):
        return {"none": 0, "sent": in_flight, "any": 1 << 60}[self.strays]


@dataclasses.dataclass
class Scenario:
    name: str
    inject: Callable
    mend: Callable = lambda stage: None
    setup: Setup = dataclasses.field(default_factory=Setup)
    expect: Expectation = dataclasses.field(default_factory=Expectation)
    needs_option: str = ""  # of fairlead; without it the scenario is left out, and that is said


class Stage:
    """What a scenario works on. `faults` are the moments by which lost writes are explained."""

    def __init__(self, cluster, observer, load, rng):
        self.cluster = cluster
        self.network = cluster.network
        self.observer = observer
        self.load = load
        self.rng = rng
        self.old = cluster.master()
        self.faults = []
        self.mended = None  # when it was

    def fault(self):
        """To be called right before the fault."""
        self.observer.freeze_lag()
        self.faults.append(time.monotonic())

    def promoted(self, timeout=30.0):
        """Waits until another server says that it is the master."""
        return wait_until(lambda: self.observer.promoted_after(self.faults[-1]), timeout, "a promotion")

    def last(self, seconds):
        """The fault lasts so long, with the clients at work; one whose script fails ends it at once."""
        if self.load.loop.failed.wait(seconds):
            self.load.loop.blame()


# --- what is done -----------------------------------------------------------------------------------------------------

def kill(stage):
    stage.fault()
    stage.old.process.kill()
    stage.promoted()
    stage.load.wait_for_writes()


def return_old(stage):
    """It comes back as a master, which Sentinel demotes after about ten seconds."""
    stage.old.start()


def planned(stage):
    stage.fault()
    stage.cluster.failover()
    stage.promoted()
    stage.load.wait_for_writes()


def shut_down(stage):
    stage.fault()
    try:
        stage.old.call("SHUTDOWN", "NOSAVE")
    except (Closed, OSError, ReplyError):
        pass  # the answer to SHUTDOWN is the end of the connection
    stage.old.process.wait()
    stage.promoted()
    stage.load.wait_for_writes()


def freeze(stage):
    stage.fault()
    stage.old.freeze()
    stage.promoted()
    stage.load.wait_for_writes()


def thaw(stage):
    stage.old.thaw()


def stall(stage):
    stage.fault()
    stage.old.freeze()
    stage.last(0.5)
    stage.old.thaw()


def restart_at_once(stage):
    stage.fault()
    stage.old.process.kill()
    stage.last(0.2)
    stage.old.start()


def restart_empty(stage):
    """Without persistence: everything is gone, on the replicas too, and nobody should work on as if nothing had happened."""
    restart_at_once(stage)
    stage.last(3.0)


def accept_as_it_is(stage):
    """The operator's word. In vain, and harmless, when the machine was so slow that Sentinel promoted another server."""
    stage.cluster.proxy.process.signal(signal.SIGUSR2)


def cut(*nodes, seconds=None):
    """These nodes apart; "old" stands for the master and "replica" for one of its replicas. Without `seconds` until another
    server was promoted and clients are served again."""
    def inject(stage):
        replica = stage.rng.choice([server for server in stage.cluster.servers if server is not stage.old])
        names = [{"old": stage.old.name, "replica": replica.name}.get(node, node) for node in nodes]
        stage.fault()
        stage.network.isolate(*names)
        stage.faults.append(time.monotonic())  # to cut took a moment, too
        if seconds is None:
            stage.promoted()
            stage.load.wait_for_writes()
            # The old master, alone, goes on being one; it must not matter how long.
            stage.last(stage.rng.uniform(0.5, 3.0))
        else:
            stage.last(seconds)
    return inject


def heal(stage):
    stage.network.heal()


def deaf_proxy(stage):
    """The proxy's commands reach the master; no answer, and no acknowledgement of TCP, comes back."""
    stage.fault()
    stage.network.drop_one_way(stage.old.name, "proxy")
    stage.last(stage.rng.uniform(1.5, 6.0))


def deaf_sentinels(stage):
    """The Sentinels hear nothing of a master that serves everybody else."""
    stage.fault()
    for sentinel in stage.cluster.sentinels:
        stage.network.drop_one_way(stage.old.name, sentinel.name)
    stage.promoted()
    stage.load.wait_for_writes()


def mute_proxy(stage):
    """The proxy's packets do not reach the master; what the master sends arrives."""
    stage.fault()
    stage.network.drop_one_way("proxy", stage.old.name)
    stage.last(stage.rng.uniform(1.5, 6.0))


def lossy(then):
    """Packets are lost for a while, then the fault, with the loss going on."""
    def inject(stage):
        stage.network.lose(5)
        stage.load.wait_for_writes()
        then(stage)
    return inject


def wedged_sentinel(stage):
    """One Sentinel is frozen: its connections stay and it answers nothing."""
    stage.cluster.sentinels[stage.rng.randrange(3)].freeze()
    kill(stage)


def unwedge(stage):
    for sentinel in stage.cluster.sentinels:
        if sentinel.stopped:
            sentinel.thaw()
    return_old(stage)


def stale_sentinel(stage):
    """One Sentinel hears neither its fellows nor the servers, and goes on naming the old master to the proxy."""
    for node in (*REDIS_NODES, "s1", "s2"):
        stage.network.drop_one_way(node, "s3")
    planned(stage)
    stage.last(2.0)


def frozen_proxy(stage):
    """The proxy sleeps through a switch and wakes with commands of its clients and news of Sentinel before it."""
    stage.fault()
    stage.cluster.proxy.process.signal(signal.SIGSTOP)
    try:
        stage.cluster.failover()
        stage.promoted()
        stage.last(stage.rng.uniform(0.0, 2.0))
    finally:
        stage.cluster.proxy.process.signal(signal.SIGCONT)
    stage.load.wait_for_writes()


def kill_replica(stage):
    """Nobody's business but Sentinel's."""
    replica = stage.rng.choice([server for server in stage.cluster.servers if server is not stage.old])
    stage.fault()
    replica.process.kill()
    stage.last(3.0)
    replica.start()


def repeated(stage):
    """A kill, a planned switch, another kill; each as soon as the set is whole again."""
    for act, mend in ((kill, return_old), (planned, lambda stage: None), (kill, return_old)):
        stage.old = stage.cluster.master()
        act(stage)
        mend(stage)
        wait_until(stage.cluster.in_order, 60, "the set to be whole again")


# --- and what may be seen of it ---------------------------------------------------------------------------------------

NO_LOSS = Expectation(loss="none")
NO_FAILOVER = Expectation(failover="no", loss="none")
STRICT_LEASE = 2.0  # seconds after the cut in which a client may still be answered: the lease, and a second for a busy machine

SCENARIOS = [
    Scenario("kill9", kill, return_old, expect=Expectation(looks_min=10)),
    Scenario("planned", planned, expect=Expectation(loss="none", looks_min=10)),
    Scenario("shutdown", shut_down, return_old, expect=NO_LOSS),
    Scenario("freeze", freeze, thaw, expect=Expectation(strays="sent", looks_min=10)),
    Scenario("stall", stall, expect=Expectation(failover="maybe", links_lost=1)),
    Scenario("restart-aof", restart_at_once, setup=Setup(append_only=True),
             expect=Expectation(failover="maybe")),
    Scenario("restart-empty", restart_empty, accept_as_it_is, needs_option="--restarted",
             expect=Expectation(failover="maybe", loss="any", flows="no")),
    Scenario("restart-cache", restart_at_once, setup=Setup(proxy_options=["--restarted", "accept"]),
             needs_option="--restarted", expect=Expectation(failover="maybe", loss="any")),
    Scenario("master-alone", cut("old"), heal, expect=Expectation(strays="sent", looks_min=10)),
    Scenario("master-and-replica", cut("old", "replica"), heal, expect=Expectation(strays="sent", looks_min=10)),
    Scenario("master-and-sentinel", cut("old", "s1"), heal, expect=Expectation(strays="sent", looks_min=10)),
    Scenario("proxy-alone", cut("proxy", seconds=4), heal, expect=NO_FAILOVER),
    Scenario("proxy-alone-long", cut("proxy", seconds=13), heal,
             expect=Expectation(failover="no", loss="none", hold_may_end=True, links_lost=2)),
    Scenario("sentinels-apart", cut("s1", "s2", "s3", seconds=6), heal,
             expect=Expectation(failover="no", loss="none", links_lost=0, flows="yes")),
    Scenario("proxy-with-master", cut("old", "proxy", seconds=8), heal,
             expect=Expectation(diverging=10, strays="any", links_lost=2)),
    Scenario("proxy-with-master-strict", cut("old", "proxy", seconds=8), heal, setup=Setup(proxy_options=["--strict"]),
             expect=Expectation(diverging=STRICT_LEASE, strays="any", links_lost=2), needs_option="--strict"),
    Scenario("deaf-proxy", deaf_proxy, heal, expect=Expectation(failover="no", loss="none", links_lost=2)),
    Scenario("mute-proxy", mute_proxy, heal, expect=Expectation(failover="no", loss="none", links_lost=2)),
    Scenario("deaf-sentinels", deaf_sentinels, heal),
    Scenario("loss-kill9", lossy(kill), lambda stage: (heal(stage), return_old(stage)),
             expect=Expectation(diverging=60, links_lost=4, strays="any")),
    Scenario("loss-planned", lossy(planned), heal, expect=Expectation(diverging=60, links_lost=4, strays="any")),
    Scenario("frozen-proxy", frozen_proxy, expect=NO_LOSS),
    Scenario("replica-killed", kill_replica, expect=Expectation(failover="no", loss="none", links_lost=0, flows="yes")),
    Scenario("repeated", repeated, expect=Expectation(links_lost=3)),
    Scenario("wedged-sentinel", wedged_sentinel, unwedge),
    Scenario("stale-sentinel", stale_sentinel, heal, expect=NO_LOSS),
    Scenario("hostnames-kill9", kill, return_old, setup=Setup(hostnames=True)),
    Scenario("hostnames-planned", planned, setup=Setup(hostnames=True), expect=NO_LOSS),
    Scenario("ipv6-kill9", kill, return_old, setup=Setup(family=6)),
    Scenario("ipv6-planned", planned, setup=Setup(family=6), expect=NO_LOSS),
]


def by_name(name):
    return next(scenario for scenario in SCENARIOS if scenario.name == name)


def lacks_option(scenario):
    """True when this fairlead does not know the option that the scenario is about."""
    if not scenario.needs_option:
        return False
    done = subprocess.run([FAIRLEAD, "run", "--help"], stdout=subprocess.PIPE, text=True, check=False)
    return scenario.needs_option not in done.stdout
