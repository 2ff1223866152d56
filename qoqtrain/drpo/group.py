"""Normalisation within a question: how a rollout compares with its siblings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qoqtrain.drpo.batch import RolloutBatch
from qoqtrain.drpo.settings import DRPOSettings


def group_means(batch: RolloutBatch) -> NDArray[np.float64]:
    """(Q,) m_q, the mean of each question on the scale that difficulty is measured on."""
    return batch.sums(batch.easiness) / batch.sizes


def group_scores(batch: RolloutBatch, settings: DRPOSettings) -> NDArray[np.float64]:
    """(B,) score of each rollout within its question, by `settings.group`.

    - "grpo": z = (r - m) / (s + eps), s with ddof 1 (DeepSeekMath, arXiv 2402.03300)
    - "dr_grpo": r - m (Dr. GRPO, arXiv 2503.20783)
    - "rloo": r - mean of the other rollouts (RLOO, arXiv 2402.14740)
    - "gdpo": z of each part, weighted and summed (GDPO, arXiv 2601.05242)

    Groups may differ in size. A group of one, and a group whose rewards are all equal, scores
    exactly 0.
    """
    if settings.group == "gdpo":
        weights = settings.part_weights or (1.0,) * batch.parts.shape[1]
        score = np.zeros(batch.rewards.size)
        for part, weight in zip(batch.parts.T, weights, strict=True):
            score += weight * _standardised(batch, part, settings)
        return score
    if settings.group == "grpo":
        return _standardised(batch, batch.rewards, settings)
    centred, _ = _centred(batch, batch.rewards)
    if settings.group == "rloo":
        others = np.maximum(batch.sizes - 1, 1)
        return centred * np.repeat(batch.sizes / others, batch.sizes)
    return centred


def _centred(
    batch: RolloutBatch, values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`values` (B,) less the mean of their group, and each group's std (Q,) with ddof 1."""
    # Counted from the lowest value of the group, a tie is exactly 0 and crumbs keep their digits,
    # where the rounded mean of the values themselves may lie beside all of them.
    above = values - np.repeat(np.minimum.reduceat(values, batch.starts), batch.sizes)
    centred = above - np.repeat(batch.sums(above) / batch.sizes, batch.sizes)
    variance = batch.sums(centred * centred) / np.maximum(batch.sizes - 1, 1)
    return centred, np.sqrt(variance)


def _standardised(
    batch: RolloutBatch, values: NDArray[np.float64], settings: DRPOSettings
) -> NDArray[np.float64]:
    centred, std = _centred(batch, values)
    return centred / np.repeat(np.maximum(std, settings.std_floor) + settings.eps, batch.sizes)
