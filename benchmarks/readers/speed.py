"""Files per CPU-second of one contender, in a process of its own."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2

from benchmarks.cpu import best
from qoqdata import console


def speed(
    call: Callable[[Any], object],
    paths: Sequence[Path],
    *,
    prepare: Callable[[Path], object] | None = None,
) -> float | None:
    """Files per CPU-second of `call`, on the paths or on what `prepare` makes of them."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
        try:
            return len(paths) / alone.submit(_seconds, call, paths, prepare).result()
        except (RuntimeError, NotImplementedError, ValueError) as error:
            console.complain(f"{call.__name__}: {str(error).splitlines()[0]}")
            return None


def _seconds(
    call: Callable[[Any], object],
    paths: Sequence[Path],
    prepare: Callable[[Path], object] | None,
) -> float:
    cv2.setNumThreads(1)
    inputs = [prepare(path) for path in paths] if prepare else paths

    def run() -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            for one in inputs:
                call(one)

    return best(run)
