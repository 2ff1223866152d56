"""A run from its first or its next step to its last."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from qoqdata.errors import QoqdataError, UsageError
from qoqtrain.trainer.checkpoints import (
    CHECKPOINTS,
    is_whole,
    name_of,
    read_checkpoint,
    resume_run,
    save_checkpoint,
)
from qoqtrain.trainer.engine.ranks import Ranks, dead_rank, join, leave
from qoqtrain.trainer.export import export_model, write_model
from qoqtrain.trainer.log import metrics
from qoqtrain.trainer.log.progress import Notify, Progress
from qoqtrain.trainer.plan.budget import budgeted
from qoqtrain.trainer.plan.fitness import in_words
from qoqtrain.trainer.plan.plan import TrainingPlan, plan_run, ready_plan
from qoqtrain.trainer.plan.policy_refusals import refuse_servers
from qoqtrain.trainer.plan.settings import TrainSettings, write_settings
from qoqtrain.trainer.questions import (
    Draws,
    Feed,
    StepQuestions,
    ecg_ids,
    open_stream,
    shared_folder,
)
from qoqtrain.trainer.run import TrainingRun, start_run
from qoqtrain.trainer.signals import Wishes, heard
from qoqtrain.trainer.step.policy_step import policy_step
from qoqtrain.trainer.step.supervised import supervised_step
from qoqtrain.trainer.validation import (
    Course,
    course_of,
    due,
    figure,
    keep_best,
    validate,
    validation_set,
)

if TYPE_CHECKING:
    from qoqdata.dataset import Dataset


def train(settings: TrainSettings, notify: Notify | None = None) -> Path:
    """Train, and return the folder of the trained model; every rank of a run calls this.

    Goes on from the last good checkpoint below `settings.out`, if there is one, to the same
    numbers as an unbroken run. `notify` is called on rank 0 after every step. SIGUSR1 saves a
    checkpoint after the step, SIGTERM saves one and raises KeyboardInterrupt. Raises UsageError and
    DatasetError for what cannot be trained, QoqdataError when a rank dies or the loss is not
    finite.
    """
    ranks = join()
    shared = shared_folder(settings, ranks)
    try:
        with _plainly(ranks):
            plan = _planned(settings, ranks)
            lost = [one.id for one in plan.unfit]
            stream = open_stream(
                plan.dataset, settings, ranks, ecg=plan.ecg, unfit=lost, shared=shared
            )
            with closing(stream):
                run = start_run(budgeted(plan, stream), ranks)
                return _train(run, stream, plan.dataset, notify or _silent)
    finally:
        if shared is not None and ranks.local == 0:
            shutil.rmtree(shared, ignore_errors=True)
        leave(ranks)


def export_checkpoint(settings: TrainSettings, step: int, out: Path) -> Path:
    """Write the policy of the checkpoint after `step` to the folder `out`, as `model/` is; every
    rank calls this, of any number. Raises UsageError where there is no such checkpoint."""
    ranks = join()
    try:
        folder = settings.out / CHECKPOINTS / name_of(step)
        if not is_whole(folder):
            have = sorted(path.name for path in folder.parent.glob("step-*") if is_whole(path))
            fix = f"there are {', '.join(have)}" if have else "train first"
            raise UsageError("is no whole checkpoint", where=str(folder), fix=fix)
        with _plainly(ranks):
            run = start_run(plan_run(settings, ranks), ranks, samples=False)
            run.engine.load(folder, world=int(read_checkpoint(folder)["world"]))
            write_model(run, out)
            ranks.wait()
            return out
    finally:
        leave(ranks)


def _train(run: TrainingRun, stream: Any, dataset: Dataset, notify: Notify) -> Path:
    settings, ranks, data = run.settings, run.ranks, dataset.manifest.digest
    former = resume_run(run, stream, data)
    if ranks.first:
        write_settings(settings)
    listeners = metrics.listeners(settings.out, settings.log, run.facts()) if ranks.first else []
    leave_out = settings.rollouts.unfit == "leave_out"
    images = settings.rollouts.backend != "local"
    per_step = run.shape.questions
    seconds: list[float] = []
    steps = run.shape.steps
    validated, course = None, Course()
    if settings.validation.every is not None:
        blind = [] if run.collator.processor.ecg is not None else ecg_ids(dataset)
        validated, course = validation_set(dataset, settings, blind), course_of(run)
    if former < steps and not course.is_over(settings.validation.patience):
        with (
            heard() as wishes,
            Feed(stream, run.collator, per_step, leave_out=leave_out, images=images) as feed,
        ):
            for step in range(former + 1, steps + 1):
                start = time.perf_counter()
                last = step == steps and settings.groups.tokens is None
                with run.clock.on("data"):
                    draws = Draws(feed, lambda drawn: ranks.agree(_fault(drawn, ranks)), last=last)
                if settings.stage == "drpo":
                    numbers = policy_step(run, draws, step)
                else:
                    numbers = supervised_step(run, draws.latest, step)
                if validated is not None and due(settings.validation, step, steps):
                    numbers["validation"] = found = validate(run, validated)
                    course = course.after(step, figure(found, settings.validation.best))
                    keep_best(run, course)
                seconds.append(time.perf_counter() - start)
                numbers["time"] = _time(run, numbers, seconds[-1])
                # Before the checkpoint: a run that goes on from it needs the step's line.
                metrics.tell(listeners, step, numbers)
                if ranks.first:
                    seconds_left = sum(seconds) / len(seconds) * (steps - step)
                    notify(Progress(step, steps, numbers, seconds_left))
                over = step == steps or course.is_over(settings.validation.patience)
                save, end = _asked(wishes, ranks)
                if over or save or end or step % settings.checkpoints.every == 0:
                    with run.clock.on("checkpoint"):
                        save_checkpoint(run, step, draws.latest, data)
                if end and not over:
                    raise KeyboardInterrupt(f"saved after step {step}")
                if over:
                    break
    return export_model(run)


def _planned(settings: TrainSettings, ranks: Ranks) -> TrainingPlan:
    """The plan, checked as the dry run checks it; servers have to answer by now."""
    plan, _ = ready_plan(settings, ranks)
    failure: QoqdataError | None = None
    if ranks.first:
        try:
            refuse_servers(settings)
        except QoqdataError as error:
            failure = error
        if plan.unfit:
            words = in_words(plan.unfit)
            logging.getLogger(__name__).warning("records that cannot be shown, left out: %s", words)
    ranks.agree(failure)
    return plan


def _asked(wishes: Wishes, ranks: Ranks) -> tuple[bool, bool]:
    """Whether any rank was asked to save, or to save and end, since the last step."""
    asked = ranks.gather((wishes.save, wishes.end))
    wishes.save = wishes.end = False
    return any(save for save, _ in asked), any(end for _, end in asked)


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
