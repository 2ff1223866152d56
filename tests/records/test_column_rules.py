"""By column the same is found as record by record."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from qoqdata.metadata import SCHEMA
from qoqdata.records.column_rules import column_breaches
from qoqdata.records.rules import breaches
from tests.records.sound_rows import image_row, region, table

SOUND = image_row(id="r0")


def light(*rows: dict[str, Any]) -> pl.DataFrame:
    """Metadata of rows, as the build writes them."""
    whole = pl.DataFrame(table(*rows))
    return whole.select(SCHEMA.names)


#: A change of the sound row that breaks a rule which needs no pixel.
BROKEN = [
    {"question": ""},
    {"context": "  "},
    {"options": []},
    {"age": 91},
    {"age": -1},
    {"modality": "ecg"},
    {"regions": [region(image=3)]},
    {"regions": [region(x_min=9.0, x_max=2.0)]},
    {"answer": "Nobody knows"},
    {"labels": ["Clear", "Clear"]},
    {"labels": ["Elsewhere"]},
    {"absent": list(SOUND["labels"])},
    {"options": ["Clear", "Opacity and effusion", "Opacity"]},
    {"kind": "number"},
    {"domain": "other"},
]


@pytest.mark.parametrize("change", BROKEN, ids=str)
def test_each_breach_is_found_by_column(change: dict[str, Any]) -> None:
    wrong = image_row(id="r7") | change
    told = {(column, rule) for column, rule, _ in breaches(wrong)}
    assert told
    records = light(SOUND, wrong, wrong | {"id": "r8"}, SOUND | {"id": "r9"})
    found = list(column_breaches(records))
    assert {(column, rule) for _, _, (column, rule, _) in found} == told
    assert {id_ for id_, _, _ in found} == {"r7"} and {count for _, count, _ in found} == {2}


def test_sound_records_have_none() -> None:
    assert list(column_breaches(light(SOUND, image_row(id="r1", regions=[region()])))) == []


def test_other_is_for_evaluation() -> None:
    benchmark = image_row(id="r1", domain="other")
    assert list(column_breaches(light(benchmark), "evaluation")) == []


def test_a_value_outside_its_vocabulary_and_a_null() -> None:
    records = light(SOUND).with_columns(split=pl.lit("dev"), study=pl.lit(None, pl.String))
    found = {(column, rule) for _, _, (column, rule, _) in column_breaches(records)}
    assert found == {("split", "one of the vocabulary"), ("study", "not null")}
