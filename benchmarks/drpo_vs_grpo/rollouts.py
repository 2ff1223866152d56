"""Rollouts: answers drawn from the policy, and the reward of each."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from benchmarks.drpo_vs_grpo.domains import VOCABULARY

#: Rollouts of a question, as in all published scripts.
ROLLOUTS = 5


@cache
def reward_table() -> NDArray[np.float64]:
    """(39, 39) reward of each answer (column) where another is right (row).

    The texts are scored by `qoqtrain.rewards`, preset "accuracy": an answer token stands for a
    response that ends in a box with that answer.
    """
    from qoqtrain.rewards import Truth, score

    responses = [f"\\boxed{{{answer}}}" for answer in VOCABULARY]
    truths = [Truth(answer=a, options=VOCABULARY, kind="single") for a in VOCABULARY]
    scored = [score(responses, [truth] * len(responses), "accuracy") for truth in truths]
    return np.array([[one["overall"] for one in row] for row in scored])


def rewards_of(answers: NDArray[np.int64], truths: NDArray[np.int64]) -> NDArray[np.float64]:
    """(Q, n) rewards of sampled answers (Q, n) to questions with true answers (Q,)."""
    return reward_table()[truths[:, None], answers]
