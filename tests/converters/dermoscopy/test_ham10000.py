"""HAM10000: what an image is asked, on real files and made-up ones."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from qoqdata.errors import BadLabel
from qoqdata.simulation import write_csv, write_jpeg, write_png
from qoqdata.sources.catalogue import find_source
from qoqdata.sources.protocol import Job, Refused, Skipped, Unit
from qoqdata.sources.rawtree import open_raw

SOURCE = find_source("ham10000")
ROW = {"lesion_id": "1", "dx": "nv", "dx_type": "histo", "age": "50", "sex": "male"}
ROW["localization"] = "back"
GROUPS = {"nv", "bkl", "df", "vasc"}, {"mel", "bcc"}


def test_real_images_are_asked_for_group_place_and_site(realdata: Path) -> None:
    raw = realdata / "dermoscopy" / "ham10000_small"
    options = {"masks": "required", "questions": "all"}
    job = Job(SOURCE.card, open_raw(raw), options=options)
    with (raw / "HAM10000_metadata.csv").open() as file:
        rows = {row["image_id"]: row for row in csv.DictReader(file)}
    units = [one for one in SOURCE.plan(job) if isinstance(one, Unit)]
    assert len(units) == len(rows) == 156
    asked = Counter[str]()
    for unit in units[::8]:
        row, found = rows[unit.key], {one.task: one for one in SOURCE.convert(unit, job)}
        benign, malignant = (row["dx"] in group for group in GROUPS)
        other = "Precancer or carcinoma in situ"
        answer = "Benign" if benign else "Malignant" if malignant else other
        assert found["group"].answer == answer
        site = found["site"]
        if isinstance(site, Skipped):
            assert row["localization"] in ("", "unknown")
        else:
            assert site.answer.lower() == row["localization"]
        with Image.open(raw / "masks" / f"{unit.key}_segmentation.png") as mask:
            # The images are a third of their masks: the middle pixel of three tells.
            drawn = np.asarray(mask.convert("L"))[1::3, 1::3] > 127
        (region,) = found["lesion"].regions
        box = (region.x_min, region.y_min, region.x_max, region.y_max)
        assert box == Image.fromarray(drawn).getbbox()
        told = " ".join(str(one.context) for one in found.values())
        assert told == "None None None None" and "dx_type" not in SOURCE.card.tasks
        asked.update(found.keys())
    assert asked["group"] == asked["lesion"] == 20


def test_one_question_is_asked_unless_all_are_wanted(realdata: Path) -> None:
    raw = realdata / "dermoscopy" / "ham10000_small"
    job = Job(SOURCE.card, open_raw(raw), options={"masks": "required", "questions": "diagnosis"})
    unit = next(one for one in SOURCE.plan(job) if isinstance(one, Unit))
    assert [one.task for one in SOURCE.convert(unit, job)] == ["diagnosis"]


def _made_up(raw: Path, rows: list[tuple[str, str, str]]) -> dict[str, Unit]:
    """Units of images without masks: lesion, image and diagnosis of each row."""
    table = [
        {"lesion_id": lesion, "image_id": image, "dx": dx, "dx_type": "histo"}
        | {"age": "50.0", "sex": "male", "localization": "back"}
        for lesion, image, dx in rows
    ]
    write_csv(raw / "HAM10000_metadata.csv", table)
    for _, image, _ in rows:
        write_jpeg(raw / f"HAM10000_images_part_1/{image}.jpg", np.full((9, 12, 3), 90, np.uint8))
    planned = list(SOURCE.plan(_job(raw)))
    return {one.key: one for one in planned if isinstance(one, Unit)}


def _job(raw: Path) -> Job:
    return Job(SOURCE.card, open_raw(raw), options={"masks": "optional", "questions": "diagnosis"})


def test_photographs_of_a_lesion_share_a_group(tmp_path: Path) -> None:
    """Whatever their numbers, all images of a lesion go where its group goes, and once."""
    rows = [(f"HAM_{n % 4}", f"ISIC_{n:02}", "nv") for n in range(12)]
    units = _made_up(tmp_path, rows)
    assert len(units) == 12
    assert {unit.key: unit.group for unit in units.values()} == {i: lesion for lesion, i, _ in rows}
    assert {unit.split for unit in units.values()} == {None}


def test_seven_diagnoses_stay_seven(tmp_path: Path) -> None:
    names = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
    units = _made_up(tmp_path, [(f"HAM_{dx}", f"ISIC_{dx}", dx) for dx in names])
    answers = set()
    for unit in units.values():
        (record,) = SOURCE.convert(unit, _job(tmp_path))
        answers.add(record.answer)
    assert len(answers) == 7 and not any("ther" in answer for answer in answers)


def _tree(raw: Path, *rows: dict[str, str], inverted: bool = False) -> dict[str, Unit | Refused]:
    """What is planned for rows of a lesion each, whose images and masks are there."""
    write_csv(raw / "HAM10000_metadata.csv", [ROW | row for row in rows])
    mask = np.zeros((30, 40), np.uint8)
    mask[10:20, 10:20] = 255
    for name in {row["image_id"] for row in rows}:
        write_jpeg(raw / f"{name}.jpg", np.full((30, 40, 3), 90, np.uint8))
        write_png(raw / f"{name}_segmentation.png", 255 - mask if inverted else mask)
    planned = SOURCE.plan(_strict_job(raw))
    return {one.key: one for one in planned if isinstance(one, Unit | Refused)}


def _strict_job(raw: Path) -> Job:
    return Job(SOURCE.card, open_raw(raw), options={"masks": "required", "questions": "all"})


def test_an_image_with_two_rows_is_refused(tmp_path: Path) -> None:
    """The first row was taken, and the second was told as one without a mask."""
    rows = [{"image_id": "a"}, {"image_id": "a", "dx": "mel"}, {"image_id": "b", "lesion_id": "2"}]
    planned = _tree(tmp_path, *rows)
    refused = planned["a"]
    assert isinstance(refused, Refused) and refused.error.code == "duplicate_key"
    assert isinstance(planned["b"], Unit)


def test_a_lesion_of_two_diagnoses_is_refused(tmp_path: Path) -> None:
    rows = [{"image_id": "a"}, {"image_id": "b", "dx": "mel"}, {"image_id": "c", "lesion_id": "2"}]
    planned = _tree(tmp_path, *rows, {"image_id": "d", "lesion_id": "2", "dx": ""})
    for key in "ab":
        refused = planned[key]
        assert isinstance(refused, Refused) and "is mel and nv" in refused.error.what
    # A blank says nothing against the other row of its lesion.
    assert isinstance(planned["c"], Unit)


def test_a_mask_of_exchanged_values_is_refused(tmp_path: Path) -> None:
    unit = _tree(tmp_path, {"image_id": "a"}, inverted=True)["a"]
    assert isinstance(unit, Unit)
    with pytest.raises(BadLabel, match="all four edges are marked, around what is not"):
        SOURCE.convert(unit, _strict_job(tmp_path))
    # A lesion may fill its image.
    write_png(tmp_path / "a_segmentation.png", np.full((30, 40), 255, np.uint8))
    assert SOURCE.convert(unit, _strict_job(tmp_path))
