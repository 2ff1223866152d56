"""How the work of a step is cut over ranks and micro-batches, and what cannot be cut."""

from __future__ import annotations

import math

from qoqdata.errors import UsageError
from qoqtrain.trainer.run import Shape
from qoqtrain.trainer.settings import TrainSettings


def shape_of(settings: TrainSettings, *, world: int, records: int) -> Shape:
    """The shape of a run on `world` ranks over `records` training records.

    Raises UsageError, with numbers that would do, for a batch that cannot be cut evenly, a group
    of one, and settings that contradict each other.
    """
    supervised = settings.stage != "drpo"
    group = 1 if supervised else settings.rollouts.per_question
    updates = 1 if supervised else settings.updates
    if not supervised and group < 2:
        raise UsageError(
            "a group of one rollout has no advantage",
            where="rollouts.per_question",
            fix="set it to 2 or more; 5 to 8 is usual",
        )
    if supervised and settings.updates > 1:
        fix = "set updates to 1 and questions to the size of an optimizer step"
        raise UsageError("a supervised step makes one update", where="updates", fix=fix)
    _divides(settings.questions, world * updates, "questions", "ranks x updates")
    sequences = settings.questions // world // updates * group
    _divides(sequences, settings.micro_batch, "sequences of an optimizer step", "micro_batch")
    return Shape(
        questions=settings.questions // world,
        sequences=sequences,
        micro_batches=sequences // settings.micro_batch,
        updates=updates,
        steps=_steps(settings, records),
    )


def _steps(settings: TrainSettings, records: int) -> int:
    if settings.steps is not None:
        return settings.steps
    epochs = 1.0 if settings.epochs is None else settings.epochs
    return max(1, math.ceil(epochs * records / settings.questions))


def _divides(whole: int, part: int, name: str, by: str) -> None:
    if whole % part:
        below, above = whole // part * part, (whole // part + 1) * part
        choice = f"{below} or {above}" if below else str(above)
        raise UsageError(
            f"{whole} {name} cannot be cut into {part} ({by})",
            where="questions" if name == "questions" else "micro_batch",
            fix=f"choose {choice} {name}" if name == "questions" else _micro(whole),
        )


def _micro(sequences: int) -> str:
    usual = [size for size in (1, 2, 4, 8, 16, 32) if sequences % size == 0]
    return f"set micro_batch to one of {', '.join(map(str, usual))}, or change questions"
