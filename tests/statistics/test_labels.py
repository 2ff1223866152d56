"""Label counts, by a table worked out by hand."""

from __future__ import annotations

import polars as pl
import pytest

from qoqdata.statistics import counts
from tests.statistics.training_rows import frame, record

KEPT = frame(
    record(0, "x"),
    record(1, "x", "y"),
    record(2, "y", split="validation"),
    record(3, "x", split="test", uncertain=["y"]),
    record(4, "y", uncertain=["x"]),
    # A second question about the study of record 0.
    record(7, "x", study="s0", absent=["y", "z"]),
    # Another task of the same source, without training records.
    record(5, "mild", task="severity", split="test", options=["mild", "severe"]),
    # Another source; open answers and the texts of a choice have no row.
    record(6, source="b", domain="ecg", kind="open", options=None, labels=None, answer="free"),
    record(8, source="b", domain="ecg", kind="choice", options=["A, b", "c"], labels=None),
    # What is named without being an option has one.
    record(9, "q", source="b", domain="ecg", kind="open", options=None, absent=["p"]),
)
SCORED = pl.DataFrame({"id": ["r000", "r001", "r004"], "success_rate": [1.0, 0.5, 0.0]})


def label_table(records: pl.DataFrame, success: pl.DataFrame) -> pl.DataFrame:
    scored = records.join(success, on="id", how="left", maintain_order="left")
    return counts.label_table(scored, counts.option_lists(records))


def test_counts_by_hand() -> None:
    table = label_table(KEPT, SCORED)
    other = table.filter(pl.col("source") == "b").select("label", "n_train", "n_absent")
    assert other.rows() == [("p", 0, 1), ("q", 1, 0)]
    table = table.filter(pl.col("source") == "a")
    rows = {(row["task"], row["label"]): row for row in table.to_dicts()}
    assert list(rows) == [
        ("diagnosis", "x"),
        ("diagnosis", "y"),
        ("diagnosis", "z"),
        ("severity", "mild"),
        ("severity", "severe"),
    ]
    states = ("n_train", "n_validation", "n_test", "n_uncertain", "n_absent")
    studies = ("n_train_studies", "n_validation_studies", "n_test_studies", "prevalence")

    def count(task: str, label: str, names: tuple[str, ...]) -> tuple:
        return tuple(rows[task, label][name] for name in names)

    assert count("diagnosis", "x", states) == (3, 0, 1, 1, 0)
    assert count("diagnosis", "y", states) == (2, 1, 0, 1, 1)
    assert count("diagnosis", "z", states) == (0, 0, 0, 0, 1)
    assert count("severity", "mild", states) == (0, 0, 1, 0, 0)
    assert count("severity", "severe", states) == (0, 0, 0, 0, 0)
    # Four training questions about three studies: s0 twice, s1 and s4.
    assert count("diagnosis", "x", studies) == (2, 0, 1, pytest.approx(2 / 3))
    assert count("diagnosis", "y", studies) == (2, 1, 0, pytest.approx(2 / 3))
    assert count("diagnosis", "z", studies) == (0, 0, 0, 0.0)
    assert count("severity", "mild", studies) == (0, 0, 1, None)
    assert count("severity", "severe", studies) == (0, 0, 0, None)
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
