"""Difficulty tables: what is known of how well a policy answers each question."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from qoqdata import rollouts
from qoqdata.atomic import replacing
from qoqdata.contract.arrow import arrow_schema
from qoqdata.contract.side_tables import DIFFICULTY
from qoqdata.errors import BadTable, UsageError
from qoqdata.layout import Layout
from qoqdata.statistics import prior, probe

#: What stands in for a policy, the better one first.
_ESTIMATES = (probe.POLICY, prior.POLICY)


def write_difficulty(layout: Layout, table: pl.DataFrame) -> Path:
    """Write one policy's difficulty table and return its path."""
    policy = table["policy"][0] if table.height else prior.POLICY
    path = layout.difficulty / f"{policy}.parquet"
    with replacing(path) as draft:
        pq.write_table(table.to_arrow().cast(arrow_schema(DIFFICULTY)), draft, compression="zstd")
    return path


def from_rollouts(path: Path, *, policy: str, scorer: str) -> pl.DataFrame:
    """Difficulty rows from rollouts (`rollouts.read`) with `id` and `reward` (a row a rollout) or
    `rewards` (a list). Raises BadTable; every id needs a reward, all in [0, 1]."""
    given = rollouts.read_rollouts(path)
    with rollouts.refused(path):
        table = _one_a_row(given, where=str(path))
        bad = table.filter(~pl.col("reward").is_between(0, 1) | ~pl.col("reward").is_finite())
    if bad.height or table["reward"].null_count():
        what = f"{bad.height + table['reward'].null_count()} rewards are not in [0, 1]"
        raise BadTable(what, where=str(path), fix="map rewards to [0, 1] before")
    return (
        table.group_by("id")
        .agg(
            rewards=pl.col("reward").sort().cast(pl.Float32),
            mean=pl.col("reward").sort().mean(),
            n_rollouts=pl.len().cast(pl.Int32),
        )
        .sort("id")
        .with_columns(policy=pl.lit(policy), scorer=pl.lit(scorer))
    )


def _one_a_row(table: pl.DataFrame, *, where: str) -> pl.DataFrame:
    """(id, reward) a rollout, as String and Float64; a reward that is no number is null."""
    given = "rewards" if "rewards" in table.columns else "reward"
    if lacking := {"id", given} - set(table.columns):
        fix = "rollouts need `id` and `reward` or `rewards`"
        raise BadTable(f"lacks the column {min(lacking)!r}", where=where, fix=fix)
    table = table.select(pl.col("id").cast(pl.String), reward=given)
    if table.height == 0 or table["id"].null_count():
        what = "a rollout has no id" if table.height else "holds no rollout"
        raise BadTable(what, where=where)
    if given == "rewards":
        if idle := table.filter(pl.col("reward").list.len().fill_null(0) == 0).height:
            raise BadTable(f"{idle} questions have no reward", where=where, fix="leave them out")
        table = table.explode("reward")
    return table.with_columns(pl.col("reward").cast(pl.Float64, strict=False))


def choose(layout: Layout, policy: str | None = None) -> pl.DataFrame | None:
    """The difficulty table to use: `policy`'s, else the only one of a real policy, else the
    probe's, else the prior's, else None. Raises UsageError when several real policies leave the
    choice open."""
    found = {path.stem: path for path in sorted(layout.difficulty.glob("*.parquet"))}
    if policy is not None:
        if policy not in found:
            known = ", ".join(found) or "none"
            raise UsageError(f"no difficulty of the policy {policy!r}", fix=f"there is: {known}")
        return pl.read_parquet(found[policy], glob=False)
    real = [name for name in found if name not in _ESTIMATES]
    if len(real) > 1:
        raise UsageError(
            f"difficulty of {len(real)} policies: {', '.join(real)}", fix="choose with --policy"
        )
    name = next((name for name in (*real, *_ESTIMATES) if name in found), None)
    return None if name is None else pl.read_parquet(found[name], glob=False)
