"""Every rule has a record that breaks it, and the error says which record, column and rule."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from qoqdata.contract.record import RECORD
from qoqdata.errors import RecordError
from qoqdata.records.rows import batch
from qoqdata.records.rules import breaches, breaches_of_rows, validate
from tests.records.broken_rows import (
    BROKEN,
    MASK_ONLY,
    ecg,
)
from tests.records.sound_rows import (
    ecg_row,
    image_row,
    mask_info,
    region,
    table,
)

SOUND: dict[str, dict[str, Any]] = {
    "image": image_row(),
    "ecg": ecg_row(),
    "nothing is mandatory among findings": image_row(
        labels=None, uncertain=None, absent=None, regions=None
    ),
    "a denied label": image_row(absent=["Clear"]),
    "a choice of any text": image_row(
        kind="choice", options=["Left, and up", "A & B"], answer="Left, and up", labels=None
    ),
    "a number in a unit": image_row(
        kind="number",
        number={"value": 12.5, "unit": "mm", "tolerance": 0.5},
        answer="12.5 mm",
        options=None,
        labels=None,
    ),
    "a grade": image_row(
        kind="number",
        number={"value": 1.0, "unit": None, "tolerance": 0.0},
        answer="Opacity",
        labels=None,
    ),
    "a box that the question is about": image_row(regions=[region(role="given")]),
    "two readers' masks on one image": image_row(
        masks=image_row()["masks"] * 2,
        mask_info=[mask_info(reader="r1"), mask_info(reader="r2", instance=4)],
    ),
    "a question of several": image_row(item="2"),
    "empty lists of findings and boxes": image_row(labels=[], uncertain=[], regions=[]),
    "one option as answer": image_row(answer="Clear"),
    "open answer with separators": image_row(
        kind="open", options=None, labels=None, uncertain=None, answer="Mass, node and more"
    ),
    "no mask for an image": image_row(masks=None, mask_info=None),
    "boxes in masks alone": image_row(**MASK_ONLY),
    "age 0": image_row(age=0),
    "age at the cap": image_row(age=90),
    "text with an ECG": ecg_row(modality="multimodal", context="Chest pain."),
    "image with an ECG": image_row(modality="multimodal", ecg=ecg_row()["ecg"]),
    "ECG as arrays": ecg(
        signal=[np.zeros(3, np.float32)] * 2, valid=[np.ones(3, bool), np.zeros(3, bool)]
    ),
    "box of a fraction of a pixel": image_row(regions=[region(x_max=0.25, y_max=0.5)]),
}


@pytest.mark.parametrize("name", SOUND)
def test_sound_records_pass(name: str) -> None:
    assert list(breaches(SOUND[name])) == []
    validate(SOUND[name])


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
@pytest.mark.parametrize("name", BROKEN)
def test_a_breach_is_named(name: str) -> None:
    row, column, rule = BROKEN[name]
    assert (column, rule) in {(found, broken) for found, broken, _ in breaches(row)}
    with pytest.raises(RecordError) as raised:
        validate(row)
    error = raised.value
    assert error.record == row["id"]
    assert f"record {row['id']}, column {error.column}" in str(error)
    assert f"(rule: {error.rule})" in str(error)
    if len(list(breaches(row))) == 1:
        assert (error.column, error.rule) == (column, rule)


def test_a_lead_at_its_stop_is_no_wrong_gain() -> None:
    """One loose electrode says nothing of the others, nor does a spike, nor an offset of all."""
    ecg = ecg_row()["ecg"]
    beat = np.tile([0.0, 1.2, -0.3, 0.1], 25)
    spike = np.where(np.arange(100) == 50, 900.0, beat)
    loose = np.tile([-300.0, 300.0], 50)
    for leads in ([beat, beat, loose], [spike, spike, beat], [beat + 290.0] * 3):
        signal = [lead.astype(np.float32) for lead in leads]
        told = {"leads": ["I", "II", "V1"], "signal": signal, "valid": [[True] * 100] * 3}
        assert list(breaches(ecg_row(ecg=ecg | told))) == []
        wrong = {"signal": [lead * np.float32(1000) for lead in signal]}
        assert [column for column, *_ in breaches(ecg_row(ecg=ecg | told | wrong))] == [
            "ecg.signal"
        ]


@pytest.mark.parametrize("field", RECORD.fields, ids=lambda field: field.name)
def test_a_missing_column_is_a_breach(field: Any) -> None:
    row = image_row()
    del row[field.name]
    with pytest.raises(RecordError) as raised:
        validate(row)
    assert (raised.value.column, raised.value.rule) == (field.name, "every column is there")


@pytest.mark.parametrize("field", RECORD.fields, ids=lambda field: field.name)
def test_null_stands_only_in_nullable_columns(field: Any) -> None:
    found = {(c, rule) for c, rule, _ in breaches(image_row(**{field.name: None}))}
    assert ((field.name, "not null") in found) == (not field.nullable)


def test_all_breaches_of_a_record_are_listed() -> None:
    row = image_row(age=100, labels=["Mass"], answer="Mass", regions=[region(x_max=100.0)])
    assert [column for column, _, _ in breaches(row)] == ["age", "regions[0]", "labels", "answer"]


def test_rows_that_came_back_from_arrow_and_polars_are_judged_alike() -> None:
    """Validation of a data set on disk reads rows through polars."""
    rows = [image_row(), ecg_row(), image_row(age=91), ecg(fs=0.0)]
    found = [[breach[:2] for breach in breaches(row)] for row in rows]
    assert found == [[], [], [("age", "between 0 and 90")], [("ecg.fs", "a positive rate")]]
    for back in (table(*rows).to_pylist(), pl.DataFrame(table(*rows)).to_dicts()):
        assert [[breach[:2] for breach in breaches(row)] for row in back] == found


def test_a_sound_row_fits_the_arrow_schema() -> None:
    assert batch([image_row(), ecg_row()]).to_pylist() == table(image_row(), ecg_row()).to_pylist()


def test_a_signal_at_fault_is_told_of_each_row_that_shows_it() -> None:
    torn = ecg_row()["ecg"] | {"fs": 0.0}
    rows = [ecg_row(id=f"{n}" * 32, ecg=torn) for n in range(2)]
    rows += [ecg_row(id=f"{n}" * 32) for n in (2, 3)]
    found = [
        (row["id"][0], [column for column, *_ in told]) for row, told in breaches_of_rows(rows)
    ]
    assert found == [("0", ["ecg.fs"]), ("1", ["ecg.fs"]), ("2", []), ("3", [])]


def test_neighbours_of_one_signal_are_each_asked_all_else() -> None:
    shown = ecg_row()["ecg"]
    rows = [ecg_row(ecg=shown), ecg_row(ecg=shown, age=91), ecg_row(ecg=shown)]
    assert [len(told) for _, told in breaches_of_rows(rows)] == [0, 1, 0]
