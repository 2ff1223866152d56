"""The ranks of a run: who this process is, what all of them exchange, whether they agree."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from qoqdata.errors import QoqdataError, UsageError

T = TypeVar("T")

#: How long a rank waits for the others before it takes them for dead.
PATIENCE = timedelta(minutes=30)


@dataclass(frozen=True)
class Ranks:
    """This process is `rank` of `world`, and rank `local` of its machine.

    Objects go over a gloo group of their own: it works beside NCCL, and a dead rank ends a wait
    on it with an error.
    """

    rank: int = 0
    world: int = 1
    local: int = 0
    group: Any = None

    @property
    def first(self) -> bool:
        return self.rank == 0

    def wait(self) -> None:
        """Until all ranks are here."""
        self.gather(None)

    def gather(self, value: T) -> list[T]:
        """The values of all ranks, in order of rank, on every rank.

        Raises QoqdataError when another rank has died.
        """
        if self.world == 1:
            return [value]
        import torch.distributed as dist

        values: list[Any] = [None] * self.world
        self._together(lambda: dist.all_gather_object(values, value, group=self.group))
        return values

    def agree(self, failure: QoqdataError | None) -> None:
        """Raise the failure of the lowest rank that has one, on every rank."""
        for one in self.gather(failure):
            if one is not None:
                raise one

    def total(self, value: float) -> float:
        """The sum over all ranks."""
        return float(sum(self.gather(value)))

    def _together(self, exchange: Callable[[], None]) -> None:
        try:
            exchange()
        except RuntimeError as error:
            raise dead_rank(self.rank, error) from error


def dead_rank(rank: int, error: Exception) -> QoqdataError:
    """What to say when a collective fails."""
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return QoqdataError(
        f"another rank died or does not answer ({reason[:200]})",
        where=f"rank {rank}",
        fix="read the first error of the other ranks; the same command goes on from the last"
        " checkpoint",
    )


def join(*, patience: timedelta = PATIENCE) -> Ranks:
    """Join the other processes that `torchrun`, `deepspeed` or `srun` started; alone without.

    Raises UsageError for an environment that names no rendezvous, QoqdataError when the others do
    not come.
    """
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return Ranks()
    if lacking := [name for name in names if name not in os.environ]:
        fix = "start it with torchrun, deepspeed or the script of `qoqtrain train --print-slurm`"
        raise UsageError(f"the launcher did not set {', '.join(lacking)}", fix=fix)
    import torch
    import torch.distributed as dist

    rank, world, local = (int(os.environ[name]) for name in names[:3])
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(local)
    try:
        if not dist.is_initialized():
            dist.init_process_group("nccl" if cuda else "gloo", timeout=patience)
        group = dist.new_group(backend="gloo", timeout=patience)
    except (RuntimeError, ValueError) as error:
        raise dead_rank(rank, error) from error
    return Ranks(rank, world, local, group)


def leave(ranks: Ranks) -> None:
    """End the process group."""
    if ranks.world > 1:
        import torch.distributed as dist

        if dist.is_initialized():
            dist.destroy_process_group()


def require_agreement(states: Sequence[Mapping[str, Any]]) -> None:
    """Raise UsageError, naming the first difference, unless the states of all ranks are equal."""
    for rank, state in enumerate(states):
        if difference := first_difference(states[0], state):
            path, here, there = difference
            raise UsageError(
                f"{path} is {here!r} on rank 0 and {there!r} on rank {rank}",
                where="DRPO state",
                fix="give every rank the same settings, statistics and checkpoint",
            )


def first_difference(ours: Any, theirs: Any, path: str = "") -> tuple[str, Any, Any] | None:
    """Path and both values where two states first differ, in the order of `ours`; else None.

    A key or entry that only one of them has is reported as None on the other side.
    """
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        keys = [*ours, *(key for key in theirs if key not in ours)]
        pairs = [(f"{path}.{key}" if path else str(key), key) for key in keys]
        return _first((name, ours.get(key), theirs.get(key)) for name, key in pairs)
    if isinstance(ours, list) and isinstance(theirs, list):
        longest = range(max(len(ours), len(theirs)))
        return _first((f"{path}[{i}]", _entry(ours, i), _entry(theirs, i)) for i in longest)
    return None if ours == theirs else (path, ours, theirs)


def _first(pairs: Iterable[tuple[str, Any, Any]]) -> tuple[str, Any, Any] | None:
    differences = (first_difference(here, there, name) for name, here, there in pairs)
    return next((difference for difference in differences if difference), None)


def _entry(values: list[Any], index: int) -> Any:
    return values[index] if index < len(values) else None
