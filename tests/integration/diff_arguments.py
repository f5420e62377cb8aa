"""Argument lists for any command, from what the server itself says of it (COMMAND INFO and COMMAND DOCS): mostly what it
asks for, sometimes a key of another type, too few or too many words, or junk."""

# Keys of each type; every call finds them as they are here. A set of words has one member: with more, their order differs
# from process to process.
PREPARATION = [
    ["FLUSHALL"], ["SET", "string", "hello world"], ["SET", "number", "10"], ["SETRANGE", "bits", "3", "ab"],
    ["RPUSH", "list", "a", "b", "c", "b", "1"], ["RPUSH", "list2", "x"], ["SADD", "set", "1", "2", "3"],
    ["SADD", "set2", "2", "3", "4"], ["SADD", "words", "one"], ["HSET", "hash", "f", "1", "g", "text", "h", "2.5"],
    ["ZADD", "zset", "1", "a", "2", "b", "3.5", "c"], ["ZADD", "zset2", "1", "b", "5", "d"],
    ["GEOADD", "geo", "13.361389", "38.115556", "Palermo", "15.087269", "37.502669", "Catania"],
    ["PFADD", "hll", "a", "b", "c"], ["PFADD", "hll2", "c", "d"], ["XADD", "stream", "1-1", "f", "v"],
    ["XADD", "stream", "2-1", "f", "w"], ["XGROUP", "CREATE", "stream", "group", "0"],
    ["XREADGROUP", "GROUP", "group", "consumer", "COUNT", "1", "STREAMS", "stream", ">"],
]
KEYS_OF_GROUP = {
    "string": ["string", "number"], "list": ["list", "list2"], "set": ["set", "set2", "words"], "hash": ["hash"],
    "sorted-set": ["zset", "zset2"], "geo": ["geo"], "bitmap": ["bits", "string"], "hyperloglog": ["hll", "hll2"],
    "stream": ["stream"],
}
ALL_KEYS = [key for keys in KEYS_OF_GROUP.values() for key in keys] + ["missing", "missing2", ""]
WORDS = ["a", "b", "f", "g", "one", "1", "2", "-1", "0", "x y", "", "Palermo", "group", "consumer", "1-1", "0-0", "*x*", "é",
         "\r\n", "\0", "10.5", "nan", "inf", "return 1", "return KEYS[1]", "9223372036854775807", "[a", "(1", "+", "-"]
INTEGERS = ["0", "1", "2", "3", "-1", "-2", "5", "100"]
ODD_INTEGERS = ["", "x", "1.5", "9223372036854775808", " 1", "-9223372036854775808"]
DOUBLES = ["0", "1.5", "-2", "3e2", "inf", "-inf", "nan", "x"]
# Arguments by their name in COMMAND DOCS, where any word would make the call wait, never be accepted, or differ by time.
BY_NAME = {
    "timeout": ["0.01"], "milliseconds": ["5"], "numreplicas": ["0", "1"], "script": ["return 1", "return {KEYS,ARGV}", "return x("],
    "numkeys": ["0", "1", "2", "-1"], "cursor": ["0"], "group": ["group", "nogroup"], "consumer": ["consumer", "other"],
    "longitude": ["13.5", "200"], "latitude": ["38", "x"], "host": ["127.0.0.1"], "port": ["1"], "index": INTEGERS,
    "bit": ["0", "1", "2"], "offset": ["0", "7", "100", "-1"], "protover": ["2", "3", "4"], "username": ["user1", "user2"],
    "subcommand": ["GET"], "categoryname": ["string", "nosuch"], "client-id": ["999999"], "id": ["1-1", "2-1", "0", "5-0"],
}
# The same for one command. A cursor is where a hash table's walk stopped, which differs from process to process.
BY_COMMAND = {("wait", "timeout"): ["1", "10"]} | {
    (name, "count"): ["100"] for name in ("scan", "sscan", "hscan", "zscan")}
REPEATS_MAX = 3
DEPTH_MAX = 4


class Arguments:
    """Makes calls of one command; `docs` is its entry of COMMAND DOCS."""

    def __init__(self, rng, name, docs):
        self.rng = rng
        self.words = name.split("|")
        self.name = name
        self.docs = docs
        self.keys = KEYS_OF_GROUP.get(docs.get(b"group", b"").decode(), ALL_KEYS)

    def call(self):
        choice = self.rng.random()
        if choice < 0.12:
            return self.words + [self.word() for _ in range(self.rng.randrange(5))]
        arguments = self.of_all(self.docs.get(b"arguments", []), 0)
        if choice < 0.2 and arguments:
            del arguments[self.rng.randrange(len(arguments))]
        elif choice < 0.28:
            arguments.insert(self.rng.randrange(len(arguments) + 1), self.word())
        return self.words + arguments

    def word(self):
        return self.rng.choice(WORDS + ALL_KEYS)

    def of_all(self, arguments, depth):
        return [word for argument in arguments for word in self.of_one(argument, depth)]

    def of_one(self, argument, depth):
        flags = argument.get(b"flags", [])
        if (b"optional" in flags or depth > DEPTH_MAX) and self.rng.random() < 0.6:
            return []
        token = [argument[b"token"].decode()] if b"token" in argument else []
        repeats = self.rng.randrange(1, REPEATS_MAX + 1) if b"multiple" in flags else 1
        words = []
        for number in range(repeats):
            if token and (number == 0 or b"multiple_token" in flags):
                words += token
            words += self.value(argument, depth)
        return words

    def value(self, argument, depth):
        kind = argument.get(b"type", b"string").decode()
        name = argument.get(b"name", b"").decode()
        if kind == "pure-token":
            return []
        if kind == "oneof":
            return self.of_one(self.rng.choice(argument[b"arguments"]), depth + 1)
        if kind == "block":
            return self.of_all(argument[b"arguments"], depth + 1)
        if kind == "key":
            return [self.rng.choice(self.keys if self.rng.random() < 0.75 else ALL_KEYS)]
        if (self.name, name) in BY_COMMAND:
            return [self.rng.choice(BY_COMMAND[self.name, name])]
        if name in BY_NAME:
            return [self.rng.choice(BY_NAME[name])]
        if kind == "integer":
            return [self.rng.choice(INTEGERS if self.rng.random() < 0.85 else ODD_INTEGERS)]
        if kind == "double":
            return [self.rng.choice(DOUBLES)]
        if kind == "unix-time":
            return [self.rng.choice(["33177117420", "1", "33177117420000"])]
        if kind == "pattern":
            return [self.rng.choice(["*", "s*", "[a", "?"])]
        return [self.word()]
