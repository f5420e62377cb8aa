"""Two hosts with fairlead and a real keepalived each, and a network between them, for tests and measurements.

Everything is in network namespaces of this process and its children, without names: they end with the processes. The
process itself is "the network": the bridge, Redis and the clients are in its own new namespace, so nothing of it can
meet the machine's own network. Needs root (CAP_SYS_ADMIN, CAP_NET_ADMIN).
"""

import ctypes
import os
import pathlib
import selectors
import socket
import subprocess
import threading
import time

from harness import FAIRLEAD, Process, RedisServer, RedisSet, wait_until
from resp_client import Closed, RawClient, encode

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)

NETWORK = "10.213.7"
LAN = f"{NETWORK}.1"
VIP = f"{NETWORK}.100"
PORT = 6379
OWN_ADDRESS = {"a": f"{NETWORK}.11", "b": f"{NETWORK}.12"}


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
    for program in ("keepalived", "ip", "nsenter", "unshare"):
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
    run("ip", "link", "add", "br0", "type", "bridge", "forward_delay", "0", "stp_state", "0")
    run("ip", "addr", "add", f"{LAN}/24", "dev", "br0")
    run("ip", "link", "set", "br0", "up")


class LanRedisSet(RedisSet):
    """A set whose servers and Sentinels are reached by the network's address."""

    COMMON = [f"bind 127.0.0.1 {LAN}", "protected-mode no"]

    def __init__(self, directory, replicas=1, sentinels=3):
        self.directory = directory
        self.password = None
        own = [*self.COMMON, f"replica-announce-ip {LAN}"]
        self.servers = [RedisServer("redis-1", directory, own)]
        for number in range(2, replicas + 2):
            self.servers.append(RedisServer(f"redis-{number}", directory,
                                            [*own, f"replicaof {LAN} {self.servers[0].port}"]))
        for replica in self.servers[1:]:
            wait_until(replica.in_sync, what=f"{replica.name} to be in sync")
        settings = [*self.COMMON, f"sentinel announce-ip {LAN}",
                    f"sentinel monitor {self.MASTER} {LAN} {self.servers[0].port} {sentinels // 2 + 1}",
                    f"sentinel down-after-milliseconds {self.MASTER} 1000",
                    f"sentinel failover-timeout {self.MASTER} 5000"]
        self.sentinels = [RedisServer(f"sentinel-{number}", directory, settings, sentinel=True)
                          for number in range(1, sentinels + 1)]
        expected = f"slaves={replicas},sentinels={sentinels}"
        for sentinel in self.sentinels:
            wait_until(lambda: expected in sentinel.info("sentinel").get("master0", ""), 20,
                       f"{sentinel.name} to see {expected}")


class VipClient(RawClient):
    """A raw connection to the pair's address, or to another of the network."""

    def __init__(self, timeout=10.0, host=VIP):
        self.socket = socket.create_connection((host, PORT), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.timeout = timeout
        self.buffer = bytearray()
        self.pushes = []


class Host:
    """One host: a namespace with an interface, a fairlead and a keepalived."""

    def __init__(self, node, directory, redis_set, advert="200ms"):
        self.node = node
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
        run(*self.inside, "ip", "addr", "add", f"{OWN_ADDRESS[node]}/24", "dev", "eth0")
        run(*self.inside, "ip", "link", "set", "eth0", "up")
        self.config = self.directory / "fairlead.toml"
        self.config.write_text(self.configuration(redis_set, advert))
        self.fairlead = None
        self.keepalived = None
        self.starts = 0

    def configuration(self, redis_set, advert):
        sentinels = ", ".join(f'"{LAN}:{sentinel.port}"' for sentinel in redis_set.sentinels)
        return (f'[proxy]\nlisten = ["0.0.0.0:{PORT}"]\nthreads = 2\n'
                f'[backend]\nsentinels = [{sentinels}]\n'
                f'[stats]\nlisten = ["127.0.0.1:9000"]\nadmin = true\n'
                f'[console]\nlisten = ["unix:{self.directory}/console.sock"]\n'
                f'[vrrp]\nready-file = "{self.ready_file}"\nnotify-fifo = "{self.directory}/notify.fifo"\n'
                f'address = "{VIP}/24"\ninterface = "eth0"\nnode-a = "{OWN_ADDRESS["a"]}"\n'
                f'node-b = "{OWN_ADDRESS["b"]}"\nuser = "root"\nadvert-interval = "{advert}"\n')

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
        return f" {VIP}/" in run(*self.inside, "ip", "-o", "-4", "addr", "show", "dev", "eth0")

    def cut(self):
        """Silently: the link stays up, and nothing comes through."""
        run("ip", "link", "set", self.port_name, "nomaster")

    def pull_plug(self):
        run("ip", "link", "set", self.port_name, "down")

    def heal(self):
        run("ip", "link", "set", self.port_name, "master", "br0", "up")

    def stop(self):
        for process in (self.keepalived, self.fairlead, self.holder):
            if process is not None:
                process.stop()
        # The namespace goes some time after its last process, and the link with it; the next pair does not wait.
        subprocess.run(["ip", "link", "del", self.port_name], stderr=subprocess.DEVNULL, timeout=30, check=False)


class Pair:
    """Both hosts, one of which owns the address when the constructor returns."""

    def __init__(self, directory, redis_set, advert="200ms"):
        self.a = Host("a", directory, redis_set, advert)
        self.b = Host("b", directory, redis_set, advert)
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
            with VipClient(1.0) as client:
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


class Prober:
    """A client that begins a new connection each 10 ms, says one command on it and waits for the answer.

    Attempts overlap: one that hangs does not hide what the next would see. An outage is the longest time between two
    answers.
    """

    INTERVAL = 0.010
    PATIENCE = 1.0

    def __init__(self, *command):
        self.question = encode(*(command or ("EXISTS", "pair")))
        self.answers = []  # when each came
        self.refused = 0
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        wait_until(lambda: len(self.answers) >= 5, what="the prober's first answers")

    def _run(self):
        selector = selectors.DefaultSelector()
        attempts = {}
        next_at = time.monotonic()
        while not self.stopping.is_set():
            now = time.monotonic()
            if now >= next_at:
                next_at = max(next_at + self.INTERVAL, now)
                self._begin(selector, attempts, now)
            for key, _ in selector.select(max(0.0, next_at - time.monotonic())):
                self._step(selector, attempts, key.fileobj)
            for sock, (began, _) in list(attempts.items()):
                if now - began > self.PATIENCE:
                    self._end(selector, attempts, sock)
        for sock in list(attempts):
            self._end(selector, attempts, sock)

    def _begin(self, selector, attempts, now):
        sock = socket.socket()
        sock.setblocking(False)
        try:
            sock.connect((VIP, PORT))
        except BlockingIOError:
            pass
        except OSError:
            sock.close()
            self.refused += 1
            return
        attempts[sock] = (now, "connecting")
        selector.register(sock, selectors.EVENT_WRITE)

    def _step(self, selector, attempts, sock):
        began, state = attempts[sock]
        try:
            if state == "connecting":
                sock.send(self.question)
                attempts[sock] = (began, "asked")
                selector.modify(sock, selectors.EVENT_READ)
                return
            if sock.recv(4096)[:1] in (b":", b"+", b"$"):
                self.answers.append(time.monotonic())
            else:
                self.refused += 1
        except OSError:
            self.refused += 1
        self._end(selector, attempts, sock)

    @staticmethod
    def _end(selector, attempts, sock):
        selector.unregister(sock)
        # With a reset: thousands of connections in TIME_WAIT would fill the ports.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        sock.close()
        del attempts[sock]

    def answered_since(self, moment):
        return bool(self.answers) and self.answers[-1] > moment

    def outage(self, since, until=None):
        """The longest time without an answer that overlaps `since`..`until`."""
        answers = list(self.answers)
        longest = 0.0
        for before, after in zip(answers, answers[1:]):
            if after >= since and (until is None or before <= until):
                longest = max(longest, after - before)
        return longest

    def stop(self):
        self.stopping.set()
        self.thread.join(10)


class Subscriber:
    """A client that says nothing after SUBSCRIBE, and notes when and how its connection ended."""

    def __init__(self, number):
        self.client = VipClient(30.0)
        self.client.command("SUBSCRIBE", f"channel-{number}")
        self.ended_at = None
        self.how = None
        self.thread = threading.Thread(target=self._wait, daemon=True)
        self.thread.start()

    def _wait(self):
        try:
            data = self.client.socket.recv(1)
            self.how = "end of file" if not data else f"data {data!r}"
        except socket.timeout:
            self.how = "nothing"
        except OSError as error:
            self.how = type(error).__name__
        self.ended_at = time.monotonic()

    def close(self):
        try:
            self.client.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.thread.join(5)
        self.client.close()


__all__ = ["Closed", "Host", "LAN", "LanRedisSet", "OWN_ADDRESS", "Pair", "Prober", "Subscriber", "VIP", "VipClient",
           "become_the_network", "last_state", "run", "why_not"]
