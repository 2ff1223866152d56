"""The dry run's memory estimate beside measured peaks: an update, generation, the optimizer's step.

    python -m benchmarks.memory

On a CPU with torch alone: a Qwen3-VL whose language model is some hundred times larger than the
tests', text alone. States are counted as they are held; of the rest the peak is taken of what torch
allocates above them (its profiler's counter), for one micro-batch where gradients are already
there, for a bucket of rollouts at their limit, and for AdamW over all parameters at once, as on a
GPU. DeepSpeed, its buckets and offloading, and what GPU kernels take, are not measured here.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from qoqdata import console
from qoqtrain.data.batch import Row
from qoqtrain.data.collate import Collator
from qoqtrain.model.loading import load_policy
from qoqtrain.model.tiny import write_tiny
from qoqtrain.rewards import Truth
from qoqtrain.rollout.local import generate, uniforms
from qoqtrain.rollout.protocol import SamplingSettings
from qoqtrain.trainer.engine.engine import TorchEngine, start_engine
from qoqtrain.trainer.engine.ranks import Ranks
from qoqtrain.trainer.plan.memory import GIB, Sizes, memory_of
from qoqtrain.trainer.plan.settings import TrainSettings, read_settings
from qoqtrain.trainer.run import choose_trained
from qoqtrain.trainer.step.loss import policy_loss
from qoqtrain.trainer.step.sequences import Example, micro_batches, response_distribution

#: The language model, and the cut of a step.
WIDTH, LAYERS, VOCABULARY = 256, 8, 8192
PROMPT, RESPONSE, SEQUENCES = 192, 64, 4
CASES: dict[str, list[str]] = {
    "checkpointing": [],
    "no checkpointing": ["engine.gradient_checkpointing=false"],
    "micro_tokens": [
        "engine.gradient_checkpointing=false",
        f"micro_tokens={PROMPT + 2 * RESPONSE}",
    ],
    "eager attention": ["engine.gradient_checkpointing=false", "engine.attention=eager"],
    "bfloat16": ["engine.dtype=bfloat16"],
    "bfloat16, no checkpointing": ["engine.dtype=bfloat16", "engine.gradient_checkpointing=false"],
    "LoRA": ["lora.rank=16"],
    "LoRA, no checkpointing": ["lora.rank=16", "engine.gradient_checkpointing=false"],
    "LoRA, bfloat16": ["lora.rank=16", "engine.dtype=bfloat16"],
}


def main() -> None:
    """Print a table a case."""
    argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__).parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        model = write_model(Path(folder) / "model")
        limits = {"prompt_tokens": PROMPT, "response_tokens": RESPONSE, "batch_tokens": 1}
        values = {"data": "none", "model": str(model), "out": folder, "micro_batch": SEQUENCES}
        rollouts = limits | {"per_question": SEQUENCES}
        for name, changes in CASES.items():
            settings = read_settings(
                values={**values, "questions": 1, "rollouts": rollouts}, assignments=changes
            )
            console.say(f"\n{name}")
            console.table(
                ("MiB", "estimated", "measured", "measured / estimated"), compare(settings)
            )


def compare(settings: TrainSettings) -> list[tuple[str, float, float, float | None]]:
    """A row a part, and one for the most that is there at once."""
    attention = settings.engine.attention
    policy, processor = load_policy(settings.model, dtype="float32", ecg=None, attention=attention)
    choose_trained(policy, settings)
    if settings.engine.gradient_checkpointing:
        policy.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    policy.train()
    engine = start_engine(settings, policy, Ranks())
    assert isinstance(engine, TorchEngine)
    for group in engine.optimizer.param_groups:
        group["foreach"] = True
    collator = Collator(processor, max_prompt_tokens=PROMPT)
    update(engine, collator, settings)
    engine.step(1e-5)
    written = peak_of(lambda: write(engine, collator))
    update(engine, collator, settings)
    updated = peak_of(lambda: update(engine, collator, settings))
    gradients = sum(p.grad.nbytes for p in policy.parameters() if p.grad is not None)
    stepped = peak_of(lambda: engine.step(1e-5))
    trained = sum(p.nbytes for p in policy.parameters() if p.requires_grad)
    frozen = sum(p.nbytes for p in policy.parameters() if not p.requires_grad)
    moments = sum(
        value.nbytes
        for state in engine.optimizer.state.values()
        for name, value in state.items()
        if name != "step"
    )
    found = {"weights": trained, "frozen": frozen, "optimizer": moments, "gradients": gradients}
    found |= {"update": updated, "generation": written, "stepping": stepped}
    states = sum(found[name] for name in ("weights", "frozen", "optimizer", "gradients"))
    bfloat16 = settings.engine.dtype == "bfloat16"
    memory = memory_of(sizes_of(policy), settings, world=1, bfloat16=bfloat16, deepspeed=False)
    rows = [row(name, getattr(memory, name) * GIB, size) for name, size in found.items()]
    most = states + max(updated, written, stepped)
    return [*rows, row("all", (memory.device - memory.buffers) * GIB, most)]


def row(name: str, guess: float, found: float) -> tuple[str, float, float, float | None]:
    return name, guess / 2**20, found / 2**20, found / guess if guess else None


def peak_of(work: Callable[[], Any]) -> int:
    """Bytes of tensors at the peak of `work`, above what was there before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as watched:
        work()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        watched.export_chrome_trace(str(path))
        events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    totals = [e["args"]["Total Allocated"] for e in events if e["name"] == "[memory]"]
    return int(max(totals) - _before(events))


def _before(events: list[dict[str, Any]]) -> int:
    """What the counter held before the first event."""
    first = min((e for e in events if e["name"] == "[memory]"), key=lambda e: e["ts"])
    return int(first["args"]["Total Allocated"] - first["args"]["Bytes"])


def write(engine: TorchEngine, collator: Collator) -> None:
    """A bucket of rollouts, none of which ends before the limit."""
    policy = engine.module
    policy.vlm.generation_config.eos_token_id = VOCABULARY - 1
    inputs = collator.batch([prompt_row()]).inputs()
    sampling = SamplingSettings(n=SEQUENCES, temperature=1.0, top_p=1.0, max_tokens=RESPONSE)
    numbers = torch.from_numpy(np.stack([uniforms(n, RESPONSE) for n in range(SEQUENCES)]))
    with engine.generating():
        answers = generate(policy, inputs, numbers, sampling)
    assert {len(tokens) for tokens, _ in answers} == {RESPONSE}


def prompt_row() -> Row:
    ids = 16 + np.arange(PROMPT) % 200
    blank = np.zeros(PROMPT, np.bool_)
    return Row({"id": "a"}, ids.astype(np.int64), blank, None, None, None, Truth(answer="x"))


def update(engine: TorchEngine, collator: Collator, settings: TrainSettings) -> None:
    """Passes over one question's responses at their limit, in the settings' micro-batches."""
    answers = [16 + (np.arange(RESPONSE) + n) % 200 for n in range(SEQUENCES)]
    examples = [
        Example(0, tuple(answer.tolist()), advantage=1.0 - 2 * (n % 2))
        for n, answer in enumerate(answers)
    ]
    cuts = micro_batches(
        examples, [PROMPT], sequences=settings.micro_batch, tokens=settings.micro_tokens
    )
    for cut in cuts:
        found, responses = response_distribution(engine, collator, [prompt_row()], cut)
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
        heads=text.num_attention_heads,
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
