"""What every step of a run works with."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from qoqdata.errors import QoqdataError
from qoqtrain.trainer.ranks import Ranks
from qoqtrain.trainer.settings import TrainSettings

if TYPE_CHECKING:
    from qoqtrain.data.collate import Collator
    from qoqtrain.drpo import DRPO
    from qoqtrain.trainer.engine import Engine
    from qoqtrain.trainer.reference import Reference


@dataclass(frozen=True)
class Shape:
    """How a step is cut, on each rank: `questions`, `sequences` of an optimizer step, and the
    `micro_batches` that they make; `updates` optimizer steps in a step, `steps` in the run."""

    questions: int
    sequences: int
    micro_batches: int
    updates: int
    steps: int


@dataclass(eq=False)
class Clock:
    """Seconds by what they were spent on."""

    spent: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def on(self, name: str) -> Iterator[None]:
        """Add the time of the block to `name`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.spent[name] = self.spent.get(name, 0.0) + time.perf_counter() - start

    def read(self) -> dict[str, float]:
        """The seconds so far; starts again at nothing."""
        spent, self.spent = self.spent, {}
        return spent


@dataclass(frozen=True, eq=False)
class TrainingRun:
    """A policy in its engine, and everything that its steps need."""

    settings: TrainSettings
    ranks: Ranks
    shape: Shape
    engine: Engine
    collator: Collator
    drpo: DRPO | None = None
    reference: Reference | None = None
    clock: Clock = field(default_factory=Clock)

    @property
    def pad(self) -> int:
        return int(self.collator.processor.pad_token_id)

    def facts(self) -> dict[str, Any]:
        """What checkpoints and metrics name the run by."""
        return {"model": self.settings.model, "stage": self.settings.stage}


def require_finite(run: TrainingRun, loss: float) -> float:
    """The sum of all ranks' losses; raises QoqdataError on every rank when it is not finite."""
    return _finite(run.ranks.total(loss), "the loss is")


def step_weights(run: TrainingRun, rate: float) -> float:
    """One optimizer step; the norm of its gradient. Raises QoqdataError when that is not finite."""
    return _finite(run.engine.step(rate), "the gradient has the norm")


def _finite(value: float, what: str) -> float:
    if not math.isfinite(value):
        fix = "go on from the last checkpoint with a lower learning rate or float32"
        raise QoqdataError(f"{what} {value}", fix=fix)
    return value
