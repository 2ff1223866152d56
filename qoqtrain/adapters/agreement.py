"""Whether all ranks of a run hold the same state, and where they part when they do not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from qoqdata.errors import UsageError


def require_agreement(states: Sequence[Mapping[str, Any]]) -> None:
    """Raise UsageError, naming the first difference, unless the states of all ranks are equal."""
    for rank, state in enumerate(states):
        if difference := first_difference(states[0], state):
            path, here, there = difference
            raise UsageError(
                f"{path} is {here!r} on rank 0 and {there!r} on rank {rank}",
                where="DRPO state",
                fix="give every rank the same settings, statistics and checkpoint",
            )


def first_difference(ours: Any, theirs: Any, path: str = "") -> tuple[str, Any, Any] | None:
    """Path and both values where two states first differ, in the order of `ours`; else None.

    A key or entry that only one of them has is reported as None on the other side.
    """
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        keys = [*ours, *(key for key in theirs if key not in ours)]
        pairs = [(f"{path}.{key}" if path else str(key), key) for key in keys]
        return _first((name, ours.get(key), theirs.get(key)) for name, key in pairs)
    if isinstance(ours, list) and isinstance(theirs, list):
        longest = range(max(len(ours), len(theirs)))
        return _first((f"{path}[{i}]", _entry(ours, i), _entry(theirs, i)) for i in longest)
    return None if ours == theirs else (path, ours, theirs)


def _first(pairs: Iterable[tuple[str, Any, Any]]) -> tuple[str, Any, Any] | None:
    found = (first_difference(here, there, name) for name, here, there in pairs)
    return next((difference for difference in found if difference), None)


def _entry(values: list[Any], index: int) -> Any:
    return values[index] if index < len(values) else None
