"""Parquet files, one a split, written in row groups of bounded size."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from qoqdata.atomic import replacing
from qoqdata.dataset import Dataset
from qoqdata.exports.rows import Row, Tally, by_split

ROW_GROUP = 100


def write_tables(
    dataset: Dataset,
    out: Path,
    schema: pa.Schema,
    convert: Callable[[Row, Tally], dict[str, Any] | None],
) -> Tally:
    """Write each split's records as `convert` gives them; None leaves one out."""
    tally = Tally()
    out.mkdir(parents=True, exist_ok=True)
    for split, records in by_split(dataset):
        converted = (convert(row, tally) for row in records)
        kept = (row for row in converted if row is not None)
        with (
            replacing(out / f"{split}.parquet") as draft,
            pq.ParquetWriter(draft, schema, compression="zstd") as writer,
        ):
            while group := list(islice(kept, ROW_GROUP)):
                writer.write_table(pa.Table.from_pylist(group, schema=schema))
                for _ in group:
                    tally.wrote(split)
    return tally
