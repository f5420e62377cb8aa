"""A private network: one namespace for each node, joined by veth pairs and bridges.

The process that calls `enter` leaves the machine's network for a namespace of its own, in which the clients and the
bridges live; the nodes' namespaces hang in a mount namespace of its own too. All of it vanishes with the process, however
it ends, and nothing of the machine is touched.

    clients (this process) ---- front ---- proxy
                                             | data
        r1  r2  r3  s1  s2  s3 ---- bridge "main"        a partition moves a node's port to another bridge
"""

import ctypes
import os
import pathlib
import subprocess

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x00020000, 0x10000000, 0x40000000
BRIDGES = ("main", "island", "atoll")
FRONT = {4: ("10.78.0.1", "10.78.0.31"), 6: ("fd78::1", "fd78::31")}  # the clients' end and the proxy's
NUMBERS = {"r1": 11, "r2": 12, "r3": 13, "s1": 21, "s2": 22, "s3": 23, "proxy": 31}

_libc = ctypes.CDLL(None, use_errno=True)
_entered = False


class NotPermitted(Exception):
    """This machine or user may not make network namespaces."""


def address(node, family=4):
    """The address of a node on the data network."""
    return f"10.77.0.{NUMBERS[node]}" if family == 4 else f"fd77::{NUMBERS[node]}"


def _run(*command, text=None):
    done = subprocess.run(command, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout.strip()}")
    return done.stdout


def _unshare(flags):
    if _libc.unshare(flags) != 0:
        raise NotPermitted(f"unshare: {os.strerror(ctypes.get_errno())}")


def _become_root_of_a_user_namespace():
    user, group = os.geteuid(), os.getegid()
    _unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET)
    pathlib.Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    pathlib.Path("/proc/self/uid_map").write_text(f"0 {user} 1", encoding="ascii")
    pathlib.Path("/proc/self/gid_map").write_text(f"0 {group} 1", encoding="ascii")


def enter(directory):
    """Moves this process, which must not have threads yet, into namespaces of its own. Once for each process."""
    global _entered
    if _entered:
        return
    if os.geteuid() == 0:
        _unshare(CLONE_NEWNS | CLONE_NEWNET)
    else:
        _become_root_of_a_user_namespace()
    _entered = True
    try:
        _run("mount", "--make-rprivate", "/")
        _run("mount", "-t", "tmpfs", "tmpfs", "/run")
        # Names for the scenarios with hostnames, seen by this process and its children only.
        hosts = pathlib.Path(directory) / "hosts"
        hosts.write_text("127.0.0.1 localhost\n" + "".join(f"{address(n)} {n}.chaos\n" for n in NUMBERS), encoding="ascii")
        _run("mount", "--bind", str(hosts), "/etc/hosts")
        os.makedirs("/run/netns", exist_ok=True)
        _run("ip", "link", "set", "lo", "up")
        # Clients that make a connection for each command would run out of ports. These settings are this namespace's own.
        pathlib.Path("/proc/sys/net/ipv4/tcp_tw_reuse").write_text("1", encoding="ascii")
        pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("10000 65000", encoding="ascii")
        # Whether namespaces can be made at all is known here, before anything is started.
        _run("ip", "netns", "add", "probe")
        _run("ip", "netns", "del", "probe")
    except (RuntimeError, OSError) as error:
        raise NotPermitted(str(error)) from error


def in_node(node, *command):
    """The command line that runs `command` in the network of a node; the process keeps its number."""
    return ["nsenter", f"--net=/run/netns/{node}", "--", *[str(word) for word in command]]


class Network:
    """All nodes on one bridge, ready when the constructor returns. `close` removes everything again."""

    def __init__(self, nodes=tuple(NUMBERS)):
        self.nodes = list(nodes)
        try:
            self._build()
        except BaseException:
            self.close()
            raise

    def _build(self):
        lines = [f"link add {bridge} type bridge forward_delay 0 mcast_snooping 0\nlink set {bridge} up"
                 for bridge in BRIDGES]
        for node in self.nodes:
            _run("ip", "netns", "add", node)
            lines += [f"link add {node} type veth peer name data netns {node}", f"link set {node} master main up"]
        lines += ["link add front type veth peer name front netns proxy", f"address add {FRONT[4][0]}/24 dev front",
                  f"address add {FRONT[6][0]}/64 dev front nodad", "link set front up"]
        _run("ip", "-batch", "-", text="\n".join(lines) + "\n")
        for node in self.nodes:
            own = ["link set lo up", f"address add {address(node)}/24 dev data",
                   f"address add {address(node, 6)}/64 dev data nodad", "link set data up"]
            if node == "proxy":
                own += [f"address add {FRONT[4][1]}/24 dev front", f"address add {FRONT[6][1]}/64 dev front nodad",
                        "link set front up"]
            _run("ip", "-n", node, "-batch", "-", text="\n".join(own) + "\n")

    def isolate(self, *nodes, bridge="island"):
        """These nodes reach each other and nobody else, at once."""
        _run("ip", "-batch", "-", text="".join(f"link set {node} master {bridge}\n" for node in nodes))

    def heal(self):
        """Everybody reaches everybody again."""
        self.isolate(*self.nodes, bridge="main")
        for node in self.nodes:
            _run(*in_node(node, "nft", "flush", "ruleset"))

    def drop_one_way(self, source, target):
        """What `source` sends to `target` is lost; the other direction works."""
        self._rules(target, f"ip saddr {address(source)} drop", f"ip6 saddr {address(source, 6)} drop")

    def lose(self, percent):
        """So many of all packets between nodes are lost. By nftables: not every kernel has the netem scheduler."""
        for node in self.nodes:
            self._rules(node, f'iifname "data" numgen random mod 100 < {percent} drop')

    @staticmethod
    def _rules(node, *rules):
        lines = ["add table inet chaos", "add chain inet chaos in { type filter hook input priority 0; }",
                 *[f"add rule inet chaos in {rule}" for rule in rules]]
        _run(*in_node(node, "nft", "-f", "-"), text="\n".join(lines) + "\n")

    def close(self):
        for name in ("front", *BRIDGES):
            subprocess.run(["ip", "link", "del", name], stderr=subprocess.DEVNULL, check=False)
        for node in self.nodes:
            subprocess.run(["ip", "link", "del", node], stderr=subprocess.DEVNULL, check=False)
            subprocess.run(["ip", "netns", "del", node], stderr=subprocess.DEVNULL, check=False)
