"""ISIC 2020: rows, pairs and images written down by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qoqdata.errors import BadTable
from qoqdata.simulation import write_csv, write_dicom, write_jpeg
from qoqdata.sources.catalogue import find_source
from qoqdata.sources.protocol import Filtered, Job, Planned, Refused, Skipped, Unit
from qoqdata.sources.rawtree import open_raw

SOURCE = find_source("isic_2020")
TRUTH, PAIRS = "ISIC_2020_Training_GroundTruth_v2.csv", "ISIC_2020_Training_Duplicates.csv"
ROW = {
    "image_name": "ISIC_1",
    "patient_id": "IP_7",
    "lesion_id": "IL_1",
    "sex": "male",
    "age_approx": "45.0",
    "anatom_site_general_challenge": "head/neck",
    "diagnosis": "unknown",
    "benign_malignant": "benign",
    "target": "0",
}
MELANOMA = {"diagnosis": "melanoma", "benign_malignant": "malignant", "target": "1"}


def _rows(count: int, **cells: str) -> list[dict[str, str]]:
    return [
        ROW | {"image_name": f"ISIC_{n}", "patient_id": f"IP_{n}"} | cells for n in range(count)
    ]


def _job(
    raw: Path,
    rows: list[dict[str, str]],
    pairs: list[tuple[str, str]] | None = None,
    table: str = TRUTH,
    **options: str,
) -> Job:
    write_csv(raw / table, rows)
    if pairs is not None:
        listed = [dict(zip(("image_name_1", "image_name_2"), pair, strict=True)) for pair in pairs]
        write_csv(raw / PAIRS, listed or [{"image_name_1": "x", "image_name_2": "y"}])
    for row in rows:
        pixels = np.full((16, 24, 3), 90, np.uint8)
        write_jpeg(raw / "train" / f"{row['image_name']}.jpg", pixels)
    return Job(
        SOURCE.card, open_raw(raw), options={"images": "jpeg", "duplicates": "required"} | options
    )


def _planned(job: Job) -> dict[str, Planned]:
    return {one.key: one for one in SOURCE.plan(job)}


def _asked(job: Job) -> dict[str, Any]:
    (unit,) = SOURCE.plan(job)
    assert isinstance(unit, Unit), unit
    return {one.task: one for one in SOURCE.convert(unit, job)}


def test_an_image_is_asked_what_is_known_of_it(tmp_path: Path) -> None:
    asked = _asked(_job(tmp_path / "a", [ROW | MELANOMA], []))
    answers = {task: one.answer for task, one in asked.items()}
    assert answers == {"malignancy": "Malignant", "diagnosis": "Melanoma", "site": "Head/neck"}
    assert {task: one.context for task, one in asked.items()} == {
        "malignancy": "Site: head/neck.",
        "diagnosis": "Site: head/neck.",
        "site": None,
    }
    assert (asked["site"].age, asked["site"].sex) == (45, "male")
    blank = {"sex": "", "age_approx": "", "anatom_site_general_challenge": ""}
    asked = _asked(_job(tmp_path / "b", [ROW | blank], []))
    assert isinstance(asked["diagnosis"], Skipped) and isinstance(asked["site"], Skipped)
    one = asked["malignancy"]
    assert (one.answer, one.context, one.age, one.sex) == ("Benign", None, None, None)


def test_of_duplicates_the_first_is_kept(tmp_path: Path) -> None:
    """Pairs add up, whichever way they are listed, and those with test images say nothing."""
    pairs = [("ISIC_3", "ISIC_1"), ("ISIC_1", "ISIC_0"), ("ISIC_2", "ISIC_9")]
    planned = _planned(_job(tmp_path, _rows(5), pairs))
    kept = {key for key, one in planned.items() if isinstance(one, Unit)}
    assert kept == {"ISIC_2", "ISIC_3", "ISIC_4"}
    for key in ("ISIC_0", "ISIC_1"):
        one = planned[key]
        assert isinstance(one, Filtered) and one.reason == "duplicate" and "ISIC_3" in one.message


def test_a_ring_of_duplicates_keeps_one(tmp_path: Path) -> None:
    planned = _planned(_job(tmp_path, _rows(2), [("ISIC_1", "ISIC_0"), ("ISIC_0", "ISIC_1")]))
    assert isinstance(planned["ISIC_0"], Unit) and isinstance(planned["ISIC_1"], Filtered)


def test_duplicates_of_two_verdicts_are_all_refused(tmp_path: Path) -> None:
    rows = _rows(3)
    rows[1] |= MELANOMA
    planned = _planned(_job(tmp_path, rows, [("ISIC_0", "ISIC_1")]))
    for key in ("ISIC_0", "ISIC_1"):
        one = planned[key]
        assert isinstance(one, Refused) and one.error.code == "bad_label"
    assert isinstance(planned["ISIC_2"], Unit)


def test_a_copy_without_the_list_of_duplicates_is_refused_unless_asked_for(tmp_path: Path) -> None:
    with pytest.raises(BadTable, match="no list of duplicates"):
        list(SOURCE.plan(_job(tmp_path, [ROW])))
    assert list(SOURCE.plan(_job(tmp_path, [ROW], table="train.csv", duplicates="none")))


def test_the_older_list_of_duplicates_is_read(tmp_path: Path) -> None:
    job = _job(tmp_path, _rows(2))
    listed = [{"ISIC_id": "ISIC_0", "ISIC_id_paired": "ISIC_1", "partition": "train"}]
    write_csv(tmp_path / "2020_Challenge_duplicates.csv", listed)
    assert isinstance(_planned(job)["ISIC_1"], Filtered)


@pytest.mark.parametrize(
    "cells",
    [
        {"target": "1"},
        {"benign_malignant": "malignant", "target": "1", "diagnosis": "nevus"},
        {"diagnosis": "melanoma"},
        {"benign_malignant": "", "target": ""},
        {"patient_id": ""},
    ],
    ids=["target", "malignant nevus", "benign melanoma", "no verdict", "no patient"],
)
def test_a_row_that_contradicts_itself_is_refused(cells: dict[str, str], tmp_path: Path) -> None:
    (one,) = SOURCE.plan(_job(tmp_path, [ROW | cells], []))
    assert isinstance(one, Refused) and one.error.code == "bad_table"


def test_images_of_a_patient_share_a_group(tmp_path: Path) -> None:
    job = _job(tmp_path, _rows(4, patient_id="IP_3"), [])
    assert {one.group for one in SOURCE.plan(job) if isinstance(one, Unit)} == {"IP_3"}


def test_rows_and_images_without_each_other_are_told_apart_from_the_test_part(
    tmp_path: Path,
) -> None:
    job = _job(tmp_path, [ROW], [])
    (tmp_path / "train/ISIC_1.jpg").unlink()
    for path in ("train/ISIC_5.jpg", "ISIC_2020_Test_Input/ISIC_6.jpg"):
        write_jpeg(tmp_path / path, np.full((16, 24, 3), 90, np.uint8))
    planned = _planned(job)
    one, stray = planned["ISIC_1"], planned["train/ISIC_5.jpg"]
    assert isinstance(one, Refused) and one.error.code == "missing_file"
    assert isinstance(stray, Refused) and stray.error.code == "missing_key"
    assert isinstance(planned["ISIC_2020_Test_Input/ISIC_6.jpg"], Filtered)


def test_the_dicom_edition_is_read_and_its_patient_checked(tmp_path: Path) -> None:
    pixels = np.zeros((20, 30, 3), np.uint8)
    pixels[5:9, 4:7] = (200, 30, 60)
    for key, patient in (("ISIC_0", "IP_0"), ("ISIC_1", "IP_8")):
        write_dicom(tmp_path / f"{key}.dcm", pixels, modality="XC", patient=patient)
    job = _job(tmp_path, _rows(2), [], images="dicom")
    planned = _planned(job)
    (image,) = SOURCE.convert(planned["ISIC_0"], job)[0].images
    assert (image.pixels == pixels).all()
    with pytest.raises(Exception, match="the file is of IP_8"):
        SOURCE.convert(planned["ISIC_1"], job)
