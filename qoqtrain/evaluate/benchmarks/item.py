"""One question of a benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Item:
    """One question of a benchmark.

    options  admissible answers in the order shown; () where there are none
    right    the right answers: option letters for choices, else labels or one text
    closed   whether the benchmark counts it as closed; None where it does not say
    groups   columns by which figures are reported besides
    """

    id: str
    right: tuple[str, ...]
    options: tuple[str, ...] = ()
    closed: bool | None = None
    groups: Mapping[str, str] = field(default_factory=dict)
