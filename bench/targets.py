"""What is compared: the server itself and each proxy in front of it, on free ports of 127.0.0.1."""

import pathlib
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "integration"))

from harness import Process, RedisServer, free_port, wait_until  # noqa: E402
from resp_client import RawClient  # noqa: E402

__all__ = ["ROOT", "RawClient", "RedisServer", "Target", "start_targets"]

# Persistence of the server; the first is what the goals are stated for.
PERSISTENCE = {"off": [], "rdb": ["save 5 1"], "aof": ["appendonly yes", "appendfsync everysec"]}

HAPROXY_CONFIG = """\
global
    nbthread {threads}
    maxconn 9500
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    maxconn 9500
frontend clients
    bind 127.0.0.1:{port}
    default_backend redis
backend redis
    server master 127.0.0.1:{server}
"""

TWEMPROXY_CONFIG = """\
redis:
  listen: 127.0.0.1:{port}
  hash: fnv1a_64
  distribution: ketama
  redis: true
  backlog: 4096
  timeout: 60000
  server_connections: 1
  servers:
   - 127.0.0.1:{server}:1
"""


class Target:
    """Something that listens in front of the server; `process` is None for the direct connection."""

    def __init__(self, name, port, process=None):
        self.name = name
        self.port = port
        self.process = process

    def wait_listening(self):
        def answers():
            if self.process and not self.process.running():
                raise SystemExit(f"{self.name} ended:\n{self.process.log()[-2000:]}")
            with RawClient(self.port) as client:
                return client.command("EXISTS", "a") == 0
        wait_until(answers, 20, f"{self.name} to answer")
        return self


def start_haproxy(server, threads, directory):
    port = free_port()
    config = pathlib.Path(directory) / "haproxy.cfg"
    config.write_text(HAPROXY_CONFIG.format(port=port, server=server.port, threads=threads), encoding="utf-8")
    return Target("haproxy", port, Process("haproxy", ["haproxy", "-db", "-f", config], directory))


def start_twemproxy(server, directory):
    port = free_port()
    config = pathlib.Path(directory) / "twemproxy.yml"
    config.write_text(TWEMPROXY_CONFIG.format(port=port, server=server.port), encoding="utf-8")
    # It keeps replies in buffers of this size; its own default of 16 KiB is the fairest for small values.
    argv = ["nutcracker", "-c", config, "-s", str(free_port()), "-a", "127.0.0.1"]
    return Target("twemproxy", port, Process("twemproxy", argv, directory))


def start_floor(server, name, program, directory):
    """`name`: relay, which copies bytes, or mux, which only frames; one thread each. See floor/."""
    port = free_port()
    return Target(name, port, Process(name, [program, port, server.port], directory))


def start_fairlead(server, program, threads, directory, name="fairlead"):
    port = free_port()
    argv = [program, "run", "--listen", f"127.0.0.1:{port}", "--stats", f"127.0.0.1:{free_port()}",
            "--threads", threads, "--server", server.address]
    return Target(name, port, Process(name, argv, directory))


def start_targets(server, options, directory):
    """Direct and every proxy that is installed and wanted, ready. `options`: fairlead, baseline, threads, through (names), and
    floor ({name: program})."""
    targets = [Target("direct", server.port)]
    peers = (("haproxy", "haproxy", lambda: start_haproxy(server, options.threads, directory)),
             ("twemproxy", "nutcracker", lambda: start_twemproxy(server, directory)))
    for name, program, start in peers:
        if name not in options.through:
            continue
        if shutil.which(program):
            targets.append(start())
        else:
            print(f"{name} is not installed; it is left out", file=sys.stderr)
    targets += [start_floor(server, name, program, directory) for name, program in options.floor.items()]
    targets.append(start_fairlead(server, options.fairlead, options.threads, directory))
    if options.baseline:
        targets.append(start_fairlead(server, options.baseline, options.threads, directory, "baseline"))
    return [target.wait_listening() for target in targets]
