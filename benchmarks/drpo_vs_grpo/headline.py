"""The figures of the headline: shares of the gap that are closed, their ratio, what a part pays.

How they are counted was written into docs/drpo_vs_grpo.md before the runs were looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from benchmarks.drpo_vs_grpo.arms import ARMS, CORE
from benchmarks.drpo_vs_grpo.evaluation import mean_f1, worst_f1
from benchmarks.drpo_vs_grpo.figures import Interval, Row, interval

#: Where the factorial, published methods, dynamic draws and traces run.
MAIN_SKEW, MAIN_WORLD = 1.0, 0
#: A pair: seed of the images and seed of the run; all its arms begin from the same policy.
Pair = tuple[int, int]
ALONE = {"base": "warm start", "ceiling": "ceiling", "traces": "supervised, from traces"}


@dataclass(frozen=True)
class Runs:
    """The runs by skew, arm and pair."""

    of_skew: Mapping[float, Mapping[str, Mapping[Pair, Row]]]

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Runs:
        """Sorted; runs of the search, which chose the rates, are left out."""
        found: dict[float, dict[str, dict[Pair, Row]]] = {}
        for row in rows:
            if not row["key"].startswith("search"):
                world = row["world"]
                arms = found.setdefault(world["skew"], {})
                arms.setdefault(row["arm"], {})[world["seed"], row["seed"]] = row
        return cls(found)

    @property
    def skews(self) -> list[float]:
        """From the most skewed."""
        return sorted(self.of_skew, reverse=True)

    def pairs(self, skew: float, *arms: str) -> list[Pair]:
        """The pairs that all of the arms, the warm start and the ceiling have."""
        held = [self.of_skew[skew].get(arm, {}).keys() for arm in ("base", "ceiling", *arms)]
        return sorted(set.intersection(*map(set, held)))

    def closed(self, skew: float, arm: str, pairs: Sequence[Pair]) -> list[float]:
        """The share of the gap between warm start and ceiling that `arm` closes, pair by pair."""
        found = self.of_skew[skew]
        shares = []
        for pair in pairs:
            low, high, mine = (mean_f1(found[a][pair]["test"]) for a in ("base", "ceiling", arm))
            shares.append((mine - low) / (high - low))
        return shares


def accuracy(found: Mapping[str, Mapping[str, float]]) -> float:
    """Mean accuracy over the domains, each counted once."""
    return float(np.mean([figure["accuracy"] for figure in found.values()]))


def fieller(mine: Sequence[float], other: Sequence[float]) -> Interval:
    """The ratio of the means of paired values and its 95 % interval (Fieller 1954).

    All ratios R that a paired t test of mine - R x other does not reject. NaN bounds where these
    are no interval, since the other mean may be 0, and for a single pair.
    """
    from scipy.stats import t

    x, y = np.array(mine, float), np.array(other, float)
    ratio, n = float(x.mean() / y.mean()), x.size
    if n < 2:
        return Interval(ratio, np.nan, np.nan, n)
    (xx, xy), (_, yy) = np.cov(x, y) / n
    reach = t.ppf(0.975, n - 1) ** 2
    a = y.mean() ** 2 - reach * yy
    b = x.mean() * y.mean() - reach * xy
    c = x.mean() ** 2 - reach * xx
    if a <= 0:
        return Interval(ratio, np.nan, np.nan, n)
    half = float(np.sqrt(b * b - a * c))
    return Interval(ratio, float((b - half) / a), float((b + half) / a), n)


def by_seed(shares: Sequence[float], pairs: Sequence[Pair]) -> list[float]:
    """The mean over worlds of each seed's shares, seeds ascending."""
    seeds = sorted({seed for _, seed in pairs})
    return [
        float(np.mean([share for share, (_, s) in zip(shares, pairs, strict=True) if s == seed]))
        for seed in seeds
    ]


def headline_lines(runs: Runs) -> tuple[Sequence[str], list[tuple[Any, ...]]]:
    """What the default closes and GRPO, and the ratio over pairs and over seeds: two rows a skew,
    the default as planned and as it is since."""
    lines = []
    for skew, arm in product(runs.skews, ("default", "no_filter")):
        pairs = runs.pairs(skew, arm, "grpo_core")
        if not pairs:
            continue
        mine, other = (runs.closed(skew, name, pairs) for name in (arm, "grpo_core"))
        lines.append(
            (
                f"{skew:g}",
                title(arm),
                len(pairs),
                interval(mine),
                interval(other),
                interval(np.subtract(mine, other)).signed,
                bounds(fieller(mine, other)),
                bounds(fieller(by_seed(mine, pairs), by_seed(other, pairs))),
            )
        )
    columns = ("skew", "arm", "pairs", "closes", "GRPO closes", "difference")
    return (*columns, "ratio, over pairs", "over seeds"), lines


def core_lines(
    runs: Runs, skew: float, arms: Sequence[str] = tuple(CORE)
) -> tuple[Sequence[str], list[tuple[Any, ...]]]:
    """One row an arm on the pairs that all arms have: figures on test, share of the gap closed, and
    what the default closes more than it."""
    pairs = runs.pairs(skew, *arms)
    lines: list[tuple[Any, ...]] = []
    for arm in ("base", "ceiling", *arms) if pairs else ():
        tests = [runs.of_skew[skew][arm][pair]["test"] for pair in pairs]
        shares = runs.closed(skew, arm, pairs)
        more = np.subtract(runs.closed(skew, "default", pairs), shares)
        compared = arm in arms and arm != "default"
        lines.append(
            (
                title(arm),
                len(pairs),
                interval(map(mean_f1, tests)),
                interval(map(worst_f1, tests)),
                interval(map(accuracy, tests)),
                interval(shares) if arm in arms else f"{np.mean(shares):.0f}",
                interval(more).signed if compared else "-",
            )
        )
    columns = ("arm", "pairs", "mean F1", "worst domain", "accuracy", "gap closed")
    return (*columns, "default closes more by"), lines


def title(arm: str) -> str:
    """What a table calls an arm."""
    return ALONE[arm] if arm in ALONE else ARMS[arm].title


def bounds(found: Interval) -> str:
    """A ratio with both bounds; without, where there is no interval."""
    if np.isnan(found.low):
        return f"{found.mean:.2f} (no interval)"
    return f"{found.mean:.2f} [{found.low:.2f}, {found.high:.2f}]"
