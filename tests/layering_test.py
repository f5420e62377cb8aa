#!/usr/bin/env python3
"""Reads the includes of every source file and fails when a layer reaches where it must not.

The table is ARCHITECTURE's: resp and the pure parts know only std and what is below them; Asio, hiredis, formatting and
the clock belong to the shells. Files of more than 600 lines fail too. `layering_test.py` checks the repository and then
itself: violations planted in a copy of the rules' input must be found.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LINES_MAX = 600
SOURCES = (".hpp", ".cpp")

# Files of health/ and vrrp/ that talk to the outside. Everything else there is pure.
HEALTH_SHELL = {"control_link", "deadline_timer", "failover_order", "monitor"}
VRRP_SHELL = {"notify_fifo", "ready_file", "address_watch", "guard"}

INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)')
CLOCK = re.compile(r"\b(?:steady_clock|system_clock|high_resolution_clock|Clock)\s*::\s*now\s*\(|\bclock_gettime\b|\bgettimeofday\b")
COMMENT = re.compile(r"//.*$")

# What the C++ standard library has as a header without a dot; everything with a dot comes from C, POSIX or a library.
STD = re.compile(r"^[a-z_]+$")


class Layer:
    """What the files of one layer may include: std, these third-party prefixes, and these of our own headers."""

    def __init__(self, name, ours, third_party=(), pure=True):
        self.name = name
        self.ours = ours
        self.third_party = third_party
        self.pure = pure

    def allows_own(self, header):
        return any(header == entry or (entry.endswith("/") and header.startswith(entry)) for entry in self.ours)

    def allows_foreign(self, header):
        if not self.pure:
            return True
        return bool(STD.match(header)) or header.startswith(self.third_party)


RESP = Layer("resp", ("resp/",))
HEALTH_CORE = Layer("health core", ("resp/", "health/"))
HEALTH_SHELLS = Layer("health shell", ("resp/", "health/"), pure=False)
ENGINE = Layer("engine", ("resp/", "health/topology.hpp", "health/signal.hpp", "health/options.hpp", "proxy/engine/"),
               ("boost/container_hash/", "boost/intrusive/", "boost/unordered/", "boost/unordered_", "boost/uuid/detail/sha1"))
VRRP_CORE = Layer("vrrp core", ("vrrp/",), ("arpa/inet.h", "netinet/in.h"))  # which read addresses
VRRP_SHELLS = Layer("vrrp shell", ("vrrp/",), pure=False)
PROXY = Layer("proxy", ("resp/", "health/", "vrrp/", "proxy/"), pure=False)
SIMULATION = Layer("simulation", ("resp/", "health/", "proxy/engine/", "tests/sim/"), ("catch2/", "boost/unordered"))


def layer_of(path):
    """The layer of a file given by its path from the root, or None when it is nobody's business here."""
    parts = pathlib.PurePosixPath(path).parts
    stem = pathlib.PurePosixPath(path).stem
    if parts[0] == "resp":
        return RESP
    if parts[0] == "health":
        return HEALTH_SHELLS if stem in HEALTH_SHELL else HEALTH_CORE
    if parts[0] == "vrrp":
        return VRRP_SHELLS if stem in VRRP_SHELL else VRRP_CORE
    if parts[:2] == ("proxy", "engine"):
        return ENGINE
    if parts[0] == "proxy":
        return PROXY
    if parts[:2] == ("tests", "sim"):
        return SIMULATION
    return None


def own_header(header):
    return header.split("/")[0] in ("resp", "health", "vrrp", "proxy", "tests", "bench")


def check_include(path, layer, quoted, header):
    """A sentence about what is wrong with this include, or None."""
    if quoted and not own_header(header):
        return f'includes "{header}": write our own headers from the root and others in angle brackets'
    if own_header(header):
        if not layer.allows_own(header):
            return f"includes {header}, which the layer '{layer.name}' must not know"
        target = layer_of(header)
        if layer is HEALTH_CORE and target is HEALTH_SHELLS or layer is VRRP_CORE and target is VRRP_SHELLS:
            return f"is pure but includes the shell {header}"
        return None
    if "hiredis" in header and not path.startswith("health/control_link."):
        return f"includes {header}: only health/control_link.* may know hiredis"
    if not layer.allows_foreign(header):
        return f"includes <{header}>: the layer '{layer.name}' knows the standard library only"
    return None


def check_file(path, text):
    """All violations of one file, as sentences with file and line."""
    layer = layer_of(path)
    lines = text.splitlines()
    found = []
    if len(lines) > LINES_MAX:
        found.append(f"{path}:{LINES_MAX + 1}: has {len(lines)} lines; split it (at most {LINES_MAX})")
    if layer is None:
        return found
    for number, line in enumerate(lines, 1):
        match = INCLUDE.match(line)
        if match:
            quoted, angled = match.groups()
            problem = check_include(path, layer, quoted is not None, quoted or angled)
            if problem:
                found.append(f"{path}:{number}: {problem}")
        elif layer.pure and CLOCK.search(COMMENT.sub("", line)):
            found.append(f"{path}:{number}: reads a clock; the layer '{layer.name}' is passed the time")
    return found


def repository_files():
    for top in ("resp", "health", "vrrp", "proxy", "tests", "bench"):
        for path in sorted((ROOT / top).rglob("*")):
            if path.suffix in SOURCES:
                yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


# Each of these must be found; otherwise the checks above have stopped checking.
PLANTED = [
    ("resp/writer.cpp", "#include <boost/asio.hpp>\n"),
    ("resp/writer.cpp", '#include "health/topology.hpp"\n'),
    ("resp/writer.cpp", "#include <unistd.h>\n"),
    ("resp/writer.cpp", '#include "types.hpp"\n'),
    ("health/arbiter.cpp", '#include "health/monitor.hpp"\n'),
    ("health/arbiter.cpp", "#include <fmt/format.h>\n"),
    ("health/role_fsm.cpp", "auto t = std::chrono::steady_clock::now();\n"),
    ("health/monitor.cpp", "#include <hiredis/hiredis.h>\n"),
    ("health/monitor.cpp", '#include "proxy/log.hpp"\n'),
    ("proxy/engine/router.cpp", "#include <boost/asio/ip/tcp.hpp>\n"),
    ("proxy/engine/router.cpp", "#include <spdlog/spdlog.h>\n"),
    ("proxy/engine/router.cpp", '#include "health/arbiter.hpp"\n'),
    ("proxy/engine/router.cpp", '#include "proxy/server.hpp"\n'),
    ("proxy/engine/router.cpp", "now_ = Clock::now();\n"),
    ("proxy/worker.cpp", "#include <hiredis/read.h>\n"),
    ("vrrp/state.cpp", '#include "proxy/log.hpp"\n'),
    ("vrrp/notify_fifo.cpp", '#include "proxy/log.hpp"\n'),
    ("tests/sim/world.cpp", "#include <boost/asio.hpp>\n"),
    ("proxy/worker.cpp", "//\n" * (LINES_MAX + 1)),
]
INNOCENT = [
    ("resp/writer.cpp", '#include "resp/writer.hpp"\n#include <vector>\n// unlike steady_clock::now(), pure\n'),
    ("health/arbiter.hpp", '#include <chrono>\n#include "health/event.hpp"\n#include "resp/value.hpp"\n'),
    ("health/control_link.cpp", "#include <hiredis/hiredis.h>\n#include <boost/asio.hpp>\n"),
    ("proxy/engine/engine.hpp", '#include "health/topology.hpp"\n#include <boost/intrusive/list.hpp>\n'),
    ("proxy/worker.cpp", '#include "proxy/engine/engine.hpp"\n#include <boost/asio.hpp>\nauto t = Clock::now();\n'),
    ("tests/sim/world.cpp", '#include "proxy/engine/engine.hpp"\n#include "health/arbiter.hpp"\n'),
]


def self_test():
    failures = [f"planted violation not found: {path}: {text.splitlines()[0]}"
                for path, text in PLANTED if not check_file(path, text)]
    failures += [f"innocent text refused: {message}" for path, text in INNOCENT for message in check_file(path, text)]
    return failures


def main():
    counts, violations = {}, []
    for path, text in repository_files():
        layer = layer_of(path)
        name = layer.name if layer else "length only"
        counts[name] = counts.get(name, 0) + 1
        violations += check_file(path, text)
    for name, count in counts.items():
        print(f"{name}: {count} files")
    if not counts.get(RESP.name) or not counts.get(ENGINE.name):
        violations.append("no files found to check; is this the repository's root?")
    self_failures = self_test()
    print(f"self-test: {len(PLANTED)} planted violations, {len(INNOCENT)} innocent files")
    for line in violations + self_failures:
        print(line)
    print("layering: " + (f"{len(violations) + len(self_failures)} problems" if violations or self_failures else "clean"))
    return 1 if violations or self_failures else 0


if __name__ == "__main__":
    sys.exit(main())
