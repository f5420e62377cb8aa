"""Starts the real servers and the proxy for the tests, on free ports of 127.0.0.1 and in a temporary directory.

Everything started here ends with the test, also when the test is killed. What the processes wrote is printed when a
test fails. FAIRLEAD_BIN names the program under test (build/release/fairlead when it is not set); anything that
understands its command line will do.
"""

import atexit
import ctypes
import os
import pathlib
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

from resp_client import Closed, RawClient, ReplyError

ROOT = pathlib.Path(__file__).resolve().parents[2]
FAIRLEAD = os.environ.get("FAIRLEAD_BIN") or str(ROOT / "build" / "release" / "fairlead")
LOG_LINES_SHOWN = 60
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)
_ports_given = set()

# Tests with a thousand clients need two descriptors for each of them here, and as many in the proxy.
_soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (_hard, _hard))


def wait_until(condition, timeout=10.0, what="the condition"):
    """Waits until `condition()` is true and returns its value. Errors of the network count as not yet true."""
    deadline = time.monotonic() + timeout
    last_error = None
    while True:
        try:
            value = condition()
            if value:
                return value
        except (OSError, Closed, ReplyError) as error:
            last_error = error
        if time.monotonic() >= deadline:
            raise AssertionError(f"waited {timeout} s in vain for {what}" + (f" ({last_error})" if last_error else ""))
        time.sleep(0.01)


def _ephemeral_ports_begin():
    return int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])


def free_port():
    """A port nobody listens on, below those that outgoing connections take: it stays free until we use it."""
    low, high = 10000, max(_ephemeral_ports_begin(), 11000)
    while True:
        port = random.randrange(low, high)
        if port in _ports_given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _ports_given.add(port)
        return port


class Process:
    """A child process whose output goes to a file."""

    alive = set()

    def __init__(self, name, argv, directory, env=None):
        self.name = name
        self.argv = [str(arg) for arg in argv]
        self.log_path = pathlib.Path(directory) / f"{name}.log"
        parent = os.getpid()

        def die_with_the_test():
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)

        with open(self.log_path, "ab") as log:
            self.popen = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=directory,
                                          env={**os.environ, **(env or {})}, preexec_fn=die_with_the_test)
        Process.alive.add(self)

    @property
    def pid(self):
        return self.popen.pid

    def log(self):
        return self.log_path.read_text(errors="replace")

    def running(self):
        return self.popen.poll() is None

    def signal(self, number):
        self.popen.send_signal(number)

    def wait(self, timeout=15.0):
        """The exit code; fails when the process is still there after `timeout`."""
        code = self.popen.wait(timeout)
        Process.alive.discard(self)
        return code

    def kill(self):
        """kill -9, and reaped."""
        self.signal(signal.SIGKILL)
        return self.wait()

    def stop(self, timeout=5.0):
        """Ends it, politely first. Harmless when it has ended."""
        if self.running():
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
            try:
                self.popen.wait(timeout)
            except subprocess.TimeoutExpired:
                self.signal(signal.SIGKILL)
        self.wait()


@atexit.register
def _end_all():
    for process in list(Process.alive):
        process.stop(timeout=0.5)


class RedisServer:
    """One redis-server or, with `sentinel_of`, one Sentinel. Keeps port and configuration over a restart."""

    def __init__(self, name, directory, settings=(), sentinel=False, password=None, port=None):
        self.name = name
        self.directory = directory
        self.port = port or free_port()
        self.program = "redis-sentinel" if sentinel else "redis-server"
        self.password = password
        self.config = pathlib.Path(directory) / f"{name}.conf"
        lines = [f"port {self.port}", "bind 127.0.0.1", f"dir {directory}", *settings]
        if not sentinel:
            lines += ['save ""', f"dbfilename {name}.rdb", f"appenddirname {name}.aof", "repl-diskless-sync-delay 0",
                      "enable-debug-command yes"]
        if password:
            lines += [f"requirepass {password}", f"masterauth {password}"]
        self.config.write_text("\n".join(lines) + "\n")
        self.process = None
        self.start()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        self.process = Process(self.name, [self.program, self.config], self.directory)
        wait_until(self._answers, what=f"{self.name} on {self.address} to answer")

    def _answers(self):
        if not self.process.running():
            raise AssertionError(f"{self.name} ended: {self.process.log()[-500:]}")
        return self.call("PING") == "PONG"

    def client(self, timeout=10.0):
        """A connection straight to this server."""
        client = RawClient(self.port, timeout)
        if self.password:
            client.command("AUTH", self.password)
        return client

    def call(self, *args):
        with self.client() as client:
            return client.command(*args)

    def info(self, section):
        """The fields of one section of INFO."""
        lines = self.call("INFO", section).decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def calls_of(self, *commands):
        """How often these commands were executed since the last CONFIG RESETSTAT, as INFO commandstats counts."""
        stats = self.info("commandstats")
        total = 0
        for command in commands:
            field = stats.get(f"cmdstat_{command}", "calls=0")
            total += int(field.split(",")[0].split("=")[1])
        return total

    def role(self):
        return self.call("ROLE")[0].decode()

    def in_sync(self):
        return self.info("replication").get("master_link_status") == "up"


class RedisSet:
    """A master, replicas and Sentinels, ready when the constructor returns."""

    MASTER = "mymaster"
    HOST = "127.0.0.1"  # by which they reach each other

    def __init__(self, directory, replicas=2, sentinels=3, settings=(), password=None, sentinel_settings=(),
                 down_after_ms=1000):
        self.directory = directory
        self.password = password
        self.sentinel_settings = sentinel_settings
        self.servers = [RedisServer("redis-1", directory, settings, password=password)]
        for number in range(2, replicas + 2):
            own = [*settings, f"replicaof {self.HOST} {self.servers[0].port}"]
            self.servers.append(RedisServer(f"redis-{number}", directory, own, password=password))
        for replica in self.servers[1:]:
            wait_until(replica.in_sync, what=f"{replica.name} to be in sync")
        self.sentinels = []
        if sentinels:
            self.start_sentinels(sentinels, down_after_ms)

    def start_sentinels(self, count, down_after_ms):
        settings = [*self.sentinel_settings,
                    f"sentinel monitor {self.MASTER} {self.HOST} {self.servers[0].port} {count // 2 + 1}",
                    f"sentinel down-after-milliseconds {self.MASTER} {down_after_ms}",
                    f"sentinel failover-timeout {self.MASTER} 5000",
                    f"sentinel parallel-syncs {self.MASTER} 2"]
        if self.password:
            settings.append(f"sentinel auth-pass {self.MASTER} {self.password}")
        self.sentinels = [RedisServer(f"sentinel-{number}", self.directory, settings, sentinel=True)
                          for number in range(1, count + 1)]
        expected = f"slaves={len(self.servers) - 1},sentinels={count}"
        for sentinel in self.sentinels:
            wait_until(lambda: expected in sentinel.info("sentinel").get("master0", ""), 20,
                       f"{sentinel.name} to see {expected}")

    def master(self):
        """The server that the first running Sentinel names, or the first server when there is no Sentinel."""
        for sentinel in self.sentinels:
            if sentinel.process.running():
                _, port = sentinel.call("SENTINEL", "get-master-addr-by-name", self.MASTER)
                return self.by_port(int(port))
        return self.servers[0]

    def by_port(self, port):
        return next(server for server in self.servers if server.port == port)

    def others(self, master):
        return [server for server in self.servers if server is not master]

    def failover(self):
        """Asks for a planned failover; Sentinel refuses while the last one is being finished."""
        wait_until(lambda: self.sentinels[0].call("SENTINEL", "FAILOVER", self.MASTER) == "OK", 30,
                   "Sentinel to accept the failover")

    def wait_for_other_master(self, old, timeout=40.0):
        """The new master, once Sentinel names it. When no Sentinel gets enough votes, or no replica has answered it in
        time, it tries again after twice its failover-timeout: after ten seconds here. There is time for two such tries."""
        return wait_until(lambda: (now := self.master()) is not old and now, timeout, "Sentinel to name another master")

    def stop(self):
        for server in self.sentinels + self.servers:
            server.process.stop()


class Fairlead:
    """The proxy under test. `backend` is what it is to serve: a RedisSet, or command line arguments."""

    def __init__(self, directory, backend, *args, name="fairlead", threads=2, env=None):
        self.port = free_port()
        self.stats_port = free_port()
        backend_args = backend_arguments(backend) if isinstance(backend, RedisSet) else list(backend)
        argv = [FAIRLEAD, "run", "--listen", self.address, "--stats", f"127.0.0.1:{self.stats_port}",
                "--threads", threads, *backend_args, *args]
        self.process = Process(name, argv, directory, env)

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def client(self, timeout=15.0):
        return RawClient(self.port, timeout)

    def wait_listening(self, timeout=15.0):
        """Until clients can connect, which is before a master is known."""
        def listening():
            if not self.process.running():
                raise AssertionError(f"fairlead ended: {self.process.log()[-2000:]}")
            self.client().close()
            return True
        wait_until(listening, timeout, f"fairlead to listen on {self.address}")
        return self

    def wait_ready(self, timeout=20.0):
        """Until a command reaches the master and its answer comes back."""
        self.wait_listening(timeout)
        with self.client(timeout) as client:
            client.command("EXISTS", "harness")
        return self

    def wait_log(self, *words, timeout=10.0):
        """The first log line that contains all of these words, whatever their case."""
        def find():
            for line in self.process.log().splitlines():
                if all(word.lower() in line.lower() for word in words):
                    return line
            return None
        return wait_until(find, timeout, f"a log line with {words}")


def backend_arguments(redis_set):
    if not redis_set.sentinels:
        return [arg for server in redis_set.servers for arg in ("--server", server.address)]
    return [arg for sentinel in redis_set.sentinels for arg in ("--sentinel", sentinel.address)] + \
        ["--master-name", RedisSet.MASTER]


class TestCase(unittest.TestCase):
    """A temporary directory for each class, and the logs of its processes when a test fails."""

    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="fairlead-test-")
        cls.addClassCleanup(shutil.rmtree, cls.directory, ignore_errors=True)
        try:
            cls.start_servers()
        except BaseException:
            cls.print_logs()
            raise

    @classmethod
    def start_servers(cls):
        """What every test of the class shares. Overridden where there is something to share."""

    @classmethod
    def redis_set(cls, **options):
        """A set that ends with the class."""
        directory = tempfile.mkdtemp(dir=cls.directory)
        redis_set = RedisSet(directory, **options)
        cls.addClassCleanup(redis_set.stop)
        return redis_set

    @classmethod
    def shared_fairlead(cls, backend, *args, **options):
        """A ready proxy that ends with the class."""
        fairlead = Fairlead(tempfile.mkdtemp(dir=cls.directory), backend, *args, **options)
        cls.addClassCleanup(fairlead.process.stop)
        return fairlead.wait_ready()

    def fairlead(self, backend, *args, **options):
        """A proxy that ends with the test; not yet listening."""
        fairlead = Fairlead(tempfile.mkdtemp(dir=self.directory), backend, *args, **options)
        self.addCleanup(fairlead.process.stop)
        return fairlead

    def redis(self, name, *settings, **options):
        """A server of its own, which ends with the test."""
        server = RedisServer(name, tempfile.mkdtemp(dir=self.directory), settings, **options)
        self.addCleanup(server.process.stop)
        return server

    def open(self, address, timeout=15.0):
        """A raw connection that is closed with the test."""
        client = RawClient(address, timeout)
        self.addCleanup(client.close)
        return client

    def run_program(self, argv, timeout=60, **options):
        """Runs a program to its end and returns it, with its output as text."""
        return subprocess.run([str(arg) for arg in argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=timeout, check=False, **options)

    def run(self, result=None):
        started = time.time()
        before = _failure_count(result)
        outcome = super().run(result)
        if _failure_count(result) > before:
            self.print_reasons(result)
            self.print_logs(started)
        return outcome

    def print_reasons(self, result):
        """Why this test failed, ahead of its logs: of a long output often only the beginning is kept."""
        for test, traceback in result.failures + result.errors:
            if getattr(test, "test_case", test) is self:  # a subtest names the test it is part of
                print(traceback, file=sys.stderr)

    @classmethod
    def print_logs(cls, since=0.0):
        """The ends of all logs written to since then."""
        for path in sorted(pathlib.Path(cls.directory).rglob("*.log")):
            lines = path.read_text(errors="replace").splitlines()
            if lines and path.stat().st_mtime >= since:
                print(f"--- {path.relative_to(cls.directory)}, last of {len(lines)} lines", *lines[-LOG_LINES_SHOWN:],
                      sep="\n", file=sys.stderr)


def _failure_count(result):
    return len(result.failures) + len(result.errors) if result is not None else 0
