"""Files of a data set: in a folder, or behind a URL and brought here when they are needed.

Both kinds answer the same calls, so that nothing else asks where a data set lives.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import polars as pl
import pyarrow as pa
from polars.io.plugins import register_io_source

from qoqdata.contract.arrow import arrow_schema
from qoqdata.contract.manifest import Manifest, Shard
from qoqdata.contract.record import RECORD
from qoqdata.layout import Layout
from qoqdata.remote import leaves


class Files(Protocol):
    """What a data set asks of its files; any thread may call.

    A shard is given as the manifest's `Shard` or by its path in the data set. Everything raises
    DatasetError or UsageError when the store cannot be read or its content is not the manifest's.
    """

    @property
    def root(self) -> Path:
        """The folder of the parts that are no shards."""

    def origin(self, name: str = "") -> str:
        """The path or URL of the data set or of a file in it, for messages."""

    def local(self, shard: Shard | str) -> Path:
        """The shard's path on this machine, whole and checked; stays until `release`, `close`."""

    def release(self, shard: Shard | str) -> None:
        """End the stay that `local` began."""

    def holding(self, shard: Shard | str) -> AbstractContextManager[Path]:
        """The shard's path, which stays while the `with` block runs."""

    def prefetch(self, shards: Iterable[Shard | str]) -> None:
        """Begin to bring shards, in this order and in the background; faults show in `local`."""

    def layout(self, *parts: str) -> Layout:
        """The layout of `root` with the parts `cards`, `stats`, `curation`, `difficulty` there.

        Without `parts`: all of these; `quarantine` and `recipes` come when they are named. A file
        that the data set does not have stays absent.
        """

    def records(self) -> pl.LazyFrame:
        """All records lazily, in manifest order."""

    def leaves(self, columns: Sequence[str]) -> pa.Table:
        """Leaf columns (Parquet paths) of all shards, in manifest order, without other columns.

        Two int32 columns follow: `shard` (number in the manifest) and `row_group` (in the shard).
        """

    def close(self) -> None:
        """End all stays and the background work; the files can be used again."""


@dataclass(frozen=True)
class LocalFiles:
    """A data set in a folder: its own paths, nothing is copied or checked."""

    root: Path
    manifest: Manifest

    def origin(self, name: str = "") -> str:
        return str(self.root / name)

    def local(self, shard: Shard | str) -> Path:
        return self.root / (shard if isinstance(shard, str) else shard.path)

    def release(self, shard: Shard | str) -> None:
        """Nothing to end."""

    @contextmanager
    def holding(self, shard: Shard | str) -> Iterator[Path]:
        yield self.local(shard)

    def prefetch(self, shards: Iterable[Shard | str]) -> None:
        """Nothing to bring."""

    def layout(self, *parts: str) -> Layout:
        return Layout(self.root)

    def records(self) -> pl.LazyFrame:
        paths = [self.local(shard) for shard in self.manifest.shards]
        return pl.scan_parquet(paths, hive_partitioning=False, glob=False)

    def leaves(self, columns: Sequence[str]) -> pa.Table:
        shards = enumerate(self.manifest.shards)
        return pa.concat_tables(
            leaves.read_leaves(self.local(shard), columns, shard=number) for number, shard in shards
        )

    def close(self) -> None:
        """Nothing to end."""


def scan_shards(files: Files, shards: Sequence[Shard]) -> pl.LazyFrame:
    """All records of `shards` in their order, columns as in `qoqdata.contract.record`.

    A shard is held while it is read and the next one comes meanwhile; columns, filters and limits
    of the query are applied shard by shard, so a query needs the memory of one shard's result.
    """

    def source(
        columns: list[str] | None,
        predicate: pl.Expr | None,
        n_rows: int | None,
        _batch_size: int | None,
    ) -> Iterator[pl.DataFrame]:
        limit = n_rows
        for number, shard in enumerate(shards):
            if limit == 0:
                return
            files.prefetch(shards[number + 1 : number + 2])
            with files.holding(shard) as path:
                frame = pl.scan_parquet(path, hive_partitioning=False, glob=False)
                if limit is not None:
                    # A limit comes before a filter here, as in a scan of local files.
                    frame = frame.head(limit)
                    limit -= min(limit, shard.rows)
                if predicate is not None:
                    frame = frame.filter(predicate)
                yield frame.select(columns or pl.all()).collect()

    schema = pl.DataFrame(arrow_schema(RECORD).empty_table()).schema
    return register_io_source(source, schema=schema, is_pure=True, explain_name="qoqdata shards")
