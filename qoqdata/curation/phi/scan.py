"""Texts of a data set against the rules; findings say where, never what."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from qoqdata.curation.phi.rules import RULES
from qoqdata.dataset import Dataset

#: Columns that hold running text.
TEXTS = ("context", "question", "answer", "reasoning")

FINDINGS = {
    "id": pl.String,
    "source": pl.String,
    "column": pl.String,
    "rule": pl.String,
    "start": pl.Int32,
    "length": pl.Int32,
}


def scan_texts(dataset: Dataset) -> pl.DataFrame:
    """Every match of every rule: record id, source, column, rule, and place in the text.

    `start` and `length` count characters. The matched text itself stays where it is, so that the
    table of findings is no second place to protect.
    """
    frame = dataset.records.select("id", "source", *TEXTS).collect()
    rows = [row for column in TEXTS for row in _column(frame, column)]
    return pl.DataFrame(rows, schema=FINDINGS, orient="row").sort("id", "column", "start", "rule")


def _column(frame: pl.DataFrame, column: str) -> Iterator[tuple]:
    # Questions repeat by the million: each distinct text is searched once.
    texts = frame.select(column).drop_nulls().unique().get_column(column)
    matches = {text: found for text in texts if (found := _matches(text))}
    hit = frame.filter(pl.col(column).is_in(list(matches)))
    for id_, source, text in hit.select("id", "source", column).iter_rows():
        for rule, start, length in matches[text]:
            yield id_, source, column, rule, start, length


def _matches(text: str) -> list[tuple[str, int, int]]:
    return [
        (rule.name, match.start(), match.end() - match.start())
        for rule in RULES
        for match in rule.pattern.finditer(text)
    ]
