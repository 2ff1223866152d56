"""COVIDx-US: real tables and masks, and clips of one grey."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qoqdata.simulation import write_csv, write_jpeg, write_video
from qoqdata.sources.catalogue import find_source
from qoqdata.sources.protocol import Job, Refused, Skipped, Unit
from qoqdata.sources.rawtree import open_raw

SOURCE = find_source("covid_us")
LABEL = {
    "id": "7_litfl_covid",
    "LUSS": "2",
    "source": "Litfl",
    "probe": "Convex",
    "class": "COVID",
    "patient": "p7",
}
FACTS = {
    "id": "7_litfl_covid",
    "source": "Litfl",
    "probe": "Convex",
    "class": "COVID",
    "type": "lung",
    "gender": "male",
    "age": "63",
}
GREY = 120


def _job(
    raw: Path,
    label: dict[str, str],
    facts: dict[str, str],
    clip: str = "7_litfl_covid.mp4",
    **options: Any,
) -> Job:
    write_csv(raw / "labels/COVIDx-US1.4_4class.csv", [label])
    write_csv(raw / "utils/video_metadata.csv", [facts, dict.fromkeys(facts, "")])
    # Not all alike: a GIF would keep one of them.
    frames = [np.full((32, 40), GREY + n % 2, np.uint8) for n in range(6)]
    write_video(raw / "data/video" / clip, frames, 10)
    return Job(SOURCE.card, open_raw(raw), options={"videos": "original", "frames": 2} | options)


def _asked(job: Job) -> dict[str, Any]:
    (unit,) = SOURCE.plan(job)
    assert isinstance(unit, Unit), unit
    return {one.task: one for one in SOURCE.convert(unit, job)}


@pytest.mark.parametrize("suffix", ["mp4", "gif", "avi", "mov"])
def test_clips_of_any_type_are_asked_what_the_tables_say(suffix: str, tmp_path: Path) -> None:
    asked = _asked(_job(tmp_path, LABEL, FACTS, f"7_litfl_covid.{suffix}"))
    answers = {task: one.answer for task, one in asked.items()}
    assert answers == {"diagnosis": "COVID-19", "severity": "Score 2", "probe": "Convex"}
    one = asked["severity"]
    assert (one.age, one.sex, len(one.images), one.number.value) == (63, "male", 2, 2.0)


def test_other_conditions_are_kept(tmp_path: Path) -> None:
    row = {"id": "7_litfl_other", "class": "Other"}
    job = _job(tmp_path, LABEL | row | {"LUSS": "NA"}, FACTS | row, "7_litfl_other.gif")
    asked = _asked(job)
    assert asked["diagnosis"].answer == "Other condition"
    assert asked["severity"].reason == "not_stated"


def test_a_clip_of_the_heart_is_not_asked_for_the_lung(tmp_path: Path) -> None:
    asked = _asked(_job(tmp_path, LABEL, FACTS | {"type": "cardiac"}))
    assert {task for task, one in asked.items() if isinstance(one, Skipped)} == {
        "diagnosis",
        "severity",
    }


def test_tables_that_disagree_refuse_the_clip(tmp_path: Path) -> None:
    (one,) = SOURCE.plan(_job(tmp_path, LABEL | {"class": "Normal"}, FACTS))
    assert isinstance(one, Refused) and one.error.code == "bad_table"
    (one,) = SOURCE.plan(_job(tmp_path, LABEL | {"patient": ""}, FACTS))
    assert isinstance(one, Refused) and one.error.code == "bad_table"


def test_marks_of_a_cropped_clip_are_painted_black_and_nothing_else(tmp_path: Path) -> None:
    """White of a mask is a mark, and not the scan."""
    job = _job(tmp_path, LABEL, FACTS, "7_litfl_covid_prc.avi", videos="cropped")
    mask = np.zeros((32, 40), np.uint8)
    mask[8:16, 16:24] = 255
    name = tmp_path / "data/mask/7_litfl_covid_prc_convex_frame0_mask.jpg"
    write_jpeg(name, mask)
    (first, _) = _asked(job)["diagnosis"].images
    assert not first.pixels[8:16, 16:24].any()
    assert np.abs(first.pixels[mask == 0].astype(int) - GREY).max() <= 3
    write_jpeg(name, mask[:-2])
    (first, _) = _asked(job)["diagnosis"].images
    assert first.pixels.min() >= GREY - 3


def test_marks_that_change_are_left(tmp_path: Path) -> None:
    job = _job(tmp_path, LABEL, FACTS, "7_litfl_covid_prc.avi", videos="cropped")
    for frame in (0, 4):
        name = f"7_litfl_covid_prc_convex_frame{frame}_mask.jpg"
        write_jpeg(tmp_path / "data/mask" / name, np.full((32, 40), 255, np.uint8))
    one = _asked(job)["diagnosis"]
    assert one.images[0].pixels.min() >= GREY - 3
    assert any("change from frame to frame" in note for note in one.notes)


def test_real_tables_join_and_keep_patients_together(realdata: Path, tmp_path: Path) -> None:
    """All 243 clips, of which 48 of the three classes are no mp4; 190 patients."""
    raw = tmp_path / "raw"
    real = realdata / "ultrasound" / "COVIDx-US"
    for folder in ("labels", "utils"):
        shutil.copytree(real / folder, raw / folder)
    job = Job(SOURCE.card, open_raw(raw), options={"videos": "original", "frames": 2})
    missing = [one for one in SOURCE.plan(job) if isinstance(one, Refused)]
    assert Counter(one.error.code for one in missing) == {"missing_file": 243}
    table = job.raw.csv("utils/video_metadata.csv", columns=("id", "filetype"))
    types = dict(table.drop_nulls("id").select("id", "filetype").rows())
    for one in missing:
        (raw / f"{one.key}.{types[one.key]}").touch()
    job = Job(SOURCE.card, open_raw(raw), options=job.options)
    units = [one for one in SOURCE.plan(job) if isinstance(one, Unit)]
    assert len(units) == 243 and len({one.group for one in units}) == 190
    lung = Counter(one.facts["class"] for one in units if one.facts["type"] in (None, "lung"))
    assert lung == {"COVID": 69, "Pneumonia": 47, "Normal": 28, "Other": 90}
    three = [one for one in units if one.facts["class"] != "Other"]
    assert sum(not one.files[0].endswith(".mp4") for one in three) == 48


def test_real_masks_mark_little_of_the_scan(realdata: Path, tmp_path: Path) -> None:
    folder = realdata / "ultrasound/COVIDx-US/data/mask"
    key = "10_butterfly_covid"
    cells = {"id": key, "source": "Butterfly"}
    job = _job(tmp_path, LABEL | cells, FACTS | cells, f"{key}.mp4", videos="cropped")
    write_video(tmp_path / f"{key}_prc.avi", [np.full((640, 640), GREY, np.uint8)] * 3, 10)
    shutil.copy(folder / f"{key}_prc_convex_frame0_mask.jpg", tmp_path)
    (first, _) = _asked(job)["diagnosis"].images
    assert 0 < (first.pixels == 0).mean() < 0.01
