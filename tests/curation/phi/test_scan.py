"""Every text column is searched, each distinct text once, and a recogniser may join."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import qoqdata
from qoqdata.contract.record import RECORD
from qoqdata.curation.phi import FINDINGS, Span, scan_texts
from qoqdata.curation.phi.columns import CODED, string_columns, text_columns
from qoqdata.curation.phi.recogniser import Presidio
from qoqdata.dataset import Dataset
from qoqdata.errors import UsageError
from tests.curation.phi.scenes import texts
from tests.records.sound_rows import facts, image_row, mask_info, region
from tests.validation.written_set import write

SEEN = "seen on 2019-03-14"

#: A change of a sound row that puts SEEN into a column, and the member that holds it.
COLUMNS: dict[str, tuple[dict[str, Any], int | None]] = {
    "item": ({"item": SEEN}, None),
    "image_info.view": ({"image_info": [facts(view=SEEN)]}, 0),
    "image_info.laterality": ({"image_info": [facts(laterality=SEEN)]}, 0),
    "regions.label": ({"regions": [region(), region(label=SEEN)]}, 1),
    "regions.reader": ({"regions": [region(reader=SEEN)]}, 0),
    "mask_info.reader": ({"mask_info": [mask_info(reader=SEEN)]}, 0),
    "context": ({"context": SEEN}, None),
    "question": ({"question": SEEN}, None),
    "options": ({"options": ["yes", "no", SEEN]}, 2),
    "answer": ({"answer": SEEN}, None),
    "number.unit": ({"number": {"value": 1.0, "unit": SEEN, "tolerance": 0.0}}, None),
    "labels": ({"labels": ["clear", SEEN]}, 1),
    "uncertain": ({"uncertain": [SEEN]}, 0),
    "absent": ({"absent": [SEEN]}, 0),
    "reasoning": ({"reasoning": SEEN}, None),
    "provenance.notes": ({}, 1),
}


def row(column: str) -> dict[str, Any]:
    changes, _ = COLUMNS[column]
    one = image_row(**changes)
    if column == "provenance.notes":
        one["provenance"] = {**one["provenance"], "notes": ["resampled", SEEN]}
    return one


@pytest.mark.parametrize("column", COLUMNS)
def test_every_text_column_is_read(tmp_path: Path, column: str) -> None:
    found = scan_texts(write(tmp_path / "set", [row(column)]))
    assert dict(found.schema) == FINDINGS
    assert found.select("column", "member", "rule", "start", "length").rows() == [
        (column, COLUMNS[column][1], "date", len("seen on "), len("2019-03-14"))
    ]


def test_no_string_of_the_contract_is_forgotten() -> None:
    assert set(text_columns()) == set(COLUMNS)
    assert set(string_columns()) >= CODED
    assert {name.partition(".")[0] for name in string_columns()} <= set(RECORD.names)


def test_a_sound_record_holds_nothing(tmp_path: Path) -> None:
    assert scan_texts(write(tmp_path / "set", [image_row()])).rows() == []


class Finder:
    """A recogniser that calls every `Zorro` a person, and counts."""

    name = "finder"

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def find(self, text: str, language: str) -> Iterator[Span]:
        self.asked.append((text, language))
        if (place := text.find("Zorro")) >= 0:
            yield Span("finder_person", place, place + 5)


def test_a_text_that_repeats_is_searched_once_and_found_everywhere(tmp_path: Path) -> None:
    finder = Finder()
    found = scan_texts(texts(tmp_path, *["the man is Zorro"] * 4, "clear"), finder)
    assert finder.asked.count(("the man is Zorro", "en")) == 1
    assert found.select("id", "rule", "start").rows() == [
        (f"r{n}", "finder_person", 11) for n in range(4)
    ]


def test_a_recogniser_joins_the_rules_and_is_named_in_the_receipt(tmp_path: Path) -> None:
    dataset = texts(tmp_path, "Zorro was seen on 2019-03-14")
    result = qoqdata.curate(dataset, recogniser=Finder())
    assert result.findings["rule"].to_list() == ["finder_person", "date"]
    assert result.phi.recogniser == "finder"
    assert json.loads(dataset.layout.phi_receipt.read_bytes())["recogniser"] == "finder"


def test_a_model_that_is_not_there_is_named_and_nothing_fetched(tmp_path: Path) -> None:
    pytest.importorskip("presidio_analyzer", reason="the extra phi is not installed")
    with pytest.raises(UsageError, match="no_such_model"):
        Presidio({"en": "no_such_model"})


def test_presidio_finds_by_a_model_of_this_machine(tmp_path: Path) -> None:
    pytest.importorskip("presidio_analyzer", reason="the extra phi is not installed")
    import spacy

    blank = spacy.blank("en")
    blank.add_pipe("entity_ruler").add_patterns([{"label": "PERSON", "pattern": "Zorro"}])
    blank.to_disk(tmp_path / "model")
    presidio = Presidio({"en": str(tmp_path / "model")})
    found = set(presidio.find("It is Zorro.", "en"))
    assert Span("presidio_person", 6, 11) in found
    assert list(presidio.find("Es ist Zorro.", "de")) == []


def test_without_presidio_the_recipe_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    with pytest.raises(UsageError, match=r"not installed.*qoqdata\[phi\]"):
        qoqdata.curate(texts(tmp_path, "x"), recipe={"phi": {"presidio": {"en": "model"}}})


def test_findings_are_counted_by_place(tmp_path: Path) -> None:
    from qoqdata.cli.curate import counts

    dataset: Dataset = texts(tmp_path, "the MRN: 00123456 of a man", "clear")
    given = counts(qoqdata.curate(dataset))
    assert (given["held_records"], given["dropped_records"], given["records"]) == (1, 0, 2)
    assert given["by_place"] == [
        {
            "source": "films",
            "column": "context",
            "rule": "record_number",
            "language": "en",
            "outcome": "held",
            "findings": 1,
            "records": 1,
        }
    ]
    assert isinstance(pl.read_parquet(dataset.layout.phi_findings), pl.DataFrame)
