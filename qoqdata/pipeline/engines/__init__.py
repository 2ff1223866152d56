"""Engines run chunks: each takes tasks and yields (task, receipt) as they finish, in any order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from qoqdata.errors import UsageError
from qoqdata.pipeline.receipts import ShardReceipt
from qoqdata.pipeline.work import ChunkTask

ENGINES = ("local", "ray")


def run_tasks(
    tasks: Iterable[ChunkTask], *, engine: str, workers: int
) -> Iterator[tuple[ChunkTask, ShardReceipt]]:
    """Run tasks on the engine of that name; raises UsageError for an unknown one."""
    match engine:
        case "local":
            from qoqdata.pipeline.engines import local

            return local.run_tasks(tasks, workers=workers)
        case "ray":
            from qoqdata.pipeline.engines import ray

            return ray.run_tasks(tasks, workers=workers)
    raise UsageError(f"no engine is called {engine!r}", fix=f"one of {', '.join(ENGINES)}")
