"""Two hosts with fairlead and a real keepalived each, and a network between them, for tests and measurements.

Everything is in network namespaces of this process and its children, without names: they end with the processes. The
process itself is "the network": the bridge, Redis and the clients are in its own new namespace, so nothing of it can
meet the machine's own network. Needs root (CAP_SYS_ADMIN, CAP_NET_ADMIN).
"""

import collections
import ctypes
import os
import pathlib
import subprocess
import time

from harness import FAIRLEAD, Process, RedisSet, wait_until
from pair_clients import NETWORK, PORT, VIP, Prober, Subscriber, VipClient

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)

LAN = f"{NETWORK}.1"
NETWORK_MAC = "02:00:00:d5:07:01"
# What a pair speaks to its clients and between its hosts; Redis is reached by IPv4 in both.
Protocol = collections.namedtuple("Protocol", "version vip prefix own any_address")
IPV4 = Protocol(4, VIP, 24, {"a": f"{NETWORK}.11", "b": f"{NETWORK}.12"}, "0.0.0.0")
IPV6 = Protocol(6, "fd00:d5:7::100", 64, {"a": "fd00:d5:7::11", "b": "fd00:d5:7::12"}, "[::]")


def run(*argv):
    done = subprocess.run([str(arg) for arg in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=30, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, argv))}: {done.stdout}")
    return done.stdout


def why_not():
    """Why this machine cannot run a pair, or None."""
    if os.geteuid() != 0:
        return "a pair needs root, to make network namespaces"
    for program in ("keepalived", "ip", "bridge", "nsenter", "unshare"):
        if not any(os.access(os.path.join(folder, program), os.X_OK)
                   for folder in os.environ.get("PATH", "").split(":") + ["/usr/sbin", "/sbin"]):
            return f"{program} is not installed"
    if subprocess.run(["unshare", "-n", "true"], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        return "this container may not make network namespaces"
    return None


def run_in_front():
    """Niceness would not do: with autogroups it counts only among the processes of one session."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
        return "SCHED_RR"
    except PermissionError:
        return "ordinary, in competition with whatever else runs here"


def become_the_network():
    """Puts this process (its main thread, and what it starts from now on) into a new namespace with a bridge.

    Both hosts share this machine's processors with whatever else it does. In front of that they are what two hosts are
    that have little else to do; behind it they would starve together, and both would rightly call themselves unfit.
    """
    print(f"scheduling: {run_in_front()}")
    if _libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    run("ip", "link", "set", "lo", "up")
    # With an address of its own, a bridge does not take the lowest one of its ports: when that port left, the clients'
    # host would get another hardware address, and the new owner would send its answers to the old one for a second.
    run("ip", "link", "add", "br0", "address", NETWORK_MAC, "type", "bridge", "forward_delay", "0", "stp_state", "0")
    run("ip", "addr", "add", f"{LAN}/24", "dev", "br0")
    run("ip", "addr", "add", "fd00:d5:7::1/64", "dev", "br0", "nodad")
    run("ip", "link", "set", "br0", "up")


class LanRedisSet(RedisSet):
    """A set whose servers and Sentinels are reached by the network's address."""

    HOST = LAN
    COMMON = [f"bind 127.0.0.1 {LAN}", "protected-mode no"]

    def __init__(self, directory, replicas=1, sentinels=3):
        super().__init__(directory, replicas, sentinels, [*self.COMMON, f"replica-announce-ip {LAN}"],
                         sentinel_settings=[*self.COMMON, f"sentinel announce-ip {LAN}"])


class Host:
    """One host: a namespace with an interface, a fairlead and a keepalived."""

    def __init__(self, node, directory, redis_set, protocol=IPV4):
        self.node = node
        self.protocol = protocol
        self.directory = pathlib.Path(directory) / f"host-{node}"
        self.directory.mkdir()
        self.port_name = f"host{node}"
        self.ready_file = self.directory / "ready"
        self.holder = Process("holder", ["unshare", "-n", "sleep", "infinity"], self.directory)
        mine = os.readlink("/proc/thread-self/ns/net")
        wait_until(lambda: os.readlink(f"/proc/{self.holder.pid}/ns/net") != mine, what="the namespace of the host")
        self.inside = ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net"]
        run("ip", "link", "add", self.port_name, "type", "veth", "peer", "name", "eth0", "netns", self.holder.pid)
        run("ip", "link", "set", self.port_name, "master", "br0", "up")
        run(*self.inside, "ip", "link", "set", "lo", "up")
        for own in (IPV4, IPV6):
            run(*self.inside, "ip", "addr", "add", f"{own.own[node]}/{own.prefix}", "dev", "eth0", "nodad")
        run(*self.inside, "ip", "link", "set", "eth0", "up")
        self.config = self.directory / "fairlead.toml"
        self.config.write_text(self.configuration(redis_set))
        self.fairlead = None
        self.keepalived = None
        self.starts = 0

    def configuration(self, redis_set):
        own = self.protocol.own
        sentinels = ", ".join(f'"{LAN}:{sentinel.port}"' for sentinel in redis_set.sentinels)
        return (f'[proxy]\nlisten = ["{self.protocol.any_address}:{PORT}"]\nthreads = 2\n'
                f'[backend]\nsentinels = [{sentinels}]\n'
                f'[stats]\nlisten = ["127.0.0.1:9000"]\nadmin = true\n'
                f'[console]\nlisten = ["unix:{self.directory}/console.sock"]\n'
                f'[vrrp]\nready-file = "{self.ready_file}"\nnotify-fifo = "{self.directory}/notify.fifo"\n'
                f'address = "{self.protocol.vip}/{self.protocol.prefix}"\ninterface = "eth0"\n'
                f'node-a = "{own["a"]}"\nnode-b = "{own["b"]}"\nuser = "root"\nadvert-interval = "200ms"\n')

    # --- fairlead

    def start_fairlead(self):
        self.starts += 1
        self.fairlead = Process(f"fairlead-{self.starts}", [*self.inside, FAIRLEAD, "--config", self.config],
                                self.directory)
        return self

    def check(self):
        """Exit code, words and seconds of `fairlead check` on this host."""
        started = time.monotonic()
        done = subprocess.run([*self.inside, FAIRLEAD, "check", "--config", str(self.config)], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30, check=False)
        return done.returncode, done.stdout.strip(), time.monotonic() - started

    def console(self, *words):
        """What the console of this host answers; its socket is a file, so it is reached from everywhere."""
        return run("redis-cli", "-s", self.directory / "console.sock", *words)

    def metrics(self):
        """All samples, over a connection from inside the host."""
        text = run(*self.inside, "/usr/bin/python3", "-c",
                   "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9000/metrics', timeout=5).read().decode())")
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
                for line in text.splitlines() if line and not line.startswith("#")}

    def fit(self):
        return self.ready_file.exists() and self.ready_file.read_text() == "0\n"

    # --- keepalived

    def keepalived_config(self):
        path = self.directory / "keepalived.conf"
        path.write_text(run(FAIRLEAD, "keepalived", "--node", self.node, "--config", self.config))
        return path

    def start_keepalived(self):
        config = self.keepalived_config()
        self.keepalived = Process(f"keepalived-{self.starts}", [
            *self.inside, "keepalived", "--dont-fork", "--log-console", "--log-detail", "--vrrp", "--use-file", config,
            "--pid", self.directory / "keepalived.pid", "--vrrp_pid", self.directory / "vrrp.pid"], self.directory)
        return self

    def kill_keepalived(self):
        """kill -9 of both its processes; the child first, or it would clean up when it sees its parent die."""
        child = int((self.directory / "vrrp.pid").read_text())
        os.kill(self.keepalived.pid, 19)  # the parent must not start another child
        os.kill(child, 9)
        self.keepalived.kill()
        # Until it has been reaped, another keepalived takes its pid file for a running one's and ends.
        wait_until(lambda: not os.path.exists(f"/proc/{child}"), what="the killed child to be gone")

    # --- the network

    def has_address(self):
        shown = run(*self.inside, "ip", "-o", f"-{self.protocol.version}", "addr", "show", "dev", "eth0")
        return f" {self.protocol.vip}/" in shown

    def mac(self):
        return run(*self.inside, "ip", "-o", "link", "show", "dev", "eth0").split("link/ether ")[1].split()[0]

    def cut(self):
        """Silently: the link stays up, and nothing comes through. The port stays one of the bridge's: outside of it,
        the network would answer there by itself."""
        run("bridge", "link", "set", "dev", self.port_name, "state", "disabled")

    def heal(self):
        run("bridge", "link", "set", "dev", self.port_name, "state", "forwarding")

    def pull_plug(self):
        run("ip", "link", "set", self.port_name, "down")

    def plug_in(self):
        run("ip", "link", "set", self.port_name, "up")

    def stop(self):
        for process in (self.keepalived, self.fairlead, self.holder):
            if process is not None:
                process.stop()
        # The namespace goes some time after its last process, and the link with it; the next pair does not wait.
        subprocess.run(["ip", "link", "del", self.port_name], stderr=subprocess.DEVNULL, timeout=30, check=False)


class Pair:
    """Both hosts, one of which owns the address when the constructor returns."""

    def __init__(self, directory, redis_set, protocol=IPV4):
        self.protocol = protocol
        self.a = Host("a", directory, redis_set, protocol)
        self.b = Host("b", directory, redis_set, protocol)
        self.hosts = (self.a, self.b)
        for host in self.hosts:
            host.start_fairlead()
        for host in self.hosts:
            wait_until(host.fit, 20, f"host {host.node} to be fit")
        for host in self.hosts:
            host.start_keepalived()
        self.wait_one_owner(30)
        self.wait_serving()

    def owners(self):
        return [host for host in self.hosts if host.has_address()]

    def owner(self):
        owners = self.owners()
        if len(owners) != 1:
            raise AssertionError(f"{len(owners)} owners")
        return owners[0]

    def peer(self, host):
        return self.b if host is self.a else self.a

    def wait_one_owner(self, timeout=15.0):
        return wait_until(lambda: (owners := self.owners()) and len(owners) == 1 and owners[0], timeout, "one owner")

    def wait_owner(self, host, timeout=15.0):
        wait_until(lambda: self.owners() == [host], timeout, f"host {host.node} alone to own the address")

    def wait_serving(self, timeout=20.0):
        """Until a command goes through the address to the master and back."""
        def serves():
            with VipClient(1.0, self.protocol.vip) as client:
                return client.command("EXISTS", "pair") in (0, 1)
        wait_until(serves, timeout, "a command through the address")

    def wait_ready_to_move(self, timeout=20.0):
        """One owner in MASTER and one standby in BACKUP, both fit and with a route, and commands that go through.

        Returns (owner, standby). Fit alone is not enough: a standby that has just started is fit before it knows the
        master, and commands would be held there for a moment.
        """
        def ready():
            owners = self.owners()
            if len(owners) != 1 or not all(host.fit() for host in self.hosts):
                return None
            standby = self.peer(owners[0])
            states = last_state(owners[0]), last_state(standby)
            if states != ("MASTER", "BACKUP") or standby.check()[0] != 0:
                return None
            if standby.metrics().get("fairlead_route_steady") != 1:
                return None
            return owners[0], standby
        self.wait_serving(timeout)
        return wait_until(ready, timeout, "an owner and a standby")

    def stop(self):
        for host in self.hosts:
            host.stop()


def last_state(host):
    """The state that keepalived last logged on this host."""
    state = None
    for line in host.keepalived.log().splitlines():
        for word in ("MASTER", "BACKUP", "FAULT"):
            if f"ntering {word} " in line or f"ntering {word} STATE" in line or f"entering {word} state" in line:
                state = word
    return state


__all__ = ["Host", "IPV4", "IPV6", "LAN", "LanRedisSet", "PORT", "Pair", "Prober", "Subscriber", "VIP", "VipClient",
           "become_the_network", "last_state", "run", "why_not"]
