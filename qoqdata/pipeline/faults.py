"""What stops a unit and is no fault of its files: time, memory, a dying process, the machine.

Such a unit is tried again, because the next time may go well; `may_retry` says how often.
"""

from __future__ import annotations

import errno
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from qoqdata.errors import InputError, OverLimit, WorkerDied
from qoqdata.pipeline.unit_limits import TimeIsUp, memory_bound
from qoqdata.readers.limits import Limits
from qoqdata.sources.raw_store import OutOfReach
from qoqdata.system_faults import OF_THE_MACHINE, error_number

RETRIES = 3


@dataclass(frozen=True)
class UnitFault:
    """`time` and `memory`: over a limit; `died`: with its process; `machine`: of disk or system."""

    kind: Literal["time", "memory", "died", "machine"]
    message: str


class UnitStopped(Exception):
    """A unit that its chunk cannot go on without, or past: tried again elsewhere, or unfinished."""

    def __init__(self, key: str, fault: UnitFault) -> None:
        super().__init__(key, fault)
        self.key, self.fault = key, fault


def fault_of(error: BaseException) -> UnitFault | None:
    """The fault that an exception tells of, itself or by what caused it; None for any other."""
    for one in _causes(error):
        if isinstance(one, TimeIsUp):
            return UnitFault("time", "took too long")
        if isinstance(one, MemoryError):
            return UnitFault("memory", str(one) or "MemoryError")
        number = error_number(one)
        if number == errno.ENOMEM:
            return UnitFault("memory", str(one))
        if number in OF_THE_MACHINE:
            return UnitFault("machine", f"{type(one).__name__}: {one}")
    return None


def machine_fault(error: BaseException) -> UnitFault | None:
    """The fault of a disk, mount or system that an exception tells of: no answer about the data."""
    fault = fault_of(error)
    return fault if fault is not None and fault.kind == "machine" else None


def out_of_reach(error: BaseException) -> OutOfReach | None:
    """The fault of a store behind an exception; None for any other."""
    return next((one for one in _causes(error) if isinstance(one, OutOfReach)), None)


def death(exit_code: int | None) -> UnitFault:
    """The fault of a unit whose worker process is dead."""
    if exit_code == -getattr(signal, "SIGALRM", 0):
        return UnitFault("time", "took too long")
    if exit_code is not None and exit_code < 0:
        return UnitFault("died", f"signal {signal.Signals(-exit_code).name}")
    return UnitFault("died", f"exit code {exit_code}")


def may_retry(faults: Sequence[UnitFault]) -> bool:
    """Whether a unit with these faults so far is tried once more.

    What takes too long twice would take too long again.
    """
    return sum(fault.kind == "time" for fault in faults) < 2 and len(faults) <= RETRIES


def given_up(fault: UnitFault, key: str, limits: Limits) -> InputError | None:
    """The error of a unit that is not tried again; None where the machine is at fault."""
    match fault.kind:
        case "time":
            what = f"took longer than {limits.unit_seconds:,} seconds, and was stopped"
            fix = "if the files are sound, raise limits.unit_seconds"
            return OverLimit(what, where=key, fix=fix)
        case "memory":
            what = f"needs more memory than there is ({memory_bound(limits):,} bytes at most)"
            fix = "if the files are sound, raise limits.unit_bytes, or build with fewer workers"
            return OverLimit(what, where=key, fix=fix)
        case "died":
            return WorkerDied(
                f"its decoder crashed the process, or it was killed ({fault.message})",
                where=key,
                fix="check the file with another program; report the decoder's crash",
            )
    return None


def stopped_at(fault: UnitFault, limits: Limits) -> tuple[str, int] | None:
    """The limit, by name, and its bound that a fault is about; raised, the unit is tried again."""
    match fault.kind:
        case "time":
            return "unit_seconds", limits.unit_seconds
        case "memory":
            return "unit_bytes", memory_bound(limits)
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was raised for, innermost last."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        yield one
        seen.add(id(one))
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
