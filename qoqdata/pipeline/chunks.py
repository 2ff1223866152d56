"""Chunks: the units of a source in build order, cut into the shards that they become."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from qoqdata.contract.vocabulary import Split
from qoqdata.records.identity import PUBLIC_SALT, leading_numbers
from qoqdata.sources.protocol import Unit
from qoqdata.sources.unit_table import packed, units_of


@dataclass(frozen=True, eq=False)
class Chunk:
    """The units of one shard, as a table; `name` is `<split>-<number>`."""

    name: str
    split: Split
    table: pl.DataFrame

    @cached_property
    def units(self) -> tuple[Unit, ...]:
        """The units themselves, for whoever converts them."""
        return tuple(units_of(self.table))

    def __reduce__(self) -> tuple[Callable[..., Chunk], tuple[str, Split, bytes]]:
        # As polars pickles a slice, all of the table it is of would come along.
        return _unpacked, (self.name, self.split, packed(self.table))


def order_key(source: str, key: str) -> int:
    """The 64-bit place of a unit in the build order of its source."""
    return int(_order_keys(source, [key])[0])


def in_build_order(table: pl.DataFrame, source: str) -> pl.DataFrame:
    """The units sorted by their place in the build order, and in it: the column `place`.

    It is a public hash of the key: independent of listing order, and not sorted by class as raw
    folders are.
    """
    places = pl.Series("place", _order_keys(source, table["key"].to_list()))
    return table.with_columns(places).sort("place", "key", maintain_order=True)


def cut_chunks(table: pl.DataFrame, *, shard_units: int) -> list[Chunk]:
    """Chunks by split and by the leading bits of the units' place in the build order.

    `table` is as `in_build_order` gives it. Each split gets the smallest power of two of chunks
    whose mean size is at most `shard_units`, so that a unit more or less changes one chunk and not
    all that follow it.
    """
    stray = table.filter(pl.col("split").is_null())
    if stray.height:
        raise ValueError(f"unit {stray['key'][0]!r} has no split yet")
    chunks = []
    for (split,), members in sorted(table.partition_by("split", as_dict=True).items()):
        bits = chunk_count(members.height, shard_units).bit_length() - 1
        # No shift by all 64 bits, which machines disagree about.
        numbers = (members["place"].to_numpy() >> (63 - bits)) >> 1
        lengths = members.group_by(pl.Series("number", numbers), maintain_order=True).len()
        begin = 0
        for number, count in lengths.iter_rows():
            chunks.append(Chunk(f"{split}-{number:05d}", split, members.slice(begin, count)))
            begin += count
    return chunks


def chunk_count(units: int, shard_units: int) -> int:
    """Chunks of a split of so many units: the smallest power of two that keeps their mean size."""
    return 1 << max(0, (units - 1) // shard_units).bit_length()


def _unpacked(name: str, split: Split, content: bytes) -> Chunk:
    return Chunk(name, split, pl.read_ipc(content))


def _order_keys(source: str, keys: Iterable[str]) -> np.ndarray:
    begin = b"\0".join((PUBLIC_SALT, b"order", source.encode(), b""))
    return leading_numbers(begin + key.encode() for key in keys)
