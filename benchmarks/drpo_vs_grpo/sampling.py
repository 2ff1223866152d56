"""Who is asked when: the questions of each batch, and what the weights are told of the draws."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmarks.drpo_vs_grpo.domains import DOMAINS, VOCABULARY
from benchmarks.drpo_vs_grpo.question_set import Questions
from benchmarks.drpo_vs_grpo.schedule import Schedule

if TYPE_CHECKING:
    from qoqtrain import DRPO


def order(
    train: Questions, schedule: Schedule, sampler: str, rng: np.random.Generator
) -> Iterator[NDArray[np.intp]]:
    """The training questions of each batch: whole epochs, each shuffled; or every domain equally
    often, or each class of a domain by the target, and its records in shuffled epochs of their
    own."""
    need = schedule.batches * schedule.questions
    count = len(train.answers)
    if sampler == "target":
        parts, chances = target_chances(train)
        drawn = rng.choice(len(parts), need, p=chances)
        rows = np.empty(need, np.intp)
        for place, pool in enumerate(parts):
            wanted = drawn == place
            epochs = [rng.permutation(pool) for _ in range(int(wanted.sum()) // pool.size + 1)]
            rows[wanted] = np.concatenate(epochs)[: wanted.sum()]
    elif sampler == "balanced":
        domains = rng.integers(0, len(DOMAINS), need)
        rows = np.empty(need, np.intp)
        for place in range(len(DOMAINS)):
            pool, wanted = np.flatnonzero(train.domains == place), domains == place
            epochs = [rng.permutation(pool) for _ in range(int(wanted.sum()) // pool.size + 1)]
            rows[wanted] = np.concatenate(epochs)[: wanted.sum()]
    else:
        rows = np.concatenate([rng.permutation(count) for _ in range(need // count + 1)])
    for batch in range(schedule.batches):
        yield rows[batch * schedule.questions : (batch + 1) * schedule.questions]


def target_chances(train: Questions) -> tuple[list[NDArray[np.intp]], NDArray[np.float64]]:
    """The classes of the domains, rows each, and the chance of each under the training's own mix:
    domains alike, classes by the root of their number, none more than ten times an epoch."""
    from qoqdata.stream.mixing import Mix, probabilities
    from qoqtrain.trainer.plan.settings import Budget

    budget = Budget()
    keys = train.domains * len(VOCABULARY) + train.answers
    parts = {
        f"{DOMAINS[key // len(VOCABULARY)]}/{key % len(VOCABULARY)}": np.flatnonzero(keys == key)
        for key in np.unique(keys).tolist()
    }
    records = {name: rows.size for name, rows in parts.items()}
    mix = Mix("domain/label", "target", exponents=(budget.exponent, budget.within_exponent))
    target = mix.target({name: float(n) for name, n in records.items()})
    chances = probabilities(target, records, max_repeats=budget.max_repeats)
    return list(parts.values()), chances


def knowing_the_draws(drpo: DRPO, sampler: str, train: Questions) -> DRPO:
    """The estimator told what the sampler draws, where it weighs draws; all domains alike are the
    target."""
    if drpo.settings.rarity != "draws":
        return drpo
    counts = np.bincount(train.domains, minlength=len(DOMAINS)) / train.domains.size
    if sampler == "target":
        parts, chances = target_chances(train)
        counts = np.zeros(len(DOMAINS))
        for rows, chance in zip(parts, chances, strict=True):
            counts[train.domains[rows[0]]] += chance
    even = dict.fromkeys(DOMAINS, 1 / len(DOMAINS))
    return drpo.drawn(dict(zip(DOMAINS, counts.tolist(), strict=True)), even)
