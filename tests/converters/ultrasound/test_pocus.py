"""POCUS: the real table and files, and made-up rows of each rule."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qoqdata.errors import BadLabel, BadTable, DuplicateKey, MissingKey
from qoqdata.simulation import write_csv, write_jpeg, write_video
from qoqdata.sources.catalogue import find_source
from qoqdata.sources.protocol import Filtered, Job, Refused, Skipped, Unit
from qoqdata.sources.rawtree import open_raw

SOURCE = find_source("pocus")
ROW = {
    "Filename": "Pneu_a",
    "Label": "Bacterial pneumonia",
    "License": "CC BY-NC -SA 4.0",
    "Current location": "data/pocus_videos/Convex",
    "InThisRepo": "Yes",
    "Probe": "convex",
    "Source ID": "18",
    "Gender": "w",
    "Age": "0",
    "Patient ID / Name": "7",
    "Effusion": "0",
    "Consolidations": "1",
    "B-lines": "0",
    "A-lines": "0",
    "Pleural line irregularities": "0",
    "Air bronchogram": "1",
    "Healthy": "0",
}


def _job(raw: Path, *rows: dict[str, Any]) -> Job:
    write_csv(raw / "dataset_metadata.csv", list(rows))
    return Job(SOURCE.card, open_raw(raw), options={"frames": 2})


def _clip(raw: Path, name: str = "Pneu_a.mp4") -> None:
    frames = [np.full((32, 40), 120 + n % 2, np.uint8) for n in range(6)]
    write_video(raw / "pocus_videos/convex" / name, frames, 10)


def _asked(job: Job) -> dict[str, Any]:
    (unit,) = SOURCE.plan(job)
    assert isinstance(unit, Unit), unit
    return {one.task: one for one in SOURCE.convert(unit, job)}


def test_a_clip_is_asked_what_its_row_says(tmp_path: Path) -> None:
    _clip(tmp_path)
    asked = _asked(_job(tmp_path, ROW))
    assert asked["diagnosis"].answer == "Bacterial pneumonia"
    assert asked["findings"].labels == ("Consolidation", "Air bronchogram")
    assert asked["findings"].absent == ()
    assert asked["probe"].answer == "Convex"
    record = asked["diagnosis"]
    # 0 stands for an age that nobody knew, w for a woman.
    assert (record.age, record.sex, len(record.images)) == (None, "female", 2)
    assert "licence of this file: CC BY-NC-SA 4.0" in record.notes


def test_an_image_is_shown_as_it_is(tmp_path: Path) -> None:
    write_jpeg(tmp_path / "pocus_images/linear/Reg_b.JPG", np.full((20, 30), 90, np.uint8))
    marks = dict.fromkeys(("Consolidations", "Air bronchogram"), "0") | {"Healthy": "1"}
    row = ROW | {"Filename": "Reg_b", "Label": "Regular", "Probe": "linear"} | marks
    asked = _asked(_job(tmp_path, row | {"Current location": "pocus_images/linear"}))
    assert asked["diagnosis"].answer == "Healthy lung"
    assert asked["findings"].answer == "No abnormality"
    assert len(asked["probe"].images) == 1 and asked["probe"].images[0].encoded is not None


@pytest.mark.parametrize(
    ("change", "task", "reason"),
    [
        ({"Healthy": "1", "Consolidations": "0", "Air bronchogram": "0"}, "diagnosis", "looks_"),
        ({"Consolidations": "0", "Air bronchogram": ""}, "findings", "nothing_noted"),
        ({"Healthy": "1"}, "findings", "contradictory"),
    ],
)
def test_a_question_without_a_sure_answer_is_skipped(
    tmp_path: Path, change: dict[str, str], task: str, reason: str
) -> None:
    _clip(tmp_path)
    skipped = _asked(_job(tmp_path, ROW | change))[task]
    assert isinstance(skipped, Skipped) and skipped.reason.startswith(reason)


@pytest.mark.parametrize(
    ("rows", "error"),
    [
        ([ROW | {"Label": "COVID-19"}], BadLabel),
        ([ROW | {"Effusion": "maybe"}], BadTable),
        ([ROW | {"Probe": ""}], BadTable),
        ([ROW, ROW | {"Label": "COVID-19"}], DuplicateKey),
    ],
)
def test_a_row_at_fault_is_refused(
    tmp_path: Path, rows: list[dict[str, str]], error: type[Exception]
) -> None:
    _clip(tmp_path)
    (refused,) = SOURCE.plan(_job(tmp_path, *rows))
    assert isinstance(refused, Refused) and type(refused.error) is error


def test_a_file_without_a_row_and_two_of_one_name_are_refused(tmp_path: Path) -> None:
    _clip(tmp_path)
    _clip(tmp_path, "Pneu_a.gif")
    _clip(tmp_path, "Cov_stray.avi")
    one, two = SOURCE.plan(_job(tmp_path, ROW))
    assert isinstance(one, Refused) and type(one.error) is DuplicateKey
    assert isinstance(two, Refused) and type(two.error) is MissingKey


def test_what_the_authors_set_aside_is_no_question(tmp_path: Path) -> None:
    _clip(tmp_path)
    job = _job(tmp_path, ROW | {"Current location": "pocus_videos/linear/label_uncertain"})
    (aside,) = SOURCE.plan(job)
    assert isinstance(aside, Filtered) and aside.reason == "set_aside"


def test_clips_without_a_patient_stay_with_all_of_their_source(tmp_path: Path) -> None:
    _clip(tmp_path)
    (unit,) = SOURCE.plan(_job(tmp_path, ROW | {"Patient ID / Name": ""}))
    assert isinstance(unit, Unit) and (unit.patient, unit.group) == (None, "source 18")


def test_real_rows_and_files_join(realdata: Path) -> None:
    """19 files of 154 that the table says are in the repository."""
    job = Job(SOURCE.card, open_raw(realdata / "ultrasound/pocus/data"), options={"frames": 3})
    planned = list(SOURCE.plan(job))
    units = [one for one in planned if isinstance(one, Unit)]
    assert len(units) == 19 and all(unit.patient for unit in units)
    refused = Counter(one.error.code for one in planned if isinstance(one, Refused))
    assert refused == {"missing_file": 130}
    aside = Counter(one.reason for one in planned if isinstance(one, Filtered))
    assert set(aside) == {"elsewhere", "set_aside"}
    assert len(units) + refused.total() + aside.total() == 357  # of 358 rows, two of one name
    for unit in units:
        records = [one for one in SOURCE.convert(unit, job) if not isinstance(one, Skipped)]
        images = records[0].images
        assert len(images) == (1 if "images" in unit.files[0] else 3), unit.key
        assert all(image.pixels.std() > 10 for image in images), unit.key
