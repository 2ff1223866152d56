"""Side tables of a data set: verdicts, difficulty, statistics. They may come from anyone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from qoqdata.contract.arrow import arrow_schema
from qoqdata.contract.types import Table
from qoqdata.errors import DatasetError
from qoqdata.parquet_memory import require_memory

#: What reading Parquet raises for damaged input.
_FAULTS = (pa.ArrowException, OSError, ValueError, MemoryError)


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
            require_memory(path, file.metadata)
            own = [name for name, now in called.items() if now in names]
            found = file.read(columns=own)
        found = found.rename_columns([called[name] for name in found.column_names]).select(names)
        schema = arrow_schema(table)
        found = found.cast(pa.schema([schema.field(name) for name in names]))
    except _FAULTS as error:
        what = f"is no whole table of {table.name}: {str(error).splitlines()[0]}"
        raise DatasetError(what, where=str(path), fix=fix) from error
    return pl.DataFrame(found)


def read_findings_table(path: Path, columns: Mapping[str, Any], *, fix: str) -> pl.DataFrame:
    """`columns` (name to polars type) of the Parquet file at `path`, which a pass of curation left.

    Raises DatasetError, which names `fix`, for a file that cannot be read, lacks a column, holds
    values of another type or more than memory.
    """
    try:
        require_memory(path)
        wanted = [pl.col(name).cast(kind) for name, kind in columns.items()]
        return pl.scan_parquet(path, glob=False).select(wanted).collect()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, *_FAULTS) as error:
        what = f"cannot be read: {str(error).splitlines()[0]}"
        raise DatasetError(what, where=str(path), fix=fix) from error
