"""No two records of a source have one id.

An id is a hash of source, study, task and item, each with its length before it, so that no other
four of them are the same bytes. Within a unit, conversion refuses a record that occurs twice. Two
units can meet only where one's key lies below the other's: a record of `7` may name the study
`7/a`, and ask what the unit `7/a` asks. They may lie in two shards, of two machines, so it is the
metadata that tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from qoqdata.contract.card import Card
from qoqdata.contract.manifest import Shard
from qoqdata.errors import RecordError
from qoqdata.pipeline.chunks import Chunk
from qoqdata.records.identity import Salt, keyed

_FIX = "have the converter leave a study to the unit of that key, or tell the records by item"
#: Of a record, what says which it is and whose.
_COLUMNS = ("id", "task", "item", "study", "provenance")
#: Units that a message names.
_SHOWN = 4


def require_one_id_each(
    metadata: Path, shards: Sequence[Shard], chunks: Iterable[Chunk], card: Card, salt: Salt
) -> None:
    """Raise RecordError, which names the units, where two records of a source have one id.

    `metadata` is its file: the records of `shards`, one shard after the other, each of the chunk
    of its name.
    """
    with pq.ParquetFile(metadata) as file:
        repeated = _repeated(file)
        if repeated.is_empty():
            return
        found = _records(file, repeated[0])
    tables = {chunk.name: chunk.table for chunk in chunks}
    names = [PurePosixPath(shard.path).stem for shard in shards]
    ends = np.cumsum([shard.rows for shard in shards])
    keys: set[str] = set()
    for place, record in found:
        table = tables[names[int(np.searchsorted(ends, place, side="right"))]]
        keys.update(_with_files(table, record["provenance"]["raw"], card, salt))
    holders = _nested(keys, found[0][1]["study"], card, salt)
    shown = ", ".join(map(repr, holders[:_SHOWN])) + (", ..." if len(holders) > _SHOWN else "")
    of, item = (found[0][1][name] for name in ("task", "item"))
    asked = f"task {of!r}" if item is None else f"task {of!r}, item {item!r}"
    more = f", as do {repeated.len() - 1:,} more" if repeated.len() > 1 else ""
    # Of units with the same files the record does not say which it is of.
    some = f"{len(found)} of the units" if len(holders) > len(found) else "the units"
    raise RecordError(
        f"occurs in {some} {shown} ({asked}){more}",
        record=repeated[0],
        column="id",
        rule="one record a study, task and item",
        fix=_FIX,
    )


def _repeated(file: pq.ParquetFile) -> pl.Series:
    """Ids that occur more than once, in the order of the records."""
    # Of millions: the ids are four times their hashes, and are the same only where these are.
    hashes = pl.concat([ids.hash() for ids in _ids(file)])
    if hashes.n_unique() == hashes.len():
        return pl.Series(dtype=pl.String)
    again = hashes.filter(hashes.is_duplicated()).unique()
    ids = pl.concat([ids.filter(ids.hash().is_in(again.implode())) for ids in _ids(file)])
    return ids.filter(ids.is_duplicated()).unique(maintain_order=True)


def _ids(file: pq.ParquetFile) -> Iterator[pl.Series]:
    for group in range(file.num_row_groups):
        yield pl.Series(file.read_row_group(group, columns=["id"]).column("id"))


def _records(file: pq.ParquetFile, id_: str) -> list[tuple[int, dict[str, Any]]]:
    """The records of an id, each with its place in the file."""
    found, begin = [], 0
    for group, ids in enumerate(_ids(file)):
        places = np.flatnonzero((ids == id_).to_numpy()).tolist()
        if places:
            rows = file.read_row_group(group, columns=list(_COLUMNS)).take(places).to_pylist()
            found += [(begin + place, row) for place, row in zip(places, rows, strict=True)]
        begin += ids.len()
    return found


def _with_files(table: pl.DataFrame, raw: Sequence[str], card: Card, salt: Salt) -> Iterator[str]:
    """Keys of the units of these raw paths, as records have them."""
    for key, files in table.select("key", "files").iter_rows():
        if card.raw_paths == "keyed":
            files = [keyed("path", card.slug, path, salt=salt) for path in files]
        if list(files) == list(raw):
            yield key


def _nested(keys: set[str], study: str, card: Card, salt: Salt) -> list[str]:
    """Those of which one lies below another; where `study` is one of them, it and those above."""
    namespace = card.keys.namespace or card.slug
    ways = {key: [key, *_above(key, keys)] for key in sorted(keys)}
    for key, way in ways.items():
        if keyed("study", namespace, key, salt=salt) == study:
            return sorted(way)
    return sorted({one for way in ways.values() if len(way) > 1 for one in way})


def _above(key: str, keys: set[str]) -> Iterator[str]:
    parts = key.split("/")
    for depth in range(1, len(parts)):
        if (above := "/".join(parts[:depth])) in keys:
            yield above
