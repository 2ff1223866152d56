"""Difficulty without a policy: label entropy, corrected for chance.

A question whose answer is predictable from the label frequencies of its source and task is easy.
With p the frequency of the answer among K options, a question scores

    1 - (1 - 1/K) * log(1/p) / log(K)        cut to [0, 1]

whose mean over a source is 1 for a constant label and the chance level 1/K for a balanced one. A
multi-label question is the mean over its options, each a question with K = 2 (present or not).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from qoqdata.statistics.estimate import named, rows

if TYPE_CHECKING:
    from qoqdata.dataset import Dataset

POLICY = "prior-label-entropy"
SCORER = "chance-corrected label surprisal"


def prior_difficulty(train: pl.DataFrame, kinds: Mapping[tuple[str, str], str]) -> pl.DataFrame:
    """Rows of the difficulty table for the training records that have options.

    `kinds` gives the card's kind ("single" or "multi") by source and task.
    """
    parts = [
        _task(frame, kinds.get((source, task), "multi"))
        for (source, task), frame in train.filter(pl.col("options").is_not_null()).group_by(
            ["source", "task"], maintain_order=True
        )
    ]
    return rows(parts, policy=POLICY, scorer=SCORER)


def write_prior(dataset: Dataset) -> tuple[pl.DataFrame, Path]:
    """Write the prior of the kept training records; returns its table and its path."""
    from qoqdata.statistics.difficulty import write_difficulty

    train = dataset.kept().filter(pl.col("split") == "train")
    table = prior_difficulty(train, dataset.task_kinds)
    return table, write_difficulty(dataset.layout, table)


def single_score(p: np.ndarray, k: int) -> np.ndarray:
    """Scores of single-choice questions from the frequency `p` of their answer, K = `k`."""
    if k < 2:
        return np.ones_like(p)
    return np.clip(1 - (1 - 1 / k) * np.log(1 / p) / np.log(k), 0, 1)


def multi_score(present: np.ndarray) -> np.ndarray:
    """Scores of multi-label questions; `present` is bool (question, option)."""
    prevalence = present.mean(axis=0)
    p_state = np.where(present, prevalence, 1 - prevalence)
    return np.clip((1 + 0.5 * np.log2(p_state)).mean(axis=1), 0, 1)


def _task(frame: pl.DataFrame, kind: str) -> pl.DataFrame:
    present = named(frame)
    if kind == "single":
        chosen = present.argmax(axis=1)
        scores = single_score(present.mean(axis=0)[chosen], present.shape[1])
    else:
        scores = multi_score(present)
    return pl.DataFrame({"id": frame["id"], "mean": scores})
