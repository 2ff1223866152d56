"""Cut a plan into chunks; one chunk becomes one shard."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from qoqdata.contract.vocabulary import Split
from qoqdata.pipeline.planning import order_key
from qoqdata.sources.protocol import Unit


@dataclass(frozen=True)
class Chunk:
    """The units of one shard; `name` is `<split>-<number>`."""

    name: str
    split: Split
    units: tuple[Unit, ...]


def cut(units: Iterable[Unit], source: str, *, shard_units: int) -> list[Chunk]:
    """Chunks by split and by the leading bits of the units' place in the build order.

    Each split gets the smallest power of two of chunks whose mean size is at most `shard_units`,
    so that a unit more or less changes one chunk and not all that follow it.
    """
    by_split: dict[Split, list[Unit]] = defaultdict(list)
    for unit in units:
        if unit.split is None:
            raise ValueError(f"unit {unit.key!r} has no split yet")
        by_split[unit.split].append(unit)
    chunks = []
    for split, members in sorted(by_split.items()):
        bits = max(0, (len(members) - 1) // shard_units).bit_length()
        buckets: dict[int, list[Unit]] = defaultdict(list)
        for unit in members:
            buckets[order_key(source, unit.key) >> (64 - bits)].append(unit)
        chunks += [
            Chunk(f"{split}-{number:05d}", split, tuple(bucket))
            for number, bucket in sorted(buckets.items())
        ]
    return chunks
