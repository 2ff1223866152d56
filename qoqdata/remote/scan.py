"""Records of remote shards as a polars LazyFrame that fetches each shard when it gets there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import polars as pl
from polars.io.plugins import register_io_source

from qoqdata.contract.manifest import Shard
from qoqdata.records.rows import SCHEMA

if TYPE_CHECKING:
    from qoqdata.remote.files import Files


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
        left = n_rows
        for number, shard in enumerate(shards):
            if left == 0:
                return
            files.prefetch(shards[number + 1 : number + 2])
            with files.holding(shard) as path:
                frame = pl.scan_parquet(path, hive_partitioning=False, glob=False)
                if left is not None:
                    # A limit comes before a filter here, as in a scan of local files.
                    frame = frame.head(left)
                    left -= min(left, shard.rows)
                if predicate is not None:
                    frame = frame.filter(predicate)
                yield frame.select(columns or pl.all()).collect()

    schema = pl.DataFrame(SCHEMA.empty_table()).schema
    return register_io_source(source, schema=schema, is_pure=True, explain_name="qoqdata shards")
