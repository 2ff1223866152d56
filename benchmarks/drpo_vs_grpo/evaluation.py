"""Macro-F1 of a policy by domain, counted as `qoqtrain evaluate` counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmarks.drpo_vs_grpo.domains import ANSWERS, DOMAINS, VOCABULARY
from benchmarks.drpo_vs_grpo.policy import log_probabilities
from benchmarks.drpo_vs_grpo.question_set import Questions
from qoqtrain.evaluate.class_metrics import macro_f1, one_against_rest, rates

if TYPE_CHECKING:
    import torch


def evaluate(policy: torch.nn.Module, held: Questions) -> dict[str, dict[str, float]]:
    """Domain -> {"f1", "accuracy"} of the likeliest answers to the `held` questions."""
    answers = log_probabilities(policy, held.images, held.domains).argmax(dim=1).numpy()
    return figures(held.domains, held.answers, answers)


def figures(
    domains: NDArray[np.int64], truths: NDArray[np.int64], answers: NDArray[np.int64]
) -> dict[str, dict[str, float]]:
    """Domain -> macro-F1 and accuracy; `truths`, `answers` (Q,) places in VOCABULARY.

    An answer of another domain is no answer: a miss of the true class and no false positive.
    """
    found = {}
    for place, domain in enumerate(DOMAINS):
        mine = domains == place
        kinds, first = len(ANSWERS[domain]), VOCABULARY.index(ANSWERS[domain][0])
        said = answers[mine] - first
        said = np.where((said < 0) | (said >= kinds), kinds, said)
        confusion = np.zeros((kinds, kinds + 1))
        np.add.at(confusion, (truths[mine] - first, said), 1.0)
        found[domain] = {
            "f1": macro_f1(rates(one_against_rest(confusion))),
            "accuracy": float((answers[mine] == truths[mine]).mean()),
        }
    return found


def mean_f1(found: dict[str, dict[str, float]]) -> float:
    """Mean macro-F1 over the domains, each counted once."""
    return float(np.mean([figure["f1"] for figure in found.values()]))


def worst_f1(found: dict[str, dict[str, float]]) -> float:
    """Macro-F1 of the worst domain."""
    return min(figure["f1"] for figure in found.values())
