"""Run chunks on worker processes: a pool on this machine, or a Ray cluster.

Both take tasks and yield (task, receipt) as they finish, in any order. The pool survives a decoder
that crashes its process. Ray runs the same chunks on many machines that share the raw and the
output folder.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any

from qoqdata.errors import UsageError, WorkerDied
from qoqdata.pipeline import quarantine
from qoqdata.pipeline.conversion import (
    ChunkTask,
    UnitOutcome,
    convert_chunk,
    convert_unit,
    failed_chunk,
)
from qoqdata.pipeline.receipts import ShardReceipt
from qoqdata.sources.protocol import Source, Unit

ENGINES = ("local", "ray")

Result = tuple[ChunkTask, ShardReceipt]


def run_tasks(tasks: Iterable[ChunkTask], *, engine: str, workers: int) -> Iterator[Result]:
    """Run tasks on the engine of that name; raises UsageError for an unknown one."""
    match engine:
        case "local":
            return _run_local(tasks, workers)
        case "ray":
            return _run_ray(tasks, workers)
    raise UsageError(f"no engine is called {engine!r}", fix=f"one of {', '.join(ENGINES)}")


def _run_local(tasks: Iterable[ChunkTask], workers: int) -> Iterator[Result]:
    """Run tasks on `workers` processes; 0 runs them in this one, without crash protection.

    At most two tasks a worker are in flight. When a worker dies, the chunks in flight are run
    again unit by unit in a process of their own, and the unit that kills it is quarantined.
    """
    if workers == 0:
        for task in tasks:
            yield task, _receipt(task, partial(convert_chunk, task))
        return
    queue = iter(tasks)
    suspects: list[ChunkTask] = []
    while True:
        orphans = yield from _run_pool(queue, workers)
        if not orphans:
            break
        suspects += orphans
    for task in suspects:
        yield task, _receipt(task, partial(_run_isolated, task))


def _receipt(task: ChunkTask, run: Callable[[], ShardReceipt]) -> ShardReceipt:
    """What `run` gives, or the failure of the whole chunk, so that the other chunks go on.

    A fault of the machine, such as a full disk, concerns all chunks and passes through.
    """
    try:
        return run()
    except OSError:
        raise
    except Exception as error:
        return failed_chunk(task, error)


def _run_pool(queue: Iterator[ChunkTask], workers: int) -> Generator[Result, None, list[ChunkTask]]:
    """Run the queue until it ends or the pool breaks; returns the tasks that were in flight."""
    pool = _pool(workers)
    in_flight: dict[Future[ShardReceipt], ChunkTask] = {}
    try:
        while True:
            for task in islice(queue, 2 * workers - len(in_flight)):
                try:
                    with _without_interrupts(), _without_main(task.source):
                        in_flight[pool.submit(convert_chunk, task)] = task
                except BrokenProcessPool:
                    return [task, *in_flight.values()]
            if not in_flight:
                return []
            ready, _ = wait(in_flight, return_when=FIRST_COMPLETED)
            broken = {f for f in ready if isinstance(f.exception(), BrokenProcessPool)}
            for future in ready - broken:
                task = in_flight.pop(future)
                yield task, _receipt(task, future.result)
            if broken:
                return list(in_flight.values())
    finally:
        _end(pool, kill=bool(in_flight))


def _run_isolated(task: ChunkTask) -> ShardReceipt:
    """Run a chunk with each unit's conversion in a child process that may die."""
    pool = _pool(1)

    def convert(unit: Unit) -> UnitOutcome:
        nonlocal pool
        try:
            with _without_interrupts(), _without_main(task.source):
                future = pool.submit(convert_unit, unit, task)
            return future.result()
        except BrokenProcessPool:
            _end(pool, kill=True)
            pool = _pool(1)
            error = WorkerDied(
                "its decoder crashed the process",
                where=unit.key,
                fix="check the file with another program; report the decoder's crash",
            )
            row = quarantine.failure_row(unit.key, unit.files, "convert", error, task.job)
            return UnitOutcome((), row)

    try:
        return convert_chunk(task, convert)
    finally:
        _end(pool, kill=False)


def _pool(workers: int) -> ProcessPoolExecutor:
    # Polars and OpenCV keep threads, which a forked child would inherit half alive.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_prepare_process)


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


def _run_ray(tasks: Iterable[ChunkTask], workers: int) -> Iterator[Result]:
    """Run tasks as Ray tasks, two a worker in flight; joins a running cluster or starts one.

    Ray itself retries a task whose process died; one that kills it every time quarantines its
    chunk.
    """
    try:
        import ray
    except ImportError as error:
        raise UsageError("the ray engine needs Ray", fix="pip install 'qoqdata[ray]'") from error
    if not ray.is_initialized():
        ray.init(include_dashboard=False, log_to_driver=False, num_cpus=workers or None)
    remote = ray.remote(_convert_prepared)
    queue = iter(tasks)
    in_flight: dict[Any, ChunkTask] = {}
    while True:
        for task in islice(queue, max(1, 2 * workers) - len(in_flight)):
            in_flight[remote.remote(task)] = task
        if not in_flight:
            return
        ready, _ = ray.wait(list(in_flight))
        for reference in ready:
            task = in_flight.pop(reference)
            yield task, _receipt(task, partial(ray.get, reference))


def _convert_prepared(task: ChunkTask) -> ShardReceipt:
    _prepare_process()
    return convert_chunk(task)


def _prepare_process() -> None:
    """One core a worker: the pool is the parallelism."""
    import cv2

    cv2.setNumThreads(1)
