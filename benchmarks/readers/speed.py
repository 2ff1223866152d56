"""CPU-seconds of one contender, in a process of its own."""

from __future__ import annotations

import contextlib
import cProfile
import io
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2

from benchmarks.cpu import best
from qoqdata import console


def speed(call: Callable[[Path], object], paths: Sequence[Path]) -> float | None:
    """Files per CPU-second of `call`; None when it cannot read them."""
    seconds = _alone(_seconds, call, paths)
    return None if seconds is None else len(paths) / seconds


def share(
    call: Callable[[Path], object], paths: Sequence[Path], functions: Sequence[str]
) -> float | None:
    """Part of the CPU-seconds of `call` that passes inside the named `functions`."""
    return _alone(_share, call, paths, functions)


def _alone(measure: Callable[..., float], call: Callable[[Path], object], *rest: Any) -> Any:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
        try:
            return alone.submit(measure, call, *rest).result()
        except (RuntimeError, NotImplementedError, ValueError) as error:
            console.complain(f"{call.__name__}: {str(error).splitlines()[0]}")
            return None


def _seconds(call: Callable[[Path], object], paths: Sequence[Path]) -> float:
    cv2.setNumThreads(1)
    return best(lambda: _read(call, paths))


def _share(
    call: Callable[[Path], object], paths: Sequence[Path], functions: Sequence[str]
) -> float:
    """The profiler slows Python down, not what runs inside one C function: hence two runs."""
    seconds = _seconds(call, paths)
    profile = cProfile.Profile(time.process_time)
    profile.runcall(_read, call, paths)
    wanted = set(functions)
    inside = [entry.inlinetime for entry in profile.getstats() if wanted & _names(entry.code)]
    return sum(inside) / seconds


def _read(call: Callable[[Path], object], paths: Sequence[Path]) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        for path in paths:
            call(path)


def _names(code: Any) -> set[str]:
    """Name of a Python function; of one in C the words of the profiler's sentence about it."""
    return set(re.findall(r"\w+", code)) if isinstance(code, str) else {code.co_name}
