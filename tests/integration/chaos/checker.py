"""Judges a run: what the clients were told against what the servers have in the end.

    final <= acknowledged + uncertain            nothing runs twice
    acknowledged <= final, but for what replication lost   counted, with the time between acknowledgement and fault
"""

from chaos import workloads
from resp_client import ReplyError

LAG_MARGIN = 0.02  # seconds: the lag is sampled each 5 ms, on a machine that does other things


class Verdict:
    """What one run showed."""

    def __init__(self):
        self.violations = []
        self.acknowledged = 0
        self.uncertain = 0
        self.refused = 0
        self.lost = []        # (client, item, when it was acknowledged)
        self.redelivered = 0  # items popped twice: a pop that replication lost
        self.vanished = 0     # items popped for a client whose link broke
        self.kept = 0
        self.connections = 0
        self.errors = {}      # text: how often
        self.stray_writes = 0
        self.lost_age_max = None

    def blame(self, sentence):
        self.violations.append(sentence)


def judge(load, master, observer, faults, expectation):
    """`master`: the server that is the master in the end; `faults`: when each fault was injected."""
    verdict = Verdict()
    explained = _Explained(faults, observer.lag() + LAG_MARGIN, expectation)
    _connections(load, expectation, verdict)
    with master.client() as reader:
        for client in load.of(workloads.Writing):
            _answers(client, expectation, verdict)
            _CHECKS.get(type(client), lambda *_: None)(client, reader, verdict)
        for producer in load.of(workloads.Pusher):
            consumer = next((c for c in load.of(workloads.Popper) if c.key == producer.key), None)
            if consumer:
                _queue(producer, consumer, reader, explained, verdict)
    _losses(explained, expectation, verdict)
    verdict.stray_writes = observer.stray_writes()
    if verdict.stray_writes > expectation.strays_max(_in_flight(load, observer, faults)):
        verdict.blame(f"a deposed master executed {verdict.stray_writes} writes of ours")
    if observer.looks_at_deposed() < expectation.looks_min:
        verdict.blame(f"the deposed master was seen as a master only {observer.looks_at_deposed()} times")
    return verdict


def _in_flight(load, observer, faults):
    """Writes that were on their way when a link was lost: a frozen or cut server executes them when it can. Those that were
    answered between the last look at the server and the fault are among what is counted since that look."""
    since, until = observer.deposed_asked_at() or faults[0], faults[-1] + LAG_MARGIN
    pops = len(load.of(workloads.Popper, workloads.Blocked))
    return pops + sum(client.writes * (len(client.uncertain) + sum(since <= when <= until for _, when in client.acknowledged))
                      for client in load.of(workloads.Writing))


class _Explained:
    """Whether asynchronous replication explains that a write was lost: it was acknowledged within the lag before a fault,
    or while the fault itself made the servers diverge."""

    def __init__(self, faults, lag, expectation):
        self.faults = faults
        self.lag = lag
        self.expectation = expectation

    def age(self, when):
        """Seconds from the acknowledgement to the first fault that can explain it, or to the last one."""
        later = [fault - when for fault in self.faults if fault - when >= -self.expectation.diverging]
        return min(later, default=self.faults[-1] - when)

    def __call__(self, when):
        return -self.expectation.diverging <= self.age(when) <= self.lag


def _connections(load, expectation, verdict):
    for client in load.clients:
        verdict.connections += 1
        if client.broken:
            verdict.blame(f"{client.name} lost its connection: {client.broken[1]}")
        else:
            verdict.kept += 1
    for client in load.of(workloads.Blocked, workloads.Idle):
        told_so = expectation.hold_may_end and str(client.reply).startswith("MASTERDOWN fairlead")
        if not client.broken and not told_so and (client.reply is None or isinstance(client.reply, ReplyError)):
            verdict.blame(f"{client.name} was answered {client.reply!r}")
    published = max((item for p in load.of(workloads.Publisher) for item, _ in p.acknowledged), default=0)
    for client in load.of(workloads.Subscriber):
        numbers = [number for number, _ in client.messages]
        if any(later <= sooner for sooner, later in zip(numbers, numbers[1:])):
            verdict.blame(f"{client.name} received messages twice or out of order")
        if not client.broken and (not numbers or numbers[-1] < published):
            verdict.blame(f"{client.name} last received {numbers[-1:]}, but {published} was published")


def _answers(client, expectation, verdict):
    verdict.acknowledged += len(client.acknowledged)
    verdict.uncertain += len(client.uncertain)
    verdict.refused += len(client.refused)
    for _, _, text in client.refused + client.unexpected:
        kind = text.split(":")[0][:60]
        verdict.errors[kind] = verdict.errors.get(kind, 0) + 1
    for _, _, text in client.unexpected:
        verdict.blame(f"{client.name} was answered {text}")
    for _, _, text in client.refused:
        if text.startswith("MASTERDOWN") and not expectation.hold_may_end:
            verdict.blame(f"{client.name} was answered {text}")
    if client.unanswered:
        verdict.blame(f"{client.name} was never answered")
    allowed = client.depth * expectation.links_lost
    if isinstance(client, workloads.Reader):
        allowed = 0
    if len(client.uncertain) > allowed:
        verdict.blame(f"{client.name} got {len(client.uncertain)} UNCERTAIN; {allowed} could be in flight")


def _numbers(client, final, verdict, what):
    """One counter that only this client raises: `acknowledged` holds the values it was told, in order."""
    uncertain = [when for _, when in client.uncertain]
    lowest_later = final + 1
    for value, when in reversed(client.acknowledged):
        # A value that a later answer, or the end, does not exceed was taken back: the write is lost.
        if value >= lowest_later:
            verdict.lost.append((client.name, value, when))
        lowest_later = min(value, lowest_later)
    before_value, before_when = 0, 0.0
    for value, when in client.acknowledged:
        in_between = sum(before_when <= moment <= when for moment in uncertain)
        if value - before_value - 1 > in_between:
            verdict.blame(f"{what} of {client.name} went from {before_value} to {value} with {in_between} uncertain")
        before_value, before_when = value, when
    if final > len(client.acknowledged) + len(client.uncertain) + len(client.unanswered) * client.depth:
        verdict.blame(f"{what} of {client.name} is {final}: {len(client.acknowledged)} acknowledged and "
                      f"{len(client.uncertain)} uncertain; something ran twice")


def _counter(client, reader, verdict):
    _numbers(client, int(reader.command("GET", f"counter:{client.name}") or 0), verdict, "the counter")


def _transaction(client, reader, verdict):
    first, second = (int(value or 0) for value in
                     reader.command("MGET", f"pair:a:{client.name}", f"pair:b:{client.name}"))
    if first != second:
        verdict.blame(f"the transactions of {client.name} were executed in part: {first} and {second}")
    _numbers(client, first, verdict, "the pair")


def _items(client, found, verdict):
    """A list of unique items, in the order in which this client sent them."""
    if len(set(found)) != len(found):
        verdict.blame(f"{client.name}: items are there twice; something ran twice")
    if found != sorted(found):
        verdict.blame(f"{client.name}: items are out of order")
    present = set(found)
    known = {item for item, _ in client.acknowledged} | {item for item, _ in client.uncertain}
    unknown = sorted(present - known)
    # The last command may still be unanswered when the run ends.
    if len(unknown) > len(client.unanswered):
        verdict.blame(f"{client.name}: {unknown[:5]} are there, though they were refused")
    verdict.lost += [(client.name, item, when) for item, when in client.acknowledged if item not in present]


def _pusher(client, reader, verdict):
    if client.key.startswith("list:"):
        _items(client, [int(item) for item in reader.command("LRANGE", client.key, 0, -1)], verdict)


def _optimist(client, reader, verdict):
    value = int(reader.command("GET", f"watched:{client.name}") or 0)
    found = [int(item) for item in reader.command("LRANGE", f"log:{client.name}", 0, -1)]
    if found != list(range(1, value + 1)):
        verdict.blame(f"{client.name}: value {value} and log {found[-5:]} disagree; a transaction ran in part or twice")
    present = set(found)
    lost = [(client.name, item, when) for item, when in client.acknowledged if item not in present]
    # A number that was lost is written again later: it shows as acknowledged twice.
    seen = {}
    for item, when in client.acknowledged:
        if item in seen:
            lost.append((client.name, item, seen[item]))
        seen[item] = when
    verdict.lost += lost


def _queue(producer, consumer, reader, explained, verdict):
    """Each item is popped once, or still there. A broken link may take one with it; a lost pop brings one back."""
    remaining = [int(item) for item in reader.command("LRANGE", producer.key, 0, -1)]
    popped = [item for item, _ in consumer.acknowledged]
    everything = popped + remaining
    verdict.redelivered += len(everything) - len(set(everything))
    if len(set(remaining)) != len(remaining):
        verdict.blame(f"{producer.key}: items are there twice; something ran twice")
    acknowledged = {item for item, _ in producer.acknowledged}
    known = acknowledged | {item for item, _ in producer.uncertain}
    if set(everything) - known and not producer.unanswered:
        verdict.blame(f"{producer.key}: {sorted(set(everything) - known)[:5]} were refused, yet executed")
    gone = acknowledged - set(everything)
    verdict.vanished += sum(item in gone and not explained(when) for item, when in producer.acknowledged)


_CHECKS = {workloads.Counter: _counter, workloads.Pipeline: _counter, workloads.Pusher: _pusher,
           workloads.Transaction: _transaction, workloads.Optimist: _optimist}


def _losses(explained, expectation, verdict):
    """Which lost writes replication explains, and whether the scenario may lose any."""
    for name, item, when in verdict.lost:
        age = explained.age(when)
        verdict.lost_age_max = age if verdict.lost_age_max is None else max(age, verdict.lost_age_max)
        if expectation.loss == "none" or (expectation.loss == "lag" and not explained(when)):
            verdict.blame(f"lost: {item} of {name}, acknowledged {age:.3f} s before the fault "
                          f"(replication lag up to {explained.lag:.3f} s)")
    if verdict.redelivered and expectation.loss == "none":
        verdict.blame(f"{verdict.redelivered} items were popped twice")
    allowed = expectation.links_lost * expectation.consumers
    if expectation.loss != "any" and verdict.vanished > allowed:
        verdict.blame(f"{verdict.vanished} items were pushed and never popped; {allowed} pops could be in flight")
