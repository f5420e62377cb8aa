"""The workloads: those of the goals first, then what shows how cost grows."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Workload:
    """One shape of load. `requests` is the size of one measurement. It belongs to `sets`, and to `get_sets` with GET
    alone."""

    name: str
    clients: int
    pipeline: int
    value_bytes: int
    requests: int
    sets: tuple
    keys: int = 10_000
    tests: tuple = ("SET", "GET")
    get_sets: tuple = ()


WORKLOADS = [
    Workload("c50-P1", 50, 1, 64, 60_000, ("goals", "quick"), get_sets=("connections",)),
    Workload("c500-P1", 500, 1, 64, 60_000, ("goals", "quick"), get_sets=("connections",)),
    Workload("c50-P16", 50, 16, 64, 400_000, ("goals", "quick")),
    Workload("c10-P100", 10, 100, 64, 600_000, ("goals", "quick")),
    Workload("c20-64k", 20, 1, 64 << 10, 20_000, ("goals",), keys=20),
    Workload("c20-512k", 20, 1, 512 << 10, 3_000, ("goals", "quick"), keys=20),
    Workload("c50-16", 50, 1, 16, 60_000, ("sizes",), tests=("GET",)),
    Workload("c50-1k", 50, 1, 1024, 60_000, ("sizes",), tests=("GET",)),
    Workload("c50-8k", 50, 1, 8192, 40_000, ("sizes",), tests=("GET",)),
    Workload("c20-1m", 20, 1, 1 << 20, 1_000, ("sizes",), keys=10, tests=("GET",)),
    Workload("c5-8m", 5, 1, 8 << 20, 100, ("sizes",), keys=5, tests=("GET",)),
    Workload("c1-P1", 1, 1, 64, 15_000, ("connections",), tests=("GET",)),
    Workload("c2000-P1", 2000, 1, 64, 60_000, ("connections",), tests=("GET",)),
    Workload("c9000-P1", 9000, 1, 64, 120_000, ("connections",), tests=("GET",)),
    Workload("c50-P4", 50, 4, 64, 200_000, ("pipelines",), tests=("GET",)),
    Workload("c10-P1000", 10, 1000, 64, 600_000, ("pipelines",), tests=("GET",)),
]
SETS = ("goals", "quick", "sizes", "connections", "pipelines")


def choose(names, sets):
    """The workloads with these names, or of these sets."""
    known = {workload.name: workload for workload in WORKLOADS}
    if names:
        missing = [name for name in names if name not in known]
        if missing:
            raise SystemExit(f"no workload {missing[0]}; there are {', '.join(known)}")
        return [known[name] for name in names]
    chosen = []
    for workload in WORKLOADS:
        if set(workload.sets) & set(sets):
            chosen.append(workload)
        elif set(workload.get_sets) & set(sets):
            chosen.append(dataclasses.replace(workload, tests=("GET",)))
    return chosen
