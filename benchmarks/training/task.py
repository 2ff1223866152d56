"""The work that both trainers do: the same model, prompts, rollouts, tokens and optimizer."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import qoqdata


@dataclass(frozen=True)
class Task:
    """A training step: `questions`, `rollouts` of each, all of them `tokens` long, updated once
    in micro-batches of `micro_batch` sequences; `steps` are timed after `warm_up` that are not.

    `pixels` bound an image after resizing: 12,544 are 16 tokens of Qwen2.5-VL.
    """

    questions: int = 8
    rollouts: int = 4
    tokens: int = 64
    micro_batch: int = 8
    steps: int = 5
    warm_up: int = 2
    learning_rate: float = 1e-4
    pixels: int = 112 * 112
    family: str = "qwen2_5_vl"

    @property
    def sequences(self) -> int:
        """Rollouts of a step."""
        return self.questions * self.rollouts


@dataclass
class Cost:
    """What the timed steps cost, one number each: CPU seconds of the process and wall seconds.

    `prompt_tokens` and `response_tokens` count all steps, to compare the work.
    """

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    prompt_tokens: int = 0
    response_tokens: int = 0

    def add(self, other: Cost) -> None:
        """Take in the steps of another turn."""
        self.cpu += other.cpu
        self.wall += other.wall
        self.prompt_tokens += other.prompt_tokens
        self.response_tokens += other.response_tokens


class Lap:
    """CPU and wall seconds between one call and the next."""

    def __init__(self) -> None:
        self.cpu, self.wall = time.process_time(), time.perf_counter()

    def __call__(self) -> tuple[float, float]:
        cpu, wall = time.process_time(), time.perf_counter()
        lap = cpu - self.cpu, wall - self.wall
        self.cpu, self.wall = cpu, wall
        return lap


def write_model(folder: Path, data: str, task: Task) -> None:
    """A tiny random policy without ECG branch, which answers with exactly `task.tokens` tokens.

    Random weights end an answer now and then. TRL is told the least number of tokens; for ours a
    token that is never sampled ends answers.
    """
    from qoqtrain.model.tiny import tiny_policy

    texts = qoqdata.open(data).records.select("question", "answer").collect()
    words: list[str] = [*texts["question"], *texts["answer"]]
    policy, processor = tiny_policy(task.family, words, ecg=None, max_pixels=task.pixels)
    policy.vlm.generation_config.eos_token_id = policy.silent_tokens[0]
    policy.save_pretrained(folder)
    processor.save_pretrained(folder)


def records_of(data: str) -> dict[str, dict[str, Any]]:
    """The training records without ECG by their id, images as bytes."""
    from qoqtrain.trainer.questions import COLUMNS

    dataset = qoqdata.open(data)
    ids = dataset.kept().filter(split="train")["id"].to_list()
    stream = dataset.stream("train", columns=COLUMNS, images="bytes")
    records: dict[str, dict[str, Any]] = {}
    try:
        for record in stream:
            records[record["id"]] = record
            if len(records) == len(ids):
                break
    finally:
        stream.close()
    return {name: record for name, record in records.items() if record["ecg"] is None}
