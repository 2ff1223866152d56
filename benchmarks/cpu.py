"""CPU-seconds of a call or a command: what it costs, whatever else the machine does."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple


def cpu_seconds(call: Callable[[], object]) -> float:
    """User and system seconds of this process and its finished children during `call`."""
    before = _spent()
    call()
    return _spent() - before


def best(call: Callable[[], object], *, runs: int = 3) -> float:
    """The least CPU-seconds of `runs` calls after one that warms up."""
    call()
    return min(cpu_seconds(call) for _ in range(runs))


class CommandCost(NamedTuple):
    """CPU-seconds of a command with its children, and the most bytes that one of them held."""

    seconds: float
    peak: int


def command_cost(arguments: Sequence[object]) -> CommandCost:
    """What `qoqdata ARGUMENTS` takes, in a process of its own; raises CalledProcessError where it
    ends with another code than 0 and 1, which tells of findings."""
    script = (
        "import resource, subprocess, sys\n"
        "run = subprocess.run(sys.argv[1:], capture_output=True)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "sys.stderr.write(run.stderr.decode())\n"
        "print(used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)\n"
        "sys.exit(run.returncode if run.returncode > 1 else 0)\n"
    )
    command = [sys.executable, "-m", "qoqdata", *map(str, arguments)]
    done = subprocess.run(
        [sys.executable, "-c", script, *command], check=True, stdout=subprocess.PIPE, text=True
    )
    seconds, peak = done.stdout.split()
    return CommandCost(float(seconds), int(peak))


def _spent() -> float:
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    usages = [resource.getrusage(w) for w in who]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
