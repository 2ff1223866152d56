"""A set whose build goes on or was stopped: the records of the chunks that are done.

Receipts say which shards are whole, as for the build that goes on from them. Nothing is written
into the set, and a build may write meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from qoqdata.atomic import digest
from qoqdata.contract.manifest import Manifest, Shard
from qoqdata.contract.record import VERSION as SCHEMA_VERSION
from qoqdata.contract.side_tables import QUARANTINE
from qoqdata.dataset import Dataset
from qoqdata.errors import DatasetError
from qoqdata.layout import Layout
from qoqdata.manifest import shards_digest
from qoqdata.metadata import SCHEMA
from qoqdata.pipeline.receipts import ShardReceipt, read_receipt
from qoqdata.remote.files import LocalFiles
from qoqdata.remote.integrity import FAULTS
from qoqdata.remote.leaves import with_places
from qoqdata.remote.links import refuse_links
from qoqdata.side_table import read_side_table
from qoqdata.version import VERSION

#: Of each receipt: its file, when it was written and how long it is.
Stamp = tuple[tuple[str, int, int], ...]


class ShardFiles(LocalFiles):
    """Files of a set without metadata: light columns come from the shards themselves."""

    def leaves(self, columns: Sequence[str]) -> pa.Table:
        tables = [_leaves(self.root / shard.path, columns) for shard in self.manifest.shards]
        return with_places(pa.concat_tables([_no_leaves(columns), *tables]), self, self.manifest)


def is_half_built(root: Path) -> bool:
    """Whether a build began at `root` that has not written its manifest."""
    layout = Layout(root)
    return layout.build.is_dir() and not layout.manifest.is_file()


def receipts_stamp(root: Path) -> Stamp:
    """Changes whenever a chunk is done, or done anew."""
    facts = ((str(path), path.stat()) for path in _receipt_paths(Layout(root)))
    return tuple((name, one.st_mtime_ns, one.st_size) for name, one in facts)


def open_half_built(root: Path) -> Dataset:
    """What is done of the build at `root`, as a data set of its shards in order of their paths.

    It has no sources, statistics or metadata. Raises DatasetError for links that lead out of it.
    """
    refuse_links(root)
    layout = Layout(root)
    shards = [one.shard for one in _receipts(layout) if one.shard is not None]
    whole = tuple(sorted(filter(lambda s: _is_whole(root, s), shards), key=lambda s: s.path))
    manifest = Manifest(
        name=root.resolve().name,
        schema_version=SCHEMA_VERSION,
        qoqdata_version=VERSION,
        config_digest=digest([]),
        salt_fingerprint="",
        digest=shards_digest(whole),
        sources={},
        shards=whole,
        meta={},
    )
    return Dataset(root, manifest, ShardFiles(root, manifest))


def half_built_quarantine(root: Path) -> pl.DataFrame:
    """The quarantine so far, columns of QUARANTINE: of sources that are done all of it, of others
    that of their chunks; what planning left out is known when a source is done."""
    layout = Layout(root)
    fix = "build its source again"
    done = [path.stem for path in layout.summary("x").parent.glob("*.json")]
    paths = [layout.quarantine(slug) for slug in sorted(done)]
    tables = [read_side_table(path, QUARANTINE, fix=fix) for path in paths if path.is_file()]
    rows: list[dict[str, Any]] = [
        row for one in _receipts(layout, but=done) for row in one.quarantine
    ]
    return pl.concat([*tables, pl.DataFrame(rows, schema=_quarantine_schema())])


def _quarantine_schema() -> dict[str, Any]:
    kinds = {field.name: pl.String for field in QUARANTINE.fields}
    return {**kinds, "raw": pl.List(pl.String)}


def _receipt_paths(layout: Layout, but: Sequence[str] = ()) -> list[Path]:
    paths = layout.receipts("x").parent.glob("*/*.json")
    return sorted(path for path in paths if path.parent.name not in but)


def _receipts(layout: Layout, but: Sequence[str] = ()) -> Iterator[ShardReceipt]:
    found = (read_receipt(path) for path in _receipt_paths(layout, but))
    yield from (receipt for receipt in found if receipt is not None)


def _is_whole(root: Path, shard: Shard) -> bool:
    """Whether the shard is there as its receipt says; a build that goes on may replace it."""
    path = root / shard.path
    return path.is_file() and path.stat().st_size == shard.bytes


def _leaves(path: Path, columns: Sequence[str]) -> pa.Table:
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            return file.read(columns=list(columns))
    except FAULTS as error:
        reason = str(error).splitlines()[0]
        fix = "run the same `qoqdata build` again"
        raise DatasetError(f"cannot be read: {reason}", where=str(path), fix=fix) from error


def _no_leaves(columns: Sequence[str]) -> pa.Table:
    """No record, with the columns as a reader of leaves gives them."""
    sink = pa.BufferOutputStream()
    pq.write_table(SCHEMA.empty_table(), sink)
    return pq.ParquetFile(pa.BufferReader(sink.getvalue())).read(columns=list(columns))
