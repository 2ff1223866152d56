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
from qoqdata.contract.manifest import Manifest, MetadataFile, Shard
from qoqdata.contract.record import METADATA, RECORD
from qoqdata.errors import DatasetError
from qoqdata.layout import Layout
from qoqdata.remote import integrity, leaves

#: A file that the manifest binds by digest; shards also by their path in the data set.
Bound = Shard | MetadataFile | str

#: Columns that metadata holds as shards do; of the signal it has leads and rate alone.
_LIGHT = frozenset(METADATA.names) - {"ecg"}


class Files(Protocol):
    """What a data set asks of its files; any thread may call.

    Everything raises DatasetError or UsageError when the store cannot be read or its content is not
    the manifest's.
    """

    @property
    def root(self) -> Path:
        """The folder of the parts that are no shards."""

    @property
    def in_folder(self) -> bool:
        """Whether all parts that are no shards lie in `root`, and passes may write them there."""

    def origin(self, name: str = "") -> str:
        """The path or URL of the data set or of a file in it, for messages."""

    def local(self, file: Bound) -> Path:
        """The file's path on this machine, whole and checked; stays until `release`, `close`."""

    def release(self, file: Bound) -> None:
        """End the stay that `local` began."""

    def holding(
        self, file: Bound, *, verify: bool = False, judged: bool = True
    ) -> AbstractContextManager[Path]:
        """The path of a file with a sound footer, which stays while the `with` block runs.

        `verify` also compares its bytes with its digest, once; what comes from a store always is.
        Who reads few row groups of a shard asks for one that is not `judged`, and judges these.
        """

    def listing(self, folder: str) -> list[str]:
        """Paths in the data set of all files below a folder of it; none where nobody lists them."""

    def prefetch(self, files: Iterable[Bound]) -> None:
        """Begin to bring files, in this order and in the background; faults show in `local`."""

    def layout(self, *parts: str) -> Layout:
        """The layout of `root` with the parts `cards`, `stats`, `curation`, `difficulty` there.

        Without `parts`: all of these; `quarantine` and `recipes` come when they are named. A file
        that the data set does not have stays absent.
        """

    def records(self) -> pl.LazyFrame:
        """All records lazily, in manifest order; see `scan_records`."""

    def leaves(self, columns: Sequence[str]) -> pa.Table:
        """Leaf columns (Parquet paths) of all records, in manifest order, without other columns.

        They come from the metadata of the sources, so they are none of media and signals. Two int32
        columns follow: `shard` (number in the manifest) and `row_group` (in the shard).
        """

    def close(self) -> None:
        """End all stays and the background work; the files can be used again."""


@dataclass(frozen=True)
class LocalFiles:
    """A data set in a folder: its own paths, nothing is copied."""

    root: Path
    manifest: Manifest

    @property
    def in_folder(self) -> bool:
        return True

    def origin(self, name: str = "") -> str:
        return str(self.root / name)

    def local(self, file: Bound) -> Path:
        return self.root / (file if isinstance(file, str) else file.path)

    def release(self, file: Bound) -> None:
        """Nothing to end."""

    @contextmanager
    def holding(self, file: Bound, *, verify: bool = False, judged: bool = True) -> Iterator[Path]:
        path = self.local(file)
        if not isinstance(file, str):
            require = integrity.require_footer if judged else integrity.require_schema
            require = integrity.require_digest if verify else require
            require(path, file, where=self.origin(file.path))
        yield path

    def listing(self, folder: str) -> list[str]:
        found = (path for path in (self.root / folder).rglob("*") if path.is_file())
        return [path.relative_to(self.root).as_posix() for path in found]

    def prefetch(self, files: Iterable[Bound]) -> None:
        """Nothing to bring."""

    def layout(self, *parts: str) -> Layout:
        return Layout(self.root)

    def records(self) -> pl.LazyFrame:
        return scan_records(self, self.manifest)

    def leaves(self, columns: Sequence[str]) -> pa.Table:
        return leaves.read_leaves(self, self.manifest, columns)

    def close(self) -> None:
        """Nothing to end."""


def scan_records(files: Files, manifest: Manifest) -> pl.LazyFrame:
    """All records in manifest order, lazily; columns as in `qoqdata.contract.record`.

    A query that asks for media or signals reads the shards, one that does not the metadata. A file
    is held while it is read and the next one comes meanwhile; columns, filters and limits of the
    query are applied file by file, so a query needs the memory of one file's result. Raises
    DatasetError for a file that cannot be read.
    """

    def source(
        columns: list[str] | None,
        predicate: pl.Expr | None,
        n_rows: int | None,
        _batch_size: int | None,
    ) -> Iterator[pl.DataFrame]:
        asked = set(RECORD.names if columns is None else columns)
        asked |= set() if predicate is None else set(predicate.meta.root_names())
        stretches = list(_stretches(files, manifest, light=asked <= _LIGHT))
        limit = n_rows
        for number, (file, first, rows) in enumerate(stretches):
            if limit == 0:
                return
            files.prefetch(one for one, _, _ in stretches[number + 1 : number + 2])
            # A limit comes before a filter here, as in a scan of local files.
            taken = rows if limit is None else min(limit, rows)
            limit = None if limit is None else limit - taken
            # Polars does not look at the checksums of pages.
            whole = files.holding(file, verify=True)
            with whole as path, _named(files.origin(file.path)):
                frame = pl.scan_parquet(path, hive_partitioning=False, glob=False)
                if (first, taken) != (0, file.rows):
                    frame = frame.slice(first, taken)
                if predicate is not None:
                    frame = frame.filter(predicate)
                answer = frame.select(pl.all() if columns is None else columns).collect()
            nulls = {column.name: column.null_count() for column in answer}
            integrity.require_values(nulls, where=files.origin(file.path))
            yield answer

    # An empty Arrow table would import pandas, which takes longer than most queries.
    schema = pl.Schema(arrow_schema(RECORD))
    return register_io_source(source, schema=schema, is_pure=True, explain_name="qoqdata records")


def _stretches(
    files: Files, manifest: Manifest, *, light: bool
) -> Iterator[tuple[Shard | MetadataFile, int, int]]:
    """Files in manifest order, and which rows of each: the first and how many."""
    if light:
        for source, first, rows in leaves.runs(manifest):
            yield leaves.metadata_of(files, manifest, source), first, rows
    else:
        for shard in manifest.shards:
            yield shard, 0, shard.rows


@contextmanager
def _named(where: str) -> Iterator[None]:
    try:
        yield
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DatasetError(f"cannot be read: {reason}", where=where, fix=integrity.FIX) from error
