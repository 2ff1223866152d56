"""A policy's rollouts as training and evaluation write them, a row a rollout or a question."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from qoqdata.errors import BadTable
from qoqdata.parquet_memory import require_memory

_PARQUET = b"PAR1"
#: What reading raises for damaged input; polars panics over some headers of pages.
_FAULTS = (pl.exceptions.PolarsError, OSError, ValueError, MemoryError)


def read_rollouts(path: Path) -> pl.DataFrame:
    """All columns of a Parquet file, of JSON lines, or of a folder of Parquet files.

    Raises BadTable for what is none of these.
    """
    with reading(path):
        if path.is_dir():
            parts = [_read_parquet(part) for part in sorted(path.rglob("*.parquet"))]
            return pl.concat(parts, how="diagonal")
        with path.open("rb") as file:
            is_parquet = file.read(len(_PARQUET)) == _PARQUET
        return _read_parquet(path) if is_parquet else pl.read_ndjson(path)


def read_rewards(path: Path) -> pl.DataFrame:
    """`id` (String) and `reward` (Float64 in [0, 1]), a row a rollout.

    The rollouts have `id` and `reward` (a row a rollout) or `rewards` (a list). Raises BadTable for
    rollouts that cannot be read, lack an id or a reward, or have one outside [0, 1].
    """
    rollouts = read_rollouts(path)
    with reading(path):
        table = _one_a_row(rollouts, where=str(path))
        reward = pl.col("reward")
        bad = table.filter(~reward.is_between(0, 1) | ~reward.is_finite()).height
    if bad := bad + table["reward"].null_count():
        what = f"{bad} rewards are not in [0, 1]"
        raise BadTable(what, where=str(path), fix="map rewards to [0, 1] before")
    return table


def _read_parquet(path: Path) -> pl.DataFrame:
    require_memory(path)
    return pl.read_parquet(path, glob=False)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Columns that are not of the type that is read become BadTable, which names `path`."""
    if not path.exists():
        what = "cannot be read as rollouts: there is no such file"
        raise BadTable(what, where=str(path), fix="check its path")
    try:
        yield
    except (*_FAULTS, pl.exceptions.PanicException) as error:
        reason = str(error).partition("\n")[0][:300]
        raise BadTable(f"cannot be read as rollouts: {reason}", where=str(path)) from error


def _one_a_row(table: pl.DataFrame, *, where: str) -> pl.DataFrame:
    """(id, reward) a rollout, as String and Float64; a reward that is no number is null."""
    column = "rewards" if "rewards" in table.columns else "reward"
    if lacking := {"id", column} - set(table.columns):
        fix = "rollouts need `id` and `reward` or `rewards`"
        raise BadTable(f"lacks the column {min(lacking)!r}", where=where, fix=fix)
    table = table.select(pl.col("id").cast(pl.String), reward=column)
    if table.height == 0 or table["id"].null_count():
        what = "a rollout has no id" if table.height else "holds no rollout"
        raise BadTable(what, where=where)
    if column == "rewards":
        if idle := table.filter(pl.col("reward").list.len().fill_null(0) == 0).height:
            raise BadTable(f"{idle} questions have no reward", where=where, fix="leave them out")
        table = table.explode("reward")
    return table.with_columns(pl.col("reward").cast(pl.Float64, strict=False))
