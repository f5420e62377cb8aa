"""Writers that count their own acknowledgements, and a listener on a Sentinel. They never trust the proxy's word."""

import threading
import time

from resp_client import Closed, RawClient, ReplyError, encode


class Writer(threading.Thread):
    """A client that never reconnects and writes one counter after the other's answer: SET key 1, 2, 3 ..."""

    def __init__(self, port, key, command_timeout=20.0):
        super().__init__(daemon=True)
        self.client = RawClient(port, command_timeout)
        self.key = key
        self.acknowledged = []  # (number, when it was answered)
        self.errors = []        # (number, text)
        self.broken = None      # what ended the connection
        self.stopping = threading.Event()

    def run(self):
        number = 0
        try:
            while not self.stopping.is_set():
                number += 1
                self.client.send(encode("SET", self.key, number))
                reply = self.client.reply()
                if isinstance(reply, ReplyError):
                    self.errors.append((number, str(reply)))
                else:
                    self.acknowledged.append((number, time.monotonic()))
        except (OSError, Closed) as error:
            self.broken = f"at number {number}: {error!r}"

    def finish(self):
        """Ends it after the command in flight and closes the connection."""
        self.stopping.set()
        self.join(self.client.timeout + 5)
        alive = self.is_alive()
        self.client.close()
        if alive:
            self.broken = "still waiting for an answer"

    def last_acknowledged(self):
        return self.acknowledged[-1][0] if self.acknowledged else 0

    def first_after(self, moment):
        """When the first acknowledgement after `moment` came; None when there was none."""
        return next((when for _, when in self.acknowledged if when > moment), None)

    def longest_pause(self):
        times = [when for _, when in self.acknowledged]
        return max((later - sooner for sooner, later in zip(times, times[1:])), default=0.0)


class SentinelListener(threading.Thread):
    """Notes when one Sentinel announces what."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.client = RawClient(port, timeout=120)
        self.client.send(encode("PSUBSCRIBE", "*"))
        self.client.reply()
        self.events = []  # (channel, text, when)
        self.start()

    def run(self):
        try:
            while True:
                _, _, channel, text = self.client.reply()
                self.events.append((channel.decode(), text.decode(), time.monotonic()))
        except (OSError, Closed, ValueError):
            pass  # the test is over and has closed the connection

    def when(self, channel):
        """When `channel` was first heard; None when it was not."""
        return next((when for name, _, when in list(self.events) if name == channel), None)

    def close(self):
        self.client.close()
