"""A pool of processes on this machine, which survives a decoder that crashes its process."""

from __future__ import annotations

import multiprocessing
import signal
import sys
import threading
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice

from qoqdata.errors import WorkerDied
from qoqdata.pipeline import quarantine
from qoqdata.pipeline.conversion import UnitOutcome, convert_unit
from qoqdata.pipeline.receipts import ShardReceipt
from qoqdata.pipeline.work import ChunkTask, prepare_process, run
from qoqdata.sources.protocol import Source, Unit

Result = tuple[ChunkTask, ShardReceipt]


def run_tasks(tasks: Iterable[ChunkTask], *, workers: int) -> Iterator[Result]:
    """Run tasks on `workers` processes; 0 runs them in this one, without crash protection.

    At most two tasks a worker are in flight. When a worker dies, the chunks in flight are run
    again unit by unit in a process of their own, and the unit that kills it is quarantined.
    """
    if workers == 0:
        for task in tasks:
            yield task, run(task)
        return
    queue = iter(tasks)
    suspects: list[ChunkTask] = []
    while True:
        lost = yield from _run_pool(queue, workers)
        if not lost:
            break
        suspects += lost
    for task in suspects:
        yield task, _run_isolated(task)


def _run_pool(queue: Iterator[ChunkTask], workers: int) -> Generator[Result, None, list[ChunkTask]]:
    """Run the queue until it ends or the pool breaks; returns the tasks that were in flight."""
    pool = _pool(workers)
    flying: dict[Future[ShardReceipt], ChunkTask] = {}
    try:
        while True:
            for task in islice(queue, 2 * workers - len(flying)):
                try:
                    with _without_interrupts(), _without_main(task.source):
                        flying[pool.submit(run, task)] = task
                except BrokenProcessPool:
                    return [task, *flying.values()]
            if not flying:
                return []
            done, _ = wait(flying, return_when=FIRST_COMPLETED)
            broken = {f for f in done if isinstance(f.exception(), BrokenProcessPool)}
            for future in done - broken:
                yield flying.pop(future), future.result()
            if broken:
                return list(flying.values())
    finally:
        _end(pool, kill=bool(flying))


def _run_isolated(task: ChunkTask) -> ShardReceipt:
    """Run a chunk with each unit's conversion in a child process that may die."""
    pool = _pool(1)

    def convert(unit: Unit) -> UnitOutcome:
        nonlocal pool
        try:
            with _without_interrupts(), _without_main(task.source):
                future = pool.submit(convert_unit, unit, task.source, task.job, task.salt)
            return future.result()
        except BrokenProcessPool:
            _end(pool, kill=True)
            pool = _pool(1)
            error = WorkerDied(
                "its decoder crashed the process",
                where=unit.key,
                fix="check the file with another program; report the decoder's crash",
            )
            row = quarantine.failed(unit.key, unit.files, "convert", error, task.job)
            return UnitOutcome((), row)

    try:
        return run(task, convert)
    finally:
        _end(pool, kill=False)


def _pool(workers: int) -> ProcessPoolExecutor:
    # Polars and OpenCV keep threads, which a forked child would inherit half alive.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=prepare_process)


def _end(pool: ProcessPoolExecutor, *, kill: bool) -> None:
    """Stop the pool; a killed chunk leaves neither shard nor receipt, so nothing is half done."""
    if kill:
        for process in list((pool._processes or {}).values()):
            process.terminate()
    pool.shutdown(wait=True, cancel_futures=True)


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
    """Children started here ignore Ctrl-C from birth: stopping them is the parent's business."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
