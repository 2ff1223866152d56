"""Label counts, by a table worked out by hand."""

from __future__ import annotations

import polars as pl
import pytest

from qoqdata.statistics.counts import label_table
from tests.statistics.training_rows import frame, record

KEPT = frame(
    record(0, "x"),
    record(1, "x", "y"),
    record(2, "y", split="validation"),
    record(3, "x", split="test", uncertain=["y"]),
    record(4, "y", uncertain=["x"]),
    # Another task of the same source, without training records.
    record(5, "mild", task="severity", split="test", options=["mild", "severe"]),
    # Another source; open answers have no row.
    record(6, source="b", domain="ecg", options=None, labels=None, answer="free"),
)
SCORED = pl.DataFrame({"id": ["r000", "r001", "r004"], "success_rate": [1.0, 0.5, 0.0]})


def test_counts_by_hand() -> None:
    table = label_table(KEPT, SCORED)
    rows = {(row["task"], row["label"]): row for row in table.to_dicts()}
    assert list(rows) == [
        ("diagnosis", "x"),
        ("diagnosis", "y"),
        ("diagnosis", "z"),
        ("severity", "mild"),
        ("severity", "severe"),
    ]

    def counts(task: str, label: str) -> tuple:
        row = rows[task, label]
        return tuple(
            row[name] for name in ("n_train", "n_validation", "n_test", "n_uncertain", "prevalence")
        )

    assert counts("diagnosis", "x") == (2, 0, 1, 1, pytest.approx(2 / 3))
    assert counts("diagnosis", "y") == (2, 1, 0, 1, pytest.approx(2 / 3))
    assert counts("diagnosis", "z") == (0, 0, 0, 0, 0.0)
    assert counts("severity", "mild") == (0, 0, 1, 0, None)
    assert counts("severity", "severe") == (0, 0, 0, 0, None)
    # Training questions that assert x score 1 and 0.5, those that assert y 0.5 and 0.
    assert rows["diagnosis", "x"]["success_rate"] == 0.75
    assert rows["diagnosis", "y"]["success_rate"] == 0.25
    assert rows["diagnosis", "z"]["success_rate"] is None
    assert set(table["source"]) == {"a"} and set(table["domain"]) == {"ct"}


def test_options_that_vary_between_questions_are_all_listed() -> None:
    kept = frame(record(0, "x", options=["x", "y"]), record(1, "w", options=["w"]))
    assert label_table(kept, SCORED)["label"].to_list() == ["w", "x", "y"]


def test_sources_do_not_mix() -> None:
    kept = frame(record(0, "x"), record(1, "x", source="b"))
    table = label_table(kept, SCORED).filter(pl.col("label") == "x")
    assert table.select("source", "n_train", "prevalence", "success_rate").rows() == [
        ("a", 1, 1.0, 1.0),
        ("b", 1, 1.0, 0.5),
    ]


def test_row_order_does_not_matter() -> None:
    assert label_table(KEPT.reverse(), SCORED.reverse()).equals(label_table(KEPT, SCORED))
