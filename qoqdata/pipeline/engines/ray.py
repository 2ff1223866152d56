"""A Ray cluster: the same chunks on many machines that share the raw and the output folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from qoqdata.errors import UsageError
from qoqdata.pipeline.receipts import ShardReceipt
from qoqdata.pipeline.work import ChunkTask, prepare_process, run


def run_tasks(
    tasks: Iterable[ChunkTask], *, workers: int
) -> Iterator[tuple[ChunkTask, ShardReceipt]]:
    """Run tasks as Ray tasks, two a worker in flight; joins a running cluster or starts one.

    Ray itself retries a task whose process died; one that kills it every time ends the build
    with an error that names the chunk.
    """
    try:
        import ray
    except ImportError as error:
        raise UsageError("the ray engine needs Ray", fix="pip install 'qoqdata[ray]'") from error
    if not ray.is_initialized():
        ray.init(include_dashboard=False, log_to_driver=False, num_cpus=workers or None)
    remote = ray.remote(_run)
    queue = iter(tasks)
    flying: dict = {}
    while True:
        for task in islice(queue, max(1, 2 * workers) - len(flying)):
            flying[remote.remote(task)] = task
        if not flying:
            return
        done, _ = ray.wait(list(flying))
        for reference in done:
            yield flying.pop(reference), ray.get(reference)


def _run(task: ChunkTask) -> ShardReceipt:
    prepare_process()
    return run(task)
