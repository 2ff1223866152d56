"""Ctrl-C of a person and other wishes to stop, told apart from what a converter raises."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from qoqdata.pipeline.unit_limits import TimeIsUp

_told_apart = False


class Interrupted(KeyboardInterrupt):
    """A person interrupts the build."""


def is_persons(error: BaseException) -> bool:
    """Whether an exception is for the build as a whole; any other is the converter's.

    What is no Exception is no error but somebody's wish to stop: a task is cancelled, a test has
    run out of time. A converter's are those that a unit or a library in it raises on its own:
    `exit`, a panic of a decoder in Rust, the end of the unit's time.
    """
    if isinstance(error, KeyboardInterrupt):
        return isinstance(error, Interrupted) or not _told_apart
    if isinstance(error, Exception | SystemExit | TimeIsUp):
        return False
    # Each library made with PyO3 has a class of this name of its own.
    return type(error) is not BaseException and type(error).__name__ != "PanicException"


@contextmanager
def telling_interrupts() -> Iterator[None]:
    """Inside, Ctrl-C raises Interrupted, where the signal is ours to handle."""
    global _told_apart
    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if not ours:
        yield
        return
    before, _told_apart = _told_apart, True
    signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    finally:
        _told_apart = before
        signal.signal(signal.SIGINT, signal.default_int_handler)


def ignore_interrupts() -> None:
    """For a worker process: stopping it is its parent's business."""
    global _told_apart
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _told_apart = True


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise Interrupted
