"""CPU-seconds of a step as history grows: the published algorithm against ours."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.cpu import best, cpu_seconds
from benchmarks.drpo.climb import Questions, draw, statistics
from benchmarks.drpo.published import History, published_step
from qoqtrain import DRPO

BATCH = 512
RUNS = 30
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

    Ours starts from the statistics of the data, record counts and difficulty, as training does. The
    published algorithm is measured once on its later, cheaper setting where a run is long.
    """
    rng = np.random.default_rng(0)
    ours = DRPO.from_stats(None, "source", priors=statistics(np.random.default_rng(1)))
    theirs = History()
    batch = draw(rng, BATCH, every_set=True)
    filled = 0
    with threadpool_limits(1):
        published_step(History(), batch, k_max=3)
        for history in histories:
            for questions in _chunks(rng, history - filled):
                ours.step(**questions.columns())
                theirs.append(questions)
            filled = history
            gc.freeze()  # the published lists must not slow the collector down in our steps
            yield Cost(
                history,
                _ours(ours, batch),
                _published(theirs, batch, 10),
                _published(theirs, batch, 3),
            )


def _chunks(rng: np.random.Generator, count: int) -> Iterator[Questions]:
    for start in range(0, count, CHUNK):
        yield draw(rng, min(CHUNK, count - start))


def _ours(drpo: DRPO, batch: Questions) -> float:
    columns = batch.columns()

    def step() -> None:
        drpo.step(**columns, update=False)

    return best(step, runs=RUNS)


def _published(history: History, batch: Questions, k_max: int) -> float:
    runs = 1 if sum(map(len, history.ids.values())) > ONE_RUN else 3
    return min(
        cpu_seconds(lambda: published_step(history, batch, k_max=k_max)) for _ in range(runs)
    )
