"""Charted values: chosen and checked, a line a value, and cut at a time of prediction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from qoqdata.errors import BadTable

from .tables import time_of

#: Minutes before and after the beginning of a stay that events are kept of.
BEFORE, AFTER = 24 * 60, 48 * 60
#: Columns of kept events: the place of the stay among all, and of its item in items.csv.
KEPT = {"stay": pl.UInt32, "item": pl.String, "at": pl.Int16, "known": pl.Int16,
        "value": pl.Float64}  # fmt: skip
#: Why events of the chosen items are left out, in this order.
DROPPED = ("outside", "no_time", "no_value", "other_unit", "implausible")
#: Those of them that a table in another form has throughout.
UNREAD = ("no_time", "no_value", "other_unit")

ITEMS = Path(__file__).with_name("items.csv")


def read_items() -> pl.DataFrame:
    """items.csv: the chosen items, their names and units, and what is plausible."""
    return pl.read_csv(ITEMS, schema_overrides={"itemid": pl.String, "unit": pl.String})


def check_items(items: pl.DataFrame, dictionary: pl.DataFrame, table: str) -> None:
    """Raise BadTable where the dictionary calls an item otherwise: it would be another quantity."""
    stated = dict(dictionary.select("itemid", "label").iter_rows())
    for row in items.filter(pl.col("table") == table).iter_rows(named=True):
        label = stated.get(row["itemid"])
        if (label or "").strip().lower() != row["stated"].lower():
            what = f"item {row['itemid']} is {label!r}, not {row['stated']!r}"
            raise BadTable(what, where=table, fix="use MIMIC-IV 1.0 or later")


def kept_events(
    rows: pl.DataFrame, items: pl.DataFrame, stays: pl.DataFrame, key: str
) -> tuple[pl.DataFrame, dict[str, int]]:
    """Of rows of a table of events those of chosen items within reach of a stay, as KEPT.

    `stays` has stay (its place), intime, subject_id and stay_id; `key` is the column that joins: of
    charted values the stay, of laboratory values, many of which name no admission, the patient. An
    event is known when it was stored, at the earliest when it was charted. Also how many events
    were left out, by DROPPED.
    """
    chosen = rows.join(items, on="itemid", how="inner")
    own = [key] if key == "subject_id" else [key, "subject_id"]
    events = (
        chosen.join(stays, on=own, how="inner")
        .with_columns(charttime=time_of("charttime"), storetime=time_of("storetime"))
        .with_columns(
            at=(pl.col("charttime") - pl.col("intime")).dt.total_minutes(),
            stored=(pl.col("storetime") - pl.col("intime")).dt.total_minutes(),
            number=pl.col("valuenum").cast(pl.Float64, strict=False),
        )
        .with_columns(
            known=pl.max_horizontal("at", "stored"),
            value=(pl.col("number") * pl.col("scale") + pl.col("offset")).round(3),
        )
    )
    unit = pl.col("valueuom").fill_null("-").str.strip_chars().str.to_lowercase()
    fits = pl.col("units").str.to_lowercase().str.split("|").list.contains(unit)
    within = pl.col("at").is_between(-BEFORE, AFTER, closed="left") & (pl.col("known") < AFTER)
    reason = (
        pl.when(pl.col("at").is_null())
        .then(pl.lit("no_time"))
        .when(~within)
        .then(pl.lit("outside"))
        .when(pl.col("value").is_null() | ~pl.col("value").is_finite())
        .then(pl.lit("no_value"))
        .when(~fits)
        .then(pl.lit("other_unit"))
        .when(~pl.col("value").is_between(pl.col("low"), pl.col("high")))
        .then(pl.lit("implausible"))
    )
    events = events.with_columns(reason=reason)
    counts = dict(events["reason"].drop_nulls().value_counts().iter_rows())
    kept = events.filter(pl.col("reason").is_null()).select(
        pl.col(name).cast(kind) for name, kind in KEPT.items()
    )
    return kept, {name: counts.get(name, 0) for name in DROPPED}


def event_cells(events: pl.DataFrame) -> pl.DataFrame:
    """The lines of each stay as one text, in the order of time, each event once."""
    line = pl.format("{};{};{};{}", "item", "at", "known", "value")
    return (
        events.unique()
        .sort("stay", "at", "item", "known", "value")
        .group_by("stay", maintain_order=True)
        .agg(events=line.str.join("\n"))
    )


@dataclass(frozen=True)
class Event:
    """A value of an item, minutes from the beginning of the stay: measured, and known."""

    item: str
    at: int
    known: int
    value: float


def read_events(cell: bytes, *, where: str) -> list[Event]:
    """The events of a cell, in the order of time; BadTable for a line that is none."""
    events = []
    for line in cell.decode("utf-8").splitlines():
        try:
            item, at, known, value = line.split(";")
            events.append(Event(item, int(at), int(known), float(value)))
        except ValueError:
            raise BadTable(f"{line!r} is no event", where=where, fix="prepare it again") from None
    return events


def known_by(events: list[Event], hours: int) -> list[Event]:
    """The events that had been measured and stored before `hours` of the stay were over."""
    return [one for one in events if max(one.at, one.known) < hours * 60]


def event_lines(events: list[Event], names: Mapping[str, tuple[str, str]]) -> list[str]:
    """A line for each item that has values: first, lowest, highest and last, and how many.

    `names` are name and unit by item, in the order in which they are told.
    """
    lines = []
    for item, (name, unit) in names.items():
        values = [one.value for one in events if one.item == item]
        if not values:
            continue
        what = f"{name} ({unit})" if unit else name
        if len(values) == 1:
            lines.append(f"{what}: {values[0]:.4g}")
            continue
        first, low, high, last = values[0], min(values), max(values), values[-1]
        lines.append(
            f"{what}: first {first:.4g}, lowest {low:.4g}, highest {high:.4g}, last {last:.4g} "
            f"(n={len(values)})"
        )
    return lines
