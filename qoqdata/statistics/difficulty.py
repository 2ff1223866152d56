"""Difficulty tables: the success rate of a policy, or of what stands in for one, by question."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from qoqdata.atomic import replacing
from qoqdata.contract.arrow import arrow_schema
from qoqdata.contract.side_tables import DIFFICULTY
from qoqdata.errors import UsageError
from qoqdata.layout import Layout
from qoqdata.side_table import read_side_table
from qoqdata.statistics.rollouts import read_rewards

#: Names of what stands in for a policy: a linear probe, and label entropy alone.
PROBE, PRIOR = "linear-probe", "prior-label-entropy"
#: The better one first.
_ESTIMATES = (PROBE, PRIOR)

#: An estimate's table before `from_estimates`: the question's id and its success rate in [0, 1].
ESTIMATE = {"id": pl.String, "success_rate": pl.Float64}


#: What columns were called in version 1 of the table.
_FORMER_NAMES = {"mean": "success_rate"}


def read_difficulty(path: Path) -> pl.DataFrame:
    """A difficulty table, its columns called as in the present contract, whichever version wrote
    it; raises DatasetError for one that is damaged."""
    fix = "run `qoqdata difficulty` again, or fetch the data set anew"
    return read_side_table(path, DIFFICULTY, fix=fix, former=_FORMER_NAMES)


def write_difficulty(layout: Layout, table: pl.DataFrame) -> Path:
    """Write one policy's difficulty table and return its path."""
    policy = table["policy"][0] if table.height else PRIOR
    path = layout.difficulty / f"{policy}.parquet"
    with replacing(path) as draft:
        pq.write_table(table.to_arrow().cast(arrow_schema(DIFFICULTY)), draft, compression="zstd")
    return path


def from_rollouts(path: Path, *, policy: str, scorer: str) -> pl.DataFrame:
    """Difficulty rows from the rollouts at `path`, as in `rollouts.read_rewards`, which raises
    BadTable."""
    return (
        read_rewards(path)
        .group_by("id")
        .agg(
            rewards=pl.col("reward").sort().cast(pl.Float32),
            success_rate=pl.col("reward").sort().mean(),
            n_rollouts=pl.len().cast(pl.Int32),
        )
        .sort("id")
        .with_columns(policy=pl.lit(policy), scorer=pl.lit(scorer))
    )


def from_estimates(parts: Iterable[pl.DataFrame], *, policy: str, scorer: str) -> pl.DataFrame:
    """Difficulty rows by id from tables of the columns of ESTIMATE; no rollout is behind them."""
    return (
        pl.concat([pl.DataFrame(schema=ESTIMATE), *parts])
        .sort("id")
        .select(
            "id",
            rewards=pl.lit([], dtype=pl.List(pl.Float32)),
            success_rate="success_rate",
            n_rollouts=pl.lit(0, dtype=pl.Int32),
            policy=pl.lit(policy),
            scorer=pl.lit(scorer),
        )
    )


def choose(layout: Layout, policy: str | None = None) -> pl.DataFrame | None:
    """The difficulty table to use, that of `policy_of`; None where there is none."""
    name = policy_of(layout, policy)
    return None if name is None else read_difficulty(layout.difficulty / f"{name}.parquet")


def policy_of(layout: Layout, policy: str | None = None) -> str | None:
    """Whose difficulty to use: `policy`'s, else the only one of a real policy, else the probe's,
    else the prior's, else None. Raises UsageError for a policy that has none and when several real
    policies leave the choice open."""
    names = [path.stem for path in sorted(layout.difficulty.glob("*.parquet"))]
    if policy is not None:
        if policy not in names:
            there = ", ".join(names) or "none"
            raise UsageError(f"no difficulty of the policy {policy!r}", fix=f"there is: {there}")
        return policy
    real = [name for name in names if name not in _ESTIMATES]
    if len(real) > 1:
        raise UsageError(
            f"difficulty of {len(real)} policies: {', '.join(real)}", fix="choose with --policy"
        )
    return next((name for name in (*real, *_ESTIMATES) if name in names), None)
