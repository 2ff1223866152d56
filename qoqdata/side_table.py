"""Side tables of a data set: verdicts, difficulty, statistics. They may come from anyone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from qoqdata.contract.arrow import arrow_schema
from qoqdata.contract.types import Table
from qoqdata.errors import DatasetError

#: Bytes of a whole table in memory; 2.61 million verdicts take 0.2 GB.
LARGEST = 16 * 2**30


def read_side_table(
    path: Path,
    table: Table,
    columns: Sequence[str] | None = None,
    *,
    fix: str,
    former: Mapping[str, str] | None = None,
) -> pl.DataFrame:
    """`columns` (default: all) of the Parquet file at `path`, with the types of `table`.

    `former` gives columns that an earlier version called otherwise, by that name. Raises
    DatasetError, which names `fix`, for a file that cannot be read, lacks a column, holds values of
    another type or more than memory.
    """
    names = tuple(columns or table.names)
    try:
        with pq.ParquetFile(path) as file:
            called = {name: (former or {}).get(name, name) for name in file.schema_arrow.names}
            if lacking := sorted(set(names) - set(called.values())):
                what = f"lacks the column {lacking[0]!r}: version {table.version} has it"
                raise DatasetError(what, where=str(path), fix=fix)
            require_size(file)
            own = [name for name, now in called.items() if now in names]
            found = file.read(columns=own)
        found = found.rename_columns([called[name] for name in found.column_names]).select(names)
        schema = arrow_schema(table)
        found = found.cast(pa.schema([schema.field(name) for name in names]))
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        what = f"is no whole table of {table.name}: {str(error).splitlines()[0]}"
        raise DatasetError(what, where=str(path), fix=fix) from error
    return pl.DataFrame(found)


def require_size(file: pq.ParquetFile) -> None:
    """Raise ValueError where the footer tells more than `LARGEST` bytes, before a page is read."""
    groups = (file.metadata.row_group(number) for number in range(file.num_row_groups))
    if (size := sum(group.total_byte_size for group in groups)) > LARGEST:
        raise ValueError(f"takes {size:,} bytes of memory")
