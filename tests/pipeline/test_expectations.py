"""Counts of a build beside those that the card expects of a complete copy."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from qoqdata.cli.build import report
from qoqdata.contract.manifest import Comparison, Manifest
from qoqdata.manifest import read_manifest
from qoqdata.simulation import write_xlsx
from tests.pipeline.toys import raw_tree, run, toy

#: Five studies of three patients: two in train, two in validation, one in test.
STUDIES = [
    ("a1", "a", "train"),
    ("a2", "a", "train"),
    ("b1", "b", "validation"),
    ("b2", "b", "validation"),
    ("c1", "c", "test"),
]
COMPLETE: dict[str, Any] = {
    "units": 5,
    "records": 5,
    "patients": 3,
    "by_split": {
        "train": {"units": 2, "records": 2, "patients": 1},
        "validation": {"units": 2, "records": 2, "patients": 1},
        "test": {"units": 1, "records": 1, "patients": 1},
    },
    "tables": {"studies.csv": 5},
}


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return raw_tree(tmp_path / "films", STUDIES)


def compared(out: Path, raw: Path, expected: dict[str, Any], **config: Any) -> Comparison | None:
    manifest = run(out, (toy("films", expected=expected), raw), **config)
    assert read_manifest(out) == manifest
    return manifest.sources["films"].expected


def test_a_complete_copy(raw: Path, tmp_path: Path) -> None:
    assert compared(tmp_path / "set", raw, COMPLETE) == Comparison(compared=13)


def test_a_card_that_expects_nothing(raw: Path, tmp_path: Path) -> None:
    assert compared(tmp_path / "set", raw, {}) is None


def test_a_lost_study_and_a_lost_row(raw: Path, tmp_path: Path) -> None:
    """b1's file is gone, so it is quarantined; c1's row is gone, so nobody knows of it."""
    (raw / "b1.txt").unlink()
    lines = (raw / "studies.csv").read_text().replace("c1,c,test\n", "")
    (raw / "studies.csv").write_text(lines)
    found = compared(tmp_path / "set", raw, COMPLETE)
    assert found is not None and found.compared == 13 and found.skipped is None
    told = [(one.what, one.split, one.table, one.expected, one.found) for one in found.differences]
    assert told == [
        ("units", None, None, 5, 4),
        ("records", None, None, 5, 3),
        ("patients", None, None, 3, 2),
        ("records", "validation", None, 2, 1),
        ("units", "test", None, 1, 0),
        ("records", "test", None, 1, 0),
        ("patients", "test", None, 1, 0),
        ("rows", None, "studies.csv", 5, 4),
    ]


def test_tables_of_several_kinds(raw: Path, tmp_path: Path) -> None:
    (raw / "more.csv.gz").write_bytes(gzip.compress(b'a,b\n1,"x\ny"\n2,z\n'))
    (raw / "more.tsv").write_text("a\tb\n1\t2\n")
    (raw / "empty.csv").write_text("a,b\n")
    pl.DataFrame({"a": [1, 2, 3]}).write_parquet(raw / "more.parquet")
    (raw / "questions.json").write_text(json.dumps([{}, {}, {}, {}]))
    tables = {"more.csv.gz": 2, "more.tsv": 1, "empty.csv": 0, "more.parquet": 3}
    assert compared(tmp_path / "a", raw, {"tables": tables | {"questions.json": 4}}) == Comparison(
        compared=5
    )
    (raw / "questions.json").write_text("[")
    wrong = {name: count + 1 for name, count in tables.items()}
    found = compared(tmp_path / "b", raw, {"tables": wrong | {"questions.json": 4, "none.csv": 7}})
    assert found is not None
    assert {one.table: one.found for one in found.differences} == tables | {
        "questions.json": None,
        "none.csv": None,
    }


def test_the_first_name_of_a_table_that_is_there_is_counted(raw: Path, tmp_path: Path) -> None:
    tables = {"new.csv": {"rows": 1, "other_names": ["old.csv", "studies.csv"]}}
    (raw / "old.csv").write_text("a\n1\n")
    assert compared(tmp_path / "a", raw, {"tables": tables}) == Comparison(compared=1)
    (raw / "new.csv").write_text("a\n1\n2\n")
    found = compared(tmp_path / "b", raw, {"tables": tables})
    assert found is not None
    assert [(one.table, one.found) for one in found.differences] == [("new.csv", 2)]
    lost = {"rows": 1, "other_names": ["../outside.csv", "gone.csv"]}
    found = compared(tmp_path / "c", raw, {"tables": {"none.csv": lost}})
    assert found is not None
    assert [(one.table, one.found) for one in found.differences] == [("none.csv", None)]


def test_a_table_that_lies_elsewhere(raw: Path, tmp_path: Path) -> None:
    """It counts where its name is there once; of two nobody knows which one is meant."""
    (raw / "deeper").mkdir()
    (raw / "deeper" / "moved.csv").write_text("a\n1\n2\n")
    tables = {"tables": {"moved.csv": 2}}
    assert compared(tmp_path / "a", raw, tables) == Comparison(compared=1)
    (raw / "twice").mkdir()
    (raw / "twice" / "moved.csv").write_text("a\n1\n2\n")
    found = compared(tmp_path / "b", raw, tables)
    assert found is not None and [one.found for one in found.differences] == [None]


def test_rows_of_a_workbook(raw: Path, tmp_path: Path) -> None:
    pytest.importorskip("fastexcel")
    write_xlsx(raw / "book.xlsx", [{"a": 1}, {"a": 2}, {"a": 3}])
    assert compared(tmp_path / "a", raw, {"tables": {"book.xlsx": 3}}) == Comparison(compared=1)


def test_a_table_by_its_name_alone(raw: Path, tmp_path: Path) -> None:
    """Editions have it in folders of different names; of two that are there neither is counted."""
    expected = {"tables": {"votes.csv": 2}}
    for number, name in enumerate(("one", "two")):
        (raw / name).mkdir()
        (raw / name / "votes.csv").write_text("vote\n1\n0\n")
        found = compared(tmp_path / f"set{number}", raw, expected)
        assert found is not None and [one.found for one in found.differences] == [None] * number


def test_a_part_of_a_source_is_not_compared(raw: Path, tmp_path: Path) -> None:
    found = compared(tmp_path / "set", raw, COMPLETE, limit=2)
    assert found == Comparison(compared=0, skipped="only the first 2 units were built")


def test_a_refused_source_is_not_compared(raw: Path, tmp_path: Path) -> None:
    (raw / "studies.csv").unlink()
    found = compared(tmp_path / "set", raw, COMPLETE)
    assert found == Comparison(compared=0, skipped="the source was refused")


def told(manifest: Manifest, out: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    report(manifest, out, as_json=False)
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def test_the_command_shows_what_differs(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = COMPLETE | {"by_split": {"train": {"records": 9}}, "tables": {"none.csv": 7}}
    manifest = run(tmp_path / "a", (toy("films", expected=wrong), raw))
    lines = told(manifest, tmp_path / "a", capsys)
    assert "other counts than the card expects of a complete copy" in lines
    assert "films records, train 9 2" in lines
    assert "films rows of none.csv 7 cannot be read" in lines
    assert not any(line.startswith("films patients") for line in lines)
    films = toy("films", expected=COMPLETE)
    lines = told(run(tmp_path / "b", (films, raw)), tmp_path / "b", capsys)
    assert "counts are as the card expects: films" in lines
    lines = told(run(tmp_path / "c", (films, raw), limit=1), tmp_path / "c", capsys)
    assert "counts of films are not compared: only the first 1 units were built" in lines
