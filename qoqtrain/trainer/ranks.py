"""The ranks of a run: who this process is, and what all of them exchange."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
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
        for found in self.gather(failure):
            if found is not None:
                raise found

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


def is_distributed(environment: dict[str, str] | None = None) -> bool:
    """Whether a launcher started this process as one of several."""
    environment = dict(os.environ) if environment is None else environment
    return int(environment.get("WORLD_SIZE", "1")) > 1


def join(*, patience: timedelta = PATIENCE) -> Ranks:
    """Join the other processes that `torchrun`, `deepspeed` or `srun` started; alone without.

    Raises UsageError for an environment that names no rendezvous, QoqdataError when the others do
    not come.
    """
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
    if not is_distributed():
        return Ranks()
    if lacking := [name for name in names if name not in os.environ]:
        fix = "start it with torchrun, deepspeed or the Slurm template of `qoqtrain launch`"
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


def share(items: Sequence[T], ranks: Ranks) -> list[T]:
    """The items of this rank: every `world`-th, from `rank` on."""
    return list(items[ranks.rank :: ranks.world])


def leave(ranks: Ranks) -> None:
    """End the process group."""
    if ranks.world > 1:
        import torch.distributed as dist

        if dist.is_initialized():
            dist.destroy_process_group()
