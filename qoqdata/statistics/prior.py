"""Success rates without a policy: label entropy, corrected for chance.

A question whose answer is predictable from the label frequencies of its source and task is easy.
With p the frequency of the answer among K options, a question scores

    1 - (1 - 1/K) * log(1/p) / log(K)        cut to [0, 1]

whose mean over a source is 1 for a constant label and the chance level 1/K for a balanced one. A
multi-label question is the mean over its options, each a question with K = 2 (present or not). A
choice among options of its own scores chance, 1/K: no other question says how likely they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from qoqdata.contract.vocabulary import ANSWER_JOIN
from qoqdata.statistics.difficulty import PRIOR, from_estimates, write_difficulty

if TYPE_CHECKING:
    from qoqdata.dataset import Dataset

SCORER = "chance-corrected label surprisal"


def write_prior(dataset: Dataset) -> tuple[pl.DataFrame, Path]:
    """Write the prior of the kept training records; returns its difficulty table and the path."""
    train = dataset.for_training().filter(pl.col("split") == "train")
    table = prior_difficulty(train)
    return table, write_difficulty(dataset.layout, table)


def prior_difficulty(train: pl.DataFrame) -> pl.DataFrame:
    """Rows of the difficulty table for the training records that have options."""
    parts = [
        _task(frame, str(kind))
        for (_, _, kind), frame in train.filter(pl.col("options").is_not_null()).group_by(
            ["source", "task", "kind"], maintain_order=True
        )
    ]
    return from_estimates(parts, policy=PRIOR, scorer=SCORER)


def single_score(p: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """Scores of single-choice questions from the frequency `p` of their answer, K = `k`."""
    if k < 2:
        return np.ones_like(p)
    scores: NDArray[np.float64] = np.clip(1 - (1 - 1 / k) * np.log(1 / p) / np.log(k), 0, 1)
    return scores


def multi_score(present: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Scores of multi-label questions; `present` is bool (question, option)."""
    prevalence = present.mean(axis=0)
    p_state = np.where(present, prevalence, 1 - prevalence)
    scores: NDArray[np.float64] = np.clip((1 + 0.5 * np.log2(p_state)).mean(axis=1), 0, 1)
    return scores


def answer_matrix(questions: pl.DataFrame, *, several: bool) -> NDArray[np.bool_]:
    """Which options each `answer` names, (questions, options): of all that any question offers,
    sorted. `several`: an answer may join some."""
    options = sorted({option for row in questions["options"] for option in row})
    place = {option: number for number, option in enumerate(options)}
    present = np.zeros((questions.height, len(options)), np.bool_)
    for row, answer in enumerate(questions["answer"]):
        named = answer.split(ANSWER_JOIN) if several else [answer]
        present[row, [place[option] for option in named]] = True
    return present


def _task(frame: pl.DataFrame, kind: str) -> pl.DataFrame:
    if kind == "choice":
        chance = 1 / frame["options"].list.len()
        return pl.DataFrame({"id": frame["id"], "success_rate": chance.cast(pl.Float64)})
    present = answer_matrix(frame, several=kind == "multi")
    if kind != "multi":
        answers = present.argmax(axis=1)
        scores = single_score(present.mean(axis=0)[answers], present.shape[1])
    else:
        scores = multi_score(present)
    return pl.DataFrame({"id": frame["id"], "success_rate": scores})
