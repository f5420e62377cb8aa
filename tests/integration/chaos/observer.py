"""Looks at all servers all the time, through their unix sockets: roles, replication lag, and who executes writes.

What it notes is compared with what the clients were told. It asks nothing of the proxy.
"""

import threading
import time
from collections import deque

from chaos.cluster import count_writes
from resp_client import Closed, RawClient, ReplyError

PERIOD = 0.005


class ServerView:
    """What is known of one server."""

    def __init__(self, server):
        self.server = server
        self.client = None
        self.role = None
        self.pid = None
        self.calls = 0              # writes executed, when it was last asked
        self.asked_at = 0.0
        self.deposed_asked_at = None  # when `deposed_at` was true
        self.offsets_due = deque()  # (when the master had this offset, offset): this replica has not confirmed it
        self.lag_max = 0.0
        self.deposed_at = None      # its calls when another server was promoted; None while it may reign
        self.stray_writes = 0       # executed beyond that while it still called itself master
        self.samples = 0            # how often it was looked at as a deposed master

    def ask(self, *command):
        if self.client is None:
            self.client = RawClient(self.server.socket_path, 0.5)
        try:
            return self.client.command(*command)
        except (OSError, Closed, ReplyError):
            self.client.close()
            self.client = None
            raise


class Observer(threading.Thread):
    """Polls until `finish`."""

    def __init__(self, servers):
        super().__init__(daemon=True)
        self.views = [ServerView(server) for server in servers]
        self.promotions = []  # (when a replica first said master, server)
        self.stopping = threading.Event()
        self.lag_frozen = False

    def run(self):
        while not self.stopping.wait(PERIOD):
            # Masters first: what a deposed one had executed is known before its successor is seen.
            for view in sorted(self.views, key=lambda v: v.role != "master"):
                if not view.server.stopped:
                    self._look(view)

    def _look(self, view):
        try:
            calls = count_writes(view.ask("INFO", "commandstats").decode()) if view.role != "slave" else view.calls
            now = time.monotonic()
            reply = view.ask("ROLE")
        except (OSError, Closed, ReplyError):
            view.role = None if view.role != "slave" else view.role
            return
        role, offset = reply[0].decode(), int(reply[1] if reply[0] == b"master" else reply[4])
        pid = view.server.process.pid
        if role == "master":
            self._saw_master(view, calls, restarted=view.pid is not None and pid != view.pid)
            self._expect(view, now, offset)
        else:
            self._confirm(view, offset)
        view.role, view.calls, view.pid, view.asked_at = role, calls, pid, now

    def _saw_master(self, view, calls, restarted):
        if view.role == "slave" and not restarted:
            self.promotions.append((time.monotonic(), view.server))
            view.deposed_at = None
            for other in self.views:
                if other is not view and other.deposed_at is None:
                    other.deposed_at, other.deposed_asked_at = other.calls, other.asked_at
        elif view.deposed_at is not None:
            if restarted:
                view.deposed_at = 0  # a new process counts from 0
            view.samples += 1
            view.stray_writes = max(view.stray_writes, calls - view.deposed_at)

    def _expect(self, master, now, offset):
        for view in self.views:
            if view is not master and not self.lag_frozen and len(view.offsets_due) < 1000:
                view.offsets_due.append((now, offset))

    def _confirm(self, view, offset):
        now = time.monotonic()
        while view.offsets_due and view.offsets_due[0][1] <= offset:
            when, _ = view.offsets_due.popleft()
            if not self.lag_frozen:
                view.lag_max = max(view.lag_max, now - when)

    def freeze_lag(self):
        """The lag from before a fault is what acknowledgements are judged by."""
        self.lag_frozen = True

    def lag(self):
        """The longest time that a replica was seen to be behind, in seconds."""
        return max(view.lag_max for view in self.views)

    def promoted_after(self, moment):
        """When the first promotion after `moment` was seen; None when there was none."""
        return next((when for when, _ in self.promotions if when > moment), None)

    def stray_writes(self):
        return sum(view.stray_writes for view in self.views)

    def deposed_asked_at(self):
        """Since when writes of a deposed master count as strays: it was last asked a moment before its fault."""
        return min((view.deposed_asked_at for view in self.views if view.deposed_asked_at), default=None)

    def looks_at_deposed(self):
        """How often a deposed server was asked while it called itself a master."""
        return sum(view.samples for view in self.views)

    def finish(self):
        self.stopping.set()
        self.join(5)
