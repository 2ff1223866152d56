"""One worker process: it runs functions that its parent sends, one after the other.

It ends when its parent does, however that ends, and tells which unit it is at through shared
memory, so that its parent knows even when it is killed.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler
from queue import SimpleQueue
from typing import Any

from qoqdata.errors import ConverterError
from qoqdata.pipeline import process_resources
from qoqdata.pipeline.interrupts import ignore_interrupts
from qoqdata.sources.protocol import Source

#: Place among the units of a chunk of a worker that is at none.
NOWHERE = -1
_PR_SET_PDEATHSIG = 1
#: Seconds for a worker to end by itself.
_GRACE = 5.0


class ProcessDied(Exception):
    """A worker's process is dead; `place` is that of the unit it was at."""

    def __init__(self, exit_code: int | None, place: int) -> None:
        super().__init__(exit_code, place)
        self.exit_code, self.place = exit_code, place


class Worker:
    """A process of its own, spawned: Polars and OpenCV keep threads, which a fork would halve.

    One that plans, and `converts` nothing, does without what reads images.
    """

    def __init__(self, source: Source, *, converts: bool = True) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._place = context.RawValue("q", NOWHERE)
        with _without_interrupts(), _without_main(source):
            self._process = context.Process(target=_serve, args=(theirs, self._place, converts))
            self._process.start()
        theirs.close()

    @property
    def place(self) -> int:
        """The place of the unit in work, or NOWHERE."""
        return self._place.value

    def send(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Have a function run; raises what pickling it raises, and ProcessDied."""
        message = ForkingPickler.dumps((function, arguments))
        try:
            self.connection.send_bytes(message)
        except OSError:
            raise self._death() from None

    def receive(self, timeout: float | None = None) -> Any:
        """What the next of the functions sent returns, or raises; raises ProcessDied.

        Raises TimeoutError when nothing comes in time.
        """
        if not wait([self.connection], timeout):
            raise TimeoutError
        try:
            message = self.connection.recv_bytes()
        except (EOFError, OSError):
            raise self._death() from None
        answer, error = pickle.loads(message)
        if error is not None:
            raise error
        return answer

    def end(self, *, kill: bool = False) -> None:
        """End the process: at once, or an idle one by itself."""
        if kill:
            self._process.kill()
        self.connection.close()
        self._process.join(_GRACE)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()

    def _death(self) -> ProcessDied:
        self._process.join(_GRACE)
        if self._process.is_alive():  # It closed its pipe and lives on.
            self._process.kill()
            self._process.join()
        return ProcessDied(self._process.exitcode, self.place)


def at_unit(place: int) -> None:
    """Note in a worker which unit it is at."""
    _at.value = place


class _Unshared:
    value = NOWHERE


_at: Any = _Unshared()


def _serve(connection: Connection, place: Any, converts: bool) -> None:
    global _at
    _at = place
    ignore_interrupts()
    _end_with_parent()
    messages: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_take_in, args=(connection, messages), daemon=True).start()
    if converts:
        process_resources.settle()
    while True:
        connection.send_bytes(_answer(messages.get()))


def _take_in(connection: Connection, messages: SimpleQueue[bytes]) -> None:
    """Take messages as they come, so that no parent waits; the last is that it is gone.

    Threads that a converter left behind do not keep the process.
    """
    try:
        while True:
            messages.put(connection.recv_bytes())
    except (EOFError, OSError):
        os._exit(0)


def _answer(message: bytes) -> bytes:
    at_unit(NOWHERE)
    answer, error = None, None
    try:
        function, arguments = pickle.loads(message)
        answer = function(*arguments)
    except Exception as raised:
        error = raised
    except BaseException as raised:  # Where it is raised again it would end the build.
        error = ConverterError(f"{type(raised).__name__}: {raised}")
    with suppress(AttributeError, OSError, ValueError):
        # What converters print would be lost with the process; not every one has such a stream.
        sys.stdout.flush()
    try:
        reply = bytes(ForkingPickler.dumps((answer, error)))
        if error is not None:
            pickle.loads(reply)
        return reply
    except BaseException as unsendable:
        told = error or unsendable
        what = f"{type(told).__name__}: {told}"
        return bytes(ForkingPickler.dumps((None, ConverterError(what))))


def _end_with_parent() -> None:
    """The pipe tells that the parent is gone; on Linux the kernel does, also amid long work."""
    parent = multiprocessing.parent_process()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if parent is not None and os.getppid() != parent.pid:
        os._exit(1)


@contextmanager
def _without_main(source: Source) -> Iterator[None]:
    """Children started here do not run the caller's script again, which would build again.

    Only a source that the script itself defines needs the script.
    """
    main = sys.modules["__main__"]
    if "__main__" in (source.plan.__module__, source.convert.__module__):
        yield
        return
    names = [name for name in ("__file__", "__spec__") if hasattr(main, name)]
    before = {name: getattr(main, name) for name in names}
    try:
        for name in names:
            setattr(main, name, None)
        yield
    finally:
        for name, value in before.items():
            setattr(main, name, value)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Children started here ignore Ctrl-C from birth."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
