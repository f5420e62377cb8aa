"""Three servers, three Sentinels and the proxy, each in a network namespace of its own.

The servers are read through unix sockets, which no partition cuts: what the checker sees is what they have.
"""

import pathlib
import signal
import tempfile

from chaos import network
from harness import FAIRLEAD, Process, RedisServer, RedisSet, wait_until
from resp_client import RawClient

REDIS_PORT, SENTINEL_PORT = 6379, 26379
REDIS_NODES, SENTINEL_NODES = ("r1", "r2", "r3"), ("s1", "s2", "s3")


class Setup:
    """What one scenario wants its cluster to be like."""

    def __init__(self, family=4, hostnames=False, down_after_ms=1000, append_only=False, proxy_options=()):
        self.family = family
        self.hostnames = hostnames
        self.down_after_ms = down_after_ms
        self.append_only = append_only
        self.proxy_options = list(proxy_options)

    def name_of(self, node):
        """What the nodes call each other."""
        return f"{node}.chaos" if self.hostnames else network.address(node, self.family)


class Node(RedisServer):
    """A redis-server or a Sentinel in its own namespace. Keeps its configuration over a restart."""

    def __init__(self, name, directory, lines, sentinel=False):  # pylint: disable=super-init-not-called
        self.name = name
        self.directory = directory
        self.password = None
        self.program = "redis-sentinel" if sentinel else "redis-server"
        self.socket_path = pathlib.Path(directory) / f"{name}.sock"
        self.config = pathlib.Path(directory) / f"{name}.conf"
        port = SENTINEL_PORT if sentinel else REDIS_PORT
        self.config.write_text("\n".join([f"port {port}", "bind * -::*", "protected-mode no", f"dir {directory}",
                                          f"unixsocket {self.socket_path}", *lines]) + "\n", encoding="ascii")
        self.process = None
        self.stopped = False
        self.start()

    @property
    def address(self):
        return str(self.socket_path)

    def start(self):
        self.process = Process(self.name, network.in_node(self.name, self.program, self.config), self.directory)
        wait_until(self._answers, what=f"{self.name} to answer")

    def client(self, timeout=10.0):
        return RawClient(self.socket_path, timeout)

    def freeze(self):
        self.process.signal(signal.SIGSTOP)
        self.stopped = True

    def thaw(self):
        self.process.signal(signal.SIGCONT)
        self.stopped = False


WRITE_COMMANDS = ("set", "incr", "rpush", "blpop", "lpop")


def count_writes(commandstats):
    """How many commands of the workloads a server has executed, by the text of its INFO commandstats."""
    total = 0
    for line in commandstats.splitlines():
        name, _, value = line.partition(":")
        if name.removeprefix("cmdstat_") in WRITE_COMMANDS:
            total += int(value.split(",")[0].removeprefix("calls="))
    return total


class Proxy:
    """What the clients connect to. A subclass says how it is started."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.endpoint = (network.FRONT[cluster.setup.family][1], REDIS_PORT)
        self.process = Process("proxy", network.in_node("proxy", *self.command_line()), cluster.directory)

    def command_line(self):
        raise NotImplementedError

    def wait_ready(self):
        """Until a command reaches the master and its answer comes back."""
        def answers():
            if not self.process.running():
                raise AssertionError(f"the proxy ended: {self.process.log()[-2000:]}")
            with RawClient(self.endpoint, 5) as client:
                return client.command("EXISTS", "chaos") == 0
        wait_until(answers, 20, "the proxy to answer")


class Fairlead(Proxy):
    program = FAIRLEAD

    def command_line(self):
        setup = self.cluster.setup
        host = self.endpoint[0] if setup.family == 4 else f"[{self.endpoint[0]}]"
        words = [self.program, "run", "--listen", f"{host}:{REDIS_PORT}", "--stats", "127.0.0.1:9000", "--threads", "2",
                 "--master-name", RedisSet.MASTER, *setup.proxy_options]
        for node in SENTINEL_NODES:
            name = setup.name_of(node)
            words += ["--sentinel", f"[{name}]:{SENTINEL_PORT}" if ":" in name else f"{name}:{SENTINEL_PORT}"]
        return words


class Cluster:
    """All of it, ready when the constructor returns; r1 is the master at first. Ends everything when left."""

    def __init__(self, directory, setup=None, proxy=Fairlead):
        self.setup = setup or Setup()
        self.directory = tempfile.mkdtemp(dir=directory)
        self.network = network.Network()
        self.servers, self.sentinels, self.proxy = [], [], None
        try:
            self._start(proxy)
        except BaseException:
            self.close()
            raise

    def _start(self, proxy):
        for number, node in enumerate(REDIS_NODES):
            lines = ['save ""', f"dbfilename {node}.rdb", "repl-diskless-sync-delay 0", f"appenddirname {node}-aof",
                     f"appendonly {'yes' if self.setup.append_only else 'no'}",
                     f"replica-announce-ip {self.setup.name_of(node)}"]
            if number > 0:
                lines.append(f"replicaof {self.setup.name_of('r1')} {REDIS_PORT}")
            self.servers.append(Node(node, self.directory, lines))
        for replica in self.servers[1:]:
            wait_until(replica.in_sync, 20, f"{replica.name} to be in sync")
        for node in SENTINEL_NODES:
            self.sentinels.append(Node(node, self.directory, self._sentinel_lines(node), sentinel=True))
        for sentinel in self.sentinels:
            wait_until(lambda s=sentinel: self.sees_everybody(s), 30, f"{sentinel.name} to see everybody")
        self.proxy = proxy(self)
        self.proxy.wait_ready()

    def _sentinel_lines(self, own):
        master = RedisSet.MASTER
        lines = ["sentinel resolve-hostnames yes", "sentinel announce-hostnames yes"] if self.setup.hostnames else []
        lines += [f"sentinel myid {_sentinel_id(own)}", f"sentinel announce-ip {self.setup.name_of(own)}",
                  f"sentinel monitor {master} {self.setup.name_of('r1')} {REDIS_PORT} 2",
                  f"sentinel down-after-milliseconds {master} {self.setup.down_after_ms}",
                  f"sentinel failover-timeout {master} 5000", f"sentinel parallel-syncs {master} 2"]
        # Who else is there is written down: discovery takes seconds, and it is not what is tested here.
        lines += [f"sentinel known-replica {master} {self.setup.name_of(node)} {REDIS_PORT}" for node in ("r2", "r3")]
        lines += [f"sentinel known-sentinel {master} {self.setup.name_of(node)} {SENTINEL_PORT} {_sentinel_id(node)}"
                  for node in SENTINEL_NODES if node != own]
        return lines

    @staticmethod
    def sees_everybody(sentinel):
        """True when a Sentinel finds all servers and Sentinels in good order, so that it may start a failover."""
        replicas = [_fields(reply) for reply in sentinel.call("SENTINEL", "REPLICAS", RedisSet.MASTER)]
        others = [_fields(reply) for reply in sentinel.call("SENTINEL", "SENTINELS", RedisSet.MASTER)]
        return (len(replicas) == 2 and len(others) == 2 and
                all(r["flags"] == "slave" and r["master-link-status"] == "ok" for r in replicas) and
                all(o["flags"] == "sentinel" for o in others))

    def node(self, name):
        return next(node for node in self.servers + self.sentinels if node.name == name)

    def master(self):
        """The server that the highest config-epoch of the answering Sentinels names."""
        votes = []
        for sentinel in self.sentinels:
            if sentinel.process.running() and not sentinel.stopped:
                fields = _fields(sentinel.call("SENTINEL", "MASTER", RedisSet.MASTER))
                votes.append((int(fields["config-epoch"]), fields["ip"]))
        return self.by_name(max(votes)[1])

    def by_name(self, name):
        """The server that the others call so."""
        return next(server for server in self.servers if self.setup.name_of(server.name) == name)

    def failover(self):
        """Asks for a planned failover; Sentinel refuses while the last one is being finished."""
        wait_until(lambda: self.sentinels[0].call("SENTINEL", "FAILOVER", RedisSet.MASTER) == "OK", 30,
                   "Sentinel to accept the failover")

    def in_order(self):
        """One master, which Sentinel names, and two replicas of it that are in sync."""
        master = self.master()
        if master.role() != "master":
            return False
        name = self.setup.name_of(master.name)
        for server in self.servers:
            if server is not master:
                replication = server.info("replication")
                if replication.get("master_host") != name or replication.get("master_link_status") != "up":
                    return False
        return True

    def logs(self, lines=60):
        """The ends of all logs, for a person who wonders what happened."""
        for path in sorted(pathlib.Path(self.directory).glob("*.log")):
            text = path.read_text(errors="replace").splitlines()
            yield f"--- {path.name}, last of {len(text)} lines\n" + "\n".join(text[-lines:])

    def close(self):
        for process in ([self.proxy.process] if self.proxy else []) + [n.process for n in self.sentinels + self.servers]:
            process.stop(timeout=2.0)
        self.network.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _fields(flat):
    words = [word.decode() for word in flat]
    return dict(zip(words[::2], words[1::2]))


def _sentinel_id(node):
    return f"{network.NUMBERS[node]:040x}"
