"""Everything a run needs, made and checked in an order that fails early and cheaply."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from qoqdata.errors import UsageError
from qoqtrain.trainer import engine as engines
from qoqtrain.trainer.questions import ecg_ids, estimator, train_records
from qoqtrain.trainer.ranks import Ranks
from qoqtrain.trainer.reference import Reference, WithoutAdapters, frozen_copy
from qoqtrain.trainer.run import Shape, TrainingRun
from qoqtrain.trainer.settings import TrainSettings
from qoqtrain.trainer.shape import shape_of
from qoqtrain.trainer.stages import choose_trained

if TYPE_CHECKING:
    import polars as pl

    from qoqdata.dataset import Dataset
    from qoqtrain.drpo import DRPO
    from qoqtrain.model.ecg_config import EcgConfig


@dataclass(frozen=True, eq=False)
class TrainingPlan:
    """What is known before any weight is loaded.

    `records` the light rows of the training records, `shape` the cut of a step, `ecg` the ids of
    records with an ECG that the stream is filtered by (None: not filtered), `branch` the settings
    of a new ECG branch (None: as the model has it).
    """

    settings: TrainSettings
    dataset: Dataset
    records: pl.DataFrame
    shape: Shape
    drpo: DRPO | None
    ecg: list[str] | None
    branch: EcgConfig | None


def plan(settings: TrainSettings, ranks: Ranks) -> TrainingPlan:
    """Check the data and the settings; raises UsageError and DatasetError with the fix."""
    import qoqdata

    engines.uses_deepspeed(settings, ranks.world)
    dataset = qoqdata.open(settings.data)
    records = train_records(dataset)
    drpo = estimator(dataset, settings, records) if settings.stage == "drpo" else None
    chosen, branch = _ecg(settings, dataset)
    if chosen is not None:
        import polars as pl

        held = pl.col("id").is_in(chosen)
        records = records.filter(held if settings.stage == "align" else ~held)
        if not records.height:
            raise UsageError("no training record is left for this stage", where="ecg")
    shape = shape_of(settings, world=ranks.world, records=records.height)
    return TrainingPlan(settings, dataset, records, shape, drpo, chosen, branch)


def _ecg(settings: TrainSettings, dataset: Dataset) -> tuple[list[str] | None, EcgConfig | None]:
    """The ECG records to filter by, and the settings of a new branch."""
    from qoqtrain.model.ecg_config import ecg_config
    from qoqtrain.model.storage import stored_ecg_config

    held = ecg_ids(dataset)
    if settings.ecg == "none":
        return (held, None) if held else (None, None)
    stored = stored_ecg_config(settings.model)
    only = held if settings.stage == "align" else None
    if isinstance(settings.ecg, dict):
        return only, ecg_config(settings.ecg, "ecg")
    if stored is None and held:
        return only, ecg_config({}, "ecg")
    return only, None


def start(made: TrainingPlan, ranks: Ranks) -> TrainingRun:
    """Load the policy and start its engine; raises UsageError for a model that cannot be used."""
    from qoqtrain.data.collate import Collator

    settings = made.settings
    torch.manual_seed(settings.seed + ranks.rank)
    policy, processor = starting_policy(made, ranks)
    choose_trained(policy, settings)
    if settings.engine.gradient_checkpointing:
        policy.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    policy.train()
    engine = engines.start(settings, policy, ranks, micro_batches=made.shape.micro_batches)
    collator = Collator(
        processor,
        max_prompt_tokens=settings.rollouts.prompt_tokens,
        kinds=made.dataset.task_kinds,
    )
    reference = _reference(made, ranks, engine.device)
    return TrainingRun(settings, ranks, made.shape, engine, collator, made.drpo, reference)


def starting_policy(made: TrainingPlan, ranks: Ranks) -> tuple[Any, Any]:
    """The policy and its processor, in the dtype that the engine wants."""
    from qoqtrain.model.loading import load_policy

    settings = made.settings
    half = engines.computes_in_bfloat16(settings) and engines.uses_deepspeed(settings, ranks.world)
    return load_policy(
        settings.model,
        dtype="bfloat16" if half else "float32",
        ecg=made.branch,
        ecg_weights=settings.ecg_weights,
        min_pixels=settings.min_pixels,
        max_pixels=settings.max_pixels,
        seed=settings.seed,
    )


def _reference(made: TrainingPlan, ranks: Ranks, device: torch.device) -> Reference | None:
    settings = made.settings
    if settings.stage != "drpo" or not settings.loss.kl:
        return None
    if settings.lora is not None and made.branch is None:
        return WithoutAdapters()
    policy, _ = starting_policy(made, ranks)
    return frozen_copy(policy, device)
