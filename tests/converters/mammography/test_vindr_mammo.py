"""VinDr-Mammo: one examination written down by hand, and what its tables may get wrong."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoqdata.errors import BadTable
from qoqdata.records.content import Record
from qoqdata.simulation import write_csv, write_dicom
from qoqdata.sources.catalogue import find_source
from qoqdata.sources.protocol import Converted, Job, Planned, Refused, Skipped, Unit
from qoqdata.sources.rawtree import open_raw

SOURCE = find_source("vindr_mammo")
EXAMS = importlib.import_module(f"{SOURCE.module.rpartition('.')[0]}.exams")
BREASTS, FINDINGS = "breast-level_annotations.csv", "finding_annotations.csv"
CORNERS = ("xmin", "ymin", "xmax", "ymax")
ROWS, COLUMNS = 20, 40
Cells = dict[str, Any]


class Exam:
    """Four films of 40 x 20 pixels: rlcc is the right CC view and so on; left is BI-RADS 4."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.breasts: list[Cells] = []
        self.findings: list[Cells] = []
        # Right before left and MLO before CC: no order of the table is that of the films.
        for side in "RL":
            for view in ("MLO", "CC"):
                row = {
                    "study_id": "s1",
                    "image_id": f"{side}{view}",
                    "laterality": side,
                    "view_position": view,
                    "height": ROWS,
                    "width": COLUMNS,
                    "breast_birads": "BI-RADS 4" if side == "L" else "BI-RADS 1",
                    "breast_density": "DENSITY C" if side == "L" else "DENSITY B",
                    "split": "test",
                }
                self.breasts.append(row)
                self.finding(row["image_id"], "['No Finding']")
                self.film(row["image_id"])

    def finding(self, image: str, names: str, birads: str = "", *corners: float) -> Cells:
        """A further row of the image, in place of the one that says it has none."""
        free = [r for r in self.findings if r["image_id"] != image or "No F" not in r["names"]]
        row = next(row for row in self.breasts if row["image_id"] == image)
        own = {"finding_birads": birads} | dict(zip(CORNERS, corners or ("",) * 4, strict=True))
        self.findings = [*free, row | own | {"names": names}]
        return self.findings[-1]

    def film(self, image: str, pixels: np.ndarray | None = None, **elements: Any) -> Path:
        ramp = np.linspace(0, 4095, ROWS * COLUMNS).reshape(ROWS, COLUMNS).astype(np.uint16)
        path = self.root / "images" / "s1" / f"{image}.dicom"
        stated = {"laterality": image[0], "view": image[1:], "BitsStored": 12, "HighBit": 11}
        write_dicom(path, ramp if pixels is None else pixels, modality="MG", **stated | elements)
        return path

    def planned(self) -> list[Planned]:
        write_csv(self.root / BREASTS, self.breasts)
        rows = [{k.replace("names", "finding_categories"): r[k] for k in r} for r in self.findings]
        write_csv(self.root / FINDINGS, rows)
        return list(SOURCE.plan(self.job))

    @property
    def job(self) -> Job:
        return Job(SOURCE.card, open_raw(self.root))

    def converted(self) -> list[Converted]:
        (unit,) = self.planned()
        assert isinstance(unit, Unit), unit
        return list(SOURCE.convert(unit, self.job))

    def asked(self, task: str) -> dict[str | None, Record]:
        return {r.item: r for r in self.converted() if isinstance(r, Record) and r.task == task}

    def skipped(self, task: str) -> dict[str | None, str]:
        found = [s for s in self.converted() if isinstance(s, Skipped) and s.task == task]
        return {one.item: one.reason for one in found}


@pytest.fixture
def exam(tmp_path: Path) -> Exam:
    return Exam(tmp_path)


def test_grades_belong_to_a_breast_and_its_two_views(exam: Exam) -> None:
    """Side and view are joined by image; each grade is asked once a breast, with CC before MLO."""
    (unit,) = exam.planned()
    assert isinstance(unit, Unit)
    assert (unit.key, unit.group, unit.split) == ("s1", "s1", "test")
    assert {k: r.answer for k, r in exam.asked("birads").items()} == {
        "left": "BI-RADS 4",
        "right": "BI-RADS 1",
    }
    density = exam.asked("density")
    assert {key: one.answer for key, one in density.items()} == {
        "left": "Density C",
        "right": "Density B",
    }
    # An ordinal answer is the place of its option, from 0.
    assert density["left"].number is not None and density["left"].number.value == 2
    shown = [(image.laterality, image.view) for image in density["left"].images or ()]
    assert shown == [("left", "CC"), ("left", "MLO")]
    (compared,) = exam.asked("higher_side").values()
    assert compared.answer == "Left"
    assert [image.laterality for image in compared.images or ()] == ["left"] * 2 + ["right"] * 2


def test_a_projection_is_not_told_where_it_is_asked(exam: Exam) -> None:
    """A prompt captions its images by side and view, which here are the answer."""
    asked = exam.asked("projection")
    assert {one.answer for one in asked.values()} == {
        "Left CC",
        "Left MLO",
        "Right CC",
        "Right MLO",
    }
    for one in asked.values():
        (image,) = one.images or ()
        assert (image.view, image.laterality) == (None, None)


def test_findings_are_where_the_table_puts_them(exam: Exam) -> None:
    """Boxes are targets of their image; about one finding its box is given and names nothing."""
    exam.finding("LCC", "['Mass', 'Skin Retraction']", "BI-RADS 4", 5, 2, 15, 12)
    exam.finding("LCC", "['Suspicious Calcification']", "BI-RADS 3", 20, 4, 30.5, 9)
    (boxes,) = exam.asked("boxes").values()
    assert boxes.item == "left_CC"
    drawn = [(r.label, r.x_min, r.y_min, r.x_max, r.y_max, r.role) for r in boxes.regions or ()]
    assert drawn == [
        ("Mass", 5, 2, 15, 12, "target"),
        ("Skin retraction", 5, 2, 15, 12, "target"),
        ("Suspicious calcification", 20, 4, 30.5, 9, "target"),
    ]
    counts = {key: one.answer for key, one in exam.asked("finding_count").items()}
    assert counts == {"left_CC": "2", "left_MLO": "0", "right_CC": "0", "right_MLO": "0"}
    kinds = exam.asked("finding_type")
    assert {one.answer for one in kinds.values()} == {
        "Mass, Skin retraction",
        "Suspicious calcification",
    }
    assert {(r.label, r.role) for k in kinds.values() for r in k.regions or ()} == {
        ("finding", "given")
    }
    grades = exam.asked("finding_birads")
    assert sorted(one.answer for one in grades.values()) == ["BI-RADS 3", "BI-RADS 4"]
    findings = exam.asked("findings")
    assert findings["left"].labels == ("Mass", "Suspicious calcification", "Skin retraction")
    assert len(findings["left"].absent or ()) == 11 - 3
    assert findings["right"].answer == "No suspicious finding"


@pytest.mark.parametrize(
    ("corners", "box"),
    [((-4, -3, 10, 30), (0, 0, 10, 20)), ((35, 1, 60, 5), (35, 1, 40, 5)), ((40, 1, 60, 5), None)],
)
def test_boxes_end_at_the_edge(
    exam: Exam, corners: tuple[float, ...], box: tuple[float, ...] | None
) -> None:
    """Cut with a note; a box beside the image takes its own questions and no others."""
    exam.finding("RMLO", "['Mass']", "BI-RADS 3", *corners)
    if box is None:
        assert exam.skipped("boxes")["right_MLO"] == "box_outside"
        assert set(exam.skipped("finding_type").values()) == {"box_outside"}
    else:
        (asked,) = exam.asked("boxes").values()
        (region,) = asked.regions or ()
        assert (region.x_min, region.y_min, region.x_max, region.y_max) == box
        assert asked.notes[-1] == "1 boxes cut at the image's edge"
    assert exam.asked("findings")["right"].answer == "Mass"


def test_boxes_follow_pixels_that_are_made_square(exam: Exam) -> None:
    """Pixels twice as high as wide: 20 rows are shown as 40, and boxes with them."""
    exam.finding("LCC", "['Mass']", "BI-RADS 4", 5, 2, 15, 12)
    exam.film("LCC", spacing=(0.2, 0.1))
    (boxes,) = exam.asked("boxes").values()
    (image,), (region,) = boxes.images or (), boxes.regions or ()
    across, down = image.width / COLUMNS, image.height / ROWS
    assert down == 2 * across
    assert (region.x_min, region.y_max) == (5 * across, 12 * down)


def test_one_bright_pixel_does_not_darken_the_film(exam: Exam) -> None:
    """The window says what is white, and not the brightest pixel: 1000 of 0 to 2000 is mid grey."""
    pixels = np.full((ROWS, COLUMNS), 1000, np.uint16)
    pixels[0, 0], pixels[0, 1] = 4095, 0
    exam.film("LCC", pixels, window=(1000.0, 2000.0))
    (image, _) = exam.asked("birads")["left"].images or ()
    assert (image.pixels[0, 0], image.pixels[0, 1]) == (255, 0)
    assert 126 <= image.pixels[5, 5] <= 129


def test_air_is_black_in_either_photometric_interpretation(exam: Exam) -> None:
    """MONOCHROME1 stores air as the highest value."""
    exam.film("LCC", PhotometricInterpretation="MONOCHROME1")
    (image, other) = exam.asked("birads")["left"].images or ()
    assert (image.pixels[0, 0], image.pixels[-1, -1]) == (255, 0)
    assert (other.pixels[0, 0], other.pixels[-1, -1]) == (0, 255)


@pytest.mark.parametrize(
    ("break_it", "code", "what"),
    [
        (lambda e: e.film("LCC", laterality="R"), "misaligned", "the side is left"),
        (lambda e: e.film("LCC", view="MLO"), "misaligned", "the view is CC"),
        (lambda e: e.film("LCC", np.zeros((ROWS, 30), np.uint16)), "misaligned", "30 x 20"),
    ],
)
def test_a_header_that_contradicts_the_table_refuses_the_examination(
    exam: Exam, break_it: Callable[[Exam], Any], code: str, what: str
) -> None:
    break_it(exam)
    with pytest.raises(Exception) as caught:
        exam.converted()
    assert getattr(caught.value, "code", "") == code and what in str(caught.value)


@pytest.mark.parametrize(
    ("break_it", "code"),
    [
        (lambda e: e.breasts.pop(), "bad_table"),
        (lambda e: e.breasts.append(dict(e.breasts[0])), "bad_table"),
        (lambda e: e.breasts[0].update(split="training"), "bad_table"),
        (lambda e: e.breasts[0].update(breast_density="DENSITY A"), "bad_table"),
        (lambda e: e.findings[0].update(breast_birads="BI-RADS 5"), "bad_table"),
        (lambda e: e.findings.pop(0), "missing_key"),
        (lambda e: e.findings.append(e.findings[0] | {"names": "['Mass']"}), "bad_table"),
        (lambda e: e.findings[0].update(xmin=1, ymin=1, xmax=2, ymax=2), "bad_table"),
        (lambda e: e.finding("LCC", "['Mass']", "", 1, 2, 3, 4).update(ymax=""), "bad_table"),
        (lambda e: e.finding("LCC", "Mass", "", 1, 2, 3, 4), "bad_table"),
        (lambda e: e.finding("LCC", "__import__('os').getcwd()"), "bad_table"),
        (lambda e: e.finding("LCC", "['No Finding', 'Mass']"), "bad_table"),
        (lambda e: e.finding("LCC", "{[]: 1}"), "bad_table"),
        (lambda e: (e.root / "images/s1/LCC.dicom").unlink(), "missing_file"),
        (lambda e: e.film("LCC").rename(e.root / "LCC.dcm") and e.film("LCC"), "duplicate_key"),
    ],
)
def test_tables_and_files_that_contradict_each_other(
    exam: Exam, break_it: Callable[[Exam], Any], code: str
) -> None:
    """The examination is refused whole, in the split that it is officially in."""
    break_it(exam)
    refused = [one for one in exam.planned() if isinstance(one, Refused)]
    assert code in {one.error.code for one in refused}
    assert not any(isinstance(one, Unit) for one in exam.planned())


def test_files_and_findings_without_an_examination_are_named(exam: Exam) -> None:
    """Neither a row nor a file is dropped in silence."""
    exam.film("LCC").rename(exam.root / "stray.dicom")
    exam.film("LCC")
    exam.findings.append(exam.findings[0] | {"image_id": "unknown"})
    refused = {one.key: one.error.code for one in exam.planned() if isinstance(one, Refused)}
    assert refused == {"stray": "missing_key", "unknown": "missing_key"}


def test_what_is_not_stated_is_not_asked(exam: Exam) -> None:
    """Empty grades, grades that two rows of a place dispute, and a finding without a place."""
    for row in (*exam.breasts, *exam.findings):
        row["breast_birads"] = ""
    exam.finding("LCC", "['Mass']", "BI-RADS 3", 1, 2, 9, 9)
    exam.finding("LCC", "['Asymmetry']", "BI-RADS 4", 1, 2, 9, 9)
    exam.finding("RCC", "['Asymmetry']")
    assert exam.skipped("birads") == {"left": "not_stated", "right": "not_stated"}
    assert list(exam.skipped("higher_side").values()) == ["not_stated"]
    assert "disputed" in exam.skipped("finding_birads").values()
    assert exam.skipped("finding_count") == {"right_CC": "no_box"}
    assert exam.asked("findings")["right"].answer == "Asymmetry"


def test_ages_that_differ_are_no_age(exam: Exam) -> None:
    """One age is everyone's; two are none, with a note."""
    exam.film("LCC", age=61)
    assert {r.age for r in exam.converted() if isinstance(r, Record)} == {61}
    exam.film("RCC", age=62)
    records = [r for r in exam.converted() if isinstance(r, Record)]
    assert {r.age for r in records} == {None}
    assert "headers disagree about the age: 61 and 62" in records[0].notes


NAMES = st.lists(st.sampled_from(["Mass", "Asymmetry", "Skin Thickening"]), min_size=1)


@given(NAMES)
def test_a_list_of_categories_reads_back(names: list[str]) -> None:
    """As Python writes it, which is how the table was made; each name once."""
    assert EXAMS._categories(str(names), "a cell") == sorted(set(names))


@given(st.text(st.sampled_from("[]'\",(){}:1MNo "), max_size=12))
def test_any_other_cell_is_a_bad_table(cell: str) -> None:
    """Whatever it is, it is never run, and comes out as names or as an error of the table."""
    try:
        names = EXAMS._categories(cell, "a cell")
    except BadTable:
        return
    assert names and all(isinstance(name, str) for name in names)


def test_boxes_follow_a_film_that_its_header_turns(exam: Exam) -> None:
    """A left CC film stored as a mirror image: what lies 5 to 11 from its left edge lies 29 to 35
    from the right one of 40 columns; on its side, rows are columns."""
    exam.finding("LCC", "['Mass']", "BI-RADS 4", 5, 2, 11, 9)
    exam.film("LCC", PatientOrientation=["P", "R"])
    (one,) = [r for r in exam.asked("boxes").values() if r.item == "left_CC"]
    (region,) = one.regions or ()
    assert (region.x_min, region.y_min, region.x_max, region.y_max) == (29, 2, 35, 9)
    assert any("as mammograms are read" in note for note in one.notes)
    # Rows lead to the right and columns to the wall: turned by a quarter, clockwise.
    exam.film("LCC", PatientOrientation=["R", "P"])
    (one,) = [r for r in exam.asked("boxes").values() if r.item == "left_CC"]
    (region,), (image,) = one.regions or (), one.images or ()
    assert image.pixels.shape == (COLUMNS, ROWS)
    assert (region.x_min, region.y_min, region.x_max, region.y_max) == (11, 5, 18, 11)
    assert np.array_equal(image.pixels, np.rot90(exam_pixels(), -1))


def exam_pixels() -> np.ndarray:
    """The ramp of `Exam.film` in 8 bits."""
    values = np.linspace(0, 4095, ROWS * COLUMNS).reshape(ROWS, COLUMNS).astype(np.uint16)
    return np.clip(np.floor(values / 4095 * 255 + 0.5), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("stated", ["L", None])
def test_a_breast_on_the_wrong_side_is_told(exam: Exam, stated: str | None) -> None:
    """By the side of the header, or of the table where the header has none."""
    pixels = np.zeros((ROWS, COLUMNS), np.uint16)
    pixels[:, 22:] = 2000
    exam.film("LCC", pixels, laterality=stated)
    films = exam.asked("projection")
    notes = [note for one in films.values() for note in one.notes if "chest wall" in note]
    what = "a left breast whose chest wall lies on the right: mirrored, or of the other side"
    assert set(notes) == {what}


def test_shares_of_a_film_are_no_box(exam: Exam) -> None:
    exam.finding("LCC", "['Mass']", "BI-RADS 4", 0.1, 0.2, 0.4, 0.7)
    assert exam.skipped("boxes")["left_CC"] == "box_outside"
