"""Plan a source: collect its units, settle splits, and account for everything discovered."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from qoqdata.errors import DuplicateKey
from qoqdata.pipeline import quarantine
from qoqdata.pipeline.splits import assign
from qoqdata.records.identity import PUBLIC_SALT
from qoqdata.sources.protocol import Filtered, Job, Planned, Refused, Source, Unit


@dataclass(frozen=True)
class SourcePlan:
    """Units in build order, and quarantine rows of what planning left out."""

    units: tuple[Unit, ...]
    left_out: tuple[quarantine.Row, ...]

    @property
    def discovered(self) -> int:
        """Everything that planning saw."""
        return len(self.units) + len(self.left_out)


def make_plan(source: Source, job: Job, *, limit: int | None = None) -> SourcePlan:
    """Run the source's `plan` and settle keys and splits.

    Units come in the order of a public hash of their key: independent of listing order, and not
    sorted by class as raw folders are. With `limit`, only the first so many are kept, and nothing
    else is counted. Errors of `plan` itself pass through: they refuse the source as a whole.
    """
    units, refused, filtered = _sort_out(source.plan(job))
    units, duplicates = _refuse_duplicates(units)
    units, torn = assign(units, job.card)
    units.sort(key=lambda unit: (order_key(job.card.slug, unit.key), unit.key))
    if limit is not None:
        return SourcePlan(tuple(units[:limit]), ())
    rows = [quarantine.refused(item, job) for item in (*refused, *duplicates, *torn)]
    rows += [quarantine.filtered(item, job) for item in filtered]
    return SourcePlan(tuple(units), tuple(rows))


def order_key(source: str, key: str) -> int:
    """The 64-bit place of a unit in the build order of its source."""
    message = b"\0".join((PUBLIC_SALT, b"order", source.encode(), key.encode()))
    return int.from_bytes(hashlib.sha256(message).digest()[:8], "big")


def _sort_out(planned: Iterable[Planned]) -> tuple[list[Unit], list[Refused], list[Filtered]]:
    units: list[Unit] = []
    refused: list[Refused] = []
    filtered: list[Filtered] = []
    for item in planned:
        match item:
            case Unit():
                units.append(item)
            case Refused():
                refused.append(item)
            case Filtered():
                filtered.append(item)
    return units, refused, filtered


def _refuse_duplicates(units: list[Unit]) -> tuple[list[Unit], list[Refused]]:
    """All units of a key that occurs twice are refused: none is known to be the right one."""
    counts = Counter(unit.key for unit in units)
    refused = [
        Refused(
            unit.key,
            DuplicateKey(
                f"occurs {counts[unit.key]} times in the source",
                where=unit.key,
                fix="remove the extra rows or files, or use a key that tells them apart",
            ),
            unit.files,
        )
        for unit in units
        if counts[unit.key] > 1
    ]
    return [unit for unit in units if counts[unit.key] == 1], refused
