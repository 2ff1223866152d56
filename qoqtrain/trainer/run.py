"""A run: what every step works with, and how it starts from its plan."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from qoqdata.errors import UsageError
from qoqtrain.rollout.colocated import ColocatedEngine, start_colocated
from qoqtrain.rollout.servers import Servers
from qoqtrain.trainer.engine.engine import (
    Engine,
    computes_in_bfloat16,
    start_engine,
    uses_deepspeed,
)
from qoqtrain.trainer.engine.ranks import Ranks
from qoqtrain.trainer.engine.reference import Reference, WithoutLora, frozen_copy
from qoqtrain.trainer.lora import add_lora
from qoqtrain.trainer.plan.plan import Shape, TrainingPlan
from qoqtrain.trainer.plan.settings import TrainSettings
from qoqtrain.trainer.success import SuccessTable

if TYPE_CHECKING:
    from qoqtrain.data.collate import Collator
    from qoqtrain.drpo import DRPO


@dataclass(eq=False)
class Clock:
    """Seconds by what they were spent on."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def on(self, name: str) -> Iterator[None]:
        """Add the time of the block to `name`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    def read(self) -> dict[str, float]:
        """The seconds so far; starts again at nothing."""
        seconds, self.seconds = self.seconds, {}
        return seconds


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
    success: SuccessTable | None = None
    servers: Servers = field(default_factory=lambda: Servers(()))
    colocated: ColocatedEngine | None = None
    clock: Clock = field(default_factory=Clock)

    @property
    def pad(self) -> int:
        return int(self.collator.processor.pad_token_id)

    def facts(self) -> dict[str, Any]:
        """What checkpoints and metrics name the run by."""
        return {"model": self.settings.model, "stage": self.settings.stage}


def start_run(plan: TrainingPlan, ranks: Ranks, *, samples: bool = True) -> TrainingRun:
    """Load the policy and start its engine, and where the run `samples` the one that rollouts may
    come from; raises UsageError for a model that cannot be used."""
    from qoqtrain.data.collate import Collator

    settings = plan.settings
    # Before the policy: the engine measures how much memory there is.
    colocated = _colocated(plan) if samples else None
    torch.manual_seed(settings.seed + ranks.rank)
    policy, processor = starting_policy(plan, ranks)
    choose_trained(policy, settings)
    if settings.engine.gradient_checkpointing:
        policy.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    policy.train()
    engine = start_engine(settings, policy, ranks)
    collator = Collator(processor, max_prompt_tokens=settings.rollouts.prompt_tokens)
    reference = _reference(plan, ranks, engine.device)
    success = success_table(plan)
    return TrainingRun(
        settings,
        ranks,
        plan.shape,
        engine,
        collator,
        plan.drpo,
        reference,
        success,
        Servers(settings.rollouts.urls),
        colocated,
    )


def _colocated(plan: TrainingPlan) -> ColocatedEngine | None:
    settings, rollouts = plan.settings, plan.settings.rollouts
    if settings.stage != "drpo" or rollouts.backend != "vllm_colocated":
        return None
    from qoqtrain.model.processor import Processor

    images = Processor.from_pretrained(
        settings.model, min_pixels=settings.min_pixels, max_pixels=settings.max_pixels
    ).image_processor
    return start_colocated(
        settings.model,
        dtype="bfloat16" if computes_in_bfloat16(settings) else "float32",
        tokens=rollouts.prompt_tokens + rollouts.response_tokens,
        memory=rollouts.memory,
        pixels=(images.size["shortest_edge"], images.size["longest_edge"]),
        seed=settings.seed,
    )


def success_table(plan: TrainingPlan) -> SuccessTable | None:
    """The table of questions' success, from the statistics' rates, where draws depend on it."""
    groups = plan.settings.groups
    if plan.drpo is None or not groups.foresee:
        return None
    priors = plan.drpo.priors.domains.items()
    rates = {name: prior.success_rate for name, prior in priors if prior.success_rate is not None}
    return SuccessTable(rates, groups.strength)


def starting_policy(plan: TrainingPlan, ranks: Ranks) -> tuple[Any, Any]:
    """The policy and its processor, in the dtype that the engine wants."""
    from qoqtrain.model.loading import load_policy

    settings = plan.settings
    half = computes_in_bfloat16(settings) and uses_deepspeed(settings, ranks.world)
    return load_policy(
        settings.model,
        dtype="bfloat16" if half else "float32",
        ecg=plan.branch,
        ecg_weights=settings.ecg_weights,
        attention=settings.engine.attention,
        min_pixels=settings.min_pixels,
        max_pixels=settings.max_pixels,
        seed=settings.seed,
    )


def choose_trained(policy: Any, settings: TrainSettings) -> None:
    """Switch gradients on for what the stage trains, off for the rest.

    "align": the ECG branch, encoder and projector, under a frozen vision-language model; "sft" and
    "drpo": everything, or with `lora` the adapters and the ECG branch. Raises UsageError for the
    alignment of a policy without an ECG branch: vision towers of Qwen models are aligned already.
    """
    if settings.stage == "align":
        if policy.ecg is None:
            raise UsageError(
                "there is nothing to align: the policy has no ECG branch",
                where="stage",
                fix="use a data set with ECGs, or go on with the stage sft or drpo",
            )
        policy.vlm.requires_grad_(False)
        policy.ecg.requires_grad_(True)
        return
    if settings.lora is None:
        policy.requires_grad_(True)
        return
    policy.requires_grad_(False)
    add_lora(policy, settings.lora)
    if policy.ecg is not None:
        policy.ecg.requires_grad_(True)


def copies_reference(settings: TrainSettings, *, new_branch: bool) -> bool:
    """Whether the KL term takes a second copy of the weights: without adapters to switch off, and
    where an ECG branch that has just begun is trained beside them."""
    needed = settings.stage == "drpo" and settings.loss.kl > 0
    return needed and (settings.lora is None or new_branch)


def _reference(plan: TrainingPlan, ranks: Ranks, device: torch.device) -> Reference | None:
    settings = plan.settings
    if settings.stage != "drpo" or not settings.loss.kl:
        return None
    if not copies_reference(settings, new_branch=plan.branch is not None):
        return WithoutLora()
    policy, _ = starting_policy(plan, ranks)
    return frozen_copy(policy, device)
