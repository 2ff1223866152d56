"""Run chunks on worker processes: a crew on this machine, or a Ray cluster.

Both take tasks and yield (task, receipt or why there is none) as they finish, in any order. The
crew survives a decoder that crashes or hangs; for Ray see `ray_engine`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from multiprocessing.connection import wait
from typing import Any, TypeVar

from qoqdata.errors import UsageError
from qoqdata.pipeline import progress
from qoqdata.pipeline.config import BuildSetting
from qoqdata.pipeline.conversion import (
    ChunkTask,
    Unfinished,
    UnitOutcome,
    convert_chunk,
    convert_here,
    convert_killing,
    failed_chunk,
    persistently,
    stopping,
)
from qoqdata.pipeline.faults import RETRIES, UnitFault, UnitStopped, death, fault_of
from qoqdata.pipeline.interrupts import is_persons
from qoqdata.pipeline.receipts import ShardReceipt
from qoqdata.pipeline.unit_limits import SLOW, killing, raising
from qoqdata.pipeline.worker_process import NOWHERE, ProcessDied, Worker
from qoqdata.sources.protocol import Source, Unit

ENGINES = ("local", "ray")
_Receipt = TypeVar("_Receipt", ShardReceipt, ShardReceipt | None)

Result = tuple[ChunkTask, ShardReceipt | Unfinished]
#: Runs a function on its arguments, for so many seconds at most.
Apart = Callable[..., Any]
#: Seconds between looks at what workers are at.
_LOOK = 5.0
#: Tasks a worker has: the next is there when it ends one, also while the parent plans.
AHEAD = 2


def run_tasks(tasks: Iterable[ChunkTask], setting: BuildSetting) -> Generator[Result, None, None]:
    """Run tasks on the engine that the setting names; raises UsageError for an unknown one.

    Its listener hears of units that take long.
    """
    workers, listen = setting.workers, setting.listen
    match setting.engine:
        case "local":
            return _run_crew(tasks, workers, listen) if workers else _run_here(tasks, listen)
        case "ray":
            from qoqdata.pipeline.ray_engine import run_on_ray

            return run_on_ray(tasks, workers, setting.address)
    fix = f"one of {', '.join(ENGINES)}"
    raise UsageError(f"no engine is called {setting.engine!r}", fix=fix)


@contextmanager
def planning_apart(*, engine: str, workers: int, listen: progress.Listener) -> Iterator[Apart]:
    """Runs `apart(function, source, seconds, *arguments)` in a process of its own.

    What it raises is raised here, ProcessDied where the process ended. Without worker processes it
    runs in this one.
    """
    if engine != "local" or not workers:
        yield partial(_here, listen)
        return
    held: list[Worker] = []

    def apart(function: Callable[..., Any], source: Source, seconds: float, *args: Any) -> Any:
        if not held:
            held.append(Worker(source, converts=False))
        try:
            held[0].send(_killing, function, seconds, source, args)
            return _receive(held[0], partial(_tell, listen, source.card.slug, "its plan"))
        except ProcessDied:
            held.pop().end(kill=True)
            raise

    try:
        yield apart
    finally:
        for worker in held:
            worker.end(kill=True)


def _killing(function: Callable[..., Any], seconds: float, source: Source, args: Any) -> Any:
    with killing(seconds):
        return function(source, *args)


def _here(
    listen: progress.Listener,
    function: Callable[..., Any],
    source: Source,
    seconds: float,
    *args: Any,
) -> Any:
    tell = partial(_tell, listen, source.card.slug, "its plan")
    with raising(seconds, tell) as in_time, in_time:
        return function(source, *args)


def _run_here(
    tasks: Iterable[ChunkTask], listen: progress.Listener
) -> Generator[Result, None, None]:
    """Run tasks in this process: no unit of them can be killed."""
    for task in tasks:
        yield task, finished_or_why(task, partial(_convert_chunk_here, task, listen))


def _convert_chunk_here(task: ChunkTask, listen: progress.Listener) -> ShardReceipt:
    at = ""

    def tell(seconds: float) -> None:
        _tell(listen, task.slug, at, seconds)

    def attempt(unit: Unit) -> UnitOutcome:
        nonlocal at
        at = unit.key
        return convert_here(unit, task, in_time)

    # Around all units, for it takes longer to watch the clock anew than to look at it.
    with raising(task.job.limits.unit_seconds, tell) as in_time:
        return convert_chunk(task, lambda unit: persistently(unit, task, attempt))


@dataclass
class Suspect:
    """A chunk that a worker did not finish, and the unit that it was at, if any, with its fault."""

    task: ChunkTask
    key: str | None = None
    faults: tuple[UnitFault, ...] = ()


@dataclass
class _Member:
    """A worker of the crew, its tasks, of which the first is in work, and how long its unit is."""

    worker: Worker
    tasks: deque[ChunkTask] = field(default_factory=deque)
    place: int = NOWHERE
    since: float = 0.0
    told: float = 0.0


def _run_crew(
    tasks: Iterable[ChunkTask], workers: int, listen: progress.Listener
) -> Generator[Result, None, None]:
    """Run tasks on `workers` processes.

    A chunk of which a unit killed its worker, ran out of time or met a fault of the machine is a
    suspect: it is run again when all else is done, each unit alone in a process.
    """
    queue = iter(tasks)
    while True:
        suspects, queue = yield from _run_until_full(queue, workers, listen)
        for suspect in suspects:
            run = partial(convert_alone, suspect, listen)
            yield suspect.task, finished_or_why(suspect.task, run)
        if (task := next(queue, None)) is None:
            return
        queue = chain([task], queue)


def _run_until_full(
    queue: Iterator[ChunkTask], workers: int, listen: progress.Listener
) -> Generator[Result, None, tuple[list[Suspect], Iterator[ChunkTask]]]:
    """Run the queue to its end, or until a chunk cannot be written: then the rest is returned."""
    crew: list[_Member] = []
    suspects: list[Suspect] = []
    full = False
    try:
        while True:
            while not full and (len(crew) < workers or any(len(m.tasks) < AHEAD for m in crew)):
                if (task := next(queue, None)) is None:
                    break
                if (failed := _hand_out(task, crew, workers)) is not None:
                    yield task, failed
            busy = [member for member in crew if member.tasks]
            if not busy:
                return suspects, queue
            ready = wait([member.worker.connection for member in busy], _LOOK)
            for member in busy:
                if member.worker.connection not in ready:
                    _look(member, listen)
                    continue
                task = member.tasks[0]
                try:
                    receipt = member.worker.receive()
                except ProcessDied as death_:
                    crew.remove(member)
                    member.worker.end(kill=True)
                    suspects.append(_suspect(task, death_))
                    queue = chain(list(member.tasks)[1:], queue)
                    continue
                except UnitStopped as stopped:
                    suspects.append(Suspect(task, stopped.key, (stopped.fault,)))
                except Exception as error:
                    if isinstance(error, OSError) or fault_of(error) is not None:
                        suspects.append(Suspect(task))
                        full = True
                    else:
                        yield task, failed_chunk(task, error)
                else:
                    yield task, receipt
                member.tasks.popleft()
                member.place, member.since, member.told = NOWHERE, time.monotonic(), 0.0
    finally:
        for member in crew:
            member.worker.end(kill=bool(member.tasks))


def _hand_out(task: ChunkTask, crew: list[_Member], workers: int) -> ShardReceipt | None:
    """Give a task to a worker without work, to a new one, or to one that has the least.

    Returns the failure of a task that cannot be sent.
    """
    member = min(crew, key=lambda member: len(member.tasks), default=None)
    if member is None or (member.tasks and len(crew) < workers):
        member = _Member(Worker(task.source))
        crew.append(member)
    if not member.tasks:
        member.since = time.monotonic()
    try:
        member.worker.send(stopping, task)
    except ProcessDied:
        pass  # Whoever waits for its receipt learns of it.
    except Exception as error:
        return failed_chunk(task, error)
    member.tasks.append(task)
    return None


def _suspect(task: ChunkTask, died: ProcessDied) -> Suspect:
    if not 0 <= died.place < task.chunk.table.height:
        return Suspect(task)
    return Suspect(task, task.chunk.table["key"][died.place], (death(died.exit_code),))


def _look(member: _Member, listen: progress.Listener) -> None:
    """Tell of the unit that a worker has been at for long."""
    now, task, place = time.monotonic(), member.tasks[0], member.worker.place
    if place != member.place:
        member.place, member.since, member.told = place, now, 0.0
    elif place != NOWHERE and now - member.since >= max(SLOW, 2 * member.told):
        member.told = now - member.since
        _tell(listen, task.slug, task.chunk.table["key"][place], member.told)


def _tell(listen: progress.Listener, slug: str, what: str, seconds: float) -> None:
    listen(progress.InWork(slug, what, round(seconds)))


def finished_or_why(
    task: ChunkTask, run: Callable[[], _Receipt]
) -> _Receipt | ShardReceipt | Unfinished:
    """What `run` gives, why the chunk is unfinished, or its failure as a whole.

    A fault of the machine while the shard is written is tried again: nothing else can be written
    either. Any other error fails this chunk, so that the other chunks go on.
    """
    for tries in range(1 + RETRIES):
        try:
            return run()
        except UnitStopped as stopped:
            return Unfinished(f"{stopped.key}: {stopped.fault.message}", everywhere=False)
        except BaseException as error:
            if is_persons(error):
                raise
            fault = fault_of(error)
            if fault is None and not isinstance(error, OSError):
                return failed_chunk(task, error)
            if fault is None or tries == RETRIES:
                reason = f"its shard cannot be written: {type(error).__name__}: {error}"
                return Unfinished(reason, everywhere=True)
    raise AssertionError("the last try returns")


def convert_alone(suspect: Suspect, listen: progress.Listener) -> ShardReceipt:
    """Convert a chunk with each unit in a child process, which may die."""
    task = suspect.task
    held: list[Worker] = []

    def attempt(unit: Unit) -> UnitOutcome:
        if not held:
            held.append(Worker(task.source))
        try:
            held[0].send(convert_killing, unit, task)
            outcome = _receive(held[0], partial(_tell, listen, task.slug, unit.key))
        except ProcessDied as died:
            outcome = UnitOutcome((), None, fault=death(died.exit_code))
        if outcome.fault is not None:  # The next try is in a fresh process.
            held.pop().end(kill=True)
        return outcome

    def convert(unit: Unit) -> UnitOutcome:
        faults = suspect.faults if unit.key == suspect.key else ()
        return persistently(unit, task, attempt, faults)

    try:
        return convert_chunk(task, convert)
    finally:
        for worker in held:
            worker.end(kill=True)


def _receive(worker: Worker, tell: Callable[[float], None]) -> Any:
    """The worker's next answer; whoever waits hears what for, at longer and longer intervals."""
    begin, told = time.monotonic(), 0.0
    while True:
        try:
            return worker.receive(_LOOK)
        except TimeoutError:
            passed = time.monotonic() - begin
            if passed >= max(SLOW, 2 * told):
                told = passed
                tell(passed)
