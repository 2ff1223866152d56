"""Which rollouts become reasoning traces."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl

from qoqdata import rollouts
from qoqdata.errors import BadTable

_TYPES = {
    "id": pl.String,
    "response": pl.String,
    "reward": pl.Float64,
    "overall": pl.Float64,
    "step": pl.Int64,
    "rollout": pl.Int64,
    "policy": pl.String,
    "truncated": pl.Boolean,
}
_NEEDED = ("id", "response", "reward")

_THOUGHT = re.compile(r"<think>(.*?)</think>", re.IGNORECASE | re.DOTALL)


def read_traces(path: Path) -> pl.DataFrame:
    """Rollouts from Parquet, JSON lines, or a folder of Parquet files as training writes it.

    Needed are `id`, `response` and `reward`; `overall`, `step`, `rollout`, `policy` and
    `truncated` are used where they are there. Raises BadTable.
    """
    table = rollouts.read_rollouts(path)
    for name in _NEEDED:
        if name not in table.columns:
            fix = "traces need id, response and reward"
            raise BadTable(f"lacks the column {name!r}", where=str(path), fix=fix)
    defaults = {"overall": pl.col("reward"), "truncated": pl.lit(False)}
    with rollouts.refused(path):
        return table.select(
            (pl.col(n) if n in table.columns else defaults.get(n, pl.lit(None))).cast(kind).alias(n)
            for n, kind in _TYPES.items()
        )


def best(table: pl.DataFrame, *, least: float = 1.0) -> pl.DataFrame:
    """One trace a question: id, reasoning, policy, reward.

    Of the rollouts that ended by themselves, thought aloud and got at least `least`, the one of
    the highest overall reward; among equals the latest step, then the shortest text. Questions
    without such a rollout have no trace.
    """
    thought = table.filter(
        pl.col("reward") >= least, ~pl.col("truncated").fill_null(False)
    ).with_columns(reasoning=pl.col("response").map_elements(thinking, return_dtype=pl.String))
    order = [
        pl.col("overall").fill_nan(None),
        pl.col("step"),
        -pl.col("reasoning").str.len_chars().cast(pl.Int64),
        -pl.col("rollout"),
    ]
    return (
        thought.drop_nulls("reasoning")
        .sort(
            "id",
            *order,
            "reasoning",
            descending=[False, True, True, True, True, False],
            nulls_last=True,
        )
        .unique("id", keep="first", maintain_order=True)
        .select("id", "reasoning", "policy", "reward")
    )


def thinking(response: str) -> str | None:
    """The text of the only closed <think></think>; None when there is none or it is empty."""
    found = _THOUGHT.findall(response)
    if len(found) != 1 or "<think>" in found[0].lower():
        return None
    return str(found[0]).strip() or None
