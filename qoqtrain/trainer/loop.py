"""A run from its first or its next step to its last."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import torch

from qoqdata.errors import QoqdataError, UsageError
from qoqtrain.trainer import metrics
from qoqtrain.trainer.continuation import resume, save
from qoqtrain.trainer.export import export
from qoqtrain.trainer.feed import Feed, Taken
from qoqtrain.trainer.plan import plan as setup
from qoqtrain.trainer.policy_step import policy_step
from qoqtrain.trainer.progress import Notify, Progress
from qoqtrain.trainer.questions import open_stream
from qoqtrain.trainer.ranks import Ranks, dead_rank, join, leave
from qoqtrain.trainer.run import TrainingRun
from qoqtrain.trainer.settings import TrainSettings
from qoqtrain.trainer.step.supervised import supervised_step


def train(settings: TrainSettings, notify: Notify | None = None) -> Path:
    """Train, and return the folder of the trained model; every rank of a run calls this.

    Goes on from the last good checkpoint below `settings.out`, if there is one, to the same
    numbers as an unbroken run. `notify` is called on rank 0 after every step. Raises UsageError and
    DatasetError for what cannot be trained, QoqdataError when a rank dies or the loss is not
    finite.
    """
    ranks = join()
    try:
        with _plainly(ranks):
            made = setup.plan(settings, ranks)
            run = setup.start(made, ranks)
            stream = open_stream(made.dataset, settings, ranks, ecg=made.ecg)
            with closing(stream):
                return _train(run, stream, made.dataset.manifest.digest, notify or _silent)
    finally:
        leave(ranks)


def _train(run: TrainingRun, stream: Any, data: str, notify: Notify) -> Path:
    settings, ranks = run.settings, run.ranks
    done = resume(run, stream, data)
    tell = metrics.listeners(settings.out, settings.log, run.facts()) if ranks.first else []
    advance = policy_step if settings.stage == "drpo" else supervised_step
    leave_out = settings.rollouts.unfit == "leave_out"
    images = settings.rollouts.backend == "vllm"
    per_step = run.shape.questions
    spent: list[float] = []
    if done < run.shape.steps:
        with Feed(stream, run.collator, per_step, leave_out=leave_out, images=images) as feed:
            for step in range(done + 1, run.shape.steps + 1):
                start = time.perf_counter()
                with run.clock.on("data"):
                    taken = feed.take(last=step == run.shape.steps)
                    ranks.agree(_fault(taken, ranks))
                numbers = advance(run, taken, step)
                spent.append(time.perf_counter() - start)
                numbers["time"] = _time(run, numbers, spent[-1])
                # Before the checkpoint: a run that goes on from it needs the step's line.
                metrics.tell(tell, step, numbers)
                if ranks.first:
                    left = sum(spent) / len(spent) * (run.shape.steps - step)
                    notify(Progress(step, run.shape.steps, numbers, left))
                if step % settings.checkpoints.every == 0 or step == run.shape.steps:
                    with run.clock.on("checkpoint"):
                        save(run, step, taken, data)
    return export(run)


def _fault(taken: Taken, ranks: Ranks) -> QoqdataError | None:
    if taken.failure is not None:
        return taken.failure
    if all(row is None for row in taken.rows):
        return QoqdataError(
            f"no question of rank {ranks.rank} could be shown in this step ({taken.left_out[0]})",
            fix="raise rollouts.prompt_tokens, or filter such records out of the stream",
        )
    return None


def _time(run: TrainingRun, numbers: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    tokens = numbers["policy"]["tokens"] if "policy" in numbers else None
    return {
        "seconds": seconds,
        "parts": run.clock.read(),
        "response_tokens_per_second": None if tokens is None else tokens / seconds,
    }


@contextmanager
def _plainly(ranks: Ranks) -> Iterator[None]:
    """Errors of the ranks' connections and of memory, in words."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise UsageError(
            f"the accelerator of rank {ranks.rank} has too little memory",
            fix="lower micro_batch or rollouts.batch_tokens, raise engine.zero, or offload;"
            " --dry-run estimates it",
        ) from error
    except RuntimeError as error:
        if ranks.world == 1 or not _is_lost(error):
            raise
        raise dead_rank(ranks.rank, error) from error


def _is_lost(error: RuntimeError) -> bool:
    if isinstance(error, torch.distributed.DistError):
        return True
    words = ("closed by peer", "gloo", "nccl", "timed out", "connection")
    return any(word in str(error).lower() for word in words)


def _silent(progress: Progress) -> None:
    del progress
