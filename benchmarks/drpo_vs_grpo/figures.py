"""Figures over seeds: means, paired differences and when an arm gets where another ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.drpo_vs_grpo.domains import World
from benchmarks.drpo_vs_grpo.evaluation import mean_f1
from benchmarks.drpo_vs_grpo.schedule import Choice

Row = Mapping[str, Any]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A mean over `count` seeds and the 95 % t interval around it; NaN bounds for one seed."""

    mean: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        if self.count < 2:
            return f"{self.mean:.3f}"
        return f"{self.mean:.3f} ± {(self.high - self.low) / 2:.3f}"

    @property
    def signed(self) -> str:
        """As a difference: with its sign and both bounds."""
        if self.count < 2:
            return f"{self.mean:+.3f}"
        return f"{self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def interval(values: Iterable[float]) -> Interval:
    """Student's t over seeds, n - 1 degrees of freedom."""
    from scipy.stats import t

    held = np.array(list(values), float)
    mean = float(held.mean())
    if held.size < 2:
        return Interval(mean, np.nan, np.nan, held.size)
    reach = float(t.ppf(0.975, held.size - 1) * held.std(ddof=1) / np.sqrt(held.size))
    return Interval(mean, mean - reach, mean + reach, held.size)


def runs_of(
    rows: Iterable[Row], world: World, arm: str, choice: Choice | None = None
) -> dict[int, Row]:
    """Seed -> the row of one arm in one world, of one choice only where one is given; arm "base"
    is the warmed-up policy."""
    kind = "base" if arm == "base" else "run"
    wanted = None if choice is None or arm == "base" else asdict(choice)
    return {
        row["seed"]: row
        for row in rows
        if row["kind"] == kind
        and row["arm"] == arm
        and row["world"] == asdict(world)
        and (wanted is None or row["choice"] == wanted)
    }


def paired(
    mine: Mapping[int, Row], other: Mapping[int, Row], figure: Callable[[Row], float]
) -> Interval:
    """Interval of the difference of a figure on the seeds that both arms have."""
    both = sorted(mine.keys() & other.keys())
    return interval([figure(mine[seed]) - figure(other[seed]) for seed in both])


def relative(
    mine: Mapping[int, Row], other: Mapping[int, Row], figure: Callable[[Row], float]
) -> float:
    """Mean of the figure over the seeds of both arms, relative to the other arm's, minus 1."""
    both = sorted(mine.keys() & other.keys())
    return float(
        np.mean([figure(mine[s]) for s in both]) / np.mean([figure(other[s]) for s in both]) - 1
    )


def curve(row: Row) -> tuple[Floats, Floats]:
    """Batches and mean validation macro-F1 at each."""
    points = row["curve"]
    return (
        np.array([point["batch"] for point in points], float),
        np.array([mean_f1(point["validation"]) for point in points]),
    )


def reaches(row: Row, level: float) -> float | None:
    """The first validated batch at which mean validation macro-F1 is at least `level`, or None."""
    batches, figures = curve(row)
    there = np.flatnonzero(figures >= level)
    return float(batches[there[0]]) if there.size else None
