"""What the suite says, read from its output, and the files with the names of tests that are left out."""

import dataclasses
import re

COLOURS = re.compile(r"\x1b\[[0-9;]*m")
STATUS = re.compile(r"^\[(ok|err|skip|ignore|exception|TIMEOUT|ready|testing|\d+/\d+ done)\]:? ?(.*)$")
IN_PROGRESS = re.compile(r"^\S+ => \(([A-Z ]+)\) (.*)$")


class SuiteError(Exception):
    """The suite could not be run: nothing is known about fairlead."""


@dataclasses.dataclass
class Outcome:
    """What one run of one unit said."""
    passed: int = 0
    skipped: list = dataclasses.field(default_factory=list)  # by us, by name
    ignored: int = 0  # by the suite itself: slow tests, and those that cannot run on an external server
    failed: dict = dataclasses.field(default_factory=dict)  # name -> what the suite said
    hung: list = dataclasses.field(default_factory=list)
    again: list = dataclasses.field(default_factory=list)  # failed once, passed when run again
    done: bool = False

    def add(self, unit, other):
        self.passed += other.passed
        self.ignored += other.ignored
        self.skipped += other.skipped
        self.failed.update({f"{unit}: {name}": said for name, said in other.failed.items()})
        self.hung += other.hung
        self.again += other.again


def parse(text):
    """Reads the suite's output. What belongs to a failure stands in the lines below it."""
    outcome = Outcome()
    failure = None
    for line in COLOURS.sub("", text).splitlines():
        status = STATUS.match(line)
        in_progress = IN_PROGRESS.match(line)
        if in_progress and in_progress[1] != "DONE":
            outcome.hung.append(in_progress[2] if in_progress[1] == "IN PROGRESS" else f"behind: {in_progress[2]}")
        if not status:
            if "The End" in line:
                break
            if failure is not None:
                outcome.failed[failure] += "\n" + line
            continue
        word, rest = status.groups()
        failure = None
        if word == "ok":
            outcome.passed += 1
        elif word == "skip":
            outcome.skipped.append(rest)
        elif word == "ignore":
            outcome.ignored += 1
        elif word in ("err", "exception"):
            failure = test_name(rest) if word == "err" else f"exception: {rest}"
            outcome.failed.setdefault(failure, rest)
        elif word.endswith("done"):
            outcome.done = True
    return outcome


def test_name(detail):
    """The name in "name in tests/unit/file.tcl"; what fails between two tests has only a message."""
    name, found, _ = detail.rpartition(" in tests/")
    return name if found else f"outside of a test: {detail}"


def read_skip_file(path):
    """The names and /patterns to leave out. Each stands below a comment that says why, which this enforces."""
    names, reason = [], ""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("#"):
            reason = line.strip("# ")
        elif not line.strip():
            reason = ""
        elif not reason:
            raise SuiteError(f"{path}:{number}: no reason is given above {line!r}")
        else:
            names.append(line)
    return names


def stale(skips, skipped):
    """Entries of the skip file that no test has: misspelt, or the test is gone."""
    def matches(entry, name):
        return re.search(entry[1:], name) is not None if entry.startswith("/") else entry == name
    return [entry for entry in skips if not any(matches(entry, name) for name in skipped)]
