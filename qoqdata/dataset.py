"""A data set on disk, opened for reading."""

from __future__ import annotations

import glob
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from qoqdata import manifest as manifests
from qoqdata.errors import DatasetError, UsageError
from qoqdata.layout import Layout
from qoqdata.sources.card import load_yaml, parse_card
from qoqdata.stats.tables import Stats
from schemas.card import Card
from schemas.manifest import Manifest
from schemas.record import VERSION

if TYPE_CHECKING:
    from datasets import DatasetDict

#: Leaf columns that statistics and curation need; pictures and signals stay on disk.
METADATA = (
    "id",
    "source",
    "domain",
    "modality",
    "task",
    "split",
    "patient",
    "study",
    "image_info.list.element.width",
    "ecg.fs",
    "context",
    "options.list.element",
    "answer",
    "labels.list.element",
    "uncertain.list.element",
)


@dataclass(frozen=True)
class Dataset:
    """A finished data set: its folder and its manifest."""

    root: Path
    manifest: Manifest

    @property
    def layout(self) -> Layout:
        """Where its parts are."""
        return Layout(self.root)

    @property
    def paths(self) -> list[Path]:
        """Its shards, in manifest order."""
        return [self.root / shard.path for shard in self.manifest.shards]

    @property
    def records(self) -> pl.LazyFrame:
        """All records, lazily; columns as in `schemas.record`."""
        return pl.scan_parquet(self._some_paths(), hive_partitioning=False, glob=False)

    @property
    def stats(self) -> Stats:
        """The statistics tables; raises DatasetError when `qoqdata stats` has not run."""
        return Stats.read(self.layout)

    @cached_property
    def cards(self) -> dict[str, Card]:
        """The cards as built, by source; raises DatasetError for one that is lost or altered."""
        return {slug: _card(self.layout.card(slug)) for slug in self.manifest.sources}

    def metadata(self) -> pl.DataFrame:
        """One light row a record: keys, split, labels, `n_images`, and whether it `shows` anything.

        `shows` is false for annotation-only records, which training leaves out.
        """
        tables = [_read_leaves(path) for path in self._some_paths()]
        frame = pl.DataFrame(pa.concat_tables(tables))
        n_images = pl.col("image_info").list.len().fill_null(0).cast(pl.Int64)
        has_ecg = pl.col("ecg").struct.field("fs").is_not_null()
        shows = (n_images > 0) | has_ecg | pl.col("context").is_not_null()
        return frame.with_columns(n_images=n_images, shows=shows).drop(
            "image_info", "ecg", "context"
        )

    def kept(self) -> pl.DataFrame:
        """`metadata` without the records that curation dropped and without annotation-only ones."""
        frame = self.metadata().filter("shows")
        if not self.layout.verdicts.is_file():
            return frame
        verdicts = pl.read_parquet(self.layout.verdicts, columns=["id", "keep"], glob=False)
        dropped = verdicts.filter(~pl.col("keep"))
        return frame.join(dropped, on="id", how="anti", maintain_order="left")

    def _some_paths(self) -> list[Path]:
        if not self.paths:
            raise DatasetError("holds no record", where=str(self.root), fix="see its quarantine")
        return self.paths

    def to_hf(self) -> DatasetDict:
        """A Hugging Face DatasetDict by split, pictures as PIL images."""
        from datasets import DatasetDict, load_dataset

        files: dict[str, list[str]] = {}
        for shard, path in zip(self.manifest.shards, self._some_paths(), strict=True):
            # Hugging Face takes paths for patterns.
            files.setdefault(shard.split, []).append(glob.escape(str(path)))
        loaded = load_dataset("parquet", data_files=files)
        assert isinstance(loaded, DatasetDict)
        return loaded


def _card(path: Path) -> Card:
    try:
        return parse_card(load_yaml(path), where=str(path))
    except UsageError as error:
        fix = "build its source again"
        raise DatasetError("holds no card as built", where=str(path), fix=fix) from error


def _read_leaves(path: Path) -> pa.Table:
    # Only this reader picks single leaves of nested columns, which spares pictures and signals.
    with pq.ParquetFile(path) as file:
        return file.read(columns=list(METADATA))


def open_dataset(root: str | Path) -> Dataset:
    """Open the data set at `root`.

    Raises DatasetError when there is none, when its build has not finished, or when its schema
    version is another one.
    """
    root = Path(root)
    manifest = manifests.read(root)
    if manifest.schema_version != VERSION:
        raise DatasetError(
            f"has schema version {manifest.schema_version}, this is {VERSION}", where=str(root)
        )
    return Dataset(root, manifest)
