"""APTOS 2019: grades by name of file, and pictures that stand there more than once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qoqdata.errors import InputError
from qoqdata.records.content import Record
from qoqdata.simulation import write_csv, write_jpeg, write_png
from qoqdata.sources.catalogue import find_source
from qoqdata.sources.protocol import Filtered, Job, Planned, Refused, Unit
from qoqdata.sources.rawtree import open_raw

SOURCE = find_source("aptos_2019")


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (16, 16, 3), np.uint8)


def plan(raw: Path, grades: dict[str, Any], test: tuple[str, ...] = ("t",)) -> dict[str, Planned]:
    rows = [{"id_code": key.rstrip("+"), "diagnosis": grade} for key, grade in grades.items()]
    write_csv(raw / "train.csv", rows, columns=["id_code", "diagnosis"])
    write_csv(raw / "test.csv", [{"id_code": key} for key in test])
    return {one.key: one for one in SOURCE.plan(Job(SOURCE.card, open_raw(raw)))}


def asked(raw: Path, unit: Planned) -> dict[str, Record]:
    assert isinstance(unit, Unit), unit
    records = SOURCE.convert(unit, Job(SOURCE.card, open_raw(raw)))
    return {one.task: one for one in records if isinstance(one, Record)}


@pytest.mark.parametrize(
    ("grade", "stage", "beyond_mild"),
    [
        ("0", "No DR", "No"),
        ("1", "Mild NPDR", "No"),
        ("2.0", "Moderate NPDR", "Yes"),
        ("3", "Severe NPDR", "Yes"),
        ("4", "Proliferative DR", "Yes"),
    ],
)
def test_a_grade_is_a_place_on_the_scale(
    tmp_path: Path, grade: str, stage: str, beyond_mild: str
) -> None:
    """One answer of five in ascending order, by the name of the file."""
    write_png(tmp_path / "train_images/a.png", picture(1))
    answers = asked(tmp_path, plan(tmp_path, {"a": grade})["a"])
    assert answers["dr_grade"].answer == stage
    assert answers["dr_grade"].kind == "number"
    number = answers["dr_grade"].number
    assert number is not None and number.value == float(grade)
    assert answers["moderate_or_worse"].answer == beyond_mild


def test_copies_are_found_by_name_whatever_their_suffix_and_folder(tmp_path: Path) -> None:
    """Copies on Kaggle lie in other folders, as JPEG or with capital letters."""
    write_jpeg(tmp_path / "images/resized/A.JPG", picture(1))
    assert asked(tmp_path, plan(tmp_path, {"a": 3})["a"])["dr_grade"].answer == "Severe NPDR"


def test_one_picture_with_two_grades_has_none(tmp_path: Path) -> None:
    """Neither the first nor the higher one wins; a copy with the same grade shares its split."""
    for key, seed in {"a": 1, "b": 1, "c": 2, "d": 2, "e": 3}.items():
        write_png(tmp_path / f"train_images/{key}.png", picture(seed))
    planned = plan(tmp_path, {"a": 0, "b": 2, "c": 1, "d": 1, "e": 4})
    for key in "ab":
        refused = planned[key]
        assert isinstance(refused, Refused) and refused.error.code == "bad_label"
        assert "graded 0 and 2" in refused.error.what
    first, second = planned["c"], planned["d"]
    assert isinstance(first, Unit) and isinstance(second, Unit)
    assert first.group == second.group is not None
    assert isinstance(planned["e"], Unit)


def test_a_group_does_not_depend_on_what_else_is_there(tmp_path: Path) -> None:
    """A copy that is lost moves the other one into no other split."""
    for key in "ab":
        write_png(tmp_path / f"train_images/{key}.png", picture(1))
    both = plan(tmp_path, {"a": 1, "b": 1})["a"]
    (tmp_path / "train_images/b.png").unlink()
    alone = plan(tmp_path, {"a": 1})["a"]
    assert isinstance(both, Unit) and isinstance(alone, Unit)
    assert both.group == alone.group


def test_rows_and_files_that_do_not_meet(tmp_path: Path) -> None:
    """Lost, unknown, twice, in both tables, without a grade: each has its own reason."""
    for seed, name in enumerate(("stray", "twice", "both", "open", "t")):
        write_png(tmp_path / f"train_images/{name}.png", picture(seed))
    write_png(tmp_path / "train_images/double.png", picture(50))
    write_jpeg(tmp_path / "train_images/double.jpg", picture(50))
    grades = {"lost": 1, "twice": 1, "twice+": 2, "both": 0, "open": "", "double": 3}
    planned = plan(tmp_path, grades, ("t", "both"))
    reasons = {
        key: one.error.code if isinstance(one, Refused) else one.reason
        for key, one in planned.items()
        if isinstance(one, Refused | Filtered)
    }
    assert reasons == {
        "lost": "missing_file",
        "twice": "duplicate_key",
        "both": "bad_label",
        "open": "no_label",
        "double": "duplicate_key",
        "stray": "missing_key",
        "t": "no_label",
    }


def test_a_grade_beyond_the_scale_is_refused(tmp_path: Path) -> None:
    """Nobody knows what 5 is."""
    write_png(tmp_path / "train_images/a.png", picture(1))
    with pytest.raises(InputError, match="'5' is not mapped"):
        asked(tmp_path, plan(tmp_path, {"a": 5})["a"])
