"""Examples: how records are described for people, and how what is expected is kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from qoqdata.errors import CardError
from qoqdata.sources import catalogue
from qoqdata.sources.protocol import Source
from qoqdata.suite import examples
from qoqdata.suite.examples import BuiltExample, build_example, describe
from tests.records.sound_rows import HEIGHT, WIDTH, ecg_row, image_row


def test_a_image_record() -> None:
    shown = describe(image_row(masks=image_row()["masks"]))
    # The image holds columns 0 to 5: mean 2.5, which rounds to even.
    assert shown["images"] == [
        {"format": "PNG", "mode": "L", "size": [WIDTH, HEIGHT], "mean": 2}
    ]  # fmt: skip
    assert shown["masks"] == [{str(code): HEIGHT for code in range(WIDTH)}]
    assert shown["answer"] == "Opacity, Effusion"
    assert not {"ecg", "context", "reasoning"} & set(shown)
    json.dumps(shown)


def test_an_ecg_record() -> None:
    assert describe(ecg_row())["ecg"] == {
        "leads": ["I", "II"],
        "fs": 500.0,
        "samples": 3,
        "mV": [-0.25, 1.5],
        "valid": 0.833,
    }


@pytest.fixture
def source(tmp_path: Path) -> Source:
    """A source with an empty example folder."""
    (tmp_path / "example").mkdir()
    return replace(catalogue.find_source("ham10000"), folder=tmp_path)


def test_what_is_accepted_is_expected(source: Source, tmp_path: Path) -> None:
    with pytest.raises(CardError, match="no expected records"):
        examples.read_expected(source, examples.RECORDS)
    dataset = build_example(catalogue.find_source("ham10000"), tmp_path / "set").dataset
    records, rows = ({"id": "ü"}, {"id": "b"}), ({"unit": "x"},)
    examples.accept(source, BuiltExample(dataset, records, rows))
    assert examples.read_expected(source, examples.RECORDS) == records
    assert examples.read_expected(source, examples.QUARANTINE) == rows
    examples.accept(source, BuiltExample(dataset, records[:1], ()))
    assert examples.read_expected(source, examples.RECORDS) == records[:1]
    assert examples.read_expected(source, examples.QUARANTINE) == ()
    assert [p.name for p in (tmp_path / "example").iterdir()] == ["expected.jsonl"]


def test_a_built_example_is_sorted_and_complete(tmp_path: Path) -> None:
    built = build_example(catalogue.find_source("image_table"), tmp_path / "set")
    ids = [record["id"] for record in built.records]
    assert (
        ids == sorted(ids)
        and len(ids) == built.dataset.manifest.sources["our_films"].counts.records
    )
    assert [row["unit"] for row in built.quarantine] == sorted(
        row["unit"] for row in built.quarantine
    )
    assert {row["reason"] for row in built.quarantine} == {"outside_root", "missing_file"}


def test_the_seeds_of_the_suite_are_the_same_everywhere(tmp_path: Path) -> None:
    one = build_example(catalogue.find_source("image_table"), tmp_path / "a")
    two = build_example(catalogue.find_source("image_table"), tmp_path / "b")
    assert one.records == two.records and one.quarantine == two.quarantine
    assert one.dataset.manifest.digest == two.dataset.manifest.digest
