"""What the clients do, and what each of them was told. Every workload writes to keys of its own."""

import random

from chaos.client_loop import Client, ClientLoop, Exchange, Pause
from harness import wait_until
from resp_client import RawClient, ReplyError

CHANNEL = "chaos:news"


class Writing(Client):
    """A client that notes what became of each of its commands: acknowledged, uncertain, refused or worse."""

    depth = 1   # commands it has in flight at once
    writes = 1  # that a server executes for one item

    def __init__(self, name, rng, period):
        super().__init__(name)
        self.rng = rng
        self.period = period
        self.acknowledged = []  # (item, when it was answered)
        self.uncertain = []     # (item, when): told UNCERTAIN
        self.refused = []       # (item, when, text): told that it was surely not executed
        self.unexpected = []    # (item, when, text): any other error
        self.unanswered = []    # items whose answer never came

    def pause(self):
        return Pause(self.period * self.rng.uniform(0.5, 1.5))

    def note(self, item, reply, kind=int):
        """What became of one command; an acknowledgement is of this kind."""
        when = self.answered_at
        if isinstance(reply, kind):
            self.acknowledged.append((item, when))
            return
        text = str(reply) if isinstance(reply, ReplyError) else f"with {reply!r}"
        if text.startswith("UNCERTAIN "):
            self.uncertain.append((item, when))
        elif text.startswith(("MASTERDOWN fairlead", "EXECABORT")):
            self.refused.append((item, when, text))
        else:
            self.unexpected.append((item, when, text))


class Counter(Writing):
    """INCR of its own key; the item is the number that Redis answered, or None."""

    def script(self):
        key = f"counter:{self.name}"
        while True:
            reply, = yield Exchange(("INCR", key))
            self.note(reply, reply)
            yield self.pause()


class Pipeline(Writing):
    """Ten INCR in one write."""

    depth = 10

    def script(self):
        key = f"counter:{self.name}"
        while True:
            replies = yield Exchange(*[("INCR", key)] * self.depth)
            for reply in replies:
                self.note(reply, reply)
            yield self.pause()


class Pusher(Writing):
    """RPUSH of unique items to a list of its own."""

    def __init__(self, name, rng, period, key=None):
        super().__init__(name, rng, period)
        self.key = key or f"list:{name}"

    def script(self):
        number = 0
        while True:
            number += 1
            reply, = yield Exchange(("RPUSH", self.key, number))
            self.note(number, reply)
            yield self.pause()


class Popper(Writing):
    """BLPOP without end from the list that a Pusher fills; the item is what it got."""

    def __init__(self, name, rng, key):
        super().__init__(name, rng, 0.0)
        self.key = key
        self.patient = True

    def script(self):
        while True:
            reply, = yield Exchange(("BLPOP", self.key, 0))
            self.note(int(reply[1]) if isinstance(reply, list) else None, reply, list)
            if isinstance(reply, ReplyError):
                yield Pause(0.05)


class Transaction(Writing):
    """MULTI with two INCR: both or none."""

    writes = 2

    def script(self):
        while True:
            replies = yield Exchange(("MULTI",), ("INCR", f"pair:a:{self.name}"), ("INCR", f"pair:b:{self.name}"),
                                     ("EXEC",))
            executed = replies[-1]
            self.note(executed[0] if isinstance(executed, list) else None, executed, list)
            yield self.pause()


class Optimist(Writing):
    """WATCH, read, then MULTI that writes what was read plus one; a conflict (null) is tried again."""

    writes = 2

    def script(self):
        key, log = f"watched:{self.name}", f"log:{self.name}"
        while True:
            _, value = yield Exchange(("WATCH", key), ("GET", key))
            if isinstance(value, ReplyError):
                self.note(None, value)
                yield self.pause()
                continue
            number = int(value or 0) + 1
            replies = yield Exchange(("MULTI",), ("SET", key, number), ("RPUSH", log, number), ("EXEC",))
            if replies[-1] is not None:
                self.note(number, replies[-1], list)
            yield self.pause()


class Reader(Writing):
    """GET: a read may be slow in a failover, never an error."""

    def script(self):
        while True:
            reply, = yield Exchange(("GET", "counter:counter-0"))
            self.note(None, reply, (bytes, type(None)))
            yield self.pause()


class Publisher(Writing):
    def script(self):
        number = 0
        while True:
            number += 1
            reply, = yield Exchange(("PUBLISH", CHANNEL, number))
            self.note(number, reply)
            yield self.pause()


class Subscriber(Client):
    """Notes which messages came, and when."""

    def __init__(self, name):
        super().__init__(name, patient=True)
        self.messages = []  # (number, when)

    def script(self):
        yield Exchange(("SUBSCRIBE", CHANNEL))
        while True:
            message, = yield Exchange(replies=1)
            self.messages.append((int(message[2]), self.answered_at))


class Blocked(Client):
    """One BLPOP that nobody serves until the end."""

    def __init__(self, name):
        super().__init__(name, patient=True)
        self.reply = None

    def script(self):
        self.reply, = yield Exchange(("BLPOP", f"late:{self.name}", 0))
        while True:
            yield Pause(0.5)


class Idle(Client):
    """Connected, and silent until it is asked at the end."""

    def __init__(self, name):
        super().__init__(name)
        self.asked = False
        self.reply = None

    def script(self):
        yield Exchange(("ECHO", "hello"))
        while not self.asked:
            yield Pause(0.2)
        self.reply, = yield Exchange(("EXISTS", "nothing"))
        while True:
            yield Pause(0.5)


# How many of each; the whole is what the promises name: 64 busy, 1000 idle, 32 subscribed, 16 blocked.
FULL = {"counter": 20, "pipeline": 6, "pusher": 12, "queue": 4, "transaction": 8, "optimist": 6, "reader": 3,
        "publisher": 1, "subscriber": 32, "blocked": 16, "idle": 1000}
SMALL = {"counter": 8, "pipeline": 3, "pusher": 5, "queue": 2, "transaction": 4, "optimist": 3, "reader": 2,
         "publisher": 1, "subscriber": 8, "blocked": 4, "idle": 100}
SIMPLE = {"counter": Counter, "pipeline": Pipeline, "pusher": Pusher, "transaction": Transaction, "optimist": Optimist,
          "reader": Reader, "publisher": Publisher}


class Load:
    """All clients of one run. `period`: the mean time between two commands of one busy client."""

    def __init__(self, endpoint, seed, counts, period=0.02):
        self.endpoint = endpoint
        self.loop = ClientLoop(endpoint)
        rng = random.Random(seed)
        for kind, make in SIMPLE.items():
            for number in range(counts.get(kind, 0)):
                self._add(make(f"{kind}-{number}", random.Random(rng.random()), period))
        for number in range(counts.get("queue", 0)):
            key = f"queue:{number}"
            self._add(Pusher(f"producer-{number}", random.Random(rng.random()), period, key))
            self._add(Popper(f"consumer-{number}", rng, key))
        for kind, make in (("subscriber", Subscriber), ("blocked", Blocked), ("idle", Idle)):
            for number in range(counts.get(kind, 0)):
                self._add(make(f"{kind}-{number}"))

    def _add(self, client):
        self.loop.add(client)

    @property
    def clients(self):
        return self.loop.clients

    def of(self, *kinds):
        return [client for client in self.clients if isinstance(client, kinds)]

    def busy(self):
        """Those that write all the time: every pause of theirs is one of the service."""
        return [client for client in self.of(Writing) if not isinstance(client, (Popper, Optimist))]

    def start(self):
        self.loop.start()
        wait_until(lambda: all(len(client.acknowledged) >= 10 for client in self.of(Writing)), 30, "the clients to run")

    def wait_for_writes(self, timeout=40.0):
        """Until every busy client that still has its connection was answered twice more."""
        before = {client.name: len(client.acknowledged) for client in self.busy()}

        def answered():
            self.loop.blame()
            return all(c.broken or len(c.acknowledged) >= before[c.name] + 2 for c in self.busy())
        wait_until(answered, timeout, "every client to be answered again")

    def last_orders(self, timeout=15.0):
        """Serves the blocked clients, asks the idle ones, and waits for all of them and the subscribers."""
        with RawClient(self.endpoint, timeout) as client:
            for blocked in self.of(Blocked):
                client.command("RPUSH", f"late:{blocked.name}", blocked.name)
        for idle in self.of(Idle):
            idle.asked = True

        published = max((item for p in self.of(Publisher) for item, _ in p.acknowledged), default=0)

        def served():
            return all(c.broken or c.reply is not None for c in self.of(Blocked, Idle)) and \
                all(c.broken or (c.messages and c.messages[-1][0] >= published) for c in self.of(Subscriber))
        try:
            wait_until(served, timeout, "the blocked, subscribed and idle clients to be answered")
        except AssertionError:
            pass  # the checker says who was not

    def finish(self):
        self.loop.finish()
        for client in self.of(Writing):
            if client.waiting is not None and not client.patient:
                client.unanswered.append(None)
