"""Jichi DR: two gradings of a photograph, and what its name says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from qoqdata.errors import BadTable, InputError
from qoqdata.records.content import Record
from qoqdata.simulation import write_csv, write_jpeg
from qoqdata.sources.catalogue import find_source
from qoqdata.sources.protocol import Converted, Job, Planned, Refused, Skipped, Unit
from qoqdata.sources.rawtree import open_raw

SOURCE = find_source("jichi")
#: In the order of the published table.
COLUMNS = ("Image", "Davis_grading_of_concatenated_figures", "Davis_grading_of_one_figure")


def write(raw: Path, rows: Sequence[tuple[str, str, str]], files: Sequence[str]) -> None:
    """list.csv of (name, grade of four fields, grade of one), and photographs."""
    for name in files:
        write_jpeg(raw / "documents" / name, np.full((16, 16, 3), 99, np.uint8))
    table = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    write_csv(raw / "list.csv", table, columns=COLUMNS)


def plan(raw: Path) -> dict[str, Planned]:
    return {one.key: one for one in SOURCE.plan(Job(SOURCE.card, open_raw(raw)))}


def convert(raw: Path, key: str) -> dict[str, Converted]:
    unit = plan(raw)[key]
    assert isinstance(unit, Unit), unit
    return {one.task: one for one in SOURCE.convert(unit, Job(SOURCE.card, open_raw(raw)))}


@pytest.mark.parametrize(
    ("raw_grade", "stage", "place"),
    [
        ("ndr", "No diabetic retinopathy", 0),
        ("sdr", "Simple diabetic retinopathy", 1),
        ("PPDR", "Pre-proliferative diabetic retinopathy", 2),
        (" pdr ", "Proliferative diabetic retinopathy", 3),
    ],
)
def test_stages_keep_the_names_of_their_scale(
    tmp_path: Path, raw_grade: str, stage: str, place: int
) -> None:
    """Simple is not mild: it spans mild and moderate of the international scale."""
    write(tmp_path, [("7_2_L.jpg", "pdr", raw_grade)], ["7_2_L.jpg"])
    field = convert(tmp_path, "7_2_l")["field_grade"]
    assert isinstance(field, Record) and field.number is not None
    assert (field.answer, field.number.value) == (stage, place)


def test_both_gradings_are_asked_and_neither_replaces_the_other(tmp_path: Path) -> None:
    """The wider retina is worse here; an empty cell of one leaves the other."""
    rows = [("1_1_R.jpg", "ppdr", "sdr"), ("1_2_R.jpg", "ppdr", "")]
    write(tmp_path, rows, ["1_1_R.jpg", "1_2_R.jpg"])
    first, second = convert(tmp_path, "1_1_r"), convert(tmp_path, "1_2_r")
    field, wide = first["field_grade"], first["wide_grade"]
    assert isinstance(field, Record) and field.answer == "Simple diabetic retinopathy"
    assert isinstance(wide, Record) and wide.answer == "Pre-proliferative diabetic retinopathy"
    assert field.forms != wide.forms
    skipped = second["field_grade"]
    assert isinstance(skipped, Skipped) and skipped.reason == "not_stated"
    assert isinstance(second["wide_grade"], Record)


@pytest.mark.parametrize(("letter", "side"), [("R", "Right"), ("L", "Left")])
def test_the_name_says_which_eye_and_the_question_does_not(
    tmp_path: Path, letter: str, side: str
) -> None:
    write(tmp_path, [(f"3_1_{letter}.jpg", "ndr", "ndr")], [f"3_1_{letter}.jpg"])
    asked = convert(tmp_path, f"3_1_{letter.lower()}")
    eye, grade = asked["laterality"], asked["field_grade"]
    assert isinstance(eye, Record) and isinstance(grade, Record)
    assert eye.answer == side
    assert [image.laterality for image in eye.images or ()] == [None]
    assert [image.laterality for image in grade.images or ()] == [side.lower()]


def test_visits_and_eyes_of_a_patient_are_one_group(tmp_path: Path) -> None:
    """The patient is the first number of the name: 12 is not 1."""
    names = ["12_1_R.jpg", "12_2_L.jpg", "012_3_L.jpg", "1_2_L.jpg"]
    write(tmp_path, [(name, "ndr", "ndr") for name in names], names)
    groups = {one.group for one in plan(tmp_path).values() if isinstance(one, Unit)}
    assert groups == {"12", "1"}
    assert all(isinstance(one, Unit) for one in plan(tmp_path).values())


def test_rows_and_files_that_do_not_meet(tmp_path: Path) -> None:
    """Each is refused for a reason of its own; names without suffix are the same names."""
    rows = [("1_1_R.jpg", "ndr", "ndr"), ("1_2_R.jpg", "ndr", "ndr"), ("1_2_R.jpg", "sdr", "ndr")]
    rows += [("1_3_R", "pdr", "pdr"), ("1_4.jpg", "ndr", "ndr")]
    write(tmp_path, rows, ["1_2_R.jpg", "1_3_R.jpg", "1_4.jpg", "1_5_R.jpg"])
    planned = plan(tmp_path)
    reasons = {key: one.error.code for key, one in planned.items() if isinstance(one, Refused)}
    assert reasons == {
        "1_1_r": "missing_file",
        "1_2_r": "duplicate_key",
        "1_4": "missing_key",
        "1_5_r": "missing_key",
    }
    assert isinstance(planned["1_3_r"], Unit)


def test_a_grade_in_other_words_is_refused(tmp_path: Path) -> None:
    write(tmp_path, [("1_1_R.jpg", "ndr", "mild")], ["1_1_R.jpg"])
    with pytest.raises(InputError, match="'mild' is not mapped"):
        convert(tmp_path, "1_1_r")


def test_two_lists_are_one_too_many(tmp_path: Path) -> None:
    """An archive that was unpacked twice."""
    write(tmp_path, [("1_1_R.jpg", "ndr", "ndr")], ["1_1_R.jpg"])
    write_csv(tmp_path / "dmr" / "list.csv", [dict.fromkeys(COLUMNS, "ndr")])
    with pytest.raises(BadTable, match="lies there 2 times"):
        plan(tmp_path)
