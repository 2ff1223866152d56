"""The plan of a run: data, estimator and the cut of a step, checked early and cheaply."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from qoqdata.errors import UsageError
from qoqtrain.trainer.engine.ranks import Ranks
from qoqtrain.trainer.plan.fitness import Unfit, unfit_records
from qoqtrain.trainer.plan.policy_refusals import refuse_policy, refuse_validation
from qoqtrain.trainer.plan.refusals import (
    refuse_checkpoint,
    refuse_ecgs,
    refuse_estimator,
    refuse_settings,
    refuse_unfit,
)
from qoqtrain.trainer.plan.settings import TrainSettings
from qoqtrain.trainer.questions import ecg_ids, estimator, traced_ids, train_records

if TYPE_CHECKING:
    import polars as pl

    from qoqdata.dataset import Dataset
    from qoqtrain.data.collate import Collator
    from qoqtrain.drpo import DRPO
    from qoqtrain.model.ecg_config import EcgConfig


@dataclass(frozen=True)
class Shape:
    """How a step is cut, on each rank: `questions`, `sequences` of an optimizer step, and the
    `micro_batches` that they make at most; `updates` optimizer steps in a step, `steps` in the
    run."""

    questions: int
    sequences: int
    micro_batches: int
    updates: int
    steps: int


@dataclass(frozen=True, eq=False)
class TrainingPlan:
    """What is known before any weight is loaded.

    `records` the light rows of the training records, `shape` the cut of a step, `ecg` the ids of
    records with an ECG that the stream is filtered by (None: not filtered), `branch` the settings
    of a new ECG branch (None: as the model has it); `unfit` the records that are left out because
    they cannot be shown.
    """

    settings: TrainSettings
    dataset: Dataset
    records: pl.DataFrame
    shape: Shape
    drpo: DRPO | None
    ecg: list[str] | None
    branch: EcgConfig | None
    unfit: tuple[Unfit, ...] = ()


def ready_plan(settings: TrainSettings, ranks: Ranks) -> tuple[TrainingPlan, Collator]:
    """The plan of a run that nothing speaks against, and what makes its prompts; all that a run
    checks before it loads weights. Raises UsageError, DatasetError and InputError with the fix."""
    plan = plan_run(settings, ranks)
    refuse_checkpoint(settings, world=ranks.world, data=plan.dataset.manifest.digest)
    collator = collator_of(plan)
    refuse_policy(settings, collator)
    reads_ecg = collator.processor.ecg is not None
    refuse_validation(plan.dataset, settings, reads_ecg=reads_ecg)
    return without_unfit(plan, collator, world=ranks.world), collator


def collator_of(plan: TrainingPlan) -> Collator:
    """What makes prompts of records for the run's policy, without its weights.

    Raises UsageError for a model that cannot be used.
    """
    from qoqtrain.data.collate import Collator
    from qoqtrain.model.processor import Processor

    settings = plan.settings
    processor = Processor.from_pretrained(
        settings.model,
        ecg=plan.branch,
        min_pixels=settings.min_pixels,
        max_pixels=settings.max_pixels,
    )
    return Collator(processor, max_prompt_tokens=settings.rollouts.prompt_tokens)


def without_unfit(plan: TrainingPlan, collator: Collator, *, world: int) -> TrainingPlan:
    """The plan without the records that the policy cannot be shown; raises UsageError where the
    settings say to stop at one, or nothing else is left."""
    import polars as pl

    unfit = unfit_records(plan.dataset, plan.records["id"].to_list(), collator)
    refuse_unfit(unfit, plan.settings, plan.records.height)
    if not unfit:
        return plan
    records = plan.records.filter(~pl.col("id").is_in([one.id for one in unfit]))
    shape = shape_of(plan.settings, world=world, records=records.height)
    return replace(plan, records=records, shape=shape, unfit=tuple(unfit))


def plan_run(settings: TrainSettings, ranks: Ranks) -> TrainingPlan:
    """Check the data and the settings; raises UsageError and DatasetError with the fix."""
    import polars as pl

    import qoqdata

    refuse_settings(settings, world=ranks.world)
    dataset = qoqdata.open(settings.data)
    records = train_records(dataset)
    drpo = estimator(dataset, settings) if settings.stage == "drpo" else None
    if drpo is not None:
        refuse_estimator(drpo, settings)
    ids = ecg_ids(dataset)
    ecg, branch = _ecg(settings, ids)
    if ecg is not None:
        has_ecg = pl.col("id").is_in(ecg)
        records = records.filter(has_ecg if settings.stage == "align" else ~has_ecg)
        if not records.height:
            raise UsageError("no training record is left for this stage", where="ecg")
    if settings.learn_from == "traces":
        records = records.filter(pl.col("id").is_in(traced_ids(dataset)))
        if not records.height:
            raise UsageError(
                "no training record has reasoning of a policy",
                where="learn_from",
                fix="make a set that has: qoqdata traces SET --from RUN/rollouts.parquet --out NEW",
            )
    refuse_ecgs(settings, records, ids)
    shape = shape_of(settings, world=ranks.world, records=records.height)
    return TrainingPlan(settings, dataset, records, shape, drpo, ecg, branch)


def _ecg(settings: TrainSettings, ids: list[str]) -> tuple[list[str] | None, EcgConfig | None]:
    """The ECG records to filter by, and the settings of a new branch."""
    from qoqtrain.model.ecg_config import ecg_config
    from qoqtrain.model.storage import stored_ecg_config

    if settings.ecg == "none":
        return (ids, None) if ids else (None, None)
    stored = stored_ecg_config(settings.model)
    only = ids if settings.stage == "align" else None
    if isinstance(settings.ecg, dict):
        return only, ecg_config(settings.ecg, "ecg")
    if stored is None and ids:
        return only, ecg_config({}, "ecg")
    return only, None


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
    _divides(settings.questions, world * updates)
    sequences = settings.questions // world // updates * group
    return Shape(
        questions=settings.questions // world,
        sequences=sequences,
        micro_batches=math.ceil(sequences / settings.micro_batch),
        updates=updates,
        steps=_steps(settings, records),
    )


def _steps(settings: TrainSettings, records: int) -> int:
    if settings.steps is not None:
        return settings.steps
    epochs = 1.0 if settings.epochs is None else settings.epochs
    return max(1, math.ceil(epochs * records / settings.questions))


def _divides(questions: int, parts: int) -> None:
    if questions % parts:
        below, above = questions // parts * parts, (questions // parts + 1) * parts
        raise UsageError(
            f"{questions} questions cannot be cut into {parts} (ranks x updates)",
            where="questions",
            fix=f"choose {f'{below} or {above}' if below else above} questions",
        )
