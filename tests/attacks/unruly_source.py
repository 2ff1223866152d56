"""A source whose units misbehave as their text says: `TIMES WHAT`, the first so many times.

What was tried is counted beside the raw folder, because the processes that try it may die.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from qoqdata.contract.manifest import Manifest
from qoqdata.errors import UnreadableFile
from qoqdata.pipeline import progress
from qoqdata.pipeline.build import build_requests
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from qoqdata.readers.limits import Limits
from qoqdata.records.content import Record
from qoqdata.sources.protocol import Job, Planned, Source, Unit
from tests.pipeline import converters_by_hand
from tests.pipeline.conftest import SALT

ALWAYS = 99


def convert(unit: Unit, job: Job) -> list[Record]:
    """The record of a unit, once it has behaved badly often enough."""
    times, _, what = job.raw.resolve(unit.key).read_text().partition(" ")
    if tries(job.raw.root, unit.key) < int(times):
        log = beside(job.raw.root, unit.key)
        with log.open("ab") as counted:
            counted.write(b"%d\n" % os.getpid())
        BAD[what]()
    return converters_by_hand.convert(unit, job)


def beside(raw: Path, key: str) -> Path:
    return raw.parent / f"tried-{key}"


def tries(raw: Path, key: str) -> int:
    """How often a unit has behaved badly."""
    log = beside(raw, key)
    return len(log.read_bytes().splitlines()) if log.exists() else 0


def worker_of(raw: Path, key: str) -> int | None:
    """The process that tried a unit last."""
    log = beside(raw, key)
    lines = log.read_bytes().splitlines() if log.exists() else []
    return int(lines[-1]) if lines else None


def _raise(error: BaseException) -> Callable[[], None]:
    def bad() -> None:
        raise error

    return bad


def _hold_the_interpreter() -> None:
    """One long step in C, between whose parts no signal handler and no other thread runs."""
    re.match(r"(a+)+$", "a" * 60 + "b")


def _sleep() -> None:
    time.sleep(3600)


def _hog() -> None:
    held = []
    for _ in range(1000):
        held.append(bytearray(64 * 2**20))


def _recurse() -> None:
    _recurse()


def _overflow_the_stack() -> None:
    """Recursion that Python's own bound does not stop."""
    ctypes.string_at(0)


def _leave_a_thread() -> None:
    threading.Thread(target=_sleep, daemon=False).start()


def _damage_for_a_reason() -> None:
    """As a reader tells that a disk failed: in its own words, with the cause behind it."""
    try:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
    except OSError as error:
        raise UnreadableFile("cannot be read") from error


BAD: dict[str, Callable[[], Any]] = {
    "hold": _hold_the_interpreter,
    "sleep": _sleep,
    "hog": _hog,
    "recurse": _recurse,
    "overflow": _overflow_the_stack,
    "thread": _leave_a_thread,
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "exit": lambda: os._exit(0),
    "sys.exit": lambda: sys.exit(0),
    "interrupt": _raise(KeyboardInterrupt()),
    "panic": _raise(BaseException("a panic")),
    "memory": _raise(MemoryError()),
    "disk": _raise(OSError(errno.EIO, os.strerror(errno.EIO))),
    "full": _raise(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))),
    "stale": _damage_for_a_reason,
}


def plan_hanging(job: Job) -> Iterator[Planned]:
    _hold_the_interpreter()
    yield from converters_by_hand.plan(job)


def plan_sleeping(job: Job) -> Iterator[Planned]:
    _sleep()
    yield from converters_by_hand.plan(job)


def plan_exiting(job: Job) -> Iterator[Planned]:
    os._exit(0)


def plan_interrupting(job: Job) -> Iterator[Planned]:
    raise KeyboardInterrupt


def plan_failing_once(job: Job) -> Iterator[Planned]:
    log = beside(job.raw.root, "plan")
    if not log.exists():
        log.touch()
        _damage_for_a_reason()
    yield from converters_by_hand.plan(job)


def unruly(slug: str = "films", **functions: Any) -> Source:
    return converters_by_hand.source(**{"convert": convert, "slug": slug} | functions)


def raw_units(folder: Path, **units: str) -> Path:
    """A raw folder with a text for each unit."""
    folder.mkdir(parents=True)
    for key, text in units.items():
        (folder / f"{key}.txt").write_text(text)
    return folder


def build(
    folder: Path,
    *sources: Source,
    out: str = "set",
    workers: int = 0,
    events: list | None = None,
    limits: Limits | None = None,
    **config: Any,
) -> Manifest:
    """Build sources into `folder`/`out`, each from `folder`/`slug`/raw."""
    requests = [
        (one, SourceRequest(source=one.card.slug, raw=folder / one.card.slug / "raw"))
        for one in sources
    ]
    listen = progress.silent if events is None else events.append
    asked = BuildConfig(
        sources=tuple(request for _, request in requests), limits=limits or Limits(), **config
    )
    return build_requests(
        requests, folder / out, BuildSetting(SALT, workers=workers, listen=listen), asked
    )


def shards(manifest: Manifest) -> dict[str, str]:
    return {shard.path: shard.sha256 for shard in manifest.shards}
