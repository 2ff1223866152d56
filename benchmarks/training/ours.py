"""Our own training loop on the task, as `qoqtrain train` runs it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import polars as pl

from benchmarks.training.task import Cost, Lap, Task, records_of
from qoqtrain.data.collate import Collator
from qoqtrain.model.decoding import Decoding
from qoqtrain.model.policy import Policy
from qoqtrain.model.processor import Processor
from qoqtrain.trainer.engine.engine import TorchEngine
from qoqtrain.trainer.log.progress import Progress
from qoqtrain.trainer.log.rollouts import FOLDER
from qoqtrain.trainer.loop import train
from qoqtrain.trainer.plan.settings import TrainSettings, read_settings

#: The trainer's own names of what is generation, forward and backward passes, and the optimizer.
MODEL = ("generate", "old", "reference", "update")


@dataclass
class Ours:
    """`cost` of the steps, the ids of their questions, and the share of the timed steps' wall time
    that is spent outside the model: by the trainer's own timings, and counting nothing but the
    calls of begin, write, forward, backward and the optimizer as the model's."""

    cost: Cost
    questions: list[str]
    outside: float
    outside_strictly: float
    parts: dict[str, float] = field(default_factory=dict)


def run(data: str, model: Path, out: Path, task: Task) -> Ours:
    """Train `task.warm_up + task.steps` steps and time the last `task.steps`."""
    cost, numbers, inside = Cost(), [], []
    settings = settings_of(data, model, out, task)
    with _timed() as passes:
        lap = Lap()

        def notify(progress: Progress) -> None:
            cpu, wall = lap()
            model_seconds = passes()
            if progress.step > task.warm_up:
                cost.cpu.append(cpu)
                cost.wall.append(wall)
                inside.append(model_seconds)
                numbers.append(dict(progress.numbers["time"]))

        train(settings, notify)
    rollouts = pl.read_parquet(out / FOLDER).sort("step", maintain_order=True)
    cost.response_tokens = int(rollouts["n_tokens"].sum())
    questions = rollouts.filter(rollout=0)["id"].to_list()
    cost.prompt_tokens = task.rollouts * _prompt_tokens(data, model, questions)
    seconds = sum(step["seconds"] for step in numbers)
    parts = {
        name: sum(step["parts"].get(name, 0.0) for step in numbers) / seconds
        for name in sorted({name for step in numbers for name in step["parts"]})
    }
    return Ours(
        cost,
        questions,
        outside=1.0 - sum(parts.get(name, 0.0) for name in MODEL),
        outside_strictly=1.0 - sum(inside) / seconds,
        parts=parts,
    )


def settings_of(data: str, model: Path, out: Path, task: Task) -> TrainSettings:
    """The task as settings of a run; everything else is the default."""
    return read_settings(
        values={
            "data": data,
            "model": str(model),
            "out": str(out),
            "steps": task.warm_up + task.steps,
            "questions": task.questions,
            "micro_batch": task.micro_batch,
            "ecg": "none",
            "rollouts": {"per_question": task.rollouts, "response_tokens": task.tokens},
            "optimizer": {"learning_rate": task.learning_rate},
            "engine": {"name": "torch", "dtype": "float32", "gradient_checkpointing": False},
            "log": {"tensorboard": False},
            # Nothing is learnt, so all groups tie: the work of an update is to be measured.
            "groups": {"skip_tied": False},
        }
    )


def _prompt_tokens(data: str, model: Path, questions: list[str]) -> int:
    collator = Collator(Processor.from_pretrained(model))
    lengths = {name: collator.row(record).tokens for name, record in records_of(data).items()}
    return sum(lengths[name] for name in questions)


@contextmanager
def _timed() -> Iterator[Callable[[], float]]:
    """Gives the wall seconds of the model's own calls since it was asked last."""
    seconds = [0.0]

    def timed(call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return call(*args, **kwargs)
            finally:
                seconds[0] += time.perf_counter() - start

        return called

    def read() -> float:
        total, seconds[0] = seconds[0], 0.0
        return total

    with (
        patch.object(Policy, "begin", timed(Policy.begin)),
        patch.object(Decoding, "write", timed(Decoding.write)),
        patch.object(TorchEngine, "forward", timed(TorchEngine.forward)),
        patch.object(TorchEngine, "backward", timed(TorchEngine.backward)),
        patch.object(TorchEngine, "step", timed(TorchEngine.step)),
    ):
        yield read
