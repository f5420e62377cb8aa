"""What clients may say, as a grammar: valid commands in all their encodings, every kind of bad input of the protocol
and the states that commands lead to. Each conversation uses keys and channels of its own, so that any number of them can
run at once and two servers of equal content must answer alike."""

from resp_client import encode

PASSWORD = "secret"
# Redis allows 64 KiB for one header or inline line, and looks each time it has received 16 KiB more: only lengths that are
# clearly under or over do not depend on how the bytes arrive.
HEADER_LENGTHS = [60_000, 100_000]

BAD_COUNTS = [b"2147483648", b"a", b"+1", b"01", b" 1", b"", b"-0", b"1 ", b"99999999999999999999", b"1\x00", b"--1",
              b"0x1", b"1.0"]
WAITING_COUNTS = [b"2147483647", b"1048577", b"1024"]
SKIPPED_COUNTS = [b"0", b"-1", b"-2147483648"]
BAD_LENGTHS = [b"-1", b"a", b"536870913", b"+1", b"01", b"", b" 1", b"99999999999999999999"]
LINES = [b"", b"   ", b"\t", b"PING", b"ping", b'PING "a b"', b"PING 'it\\'s'", b'ECHO "\\x41\\n\\t\\"\\z"', b'PING "ax\\xff"',
         b'SET a "x', b"SET a 'x", b'GET "a"b', b"GET 'a'b", b'""', b"''", b'"" a', b"PI\0NG", b"\0", b"NOSUCH a b", b"EXEC",
         b"POST / HTTP/1.1", b"post", b"Host: x", b"host:", b"GET / HTTP/1.1", b"\xff\xfe", b'"PING"', b"PING\r", b"+OK",
         b"$4", b":1", b"-ERR", b"%1", b">1"]


# Differences that are meant, each with its reason. The grammar does not say these words where they would show.
# In MULTI: what a shared link must not learn from a queue that another server may have to take over.
NOT_IN_MULTI = {"HELLO", "AUTH", "SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"}
# While subscribed, subscriptions would have to move to a connection of the other protocol; while watching, the watches
# would, and EXEC answers null instead.
BOUND_TO_PROTOCOL = {"HELLO"}
SUBSCRIBE = {"SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE"}


class Input(bytes):
    """One input. `words` is what it says when it is a command, whatever its form."""

    words = ()


class State:
    """What a conversation may have led to, as far as comparing what follows is concerned."""

    def __init__(self):
        self.in_multi = False
        self.bound = False  # subscribed or watching
        self.doubtful = False

    def comparable(self, words):
        name = words[0].upper()
        in_multi, bound = self.in_multi or self.doubtful, self.bound or self.doubtful
        return not (in_multi and name in NOT_IN_MULTI) and not (bound and name in BOUND_TO_PROTOCOL)

    def note(self, words):
        name, alone = words[0].upper(), len(words) == 1
        if name == "RESET" and alone:
            self.in_multi = self.bound = False
        elif name == "MULTI" and alone:
            self.in_multi = True
        elif name == "EXEC" or (name == "DISCARD" and alone):
            self.in_multi = False
        elif name in SUBSCRIBE or name == "WATCH":
            self.bound = True

    def doubt(self):
        """Nobody knows what was said: only what is always comparable may follow."""
        self.doubtful = True


def all_comparable(inputs):
    """Whether no difference that is meant can show."""
    state = State()
    for one in inputs:
        words = getattr(one, "words", ())
        if words and not state.comparable(words):
            return False
        if words:
            state.note(words)
    return True


class Grammar:
    """Makes inputs from one source of randomness; `number` keeps its keys apart from all others'."""

    def __init__(self, rng, number, login=False):
        self.rng = rng
        self.number = number
        self.login = login
        self.state = State()

    def key(self):
        return f"k{self.number}:{self.rng.randrange(3)}"

    def channel(self):
        return f"c{self.number}:{self.rng.randrange(3)}"

    def word(self):
        rng = self.rng
        return rng.choice(["", "x", "1", "-1", "a b", "\r\n", "value", "9" * 20, "\0", "x" * rng.randrange(300), "10"])

    def conversation(self):
        """A list of inputs. Few of them go on behind an input that ends or stops the connection."""
        rng = self.rng
        inputs = []
        if self.login and rng.random() < 0.7:
            inputs.append(self.login_command())
        for _ in range(rng.randrange(1, 24)):
            inputs.append(self.valid())
        if rng.random() < 0.02:
            inputs.append(self.endless())
        elif rng.random() < 0.6:
            inputs.append(self.bad())
            self.state.doubt()
            inputs.extend(self.valid() for _ in range(rng.randrange(3)))
        return inputs

    def valid(self):
        """One input that leaves the connection usable, most of the time."""
        choice = self.rng.random()
        if choice < 0.5:
            return self.command(self.data_command)
        if choice < 0.65:
            return self.command(self.transaction_command)
        if choice < 0.75:
            return self.command(self.subscription_command)
        if choice < 0.9:
            return self.command(self.connection_command)
        if choice < 0.93:
            return b"*%s\r\n" % self.rng.choice(SKIPPED_COUNTS)
        if choice < 0.94 and self.login and self.state.comparable(["HELLO"]):
            return self.login_command()
        return self.rng.choice(LINES) + self.rng.choice([b"\r\n", b"\n"])

    def command(self, make):
        """A command whose difference is not meant, in one of its forms."""
        words = make()
        while not self.state.comparable(words):
            words = make()
        self.state.note(words)
        made = Input(self.encoded(words))
        made.words = tuple(words)
        return made

    def encoded(self, words):
        """The same command in one of the forms that Redis accepts."""
        choice = self.rng.random()
        if choice < 0.6:
            return encode(*words)
        if choice < 0.75:
            return b" ".join(self.quoted(word) for word in words) + self.rng.choice([b"\r\n", b"\n"])
        # Redis skips two bytes behind each bulk and one behind each header's CR, whatever they are.
        data = [word.encode() for word in words]
        junk = self.rng.choice([b"\r\n", b"xx", b"\n\r", b"*1", b"\0\0"])
        feed = self.rng.choice([b"\n", b"x", b"\r", b"\0"])
        return b"*%d\r%s" % (len(data), feed) + b"".join(b"$%d\r%s%s%s" % (len(d), feed, d, junk) for d in data)

    def quoted(self, word):
        special = any(c in word for c in " \"'\\\r\n\t\0") or not word
        if not special and self.rng.random() < 0.5:
            return word.encode()
        if self.rng.random() < 0.3 and not any(c in word for c in "\r\n\0\\"):
            return b"'" + word.replace("'", "\\'").encode() + b"'"
        return b'"' + b"".join(b"\\x%02x" % c if c < 32 or c in b'"\\' else bytes([c]) for c in word.encode()) + b'"'

    def data_command(self):
        rng, key, word = self.rng, self.key(), self.word()
        return rng.choice([
            ["SET", key, word], ["GET", key], ["get", key], ["INCR", key], ["APPEND", key, word], ["STRLEN", key],
            ["DEL", key], ["EXISTS", key, self.key()], ["TYPE", key], ["LPUSH", key, word, "b"], ["LRANGE", key, "0", "-1"],
            ["RPOP", key], ["HSET", key, "f", word], ["HGETALL", key], ["SADD", key, "m"], ["SMEMBERS", key],
            ["ZADD", key, "1.5", "m"], ["ZRANGE", key, "0", "-1", "WITHSCORES"], ["ZSCORE", key, "m"], ["MGET", key, self.key()],
            ["MSET", key, word, self.key(), "2"], ["GETDEL", key], ["SETRANGE", key, "3", "x"], ["PERSIST", key], ["GET"],
            ["GET", key, "extra"], ["SET", key], ["NOSUCH", word, key], ["EVAL", "return {1,{KEYS[1]},false,ARGV[1]}", "1", key, word],
            ["EVAL", "return redis.call('get',KEYS[1])", "1", key], ["EVAL", "return redis.error_reply('MY own')", "0"],
            ["LPUSH", key, "x"], ["BLPOP", key, "0"], ["XADD", key, "1-1", "f", word], ["XRANGE", key, "-", "+"],
            ["OBJECT", "ENCODING", key], ["SORT", key], ["BITCOUNT", key], ["WAIT", "0", "0"], ["OBJECT", "NOSUCH", key],
            ["GET", word], ["", word], [word], ["LLEN", key], ["INCRBYFLOAT", key, "0.5"], ["SET", key, "1", "NX", "GET"],
        ])

    def transaction_command(self):
        key = self.key()
        return self.rng.choice([["MULTI"], ["MULTI"], ["EXEC"], ["EXEC"], ["DISCARD"], ["WATCH", key], ["UNWATCH"],
                                ["MULTI", "x"], ["EXEC", "x"], ["DISCARD", "x"], ["WATCH"], ["UNWATCH", "x"]])

    def subscription_command(self):
        channel, other = self.channel(), self.channel()
        return self.rng.choice([["SUBSCRIBE", channel], ["SUBSCRIBE", channel, other], ["PSUBSCRIBE", channel + "*"],
                                ["UNSUBSCRIBE", channel], ["UNSUBSCRIBE"], ["PUNSUBSCRIBE"], ["PUNSUBSCRIBE", channel + "*"],
                                ["SSUBSCRIBE", channel], ["SUNSUBSCRIBE"], ["PUBLISH", channel, "m"], ["SUBSCRIBE"],
                                ["UNSUBSCRIBE"], ["UNSUBSCRIBE"], ["PUNSUBSCRIBE"]])

    def connection_command(self):
        rng, word = self.rng, self.word()
        return rng.choice([["PING"], ["PING", word], ["PING", "a", "b"], ["ECHO", word], ["ECHO"], ["SELECT", "1"], ["SELECT", "0"],
                           ["SELECT", "16"], ["SELECT", word], ["SELECT"], ["HELLO"], ["HELLO", "2"], ["HELLO", "3"], ["HELLO", word],
                           ["HELLO", "3", "SETNAME", "n"], ["HELLO", "3", word], ["HELLO", "2", "AUTH", "default", "x"],
                           ["HELLO", "4"], ["RESET"], ["RESET", "x"], ["CLIENT", "SETNAME", word], ["CLIENT", "GETNAME"],
                           ["CLIENT"], ["CLIENT", "NOSUCH"], ["CLIENT", "GETNAME", "x"], ["AUTH"],
                           ["AUTH", "default", "x"], ["AUTH", "a", "b", "c"], ["ECHO", "x" * rng.randrange(20_000)],
                           ["QUIT"] if rng.random() < 0.1 else ["PING"]])

    def login_command(self):
        return encode(*self.rng.choice([["AUTH", PASSWORD], ["AUTH", PASSWORD], ["AUTH", "default", PASSWORD],
                                        ["AUTH", "wrong"], ["AUTH", "nobody", PASSWORD], ["HELLO", "3"],
                                        ["HELLO", "3", "AUTH", "default", PASSWORD], ["HELLO", "2", "AUTH", "default", PASSWORD],
                                        ["HELLO", "3", "AUTH", "default", "wrong"], ["HELLO", "3", "AUTH", "default"]]))

    def bad(self):
        """One input that Redis refuses, or waits behind."""
        rng = self.rng
        return rng.choice([
            lambda: b"*%s\r\n" % rng.choice(BAD_COUNTS),
            lambda: b"*%s\r\n" % rng.choice(WAITING_COUNTS),
            lambda: b"*1\r\n$%s\r\n" % rng.choice(BAD_LENGTHS),
            lambda: b"*2\r\n$4\r\nECHO\r\n$%s\r\n" % rng.choice(BAD_LENGTHS),
            lambda: b"*1\r\n$536870912\r\n",
            lambda: b"*2\r\n$4\r\nECHO\r\n" + bytes([rng.randrange(256)]) + b"4\r\nabcd\r\n",
            lambda: b"*11\r\n", lambda: b"*10\r\n", lambda: b"*1\r\n$16385\r\n", lambda: b"*1\r\n$16384\r\n",
            lambda: b"*1\n$4\nPING\n",
            lambda: rng.choice(LINES) + b"\r\n",
            lambda: bytes(rng.choice(b"*$+-:\r\n 019aP\"'\\\0") for _ in range(rng.randrange(40))),
            lambda: bytes(rng.randrange(256) for _ in range(rng.randrange(60))),
            lambda: b"*1\r\n$0\r\n\r\n",
            lambda: encode("QUIT"),
            lambda: self.damaged(),
        ])()

    def damaged(self):
        """A command with one byte changed, left out or put in."""
        data = bytearray(encode(*self.data_command()))
        at = self.rng.randrange(len(data))
        choice = self.rng.randrange(3)
        if choice == 0:
            data[at] = self.rng.randrange(256)
        elif choice == 1:
            del data[at]
        else:
            data.insert(at, self.rng.choice(b"*$\r\n0 \0"))
        return bytes(data)

    def endless(self):
        """Always the last: with a line's end behind it, it depends on how the bytes arrive what Redis sees first."""
        return self.rng.choice([b"*", b"*1\r\n$", b"PING "]) + b"1" * self.rng.choice(HEADER_LENGTHS)
