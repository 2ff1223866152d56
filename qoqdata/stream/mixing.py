"""Mixing: how often records of each domain, source, label or concept are drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from qoqdata.atomic import digest
from qoqdata.errors import UsageError

if TYPE_CHECKING:
    from qoqdata.statistics.tables import Stats

#: What components may be by. Levels after each other, as in "domain/label", split those before.
Level = Literal["domain", "source", "task", "label", "concept", "difficulty"]
Rule = Literal["proportional", "temperature", "uniform", "rarity", "target"]
#: A record has several of these, so they come last.
_LISTS = ("label", "concept")


@dataclass(frozen=True)
class Mix:
    """Weights of the components of a data set.

    `by`: what a component is, a level or several, as in "domain/label". A record with several
    labels (or concepts) belongs to the one that is rarest in the stream, or in its component by
    the levels before, and one without to the component "". Concepts are those of the table
    `harmonise`, by name or file. The difficulty of a record, last of all, is "hard", "middle" or
    "easy" by its success rate in the difficulty table of `policy`, cut at 1/3 and 2/3, and "" where
    it has none. `weights`: a rule, or a weight for every component by name, of any
    scale.

    - "proportional": as often as there are records (n)
    - "temperature": n ** (1 / temperature)
    - "uniform": all components alike
    - "rarity": the group's studies in the stream times its rarity in the statistics tables,
      sqrt(N / (D n)) in studies, whatever the number of questions about each
    - "target": level by level, each gets studies ** exponent of what its parent has; 0 is alike, 1
      is in proportion. A question counts as its part of its study. `exponents` has one a level,
      or one for all

    A component that is drawn more often than it has records starts a new pass over them, shuffled
    anew; no record is drawn again before all of its component were. `max_repeats` bounds the mean
    number of passes an epoch; what that cuts off goes to the other components in proportion.
    """

    by: str = "domain"
    weights: Rule | Mapping[str, float] = "proportional"
    temperature: float = 2.0
    max_repeats: float | None = None
    exponents: float | tuple[float, ...] = 0.0
    harmonise: str | Path | None = None
    policy: str | None = None

    def __post_init__(self) -> None:
        levels = self.levels
        if (
            not set(levels) <= set(get_args(Level))
            or len(set(levels)) < len(levels)
            or "difficulty" in levels[:-1]
            or set(_without_difficulty(levels)[:-1]) & set(_LISTS)
        ):
            fix = (
                f"of {', '.join(get_args(Level))}, joined by /, labels or concepts after the"
                " others, difficulty last"
            )
            raise UsageError(f"{self.by!r} names no components", where="mix.by", fix=fix)
        if isinstance(self.exponents, list):
            object.__setattr__(self, "exponents", tuple(self.exponents))
        if not all(isinstance(e, int | float) and 0 <= e <= 1 for e in self._exponents) or len(
            self._exponents
        ) != len(levels):
            fix = f"numbers of 0 to 1, one for each of {', '.join(levels)}"
            raise UsageError(f"{self.exponents!r} will not do", where="mix.exponents", fix=fix)
        if not isinstance(self.weights, Mapping) and self.weights not in get_args(Rule):
            fix = f"one of {', '.join(get_args(Rule))}, or a weight by name"
            raise UsageError(f"{self.weights!r} is no rule", where="mix.weights", fix=fix)
        if not (self.temperature > 0 and math.isfinite(self.temperature)):
            raise UsageError("is not above 0", where="mix.temperature")
        if self.max_repeats is not None and not self.max_repeats > 0:
            raise UsageError("is not above 0", where="mix.max_repeats")

    @property
    def levels(self) -> tuple[str, ...]:
        """What components are by, from the outermost."""
        return tuple(str(self.by).split("/"))

    @property
    def _exponents(self) -> tuple[float, ...]:
        one = self.exponents
        return one if isinstance(one, tuple) else (one,) * len(self.levels)

    @property
    def fingerprint(self) -> str:
        """Tells two mixes apart."""
        weights = self.weights if isinstance(self.weights, str) else dict(self.weights)
        facts: list[object] = [self.by, weights, self.temperature, self.max_repeats]
        if self.weights == "target":
            facts.append(list(self._exponents))
        if self.policy is not None:
            facts.append(["policy", self.policy])
        return digest(facts)[:16]

    def parts(self, component: str) -> tuple[str, ...]:
        """The name of a component, level by level."""
        # Labels may have a slash; the name of a difficulty has none.
        known = _without_difficulty(self.levels)
        if len(known) == len(self.levels):
            return tuple(component.split("/", len(known) - 1))
        head, _, last = component.rpartition("/")
        return (*head.split("/", len(known) - 1), last) if known else (last,)

    def target(self, studies: Mapping[str, float]) -> dict[str, float]:
        """The share of draws that each component is to have, whatever it has records: the rule
        "target". `studies` is the mass of each, above 0."""
        paths = {name: self.parts(name) for name in studies}
        masses: dict[tuple[str, ...], float] = {}
        for name, path in paths.items():
            for depth in range(1, len(path) + 1):
                masses[path[:depth]] = masses.get(path[:depth], 0.0) + studies[name]
        powers = {path: mass ** self._exponents[len(path) - 1] for path, mass in masses.items()}
        families: dict[tuple[str, ...], float] = {}
        for path, power in powers.items():
            families[path[:-1]] = families.get(path[:-1], 0.0) + power
        return {
            name: math.prod(powers[path[: d + 1]] / families[path[:d]] for d in range(len(path)))
            for name, path in paths.items()
        }


def _without_difficulty(levels: tuple[str, ...]) -> tuple[str, ...]:
    return levels[:-1] if levels[-1:] == ("difficulty",) else levels


def parse_mix(mix: Mix | str | None) -> Mix | None:
    """A mix as given: None, a `Mix`, or text of a key and a rule, as in "source:temperature".

    A key alone ("domain", "source", "label", "domain/label") is mixed uniformly. Raises UsageError.
    """
    if mix is None or isinstance(mix, Mix):
        return mix
    by, _, rule = mix.partition(":")
    return Mix(by, rule or "uniform")  # type: ignore[arg-type]


def table_of(mix: Mix | None, harmonise: str | Path | None) -> str | Path | None:
    """The table of concepts that a stream and its mix name, if any.

    Raises UsageError when they name different ones, and for a mix by concept without one.
    """
    named = None if mix is None else mix.harmonise
    if named is not None and harmonise is not None and str(named) != str(harmonise):
        raise UsageError(f"{named} in the mix, {harmonise} beside it", where="harmonise")
    table = harmonise if named is None else named
    if mix is not None and "concept" in mix.levels and table is None:
        fix = "name one, as in harmonise='findings'"
        raise UsageError("a mix by concept needs a table of concepts", where="mix", fix=fix)
    return table


def weights(mix: Mix, records: Mapping[str, float], stats: Stats | None) -> dict[str, float]:
    """The weights of the components, from the number of records (for "rarity" and "target" studies)
    of each.

    Raises UsageError for a name that is no component or a component without a weight, DatasetError
    (from the tables) when rarity is asked for and was not computed.
    """
    match mix.weights:
        case "proportional":
            return {name: float(n) for name, n in records.items()}
        case "temperature":
            return {name: n ** (1 / mix.temperature) for name, n in records.items()}
        case "uniform":
            return dict.fromkeys(records, 1.0)
        case "target":
            return mix.target(records)
        case "rarity":
            rarity = _rarity(mix.by, records, stats)
            return {name: n * rarity[name] for name, n in records.items()}
    assert isinstance(mix.weights, Mapping)
    return checked_weights(mix.weights, records)


def checked_weights(weights: Mapping[str, float], records: Mapping[str, float]) -> dict[str, float]:
    """Checked weights by component; raises UsageError."""
    for name in weights:
        if name not in records:
            fix = f"the stream has {', '.join(map(repr, records))}"
            raise UsageError(f"{name!r} is no component", where="weights", fix=fix)
    for name in records:
        weight = weights.get(name)
        if weight is None or not (weight >= 0 and math.isfinite(weight)):
            what = f"{name!r} has the weight {weight}"
            raise UsageError(what, where="weights", fix="give each a number of at least 0")
    if not any(weights.values()):
        raise UsageError("are all zero", where="weights")
    return {name: float(weights[name]) for name in records}


def probabilities(
    weights: Mapping[str, float], records: Mapping[str, int], *, max_repeats: float | None
) -> np.ndarray:
    """Probability of each component, float64 [C], in the order of `records`.

    An epoch is as many draws as there are records (N). With `max_repeats` a component of n records
    has at most max_repeats * n / N; the rest is shared by the others in proportion to their
    weights. Raises UsageError when the components with a weight cannot fill an epoch so.
    """
    raw = np.array([weights[name] for name in records], np.float64)
    p: np.ndarray = raw / raw.sum()
    if max_repeats is None:
        return p
    n = np.array(list(records.values()), np.float64)
    most = np.where(raw > 0, max_repeats * n / n.sum(), 0.0)
    if most.sum() < 1 - 1e-9:
        what = f"{most.sum():.3g} of an epoch is all that max_repeats={max_repeats} allows"
        raise UsageError(what, where="mix", fix="raise max_repeats or weigh more components")
    at_most = np.zeros(len(p), bool)
    # Each round caps at least one more component, so there are at most as many rounds.
    while (over := ~at_most & (p > most * (1 + 1e-12))).any():
        at_most |= over
        free = raw * ~at_most
        p = np.where(at_most, most, 0.0)
        if free.sum() > 0:
            p = p + free / free.sum() * max(0.0, 1 - p.sum())
    return np.asarray(p / p.sum())


def _rarity(by: str, records: Mapping[str, float], stats: Stats | None) -> dict[str, float]:
    if by not in ("domain", "source") or stats is None:
        fix = "mix by domain or source, or give the weights"
        raise UsageError(f"statistics tell no rarity of {by}s", where="mix.weights", fix=fix)
    table = stats.domains if by == "domain" else stats.sources
    rarity = dict(table.select("key", "rarity").iter_rows())
    if lacking := [name for name in records if name not in rarity]:
        what = f"the statistics do not know the {by} {lacking[0]!r}"
        raise UsageError(what, where="mix.weights", fix="run `qoqdata stats` again")
    return rarity
