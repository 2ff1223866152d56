"""Validation during training: a fixed part of a split, answered greedily and judged as
`qoqtrain evaluate` judges; the best policies, and when to stop.

RUN/best/step-00000020/   the policy after a step that is among the best, as `model/` is
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest
from typing import TYPE_CHECKING, Any

import polars as pl

from qoqdata.atomic import digest
from qoqdata.errors import InputError, UsageError
from qoqtrain.evaluate import judge, questions_of, summarise
from qoqtrain.evaluate.predictions import Prediction
from qoqtrain.evaluate.results import Estimate, Evaluation
from qoqtrain.trainer.export import write_model
from qoqtrain.trainer.log import metrics
from qoqtrain.trainer.plan.settings import TrainSettings, Validation
from qoqtrain.trainer.questions import COLUMNS
from qoqtrain.trainer.run import TrainingRun

if TYPE_CHECKING:
    from qoqdata.dataset import Dataset
    from qoqtrain.data.batch import Row

BEST = "best"
#: Figures of the metrics; those without a value in the subset are null.
FIGURES = ("macro_f1", "balanced_accuracy", "accuracy", "credit", "iou")
#: Questions answered in one go on a rank.
_TOGETHER = 16
#: A nucleus of the likeliest token alone.
_GREEDY = 1e-9


@dataclass(frozen=True, eq=False)
class ValidationSet:
    """The questions that every validation of a run asks, by id, the same on all ranks."""

    dataset: Dataset
    questions: list[Mapping[str, Any]]


def validation_set(dataset: Dataset, settings: TrainSettings, ecg: Sequence[str]) -> ValidationSet:
    """Up to `validation.questions` of the split, of every domain as many as it has and can, chosen
    by a hash of their ids and the seed; without those of `ecg`, which the policy cannot read.

    Raises DatasetError for a split without records, UsageError where none is left.
    """
    asked, blind = settings.validation, set(ecg)
    by_domain: dict[str, list[Mapping[str, Any]]] = {}
    for question in questions_of(dataset, asked.split):
        if question["id"] not in blind:
            by_domain.setdefault(str(question["domain"]), []).append(question)
    for members in by_domain.values():
        members.sort(key=lambda question: digest([settings.seed, question["id"]]))
    turns = zip_longest(*(by_domain[name] for name in sorted(by_domain)))
    chosen = list(islice((q for turn in turns for q in turn if q is not None), asked.questions))
    if not chosen:
        fix = "name another split, or leave validation.every out"
        raise UsageError("has no question for this policy", where=asked.split, fix=fix)
    return ValidationSet(dataset, sorted(chosen, key=lambda question: str(question["id"])))


def validate(run: TrainingRun, these: ValidationSet) -> dict[str, Any]:
    """The figures of the policy as it is now, by domain, with 95 % intervals; all ranks call this.

    A question that cannot be shown stays in every denominator and is wrong.
    """
    ids = [str(question["id"]) for question in these.questions]
    mine = ids[run.ranks.rank :: run.ranks.world]
    answers: dict[str, Prediction] = {}
    with run.clock.on("validate"), run.engine.generating():
        for rows in _batches(run, these.dataset, mine):
            answers |= _answers(run, rows)
    merged = {name: one for part in run.ranks.gather(answers) for name, one in part.items()}
    frame = run.collator.processor.family.frame
    settings = run.settings.validation
    outcomes = judge(these.questions, merged, frame=frame)
    return figures_of(
        summarise(outcomes, bootstrap=settings.bootstrap, seed=run.settings.seed), len(ids)
    )


def figures_of(evaluation: Evaluation, questions: int) -> dict[str, Any]:
    """The figures as the metrics hold them: value, low and high of each, over all and by domain."""
    return {
        "questions": questions,
        "unparsable": evaluation.counts.unparsable,
        **_values(evaluation.metrics),
        "domains": {one.domain: _values(one.metrics) for one in evaluation.domains},
    }


def _values(metrics: Mapping[str, Estimate]) -> dict[str, dict[str, float | None]]:
    return {
        name: {"value": one.value, "low": one.low, "high": one.high}
        for name in FIGURES
        if (one := metrics[name]).value is not None
    }


def figure(numbers: Mapping[str, Any], path: str) -> float:
    """The figure named by `path`, such as "macro_f1" or "domains.ct.accuracy".

    Raises UsageError for one that these numbers do not have.
    """
    value: Any = numbers
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    if isinstance(value, Mapping):
        value = value.get("value")
    if not isinstance(value, int | float):
        raise _no_figure(path, ", ".join(name for name in numbers if name in FIGURES))
    return float(value)


def refuse_figure(path: str, domains: Collection[str]) -> None:
    """Raise UsageError for a path that `figure` finds in no validation of these `domains`."""
    *within, name = path.split(".")
    if name not in FIGURES or (within and (len(within) != 2 or within[0] != "domains")):
        raise _no_figure(path, ", ".join(FIGURES))
    if within and within[-1] not in domains:
        fix = f"the questions are of {', '.join(sorted(domains))}"
        raise UsageError(f"{within[-1]!r} is not asked", where="validation.best", fix=fix)


def _no_figure(path: str, have: str) -> UsageError:
    fix = f"one of {have}, or domains.NAME.FIGURE"
    return UsageError(f"{path!r} is no figure of the validation", where="validation.best", fix=fix)


@dataclass(frozen=True)
class Course:
    """The validated steps so far, (step, figure) each."""

    points: tuple[tuple[int, float], ...] = ()

    def after(self, step: int, value: float) -> Course:
        """With one more point."""
        return Course((*self.points, (step, value)))

    def best(self, count: int) -> list[int]:
        """The best steps, first the best; of equal ones the earlier."""
        ranked = sorted(self.points, key=lambda point: (-point[1], point[0]))
        return [step for step, _ in ranked[:count]]

    def is_over(self, patience: int | None) -> bool:
        """Whether the best is `patience` validations or more ago."""
        if patience is None or not self.points:
            return False
        steps = [step for step, _ in self.points]
        return len(steps) - 1 - steps.index(self.best(1)[0]) >= patience


def course_of(run: TrainingRun) -> Course:
    """The course of a run that goes on, from its metrics."""
    points: list[tuple[int, float]] = []
    if run.ranks.first:
        path = run.settings.validation.best
        for line in metrics.read_metrics(run.settings.out / metrics.FILE):
            if "validation" in line:
                points.append((int(line["step"]), figure(line["validation"], path)))
    return Course(tuple(run.ranks.gather(points)[0]))


def keep_best(run: TrainingRun, course: Course) -> None:
    """Write the policy where the last step is among the best, and remove those that are no more;
    all ranks call this."""
    settings = run.settings.validation
    best, step = course.best(settings.keep), course.points[-1][0]
    root = run.settings.out / BEST
    if step in best:
        if run.ranks.first:
            root.mkdir(parents=True, exist_ok=True)
        write_model(run, root / _name(step))
    if run.ranks.first:
        for folder in root.glob("step-*"):
            if folder.name not in {_name(one) for one in best}:
                shutil.rmtree(folder)
    run.ranks.wait()


def due(settings: Validation, step: int, steps: int) -> bool:
    """Whether step `step` of `steps` is followed by a validation."""
    return settings.every is not None and (step % settings.every == 0 or step == steps)


def _name(step: int) -> str:
    return f"step-{step:08d}"


def _batches(run: TrainingRun, dataset: Dataset, ids: Sequence[str]) -> Iterator[list[Row]]:
    stream = (
        dataset.stream(
            run.settings.validation.split,
            purpose="evaluation",
            shuffle=False,
            epochs=1,
            columns=COLUMNS,
            images="bytes",
            workers=0,
            where=pl.col("id").is_in(list(ids)),
        )
        if ids
        else ()
    )
    records = iter(stream)
    while part := list(islice(records, _TOGETHER)):
        rows = []
        for record in part:
            try:
                rows.append(run.collator.row(record))
            except (InputError, UsageError):
                continue  # without an answer it counts as wrong
        if rows:
            yield rows


def _answers(run: TrainingRun, rows: list[Row]) -> dict[str, Prediction]:
    from qoqtrain.rollout.protocol import Prompt, SamplingSettings
    from qoqtrain.trainer.step.sampling import local_sampler

    sampling = SamplingSettings(1, 1.0, _GREEDY, run.settings.rollouts.response_tokens)
    prompts = [Prompt({"id": row.id}, row.tokens, 0) for row in rows]
    rollouts = local_sampler(run, rows)(prompts, sampling, seed=run.settings.seed, step=0)
    return {
        rollout.question: Prediction(rollout.text, seen_sizes=rows[rollout.row].truth.seen_sizes)
        for rollout in rollouts
    }
