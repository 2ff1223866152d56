"""The dry run: what a run would do, and the memory and time of a rank, without its weights.

Memory and time come from the number of parameters alone: a guide, not a promise.
"""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

from qoqdata.errors import UsageError
from qoqtrain.drpo.starting_weights import WeightRow
from qoqtrain.trainer.engine.deepspeed import deepspeed_config
from qoqtrain.trainer.engine.engine import uses_deepspeed
from qoqtrain.trainer.engine.ranks import Ranks
from qoqtrain.trainer.plan.budget import AttentionRow, attention, budgeted, target_of
from qoqtrain.trainer.plan.fitness import prompt_lengths
from qoqtrain.trainer.plan.memory import Memory, Sizes, memory_of
from qoqtrain.trainer.plan.plan import Shape, TrainingPlan, ready_plan
from qoqtrain.trainer.plan.policy_refusals import lost_servers
from qoqtrain.trainer.plan.settings import TrainSettings
from qoqtrain.trainer.questions import ecg_ids, open_stream
from qoqtrain.trainer.run import choose_trained

#: An H100: 40 % of its 989 TFLOP/s in bfloat16, and 3.35 TB/s of memory.
FLOP_RATE, BYTE_RATE = 4e14, 3.35e12


@dataclass(frozen=True, eq=False)
class DryRun:
    """`prompt_tokens` are those of the first step's questions, on all ranks; `ecgs` how many of the
    training records show an ECG; `mix` and `weights` one row a component and a domain; `attention`
    what they come to together; `deepspeed` the engine's configuration, or None; `left_out` records
    of evaluation sources, by source; `notes` what need not keep a run from starting."""

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
    ecgs: int = 0
    notes: tuple[str, ...] = ()

    @property
    def counts_twice(self) -> bool:
        """Whether both the mix and DRPO's weights correct for how rare a domain is."""
        drpo = self.plan.drpo
        return drpo is not None and drpo.settings.rarity != "draws" and drpo.settings.alpha > 0


def dry_run(settings: TrainSettings, *, world: int) -> DryRun:
    """Everything that can be said and refused before training on `world` ranks.

    Reads the model's configuration and processor, the set's metadata and statistics: no weight, no
    image and no signal, behind a URL neither. Raises UsageError and DatasetError as `train` would.
    """
    ranks = Ranks(0, world)
    plan, collator = ready_plan(settings, ranks)
    # The machine that plans may not see the servers, and they need not run yet.
    notes = tuple(f"{url}: {why}" for url, why in lost_servers(settings).items())
    sizes = sizes_of(plan, collator.processor)
    lost = [one.id for one in plan.unfit]
    stream = open_stream(plan.dataset, settings, ranks, ecg=plan.ecg, unfit=lost)
    with closing(stream):
        plan = budgeted(plan, stream)
        first = stream.order(0, settings.questions)["id"].to_list()
        prompts = prompt_lengths(plan.dataset, first, collator)
        described = _described(plan, stream, sizes, prompts, world=world)
    return replace(described, notes=notes)


def _described(
    plan: TrainingPlan, stream: Any, sizes: Sizes, prompts: list[int], *, world: int
) -> DryRun:
    settings = plan.settings
    deepspeed = uses_deepspeed(settings, world)
    # A machine that plans need not be the one that trains: `auto` means an accelerator here.
    bfloat16 = settings.engine.dtype != "float32"
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
        ecgs=int(plan.records["id"].is_in(ecg_ids(plan.dataset)).sum()),
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
