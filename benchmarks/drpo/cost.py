"""CPU-seconds of a step as history grows: the published algorithm against ours."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.cpu import cpu_seconds
from benchmarks.drpo.climb import Questions, draw, statistics
from benchmarks.drpo.published import History, published_step
from qoqtrain import DRPO

BATCH = 512
RUNS = 100
# One step of the published algorithm takes minutes on more history than this.
ONE_RUN = 50_000
CHUNK = 10_000


@dataclass(frozen=True)
class Cost:
    """CPU-seconds of one step of 512 x 5 over 30 domains after `history` questions."""

    history: int
    ours: float
    published_10: float
    published_3: float


def step_costs(histories: Iterable[int]) -> Iterator[Cost]:
    """The cost at each size of history, ascending; the least of several runs, on one thread.

    Ours starts from the statistics of the data, record counts and success rates, as training. The
    published algorithm is measured once on its later, cheaper setting where a run is long.
    """
    histories = list(histories)
    rng = np.random.default_rng(0)
    theirs = History()
    batch = draw(rng, BATCH, every_set=True)
    filled = 0
    with threadpool_limits(1):
        ours = _ours(histories, batch)
        published_step(History(), batch, k_max=3)
        for history in histories:
            for questions in _chunks(rng, history - filled):
                theirs.append(questions)
            filled = history
            gc.freeze()  # the published lists must not slow the collector down
            yield Cost(
                history,
                ours[history],
                _published(theirs, batch, 10),
                _published(theirs, batch, 3),
            )


def _ours(histories: list[int], batch: Questions) -> dict[int, float]:
    """The histories take turns, so that a machine that slows down slows them all."""
    estimators = {history: _trained(history) for history in histories}
    columns = batch.columns()
    costs = dict.fromkeys(histories, np.inf)
    for _ in range(RUNS):
        for history, drpo in estimators.items():
            seconds = cpu_seconds(partial(drpo.step, **columns, update=False))
            costs[history] = min(costs[history], seconds)
    return costs


def _trained(history: int) -> DRPO:
    drpo = DRPO.from_stats(None, "source", priors=statistics(np.random.default_rng(1)))
    for questions in _chunks(np.random.default_rng(0), history):
        drpo.step(**questions.columns())
    return drpo


def _chunks(rng: np.random.Generator, count: int) -> Iterator[Questions]:
    for start in range(0, count, CHUNK):
        yield draw(rng, min(CHUNK, count - start))


def _published(history: History, batch: Questions, k_max: int) -> float:
    runs = 1 if sum(map(len, history.ids.values())) > ONE_RUN else 3
    return min(
        cpu_seconds(lambda: published_step(history, batch, k_max=k_max)) for _ in range(runs)
    )
