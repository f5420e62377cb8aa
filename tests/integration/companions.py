"""Clients that are there while others write: idle ones, subscribers, and blocked ones. None of them ever reconnects.

A failover must not be seen by them: afterwards the idle are answered, each subscriber has what was published since the
switch, and each blocked client gets what is pushed for it.
"""

import time

from resp_client import Closed, RawClient, ReplyError, encode

CHANNEL = "companions"
ANSWER_SECONDS = 10.0


class Companions:
    def __init__(self, port, idle, subscribed, blocked):
        self.idle = [RawClient(port, ANSWER_SECONDS) for _ in range(idle)]
        self.subscribed = [RawClient(port, ANSWER_SECONDS) for _ in range(subscribed)]
        self.blocked = {f"companion:{number}": RawClient(port, ANSWER_SECONDS) for number in range(blocked)}
        self.helper = RawClient(port, ANSWER_SECONDS)
        for client in self.idle:
            client.command("EXISTS", "companion")
        for client in self.subscribed:
            client.command("SUBSCRIBE", CHANNEL)
        for key, client in self.blocked.items():
            client.send(encode("BLPOP", key, "0"))
        self.rounds = 0

    def all(self):
        return [*self.idle, *self.subscribed, *self.blocked.values(), self.helper]

    def close(self):
        for client in self.all():
            client.close()

    def judge(self, published):
        """What went wrong, by kind: empty when nobody noticed. `published` was acknowledged, and said after the switch."""
        self.rounds += 1
        wrong = {}
        for kind, check in (("idle", self.judge_idle), ("subscribed", lambda: self.judge_subscribed(published)),
                            ("blocked", self.judge_blocked)):
            count = check()
            if count:
                wrong[kind] = count
        return wrong

    def judge_idle(self):
        wrong = 0
        for client in self.idle:
            try:
                wrong += client.command("EXISTS", "companion") != 0
            except (OSError, Closed, ReplyError):
                wrong += 1
        return wrong

    def judge_subscribed(self, published):
        """The end of what is read is a message of this round's own, published by a client that sees the failover's end."""
        last = b"end of round %d" % self.rounds
        self.helper.command("PUBLISH", CHANNEL, last)
        wrong = 0
        for client in self.subscribed:
            heard = set()
            try:
                while last not in heard:
                    kind, channel, message = client.reply()
                    heard.add(bytes(message))
                    assert (bytes(kind), bytes(channel)) == (b"message", CHANNEL.encode())
                wrong += not heard.issuperset(published)
            except (OSError, Closed, ReplyError):
                wrong += 1
        return wrong

    def judge_blocked(self):
        wrong = 0
        for key, client in self.blocked.items():
            value = b"round %d" % self.rounds
            try:
                self.helper.command("RPUSH", key, value)
                wrong += [bytes(part) for part in client.reply()] != [key.encode(), value]
                client.send(encode("BLPOP", key, "0"))
            except (OSError, Closed, ReplyError, TypeError):
                wrong += 1
        return wrong


class Publisher:
    """What the Writers' loop has to know of one who publishes: numbered messages, and when each was said and answered."""

    def __init__(self, round_name):
        self.round_name = round_name
        self.said = []  # (message, when)
        self.acknowledged = set()

    def command(self):
        message = f"{self.round_name} {len(self.said)}".encode()
        self.said.append((message, time.monotonic()))
        return encode("PUBLISH", CHANNEL, message)

    def answered(self):
        self.acknowledged.add(self.said[-1][0])

    def since(self, when):
        """Acknowledged messages that were said after `when`."""
        return {message for message, said_at in self.said if said_at > when and message in self.acknowledged}
