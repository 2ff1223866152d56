"""The dry run's memory estimate beside the measured peak of an update, part by part.

    python -m benchmarks.memory

On a CPU in float32 with torch alone: a Qwen3-VL whose language model is some hundred times larger
than the tests', text alone, one micro-batch, the third optimizer step. What is measured is every
byte that torch allocates for tensors, by `torch.distributed._tools.mem_tracker`, which cannot
follow frozen parameters. LoRA, generation, DeepSpeed's buffers and bfloat16 are not measured here.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.distributed._tools.mem_tracker import MemTracker

from qoqdata import console
from qoqtrain.data.batch import Row
from qoqtrain.data.collate import Collator
from qoqtrain.model.loading import load_policy
from qoqtrain.model.tiny import write_tiny
from qoqtrain.rewards import Truth
from qoqtrain.trainer.engine.engine import TorchEngine, start_engine
from qoqtrain.trainer.engine.ranks import Ranks
from qoqtrain.trainer.plan.dry_run import GIB, Memory, Sizes, memory_of
from qoqtrain.trainer.plan.settings import TrainSettings, read_settings
from qoqtrain.trainer.run import choose_trained
from qoqtrain.trainer.step.loss import policy_loss
from qoqtrain.trainer.step.sequences import Example, response_distribution

#: The language model, and the cut of a step.
WIDTH, LAYERS, VOCABULARY = 256, 8, 8192
PROMPT, RESPONSE, SEQUENCES = 192, 64, 4
CASES: dict[str, dict[str, Any]] = {
    "checkpointing": {},
    "no checkpointing": {"engine": {"gradient_checkpointing": False}},
}
#: Categories of the tracker by the part of the estimate.
PARTS = {"weights": "Parameter", "gradients": "Gradient", "optimizer": "Optstate"}


def main() -> None:
    """Print a table a case."""
    argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__).parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        model = write_model(Path(folder) / "model")
        for name, changes in CASES.items():
            values = {"data": "none", "model": str(model), "out": folder, **changes}
            settings = read_settings(
                values={
                    **values,
                    "micro_batch": SEQUENCES,
                    "rollouts": {
                        "prompt_tokens": PROMPT,
                        "response_tokens": RESPONSE,
                        "batch_tokens": 1,
                    },
                }
            )
            estimate, peak = compare(settings)
            console.say(f"\n{name}")
            console.table(
                ("MiB", "estimated", "measured", "measured / estimated"), rows(estimate, peak)
            )


def rows(estimate: Memory, peak: Mapping[str, int]) -> list[tuple[str, float, float, float]]:
    """A row a part; what is no weight, gradient or state is activations with logits."""
    mib = 2**20
    parts = {part: (getattr(estimate, part), peak[kind]) for part, kind in PARTS.items()}
    rest = peak["Total"] - sum(peak[kind] for kind in PARTS.values())
    parts["activations and logits"] = (estimate.activations + estimate.logits, rest)
    total = sum(guess for guess, _ in parts.values())
    parts["all"] = (total, peak["Total"])
    return [
        (part, guess * GIB / mib, found / mib, found / (guess * GIB))
        for part, (guess, found) in parts.items()
    ]


def compare(settings: TrainSettings) -> tuple[Memory, Mapping[str, int]]:
    """The estimate of a step's memory and the bytes at the peak of the third step, by category."""
    policy, processor = load_policy(settings.model, dtype="float32", ecg=None)
    choose_trained(policy, settings)
    if settings.engine.gradient_checkpointing:
        policy.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    policy.train()
    engine = start_engine(settings, policy, Ranks())
    assert isinstance(engine, TorchEngine)
    collator = Collator(processor, max_prompt_tokens=PROMPT)
    update(engine, collator, settings)
    update(engine, collator, settings)
    tracker = MemTracker()
    tracker.track_external(policy, engine.optimizer)
    with tracker:
        update(engine, collator, settings)
    (peak,) = tracker.get_tracker_snapshot("peak").values()
    by_name = {getattr(kind, "value", kind): size for kind, size in peak.items()}
    # The tracker calls them by its own names: keep those of this module.
    found = {str(name).split(".")[-1]: int(size) for name, size in by_name.items()}
    sizes = sizes_of(policy)
    estimate = memory_of(sizes, settings, world=1, bfloat16=False, deepspeed=False)
    return estimate, {kind: found.get(kind, 0) for kind in (*PARTS.values(), "Total")}


def update(engine: TorchEngine, collator: Collator, settings: TrainSettings) -> None:
    """One optimizer step on one micro-batch of responses at their limit."""
    ids = 16 + np.arange(PROMPT) % 200
    truth, blank = Truth(answer="x"), np.zeros(PROMPT, np.bool_)
    row = Row({"id": "a"}, ids.astype(np.int64), blank, None, None, None, truth)
    answers = [16 + (np.arange(RESPONSE) + n) % 200 for n in range(SEQUENCES)]
    examples = [
        Example(0, tuple(answer.tolist()), advantage=1.0 - 2 * (n % 2))
        for n, answer in enumerate(answers)
    ]
    found, responses = response_distribution(engine, collator, [row], examples)
    loss, _ = policy_loss(
        found.logprobs,
        found.logprobs.detach(),
        responses.advantages,
        responses.mask,
        clip_low=settings.loss.clip_low,
        clip_high=settings.loss.clip_high,
        dual_clip=settings.loss.dual_clip,
        entropies=found.entropies,
        total=float(SEQUENCES * RESPONSE),
    )
    engine.backward(loss, last=True)
    del loss, found, responses
    engine.step(1e-5)


def sizes_of(policy: Any) -> Sizes:
    text = policy.vlm.config.text_config
    return Sizes(
        parameters=sum(p.numel() for p in policy.parameters()),
        trained=sum(p.numel() for p in policy.parameters() if p.requires_grad),
        layers=text.num_hidden_layers,
        width=text.hidden_size,
        vocabulary=text.vocab_size,
        kv_width=text.num_key_value_heads * text.head_dim,
        inner_width=text.intermediate_size,
    )


def write_model(folder: Path) -> Path:
    """A Qwen3-VL with a language model of WIDTH, LAYERS and VOCABULARY and random weights."""
    from transformers import AutoConfig, AutoModelForImageTextToText

    write_tiny(folder, "qwen3_vl", ecg=None)
    config = AutoConfig.from_pretrained(folder)
    text = config.text_config
    text.hidden_size, text.intermediate_size = WIDTH, 4 * WIDTH
    text.num_hidden_layers, text.vocab_size = LAYERS, VOCABULARY
    config.vision_config.out_hidden_size = WIDTH
    torch.manual_seed(0)
    AutoModelForImageTextToText.from_config(config).save_pretrained(folder)
    return folder


if __name__ == "__main__":
    main()
