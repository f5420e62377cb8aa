#!/usr/bin/python3
"""Writes the seed corpora of the fuzz targets: one small file per input, named by its content's hash.

A seed's first byte chooses options of its target; the rest is what a client or a server sends.
"""

import hashlib
import pathlib

COMMANDS = [
    b"*1\r\n$4\r\nPING\r\n",
    b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n" * 3,
    b"PING\r\nPING\n\r\n",
    b'SET "a\\x41\\n" \'b\\\'c\' d"e"f\r\n',
    b'SET a "x\r\n',
    b"\v\fGET\va\r\r\n",
    b"*1\rX$4\rYPINGZZ",
    b"*0\r\n*-1\r\n*1\r\n$1\r\na\r\n",
    b"*2147483648\r\n",
    b"*2147483647\r\n$536870912\r\n",
    b"*1\r\n$-1\r\n",
    b"*1\r\n:4\r\n",
    b"*1\r\n\r\n\r\n",
    b"*11\r\n",
    b"*1\r\n$16385\r\n",
    b"*1\x00\r\nGET",
    b"GE\x00T\r\n",
    b"*" + b"1" * 50,
    b"*1\r\n$" + b"1" * 50,
    b"x" * 50,
    b"POST / HTTP/1.1\r\nHost: a\r\n\r\n",
]

REPLIES = [
    b"+OK\r\n:1\r\n$3\r\nfoo\r\n$-1\r\n*-1\r\n_\r\n",
    b"-MOVED 3999 127.0.0.1:6379\r\n",
    b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n",
    b">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n",
    b"%2\r\n+a\r\n:1\r\n+b\r\n~2\r\n#t\r\n#f\r\n",
    b"|1\r\n+ttl\r\n:3600\r\n*2\r\n|1\r\n+x\r\n_\r\n:2\r\n,1.5\r\n",
    b"(3492890328409238509324850943850943825024385\r\n,inf\r\n,-nan\r\n",
    b"=15\r\ntxt:Some string\r\n!21\r\nSYNTAX invalid syntax\r\n",
    b"*1\r\n" * 40 + b":1\r\n",
    b"*0\r\n%0\r\n~0\r\n>0\r\n|0\r\n+OK\r\n",
    b"+a\rb\nc\r\r\n",
    b":+5\r\n:-9223372036854775808\r\n:9223372036854775808\r\n",
    b"$281474976710656\r\nx",
    b"*281474976710656\r\n" * 3,
    b"$?\r\n;3\r\nfoo\r\n;0\r\n",
    b"*?\r\n:1\r\n.\r\n",
]


def write(directory: pathlib.Path, inputs: list, choices: bytes) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for number, traffic in enumerate(inputs):
        seed = choices[number % len(choices):][:1] + traffic
        (directory / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)


def main() -> None:
    corpus = pathlib.Path(__file__).parent / "corpus"
    write(corpus / "command_reader", COMMANDS, b"\x00\x01\x02\x03\x10")
    write(corpus / "reply_scanner", REPLIES, b"\x00\x01\x05")


if __name__ == "__main__":
    main()
