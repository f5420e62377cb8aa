#!/usr/bin/python3
"""Prints resp/command_table_rows.inc, made from the COMMAND reply of a live redis-server.

    redis-server --port 7000 --save "" &
    resp/make_builtin_table.py 7000 > resp/command_table_rows.inc

The table is committed, so that a build needs no server; run this again to renew it for a newer Redis.
"""
import sys

import redis

COLUMNS = 110
# COMMAND's spelling where it differs from command_flag's.
FLAG_NAMES = {"movablekeys": "movable_keys", "module": "module_command", "protected": "protected_command"}

HEAD = """\
// Made by resp/make_builtin_table.py from the COMMAND reply of redis %s; renew it with that script, not by
// hand. The members of a row are described in command_table_builtin.cpp, the only file that includes this one.
"""


def pairs(flat):
    return dict(zip(flat[0::2], flat[1::2]))


def key_spec_text(flat):
    spec = pairs(flat)
    begin, find = pairs(spec["begin_search"]), pairs(spec["find_keys"])
    b, f = pairs(begin["spec"]), pairs(find["spec"])
    words = [
        {"index": lambda: "%d" % b["index"],
         "keyword": lambda: "%s@%d" % (b["keyword"], b["startfrom"])}.get(begin["type"], lambda: "?")(),
        {"range": lambda: "range:%d,%d,%d" % (f["lastkey"], f["keystep"], f["limit"]),
         "keynum": lambda: "keynum:%d,%d,%d" % (f["keynumidx"], f["firstkey"], f["keystep"])
         }.get(find["type"], lambda: "?")(),
    ]
    if "incomplete" in spec["flags"]:
        words.append("incomplete")
    return " ".join(words)


def row(entry):
    name, arity, flags, first, last, step, categories, _tips, key_specs, _subcommands = entry
    names = " | ".join(FLAG_NAMES.get(flag, flag) for flag in flags) or "0"
    specs = "; ".join(key_spec_text(spec) for spec in key_specs) if "movablekeys" in flags else ""
    head = '{"%s", %d, %s, %d, %d, %d,' % (name, arity, names, first, last, step)
    tail = '"%s", "%s"},' % (" ".join(category.lstrip("@") for category in categories), specs)
    if len(head + " " + tail) <= COLUMNS:
        return head + " " + tail
    return head + "\n    " + tail


def table_text(port):
    """The whole source file, for the server on loopback at `port`."""
    client = redis.Redis(port=port)
    version = client.info("server")["redis_version"]
    connection = redis.Connection(port=port, decode_responses=True)
    connection.connect()
    connection.send_command("COMMAND")
    lines = []
    for entry in sorted(connection.read_response(), key=lambda e: e[0]):
        lines.append(row(entry))
        lines += [row(sub) for sub in sorted(entry[9], key=lambda e: e[0])]
    connection.disconnect()
    major_minor = ".".join(version.split(".")[:2])
    return HEAD % major_minor + "\n".join(lines) + "\n"


if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1].isdigit():
        sys.exit(__doc__)
    sys.stdout.write(table_text(int(sys.argv[1])))
