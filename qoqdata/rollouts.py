"""A policy's rollouts as training and evaluation write them, a row a rollout or a question."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from qoqdata.errors import BadTable

_PARQUET = b"PAR1"


def read_rollouts(path: Path) -> pl.DataFrame:
    """All columns of a Parquet file, of JSON lines, or of a folder of Parquet files.

    Raises BadTable for what is none of these.
    """
    with refused(path):
        if path.is_dir():
            parts = [pl.read_parquet(part, glob=False) for part in sorted(path.rglob("*.parquet"))]
            return pl.concat(parts, how="diagonal")
        with path.open("rb") as file:
            is_parquet = file.read(len(_PARQUET)) == _PARQUET
        return pl.read_parquet(path, glob=False) if is_parquet else pl.read_ndjson(path)


@contextmanager
def refused(path: Path) -> Iterator[None]:
    """Columns that are not of the type that is read become BadTable, which names `path`."""
    try:
        yield
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise BadTable(f"cannot be read as rollouts: {reason}", where=str(path)) from error
