"""The limits of time and memory that a unit is converted in, and a plan made.

In a worker process the kernel keeps them: the timer kills the process whatever it is doing, and an
allocation beyond the bound fails. In the caller's own process, which nobody may kill, the timer
raises TimeIsUp between two steps of Python code, and memory is not bounded.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from types import FrameType

from qoqdata.readers.limits import Limits

#: Seconds from which on a person is told what is in work, again and again.
SLOW = 30.0
_HAS_TIMER = hasattr(signal, "setitimer")
_VM_DATA = re.compile(rb"^VmData:\s*(\d+)", re.MULTILINE)


class TimeIsUp(BaseException):
    """Time is up; no Exception, so that no reader takes it for damage."""


def memory_bound(limits: Limits) -> int:
    """Bytes of memory that a unit may ask for: those of the limits, or half of the machine's."""
    return limits.unit_bytes or _machine_bytes() // 2


@contextmanager
def killing(seconds: float, memory: int | None = None) -> Iterator[None]:
    """For worker processes: SIGALRM ends this one after `seconds`.

    Beyond `memory` more bytes than now, allocations raise MemoryError (on Linux).
    """
    if not _HAS_TIMER:
        watch = threading.Timer(seconds, os._exit, (1,))
        watch.daemon = True
        watch.start()
        try:
            yield
        finally:
            watch.cancel()
        return
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        with _bounded(memory):
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


@contextmanager
def raising(
    seconds: float, tell: Callable[[float], None]
) -> Iterator[AbstractContextManager[object]]:
    """For the caller's process: gives a block, to be entered for one thing after the other, that
    raises TimeIsUp after `seconds`; `tell` hears of slow work meanwhile.

    Nothing is raised off the main thread, where no signal can be handled.
    """
    if not _HAS_TIMER or threading.current_thread() is not threading.main_thread():
        yield nullcontext()
        return
    begin, turn = time.monotonic(), _Turn(seconds, tell)
    handler = signal.signal(signal.SIGALRM, turn.check)
    left, interval = signal.setitimer(signal.ITIMER_REAL, 0)
    try:
        yield turn
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if left:  # Whoever has set a timer before us gets it back.
            signal.setitimer(
                signal.ITIMER_REAL, max(left - (time.monotonic() - begin), 1e-3), interval
            )


class _Turn:
    """The time of one thing; a timer that it leaves behind finds it over."""

    def __init__(self, seconds: float, tell: Callable[[float], None]) -> None:
        self._seconds, self._tell = seconds, tell
        self._begin: float | None = None

    def __enter__(self) -> None:
        self._begin = time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, min(SLOW, self._seconds))

    def __exit__(self, *_: object) -> None:
        self._begin = None

    def check(self, number: int, frame: FrameType | None) -> None:
        """Handle the timer's signal."""
        if self._begin is None:
            return
        passed = time.monotonic() - self._begin
        if passed >= self._seconds:
            # Once more in a second: what is raised in a destructor gets lost.
            signal.setitimer(signal.ITIMER_REAL, 1)
            raise TimeIsUp
        self._tell(passed)
        signal.setitimer(signal.ITIMER_REAL, min(SLOW, self._seconds - passed))


@contextmanager
def _bounded(memory: int | None) -> Iterator[None]:
    now = _data_bytes()
    if memory is None or now is None:
        yield
        return
    import resource

    before, hard = resource.getrlimit(resource.RLIMIT_DATA)
    bound = now + memory
    for outer in (before, hard):
        if outer != resource.RLIM_INFINITY:
            bound = min(bound, outer)
    resource.setrlimit(resource.RLIMIT_DATA, (bound, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (before, hard))


def _data_bytes() -> int | None:
    """What the kernel counts against RLIMIT_DATA of this process; None where it does not."""
    if sys.platform != "linux":
        return None
    found = _VM_DATA.search(os.pread(_status(os.getpid()), 1 << 14, 0))
    return int(found[1]) * 1024 if found else None


@cache
def _status(process: int) -> int:
    """What the kernel tells of this process, open: asked for each unit, to open it takes longer
    than to read it. A forked process has another number, and a file of its own."""
    return os.open(f"/proc/{process}/status", os.O_RDONLY)


@cache
def _machine_bytes() -> int:
    """Memory of the machine, or of the control group that this process is confined to."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        confined = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        return pages
    return min(pages, int(confined)) if confined.isdigit() else pages
