"""What each domain's clusters are fitted to: the questions remembered and the difficulty prior."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from qoqdata.errors import UsageError
from qoqtrain.drpo.batch import RolloutBatch
from qoqtrain.drpo.clustering.bins import Bins, Memory, Vectors, bin_of, on_grid
from qoqtrain.drpo.clustering.clusters import Evidence
from qoqtrain.drpo.priors import DomainPrior
from qoqtrain.drpo.settings import DRPOSettings


def domain_questions(batch: RolloutBatch) -> dict[str, NDArray[np.intp]]:
    """Domain -> its questions (Q_d,) in the order of the batch; domains in sorted order."""
    names = np.array(batch.domains)
    members = np.split(np.arange(names.size), np.flatnonzero(names[1:] != names[:-1]) + 1)
    return {batch.domains[questions[0]]: questions for questions in members}


def remember(
    batch: RolloutBatch,
    means: NDArray[np.float64],
    history: Mapping[str, Memory],
    settings: DRPOSettings,
) -> dict[str, Memory]:
    """The memory of each domain of the batch after its questions, `means` (Q,), are added."""
    after: dict[str, Memory] = {}
    for domain, questions in domain_questions(batch).items():
        old = history.get(domain)
        if settings.kmeans == "binned":
            bins = old if isinstance(old, Bins) else Bins.empty(settings.bins)
            after[domain] = bins.add(means[questions], settings.half_life_questions)
        else:
            seen = old if isinstance(old, Vectors) else Vectors.empty()
            arrived = _in_memory_order(batch, questions, settings)
            width = seen.points.shape[1] if seen.n_seen else None
            points = _features(batch, arrived, means, width, settings)
            after[domain] = seen.add(points, means[arrived])
    return after


def evidence_of(
    memory: Memory | None,
    prior: DomainPrior,
    settings: DRPOSettings,
    members: NDArray[np.intp] | None = None,
) -> Evidence:
    """What is clustered for one domain: its memory and its prior; no points when both are empty.

    `members` are the points of the batch's questions, from `members_of`.
    """
    members = np.empty(0, dtype=np.intp) if members is None else members
    if isinstance(memory, Vectors):
        extra = prior.bins(settings.bins, settings.strength).points()[1:]
        if settings.feature != "mean":
            return Evidence(memory.points, memory.means, np.ones(memory.n_seen), members)
        means = np.concatenate([on_grid(memory.means), extra[0]])
        weights = np.concatenate([np.ones(memory.n_seen), extra[1]])
        return Evidence(means[:, None], means, weights, members)
    bins = memory or Bins.empty(settings.bins)
    if prior.mass(settings.strength):
        bins = bins.weighted(prior.bins(settings.bins, settings.strength), bins.retained)
    held, means, weights = bins.points()
    rows = np.searchsorted(held, members)
    return Evidence(means[:, None], means, weights, rows, bins.scatter())


def members_of(
    batch: RolloutBatch,
    questions: NDArray[np.intp],
    means: NDArray[np.float64],
    memory: Memory,
    settings: DRPOSettings,
) -> NDArray[np.intp]:
    """Where the batch's `questions` (Q_d,) of one domain lie in its memory: bins, or last rows."""
    if isinstance(memory, Bins):
        return bin_of(means[questions], settings.bins)
    arrived = _in_memory_order(batch, questions, settings)
    place = {int(question): i for i, question in enumerate(arrived)}
    first = memory.n_seen - arrived.size
    return np.array([first + place[int(question)] for question in questions])


def _in_memory_order(
    batch: RolloutBatch, questions: NDArray[np.intp], settings: DRPOSettings
) -> NDArray[np.intp]:
    """The published code keeps questions as they came; the others keep the order of the batch."""
    if settings.feature != "raw":
        return questions
    return batch.arrival[np.isin(batch.arrival, questions)]


def _features(
    batch: RolloutBatch,
    questions: NDArray[np.intp],
    means: NDArray[np.float64],
    width: int | None,
    settings: DRPOSettings,
) -> NDArray[np.float64]:
    """(Q_d, dim) feature of each question.

    Groups of different size are compared as distributions: sorted values become the quantile
    function at `width` equal steps (as many as the domain's largest group has, where not given),
    whose squared distance is that of Wasserstein-2; for equal sizes these are the sorted values.
    """
    if settings.feature == "mean":
        return means[questions, None]
    spans = [slice(a, a + n) for a, n in zip(batch.starts, batch.sizes, strict=True)]
    if settings.feature == "raw":
        if np.unique(batch.sizes[questions]).size > 1:
            raise UsageError(
                "questions of one domain have different numbers of rollouts",
                where="feature='raw'",
                fix="use feature='sorted' or 'mean', which compare groups of any size",
            )
        return np.stack([_as_arrived(batch, spans[q]) for q in questions])
    steps = width or int(batch.sizes[questions].max())
    at = (np.arange(steps) + 0.5) / steps
    return np.stack(
        [np.sort(batch.easiness[spans[q]])[(at * batch.sizes[q]).astype(int)] for q in questions]
    )


def _as_arrived(batch: RolloutBatch, span: slice) -> NDArray[np.float64]:
    return batch.easiness[span][np.argsort(batch.rows[span])]
