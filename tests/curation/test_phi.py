"""What the PHI rules find, what they leave alone, and what becomes of a finding."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from qoqdata.curation.phi import RULES, require_phi_receipt, scan_texts
from qoqdata.curation.recipe import load_recipe
from qoqdata.curation.verdicts import curate
from qoqdata.dataset import Dataset
from qoqdata.errors import DatasetError, UsageError
from tests.records.sound_rows import image_row
from tests.validation.written_set import write

FOUND = [
    ("email", "write to jane.doe+x@hospital.example.org today"),
    ("url", "see https://pacs.hospital.org/123"),
    ("ip_address", "sent from 192.168.10.7"),
    ("phone", "call (030) 450-5500 at night"),
    ("phone", "call +49 170 123 4567"),
    ("phone", "fax 555-123-4567"),
    ("ssn", "SSN 078-05-1120"),
    ("record_number", "MRN: 00123456"),
    ("record_number", "accession number A1234567"),
    ("date", "seen on 2019-03-14"),
    ("date", "seen on 3/14/2019"),
    ("date", "seen on 14.03.19"),
    ("date", "seen on March 14, 2019"),
    ("date", "seen on 14 Mar 2019"),
    ("person", "reported by Dr. Miller"),
    ("person", "Mrs Smith was seen"),
    ("named", "Patient name: Doe"),
    ("old_age", "a 94-year-old woman"),
]

HARMLESS = [
    "LVEF 35 %, LVIDd 62 mm, aortic root 3.1 cm",
    "T2 signal at L4/5 and C5-C6",
    "nodule of 8 x 12 x 9 mm, SUV 3.4-5.6",
    "heart rate 72, PR 160 ms, QTc 430 ms, axis -30",
    "compared with 2019",
    "a 64-year-old man, BMI 27.5",
    "series 3/4, image 12/120",
    "BP 120/80, ratio 1.5-2.0, 500 Hz, 12 leads",
    "Which of these does the image show?",
    "grade 3/5 power, ASA 2, TNM T2 N0 M0",
    "may be normal; mar. 2 cm",
]


def texts(tmp_path: Path, *context: str, **changes) -> Dataset:
    rows = [
        image_row(id=f"r{n}", patient=f"p{n}", study=f"s{n}", context=text, **changes)
        for n, text in enumerate(context)
    ]
    return write(tmp_path / "set", rows)


@pytest.mark.parametrize(("rule", "text"), FOUND)
def test_found(tmp_path: Path, rule: str, text: str) -> None:
    found = scan_texts(texts(tmp_path, text))
    assert rule in found["rule"].to_list()
    (start, length) = found.filter(rule=rule).select("start", "length").row(0)
    assert 0 <= start < start + length <= len(text)
    assert found["column"].unique().to_list() == ["context"]


@pytest.mark.parametrize("text", HARMLESS)
def test_left_alone(tmp_path: Path, text: str) -> None:
    assert scan_texts(texts(tmp_path, text)).rows() == []


def test_every_rule_has_an_example() -> None:
    assert {rule.name for rule in RULES} == {rule for rule, _ in FOUND}


@pytest.mark.parametrize("column", ["question", "answer", "reasoning"])
def test_every_text_column_is_read(tmp_path: Path, column: str) -> None:
    row = image_row(**{column: "seen on 2019-03-14"})
    assert scan_texts(write(tmp_path / "set", [row])).select("column", "rule").rows() == [
        (column, "date")
    ]


def test_findings_hold_no_text(tmp_path: Path) -> None:
    dataset = texts(tmp_path, "MRN: 00123456 of Dr. Miller")
    curate(dataset, load_recipe(None))
    for path in (dataset.layout.phi_findings, dataset.layout.phi_receipt, dataset.layout.verdicts):
        assert b"00123456" not in path.read_bytes() and b"Miller" not in path.read_bytes()


def test_records_with_findings_are_dropped(tmp_path: Path) -> None:
    dataset = texts(tmp_path, "clear lungs", "MRN: 00123456")
    result = curate(dataset, load_recipe(None))
    assert dataset.kept()["id"].to_list() == ["r0"]
    assert result.verdicts.to_dicts() == [
        {
            "id": "r1",
            "keep": False,
            "rule": "phi",
            "reason": "record_number in context",
            "evidence": None,
        }
    ]
    assert require_phi_receipt(dataset).dropped == 1


def test_open_findings_stop_publication_and_drop_nothing(tmp_path: Path) -> None:
    dataset = texts(tmp_path, "MRN: 00123456")
    (tmp_path / "recipe.yaml").write_text("phi: {on_finding: open}")
    assert curate(dataset, load_recipe(tmp_path / "recipe.yaml")).phi.open == 1
    assert dataset.kept().height == 1
    with pytest.raises(DatasetError, match="1 PHI findings are open"):
        require_phi_receipt(dataset)


def test_accepted_findings_change_nothing(tmp_path: Path) -> None:
    dataset = texts(tmp_path, "seen on 2019-03-14", "seen on 2019-03-14, MRN: 00123456")
    (tmp_path / "recipe.yaml").write_text(
        "phi: {accept: [{rule: date, source: films, why: shifted by the source}]}"
    )
    result = curate(dataset, load_recipe(tmp_path / "recipe.yaml"))
    assert (result.phi.accepted, result.phi.dropped, result.phi.open) == (2, 1, 0)
    assert dataset.kept()["id"].to_list() == ["r0"]


def test_verdicts_of_other_rules_stay(tmp_path: Path) -> None:
    dataset = texts(tmp_path, "clear", "clear", "MRN: 00123456")
    columns = {"id": ["r1"], "keep": [False], "rule": ["duplicate"], "reason": ["same image"]}
    frame = pl.DataFrame(columns).with_columns(evidence=pl.lit("r0"))
    dataset.layout.verdicts.parent.mkdir()
    frame.write_parquet(dataset.layout.verdicts)
    curate(dataset, load_recipe(None))
    curate(dataset, load_recipe(None))
    assert pl.read_parquet(dataset.layout.verdicts).select("id", "rule").rows() == [
        ("r1", "duplicate"),
        ("r2", "phi"),
    ]


def test_a_recipe_at_fault_is_named(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("phi: {on_finding: ignore}")
    with pytest.raises(UsageError, match="on_finding"):
        load_recipe(tmp_path / "recipe.yaml")
