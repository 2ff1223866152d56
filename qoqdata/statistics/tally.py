"""What sources count to, so that the statistics of a set are sums over parts of it.

Sources of one namespace have patients and studies in common, so they are counted together; all
others are parts of their own, whose keys are hashed apart and never meet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import polars as pl
import polars.selectors as cs

from qoqdata.contract import statistics
from qoqdata.contract.arrow import arrow_schema
from qoqdata.statistics.bins import BIN, bins, clusters, merged_bins
from qoqdata.statistics.counts import (
    asserted_counts,
    group_counts,
    label_table,
    option_lists,
    shares,
)

_LEVEL = {"level": pl.String, "key": pl.String}
_COUNT = ("n_records", "n_studies", "n_patients", "n_images")
#: The frames of a tally and their columns.
FRAMES: Mapping[str, pl.Schema] = {
    "groups": pl.Schema(_LEVEL | dict.fromkeys(_COUNT, pl.Int64)),
    "asserted": pl.Schema(_LEVEL | {"n_studies": pl.Int64}),
    "domains": pl.Schema({"source": pl.String, "domain": pl.String, "n_records": pl.Int64}),
    "labels": pl.Schema(arrow_schema(statistics.LABELS)),
    "bins": BIN,
}
#: The columns of records that are counted.
COLUMNS = (
    *("source", "domain", "task", "kind", "split", "patient", "study"),
    *("labels", "uncertain", "absent", "n_images"),
)


@dataclass(frozen=True)
class Tally:
    """Counts by level (domain, source) and key, studies of each asserted label by level and key,
    questions of each source by domain, rows of the label table, bins of success rates."""

    groups: pl.DataFrame
    asserted: pl.DataFrame
    domains: pl.DataFrame
    labels: pl.DataFrame
    bins: pl.DataFrame

    def to_state(self) -> dict[str, Any]:
        """As JSON: the columns of each frame."""
        return {name: getattr(self, name).to_dict(as_series=False) for name in FRAMES}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Raises what polars, KeyError and TypeError tell of another content."""
        return cls(**{name: pl.DataFrame(state[name], schema=FRAMES[name]) for name in FRAMES})


def tally(records: pl.DataFrame, lists: pl.DataFrame | None = None) -> Tally:
    """What kept records of all splits, which have the columns of COLUMNS, count to.

    They also have `success_rate` and `n_rollouts`, null where there is none; those of other splits
    than train do not count. `lists` are the `option_lists`, by default those of `options`.
    """
    lists = option_lists(records) if lists is None else lists
    scored = pl.when(pl.col("split") == "train").then("success_rate")
    records = with_numbered_keys(records).with_columns(success_rate=scored)
    train = records.filter(pl.col("split") == "train")
    frames = {
        "groups": _by_level(train, group_counts),
        "asserted": _by_level(train, asserted_counts),
    }
    frames["domains"] = _plain(train.group_by("source", "domain").agg(n_records=pl.len()))
    frames["labels"] = label_table(records, lists)
    frames["bins"] = bins(train)
    return Tally(
        **{
            name: _plain(frame).select(FRAMES[name].names()).cast(FRAMES[name]).sort(pl.all())
            for name, frame in frames.items()
        }
    )


def with_numbered_keys(records: pl.DataFrame) -> pl.DataFrame:
    """`records` with the first row of each study and patient in its place (UInt32), null for none:
    numbers are compared faster than 32 letters, and take a tenth of the memory."""

    def numbered(key: str) -> pl.Expr:
        return pl.when(pl.col(key).is_not_null()).then(pl.col("row").first().over(key)).alias(key)

    return (
        records.with_row_index("row").with_columns(map(numbered, ("study", "patient"))).drop("row")
    )


def _by_level(
    train: pl.DataFrame, count: Callable[[pl.DataFrame, str], pl.DataFrame]
) -> pl.DataFrame:
    """What `count` counts by domain and by source; once, where all records are of one of both."""
    domains = count(train, "domain")
    alone = train.select(pl.col("source", "domain").n_unique()).row(0) == (1, 1)
    sources = (
        domains.with_columns(key=pl.lit(train["source"][0])) if alone else count(train, "source")
    )
    levels = (("domain", domains), ("source", sources))
    return pl.concat(_plain(frame).with_columns(level=pl.lit(level)) for level, frame in levels)


def tables_of(
    tallies: Iterable[Tally], *, policy: str | None, scorer: str | None
) -> dict[str, pl.DataFrame]:
    """The statistics tables by name, of the tallies of all parts of a set; see
    `qoqdata.contract.statistics`.

    `policy` and `scorer` are whose and by what the success rates are.
    """
    parts = list(tallies)
    whole = Tally(**{name: pl.concat([getattr(p, name) for p in parts]) for name in FRAMES})
    counts = {
        level: shares(
            *(
                frame.filter(pl.col("level") == level).drop("level")
                for frame in (whole.groups, whole.asserted)
            )
        )
        for level in ("domain", "source")
    }
    domains, sources = (
        _with_success(counts[level], whole.bins, level, policy, scorer) for level in counts
    )
    return {
        "domains": domains,
        "sources": sources.join(_main_domains(whole.domains), on="key").sort("key"),
        "labels": whole.labels.sort("source", "task", "label", "domain"),
        "clusters": pl.concat([clusters(whole.bins, "domain"), clusters(whole.bins, "source")]),
    }


def _main_domains(counts: pl.DataFrame) -> pl.DataFrame:
    """`key` (source) and `domain`: where a source spans several, that of most of its records."""
    order = counts.sort("source", "n_records", "domain", descending=[False, True, False])
    return order.unique("source", keep="first", maintain_order=True).select("domain", key="source")


def _with_success(
    counts: pl.DataFrame, parts: pl.DataFrame, level: str, policy: str | None, scorer: str | None
) -> pl.DataFrame:
    rates = merged_bins(parts, level).select(
        key=level,
        success_rate="centre",
        success_rate_variance="variance",
        n_questions="count",
        n_rollouts="n_rollouts",
        policy=pl.lit(policy, pl.String),
        scorer=pl.lit(scorer, pl.String),
    )
    return (
        counts.join(rates, on="key", how="left")
        .with_columns(
            pl.col("n_questions").fill_null(0),
            n_rollouts=pl.when(pl.col("n_rollouts") > 0).then("n_rollouts"),
        )
        .sort("key")
    )


def _plain(frame: pl.DataFrame) -> pl.DataFrame:
    """Texts instead of categories."""
    return frame.with_columns(cs.categorical().cast(pl.String))
