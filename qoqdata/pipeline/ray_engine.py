"""Chunks on a Ray cluster, whose machines share the raw and the output folder.

A chunk is converted in a process of Ray's, which dies with a unit that hangs or crashes its
decoder. Then, and when its machine is lost, the chunk is run once more with each unit in a child
process of its own, and Ray itself starts that again on another machine as often as machines fail.
"""

from __future__ import annotations

import socket
from collections.abc import Generator, Iterable
from functools import partial
from typing import Any

from qoqdata.errors import UsageError
from qoqdata.pipeline import process_resources, progress
from qoqdata.pipeline.conversion import ChunkTask, Unfinished, failed_chunk, stopping
from qoqdata.pipeline.faults import RETRIES, UnitStopped
from qoqdata.pipeline.receipts import ShardReceipt
from qoqdata.pipeline.workers import AHEAD, Result, Suspect, convert_alone, finished_or_why
from qoqdata.version import VERSION

_UNSPILLED = {"automatic_object_spilling_enabled": False}
#: Seconds after which the room in the cluster is looked at again.
_LOOK = 10.0
#: Seconds in which a cluster answers.
_SOON = 10.0


def run_on_ray(
    tasks: Iterable[ChunkTask], workers: int, address: str | None
) -> Generator[Result, None, None]:
    """Run tasks on the cluster at `address` ("auto": the one around), or on one of this machine.

    So many tasks are under way that each of `workers` has the next one; with `workers` 0 each core
    that the cluster has at the time. A task asks for as much memory as the limits give a unit.
    Raises UsageError where Ray is not installed, where no cluster answers, and for a node that has
    another version of qoqdata.
    """
    ray = _connected(workers, address)
    first = ray.remote(_convert)
    again = ray.remote(_convert_alone)
    queue = iter(tasks)
    in_flight: dict[Any, tuple[ChunkTask, bool]] = {}

    def submit(function: Any, task: ChunkTask, retries: int) -> None:
        asked = {"max_retries": retries, "num_cpus": 1, "memory": task.job.limits.unit_bytes}
        options = {name: value for name, value in asked.items() if value is not None}
        reference = function.options(**options).remote(task, VERSION)
        in_flight[reference] = task, function is again

    while True:
        while len(in_flight) < _room(ray, workers) and (task := next(queue, None)):
            submit(first, task, 0)
        if not in_flight:
            return
        ready, _ = ray.wait(list(in_flight), timeout=_LOOK)
        for reference in ready:
            task, is_last = in_flight.pop(reference)
            try:
                result = ray.get(reference)
            except ray.exceptions.RayTaskError as error:
                if isinstance(error.cause, UsageError):
                    raise error.cause from None
                result = failed_chunk(task, error)
            except ray.exceptions.RayError as error:
                if not is_last:
                    submit(again, task, RETRIES)
                    continue
                result = Unfinished(f"its machine was lost: {type(error).__name__}", False)
            if result is None:
                submit(again, task, RETRIES)
            else:
                yield task, result


def _connected(workers: int, address: str | None) -> Any:
    try:
        import ray
    except ImportError as error:
        raise UsageError("the ray engine needs Ray", fix="pip install 'qoqdata[ray]'") from error
    if not ray.is_initialized():
        # A cluster that is there has as many cores as it has, and spills where it is told to. What
        # passes through Ray is small: chunks as units, and receipts.
        own: dict[str, Any] = {"num_cpus": workers or None, "_system_config": _UNSPILLED}
        try:
            if address is not None:
                _knock(address)
            settings = {} if address else own
            ray.init(address=address, include_dashboard=False, log_to_driver=False, **settings)
        except (OSError, ValueError) as error:
            what = f"no cluster answers: {str(error).partition(chr(10))[0]}"
            fix = "check the address, or leave it out to use this machine"
            raise UsageError(what, where=f"--address {address}", fix=fix) from error
    return ray


def _knock(address: str) -> None:
    """Raise OSError where nobody listens, whom Ray would wait for without end."""
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), _SOON).close()


def _room(ray: Any, workers: int) -> int:
    """Tasks to have under way; a cluster may have grown since."""
    return AHEAD * max(1, workers or int(ray.cluster_resources().get("CPU", 1)))


def _convert(task: ChunkTask, version: str) -> ShardReceipt | Unfinished | None:
    """Convert a chunk in this process, which a unit may end; None where a unit met a fault."""
    _prepare(version)

    def run() -> ShardReceipt | None:
        try:
            return stopping(task)
        except UnitStopped:
            return None

    return finished_or_why(task, run)


def _convert_alone(task: ChunkTask, version: str) -> ShardReceipt | Unfinished:
    _prepare(version)
    return finished_or_why(task, partial(convert_alone, Suspect(task), progress.silent))


def _prepare(version: str) -> None:
    if version != VERSION:
        what = f"a node of the cluster has qoqdata {VERSION}, and this is {version}"
        raise UsageError(what, fix="install the same version on all nodes")
    process_resources.settle()
