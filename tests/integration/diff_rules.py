"""What of Redis' commands is not compared, and what is made alike before it is, each with its reason."""

import re

NOT_COMPARED = {
    # Refused by fairlead, which the client is told with NOPERM.
    "shutdown": "refused", "replicaof": "refused", "slaveof": "refused", "failover": "refused", "debug": "refused",
    "sync": "refused", "psync": "refused", "replconf": "refused", "module|load": "refused", "module|loadex": "refused",
    "module|unload": "refused",
    # The clients and connections they speak of are the proxy's on one side.
    "client|id": "numbers its own clients", "client|info": "its own clients", "client|list": "its own clients",
    "client|kill": "its own clients", "client|pause": "stops all clients, those of other tests included",
    "client|reply": "its calls have no reply to compare", "monitor": "shows other clients' commands with their times",
    "script|debug": "turns the connection into a debugger's",
    # What they say depends on when they are asked, not on who asks.
    "bgsave": "whether the last one has ended", "bgrewriteaof": "whether the last one has ended",
    "save": "whether one is running", "acl|log": "times and connections", "slowlog|get": "times", "slowlog|len": "times",
    "latency|histogram": "times", "memory|malloc-stats": "addresses", "memory|doctor": "how much memory is in use",
    "lolwut": "a random picture", "pfselftest": "takes seconds", "info": "counters of everything",
    "config|set": "random settings may end the server; test_config_set has chosen ones",
    "config|rewrite": "writes the settings of one server", "config|get": "ports and paths; test_config_set has chosen ones",
    # Meant to differ: see the README.
    "hello": "test_wire compares it: the id is the proxy's",
}
ADMIN_CLUSTER_READS = {"cluster|count-failure-reports", "cluster|replicas", "cluster|slaves"}

# Hash tables are walked in an order that differs from process to process: elements are sorted on both sides.
UNORDERED = {"keys", "scan", "smembers", "sunion", "sdiff", "sinter", "sscan", "command", "command|docs", "command|list",
             "command|info", "pubsub|channels", "pubsub|shardchannels", "function|list", "hgetall", "hkeys", "hvals", "sort",
             "sort_ro", "acl|cat"}
# Chosen at random, so that only the shape of the reply is the same.
RANDOM = {"spop", "srandmember", "hrandfield", "zrandmember", "randomkey", "acl|genpass"}
# Times and sizes: numbers are made zero.
NUMBERS = {"time", "lastsave", "memory|stats", "xinfo|consumers", "xinfo|stream", "xpending", "object|idletime",
           "latency|latest", "latency|history", "function|stats", "memory|usage", "role", "pttl", "ttl"}
STREAM_ID_OF_NOW = re.compile(rb"\d{13}-\d+")


def not_compared(name, flags):
    """Why a command is left out; empty when it is not."""
    if name in NOT_COMPARED:
        return NOT_COMPARED[name]
    if name.startswith("cluster|") and "admin" in flags and name not in ADMIN_CLUSTER_READS:
        return "refused"
    return ""


def made_alike(name, frames):
    """The frames of one answer, ready to be compared."""
    if name in UNORDERED:
        frames = [ordered(frame) for frame in frames]
    if name in RANDOM:
        frames = [re.sub(rb"\$\d+\r\n[^\r]*\r\n|:\d+\r\n|,[^\r]*\r\n", b"*", frame) for frame in frames]
    if name in NUMBERS:
        frames = [re.sub(rb"\d+", b"0", frame) for frame in frames]
    return [STREAM_ID_OF_NOW.sub(b"now", frame) for frame in frames]


def ordered(frame):
    """The same reply with the elements of every aggregate sorted; elements of maps stay with their keys."""
    node, _ = _read(frame, 0)
    return node


def _read(frame, at):
    end = frame.index(b"\r\n", at) + 2
    kind, rest = frame[at:at + 1], frame[at + 1:end - 2]
    if kind in b"$=!" and rest != b"-1":
        stop = end + int(rest) + 2
        return frame[at:stop], stop
    if kind not in b"*~%>" or rest == b"-1":
        return frame[at:end], end
    head, items, at = frame[at:end], [], end
    for _ in range(int(rest)):
        item, at = _read(frame, at)
        if kind == b"%":
            value, at = _read(frame, at)
            item += value
        items.append(item)
    return head + b"".join(sorted(items)), at
