"""The record's rules that its metadata alone can break, asked of the different values that a table
has in the columns of a rule: of millions of records these are few, but for free texts and paths."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import polars as pl

from qoqdata.contract.record import METADATA
from qoqdata.contract.types import Scalar, Table
from qoqdata.contract.vocabulary import OTHER_DOMAIN
from qoqdata.records import rules
from qoqdata.records.shapes import Breach, Row, shape_breaches

#: Of the signal metadata have leads and rate, so that its own rule is left to the shards.
_SHAPED = tuple(field for field in METADATA.fields if field.name != "ecg")
_EMPTY = dict.fromkeys((*rules.TEXTS, "images", "masks", "options"))
_ANSWERS = ("kind", "options", "answer", "number", "labels", "uncertain", "absent")


def column_breaches(
    records: pl.DataFrame, role: str = "training"
) -> Iterator[tuple[str, int, Breach]]:
    """A breach of each different value at fault: the id of the first record that has it, how many
    have it, and the breach. `records` have the columns of METADATA; `role` is of their source."""
    for field in _SHAPED:
        if isinstance(field.type, Scalar) and not field.type.choices:
            # Any value will do, so only a null can be wrong.
            records_of = records.filter(pl.col(field.name).is_null())
        else:
            records_of = records
        alone = Table(METADATA.name, METADATA.version, METADATA.doc, (field,))
        yield from _asked(records_of, (field.name,), partial(shape_breaches, table=alone))
    for name in (*rules.TEXTS, "options"):
        yield from _asked(records, (name,), lambda row: rules.null_and_empty(_EMPTY | dict(row)))
    yield from _asked(records, ("age",), rules.age_rule)
    yield from _asked(records, _ANSWERS, _answer_rules)
    shown = records.with_columns(pl.col("image_info").is_not_null(), pl.col("ecg").is_not_null())
    yield from _asked(shown, ("modality", "image_info", "ecg"), _modality)
    boxed = records.filter(pl.col("regions").is_not_null())
    yield from _asked(boxed, ("image_info", "mask_info", "regions"), rules.regions_rule)
    if role != "evaluation":
        yield from _asked(records, ("domain",), _domain)


def _asked(
    records: pl.DataFrame, columns: tuple[str, ...], rule: Callable[..., Iterable[Breach]]
) -> Iterator[tuple[str, int, Breach]]:
    """The breaches of a rule by the different values of `columns`."""
    alone = len(columns) == 1 and not records.schema[columns[0]].is_nested()
    key = pl.col(columns[0]) if alone else pl.struct(columns).struct.json_encode()
    firsts = (
        records.select(key=key)
        .with_row_index("row")
        .group_by("key")
        .agg(pl.col("row").first(), count=pl.len())
        .sort("row")
    )
    rows = records[firsts["row"]]
    values = rows.select(columns).iter_rows(named=True)
    for id_, count, row in zip(rows["id"], firsts["count"], values, strict=True):
        for breach in rule(row):
            yield id_, count, breach


def _answer_rules(row: Row) -> Iterator[Breach]:
    # What is null where nothing may be is told by the shape.
    if row["kind"] is not None and row["answer"] is not None:
        for rule in rules.ANSWER_RULES:
            yield from rule(row)


def _modality(row: Row) -> Iterable[Breach]:
    shown: dict[str, list[None] | None] = {
        name: [] if row[name] else None for name in ("image_info", "ecg")
    }
    told = {"modality": row["modality"], "images": shown["image_info"], "ecg": shown["ecg"]}
    return rules.modality_rule(told)


def _domain(row: Row) -> Iterator[Breach]:
    if row["domain"] == OTHER_DOMAIN:
        yield rules.OTHER_BREACH
