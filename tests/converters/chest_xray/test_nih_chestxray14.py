"""NIH ChestX-ray14: rows, boxes and lists written down by hand, and the real tables."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qoqdata.errors import BadTable
from qoqdata.simulation import write_csv, write_png, write_text
from qoqdata.sources.catalogue import find_source
from qoqdata.sources.protocol import Job, Planned, Refused, Skipped, Unit
from qoqdata.sources.rawtree import open_raw

SOURCE = find_source("nih_chestxray14")
ROW = {
    "Image Index": "00000007_001.png",
    "Finding Labels": "Pleural_Thickening|Mass",
    "Patient ID": "7",
    "Patient Age": "58",
    "Patient Gender": "M",
    "View Position": "PA",
}
CORNER = ("Bbox [x", "y", "w", "h]")
Box = tuple[str, float, float, float, float]


def _job(raw: Path, boxes: list[Box], shape: tuple[int, int] = (512, 512), **cells: str) -> Job:
    row = ROW | cells
    name = row["Image Index"]
    write_csv(raw / "Data_Entry_2017_v2020.csv", [row])
    columns = ("Image Index", "Finding Label", *CORNER)
    rows = [dict(zip(columns, (name, *box), strict=True)) for box in boxes]
    other = dict(zip(columns, ("x.png", "Mass", 1, 1, 2, 2), strict=True))
    write_csv(raw / "BBox_List_2017.csv", [*rows, other])
    write_text(raw / "train_val_list.txt", "00000001_000.png\n")
    write_text(raw / "test_list.txt", f"{name}\n")
    write_png(raw / "images_001/images" / name, np.full(shape, 90, np.uint8))
    return Job(SOURCE.card, open_raw(raw))


def _asked(job: Job) -> dict[str, Any]:
    unit = _planned(job)[ROW["Image Index"]]
    assert isinstance(unit, Unit) and unit.split == "test" and unit.patient == unit.group == "7"
    return {one.task: one for one in SOURCE.convert(unit, job)}


def _planned(job: Job) -> dict[str, Planned]:
    return {one.key: one for one in SOURCE.plan(job)}


def test_a_film_is_asked_for_what_its_row_lists(tmp_path: Path) -> None:
    asked = _asked(_job(tmp_path, []))
    findings = asked["findings"]
    assert findings.labels == ("Mass", "Pleural thickening")
    # What the program did not list is unmentioned.
    assert (findings.absent, findings.uncertain) == ((), ())
    assert (findings.age, findings.sex) == (58, "male")
    assert asked["view"].answer == "Postero-anterior"
    assert (findings.images[0].view, asked["view"].images[0].view) == ("PA", None)
    assert isinstance(asked["boxes"], Skipped) and isinstance(asked["marked"], Skipped)


def test_boxes_of_1024_pixels_follow_the_size_of_the_film(tmp_path: Path) -> None:
    """x, y, width and height; a film of half the side has a box of half its edges."""
    asked = _asked(_job(tmp_path, [("Infiltrate", 100.0, 200.0, 300.0, 400.0)]))
    (region,) = asked["boxes"].regions
    assert (region.x_min, region.y_min, region.x_max, region.y_max) == (50, 100, 200, 300)
    assert (region.label, region.role) == ("Infiltration", "target")
    (given,) = asked["marked"].regions
    assert (given.label, given.role) == ("abnormality", "given")
    assert asked["marked"].answer == "Infiltration"


def test_of_two_boxes_none_is_the_marked_one(tmp_path: Path) -> None:
    asked = _asked(_job(tmp_path, [("Mass", 0, 0, 9, 9), ("Effusion", 900, 900, 200, 90)]))
    assert isinstance(asked["marked"], Skipped)
    edges = {(r.label, r.x_max, r.y_max) for r in asked["boxes"].regions}
    assert edges == {("Mass", 4.5, 4.5), ("Effusion", 512, 495)}


def test_a_row_that_stands_twice_is_one_box(tmp_path: Path) -> None:
    asked = _asked(_job(tmp_path, [("Mass", 0, 0, 9, 9)] * 2))
    assert len(asked["boxes"].regions) == 1
    assert asked["marked"].answer == "Mass"


@pytest.mark.parametrize(
    ("box", "shape"),
    [
        (("Mass", 1100, 10, 20, 20), (512, 512)),
        # Corners in place of width and height.
        (("Mass", 700, 10, 900, 80), (512, 512)),
        (("Mass", 1, 1, 9, 9), (512, 400)),
    ],
)
def test_a_box_of_another_film_is_not_shown(
    tmp_path: Path, box: Box, shape: tuple[int, int]
) -> None:
    asked = _asked(_job(tmp_path, [box], shape))
    assert {asked[task].reason for task in ("boxes", "marked")} == {"other_film"}


@pytest.mark.parametrize(
    ("labels", "boxes"),
    [("No Finding|Mass", []), ("No Finding", [("Mass", 1.0, 1.0, 9.0, 9.0)])],
)
def test_no_finding_beside_a_finding_is_refused(
    tmp_path: Path, labels: str, boxes: list[Box]
) -> None:
    job = _job(tmp_path, boxes, **{"Finding Labels": labels})
    one = _planned(job)[ROW["Image Index"]]
    assert isinstance(one, Refused) and isinstance(one.error, BadTable)


def test_a_box_of_a_film_without_a_row_is_named(tmp_path: Path) -> None:
    job = _job(tmp_path, [("Mass", 1.0, 1.0, 9.0, 9.0)])
    write_csv(tmp_path / "Data_Entry_2017_v2020.csv", [ROW | {"Image Index": "z.png"}])
    assert isinstance(_planned(job)["box of 00000007_001.png"], Refused)


def test_a_film_in_no_list_is_in_no_split(tmp_path: Path) -> None:
    job = _job(tmp_path, [])
    write_text(tmp_path / "test_list.txt", "00000099_000.png\n")
    assert isinstance(_planned(job)[ROW["Image Index"]], Refused)


def test_lists_that_share_an_image_refuse_the_source(tmp_path: Path) -> None:
    job = _job(tmp_path, [])
    write_text(tmp_path / "train_val_list.txt", ROW["Image Index"])
    with pytest.raises(BadTable, match="other list"):
        list(SOURCE.plan(job))


@pytest.mark.slow
def test_real_tables_join_and_the_real_film_converts(realdata: Path, tmp_path: Path) -> None:
    """All 112,120 rows and 984 boxes; the lists, which are not there, by patient."""
    folder = realdata / "chest_xray/nih_chestxray14"
    for name in ("Data_Entry_2017_v2020.csv", "BBox_List_2017.csv"):
        with gzip.open(folder / f"{name}.gz") as packed, (tmp_path / name).open("wb") as plain:
            shutil.copyfileobj(packed, plain)
    shutil.copytree(folder / "images", tmp_path / "images")
    lines = (tmp_path / "Data_Entry_2017_v2020.csv").read_text().splitlines()[1:]
    names = [line.partition(",")[0] for line in lines]
    write_text(tmp_path / "test_list.txt", "\n".join(n for n in names if n >= "00025000"))
    write_text(tmp_path / "train_val_list.txt", "\n".join(n for n in names if n < "00025000"))
    job = Job(SOURCE.card, open_raw(tmp_path))
    planned = _planned(job)
    assert len(planned) == 112120
    # Every row can be read; of all films but one there is only the row.
    kinds = {one.error.code for one in planned.values() if isinstance(one, Refused)}
    assert kinds == {"missing_file"}
    assert len({one.group for one in planned.values()}) == 30805
    unit = planned["00000001_000.png"]
    assert isinstance(unit, Unit)
    asked = {one.task: one for one in SOURCE.convert(unit, job)}
    assert asked["findings"].answer == "Cardiomegaly"
    assert (asked["findings"].age, asked["findings"].sex) == (57, "male")
    assert asked["view"].answer == "Postero-anterior"
    # The copy at hand has half of the published 1,024 pixels.
    assert (asked["view"].images[0].width, asked["view"].images[0].height) == (512, 512)
