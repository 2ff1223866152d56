"""What a run would do, without its weights: the dry run."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qoqdata.errors import UsageError
from qoqtrain.trainer import engine as engines
from qoqtrain.trainer.deepspeed_config import deepspeed_config
from qoqtrain.trainer.estimate import Memory, Sizes, Time, memory_of, time_of
from qoqtrain.trainer.feed import Feed
from qoqtrain.trainer.plan.plan import TrainingPlan, plan
from qoqtrain.trainer.questions import open_stream
from qoqtrain.trainer.ranks import Ranks
from qoqtrain.trainer.stages import choose_trained

if TYPE_CHECKING:
    from qoqtrain.trainer.settings import TrainSettings


@dataclass(frozen=True, eq=False)
class Preview:
    """`prompt_tokens` are those of the first step's questions on this rank; `mix` and `weights`
    one row a component and a domain; `deepspeed` the engine's configuration, or None."""

    plan: TrainingPlan
    sizes: Sizes
    memory: Memory
    time: Time
    prompt_tokens: list[int]
    mix: list[dict[str, Any]]
    weights: list[dict[str, Any]]
    deepspeed: dict[str, Any] | None


def preview(settings: TrainSettings, *, world: int) -> Preview:
    """Everything that can be said and refused before training on `world` ranks.

    Reads the model's configuration and processor and the first step's questions; no weights.
    Raises UsageError and DatasetError as `train` would.
    """
    from qoqtrain.data.collate import Collator
    from qoqtrain.model.processor import Processor

    ranks = Ranks(0, world)
    made = plan(settings, ranks)
    processor = Processor.from_pretrained(
        settings.model,
        ecg=made.branch,
        min_pixels=settings.min_pixels,
        max_pixels=settings.max_pixels,
    )
    sizes = sizes_of(made, processor)
    stream = open_stream(made.dataset, settings, ranks, ecg=made.ecg)
    collator = Collator(processor, max_prompt_tokens=settings.rollouts.prompt_tokens)
    leave_out = settings.rollouts.unfit == "leave_out"
    with (
        closing(stream),
        Feed(stream, collator, made.shape.questions, leave_out=leave_out) as feed,
    ):
        taken = feed.take(last=True)
    if taken.failure is not None:
        raise taken.failure
    deepspeed = engines.uses_deepspeed(settings, world)
    bfloat16 = engines.computes_in_bfloat16(settings)
    prompts = [row.tokens for row in taken.rows if row is not None]
    mean = sum(prompts) / max(1, len(prompts))
    return Preview(
        plan=made,
        sizes=sizes,
        memory=memory_of(sizes, settings, world=world, bfloat16=bfloat16, deepspeed=deepspeed),
        time=time_of(sizes, settings, made.shape, prompt_tokens=mean),
        prompt_tokens=prompts,
        mix=[
            {"name": name, "records": one.records, "share": one.probability, "passes": one.passes}
            for name, one in stream.sampling().items()
        ],
        weights=[] if made.drpo is None else [dict(row) for row in made.drpo.weights()],
        deepspeed=deepspeed_config(
            settings, micro_batches=made.shape.micro_batches, bfloat16=bfloat16
        )
        if deepspeed
        else None,
    )


def sizes_of(made: TrainingPlan, processor: Any) -> Sizes:
    """The sizes of the model, from its configuration alone."""
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText

    from qoqtrain.model.loading import assemble

    name = made.settings.model
    try:
        config = AutoConfig.from_pretrained(name)
        with torch.device("meta"):
            vlm = AutoModelForImageTextToText.from_config(config)
            policy = assemble(vlm, processor)
    except (OSError, ValueError) as error:
        fix = "give a folder or a hub name of a Qwen2.5-VL or Qwen3-VL model"
        raise UsageError(f"cannot be described: {error}", where=name, fix=fix) from error
    choose_trained(policy, made.settings)
    text = config.text_config
    return Sizes(
        parameters=sum(p.numel() for p in policy.parameters()),
        trained=sum(p.numel() for p in policy.parameters() if p.requires_grad),
        layers=text.num_hidden_layers,
        width=text.hidden_size,
        vocabulary=text.vocab_size,
    )
