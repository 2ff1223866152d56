"""The dry run: what a run would do, and the memory and time of a rank, without its weights.

Memory and time come from the number of parameters alone: a guide, not a promise.
"""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from qoqdata.errors import UsageError
from qoqtrain.drpo.starting_weights import WeightRow
from qoqtrain.trainer.engine.deepspeed import deepspeed_config
from qoqtrain.trainer.engine.engine import uses_deepspeed
from qoqtrain.trainer.engine.ranks import Ranks
from qoqtrain.trainer.plan.budget import AttentionRow, attention, budgeted, target_of
from qoqtrain.trainer.plan.memory import Memory, Sizes, memory_of
from qoqtrain.trainer.plan.plan import Shape, TrainingPlan, plan_run
from qoqtrain.trainer.plan.refusals import refuse_checkpoint, refuse_unfit, unfit_records
from qoqtrain.trainer.plan.settings import TrainSettings
from qoqtrain.trainer.questions import Feed, open_stream
from qoqtrain.trainer.run import choose_trained

#: An H100: 40 % of its 989 TFLOP/s in bfloat16, and 3.35 TB/s of memory.
FLOP_RATE, BYTE_RATE = 4e14, 3.35e12


@dataclass(frozen=True, eq=False)
class DryRun:
    """`prompt_tokens` are those of the first step's questions on this rank, `ecgs` how many ECGs
    they show and `short_ecgs` those that are shorter than the policy's window; `mix` and `weights`
    one row a component and a domain; `attention` what they come to together; `deepspeed` the
    engine's configuration, or None; `left_out` records of evaluation sources, by source; `unfit`
    training records that cannot be shown, by id, with the reason."""

    plan: TrainingPlan
    sizes: Sizes
    memory: Memory
    time: Time
    prompt_tokens: list[int]
    mix: list[dict[str, Any]]
    weights: list[dict[str, Any]]
    attention: list[AttentionRow]
    deepspeed: dict[str, Any] | None
    left_out: dict[str, int] = field(default_factory=dict)
    unfit: dict[str, str] = field(default_factory=dict)
    ecgs: int = 0
    short_ecgs: int = 0

    @property
    def counts_twice(self) -> bool:
        """Whether both the mix and DRPO's weights correct for how rare a domain is."""
        drpo = self.plan.drpo
        return drpo is not None and drpo.settings.rarity != "draws" and drpo.settings.alpha > 0


def dry_run(settings: TrainSettings, *, world: int) -> DryRun:
    """Everything that can be said and refused before training on `world` ranks.

    Reads the model's configuration and processor and the first step's questions; no weights.
    Raises UsageError and DatasetError as `train` would.
    """
    from qoqtrain.data.collate import Collator
    from qoqtrain.model.processor import Processor

    ranks = Ranks(0, world)
    plan = plan_run(settings, ranks)
    processor = Processor.from_pretrained(
        settings.model,
        ecg=plan.branch,
        min_pixels=settings.min_pixels,
        max_pixels=settings.max_pixels,
    )
    refuse_checkpoint(settings, world=world, data=plan.dataset.manifest.digest)
    unfit = unfit_records(plan.dataset, plan.records, processor, settings)
    refuse_unfit(unfit, settings, plan.records.height)
    sizes = sizes_of(plan, processor)
    stream = open_stream(plan.dataset, settings, ranks, ecg=plan.ecg)
    plan = budgeted(plan, stream)
    collator = Collator(processor, max_prompt_tokens=settings.rollouts.prompt_tokens)
    leave_out = settings.rollouts.unfit == "leave_out"
    with (
        closing(stream),
        Feed(stream, collator, plan.shape.questions, leave_out=leave_out) as feed,
    ):
        questions = feed.take(last=True)
    if questions.failure is not None:
        raise questions.failure
    deepspeed = uses_deepspeed(settings, world)
    # A machine that plans need not be the one that trains: `auto` means an accelerator here.
    bfloat16 = settings.engine.dtype != "float32"
    prompts = [row.tokens for row in questions.rows if row is not None]
    mean = sum(prompts) / max(1, len(prompts))
    weights = [] if plan.drpo is None else plan.drpo.weights()
    return DryRun(
        plan=plan,
        sizes=sizes,
        memory=memory_of(sizes, settings, world=world, bfloat16=bfloat16, deepspeed=deepspeed),
        time=time_of(sizes, settings, plan.shape, prompt_tokens=mean),
        prompt_tokens=prompts,
        mix=[
            {"name": name, "records": one.records, "share": one.probability, "passes": one.passes}
            for name, one in stream.sampling().items()
        ],
        weights=[dict(row) for row in weights],
        attention=_attention(plan, stream, weights),
        deepspeed=deepspeed_config(settings, bfloat16=bfloat16) if deepspeed else None,
        left_out=stream.left_out,
        unfit=unfit,
        ecgs=len(questions.ecgs),
        short_ecgs=questions.short_ecgs,
    )


def _attention(plan: TrainingPlan, stream: Any, weights: list[WeightRow]) -> list[AttentionRow]:
    if plan.drpo is None:
        return []
    key = plan.settings.drpo.domain_key
    target = target_of(plan.records, key, plan.settings.budget.exponent)
    return attention(target, stream.sampled(key), weights)


def sizes_of(plan: TrainingPlan, processor: Any) -> Sizes:
    """The sizes of the model, from its configuration alone."""
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText

    from qoqtrain.model.loading import assemble_policy

    name = plan.settings.model
    try:
        config = AutoConfig.from_pretrained(name)
        with torch.device("meta"):
            vlm = AutoModelForImageTextToText.from_config(config)
            policy = assemble_policy(vlm, processor)
    except (OSError, ValueError) as error:
        fix = "give a folder or a hub name of a Qwen2.5-VL or Qwen3-VL model"
        raise UsageError(f"cannot be described: {error}", where=name, fix=fix) from error
    choose_trained(policy, plan.settings)
    text = config.text_config
    return Sizes(
        parameters=sum(p.numel() for p in policy.parameters()),
        trained=sum(p.numel() for p in policy.parameters() if p.requires_grad),
        layers=text.num_hidden_layers,
        width=text.hidden_size,
        vocabulary=text.vocab_size,
        kv_width=_kv_width(text),
        inner_width=int(text.intermediate_size),
        heads=int(text.num_attention_heads),
        new_branch=plan.branch is not None,
    )


def _kv_width(text: Any) -> int:
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    size = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    return int(heads * size)


@dataclass(frozen=True)
class Time:
    """Seconds of a step on an H100 at least: `generation`, `update`."""

    generation: float
    update: float


def time_of(sizes: Sizes, settings: TrainSettings, shape: Shape, *, prompt_tokens: float) -> Time:
    """The bound below, for prompts of `prompt_tokens` and every answer at its limit: arithmetic at
    40 % of the peak and the reading of weights, without what Python, images and communication take.

    Two operations a parameter and token in a forward pass and twice that in a backward one; one
    more forward pass for gradient checkpointing, for the old log-probabilities and for those of
    the reference. Generation reads all weights once for each token of each bucket.
    """
    drpo = settings.stage == "drpo"
    response = settings.rollouts.response_tokens
    tokens = shape.sequences * shape.updates * (prompt_tokens + response)
    passes = 3 + settings.engine.gradient_checkpointing
    passes += drpo * ((shape.updates > 1) + (settings.loss.kl > 0))
    update = 2 * sizes.parameters * tokens * passes / FLOP_RATE
    buckets = math.ceil(tokens / settings.rollouts.batch_tokens)
    reading = buckets * response * sizes.parameters * 2 / BYTE_RATE
    prefill = 2 * sizes.parameters * shape.questions * prompt_tokens / FLOP_RATE
    return Time(generation=drpo * (reading + prefill), update=update)
