"""A run from its first or its next step to its last."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import torch

from qoqdata.errors import QoqdataError, UsageError
from qoqtrain.trainer.checkpoints import resume_run, save_checkpoint
from qoqtrain.trainer.engine.ranks import Ranks, dead_rank, join, leave
from qoqtrain.trainer.export import export_model
from qoqtrain.trainer.log import metrics
from qoqtrain.trainer.log.progress import Notify, Progress
from qoqtrain.trainer.plan.budget import budgeted
from qoqtrain.trainer.plan.plan import plan_run
from qoqtrain.trainer.plan.settings import TrainSettings
from qoqtrain.trainer.questions import Draws, Feed, StepQuestions, open_stream
from qoqtrain.trainer.run import TrainingRun, start_run
from qoqtrain.trainer.step.policy_step import policy_step
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
            plan = plan_run(settings, ranks)
            stream = open_stream(plan.dataset, settings, ranks, ecg=plan.ecg)
            with closing(stream):
                run = start_run(budgeted(plan, stream), ranks)
                return _train(run, stream, plan.dataset.manifest.digest, notify or _silent)
    finally:
        leave(ranks)


def _train(run: TrainingRun, stream: Any, data: str, notify: Notify) -> Path:
    settings, ranks = run.settings, run.ranks
    former = resume_run(run, stream, data)
    listeners = metrics.listeners(settings.out, settings.log, run.facts()) if ranks.first else []
    leave_out = settings.rollouts.unfit == "leave_out"
    images = settings.rollouts.backend == "vllm"
    per_step = run.shape.questions
    seconds: list[float] = []
    if former < run.shape.steps:
        with Feed(stream, run.collator, per_step, leave_out=leave_out, images=images) as feed:
            for step in range(former + 1, run.shape.steps + 1):
                start = time.perf_counter()
                last = step == run.shape.steps and settings.groups.tokens is None
                with run.clock.on("data"):
                    draws = Draws(feed, lambda drawn: ranks.agree(_fault(drawn, ranks)), last=last)
                if settings.stage == "drpo":
                    numbers = policy_step(run, draws.latest, step, draws)
                else:
                    numbers = supervised_step(run, draws.latest, step)
                seconds.append(time.perf_counter() - start)
                numbers["time"] = _time(run, numbers, seconds[-1])
                # Before the checkpoint: a run that goes on from it needs the step's line.
                metrics.tell(listeners, step, numbers)
                if ranks.first:
                    seconds_left = sum(seconds) / len(seconds) * (run.shape.steps - step)
                    notify(Progress(step, run.shape.steps, numbers, seconds_left))
                if step % settings.checkpoints.every == 0 or step == run.shape.steps:
                    with run.clock.on("checkpoint"):
                        save_checkpoint(run, step, draws.latest, data)
    return export_model(run)


def _fault(questions: StepQuestions, ranks: Ranks) -> QoqdataError | None:
    if questions.failure is not None:
        return questions.failure
    if all(row is None for row in questions.rows):
        reason = questions.left_out[0]
        return QoqdataError(
            f"no question of rank {ranks.rank} could be shown in this step ({reason})",
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
