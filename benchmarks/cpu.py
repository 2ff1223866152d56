"""CPU-seconds of a call: what it costs, whatever else the machine does."""

from __future__ import annotations

import resource
from collections.abc import Callable


def cpu_seconds(call: Callable[[], object]) -> float:
    """User and system seconds of this process and its finished children during `call`."""
    before = _spent()
    call()
    return _spent() - before


def best(call: Callable[[], object], *, runs: int = 3) -> float:
    """The least CPU-seconds of `runs` calls after one that warms up."""
    call()
    return min(cpu_seconds(call) for _ in range(runs))


def _spent() -> float:
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    usages = [resource.getrusage(w) for w in who]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
