"""COVID-BLUES: what a clip is asked, and who shares a split."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qoqdata.pipeline.splits import hashed_split
from qoqdata.records.content import Record
from qoqdata.simulation import write_csv, write_video
from qoqdata.sources.catalogue import find_source
from qoqdata.sources.protocol import Job, Skipped, Unit
from qoqdata.sources.rawtree import open_raw

SOURCE = find_source("covid_blues")
ROW = {
    "video_file": "patient_7_R2",
    "Severity Score": "2.0",
    "A-lines": "no",
    "B-lines": "yes ",
    "comments": "broken pleura line, B-lines",
}


def _job(raw: Path, rows: list[dict[str, Any]], positive: dict[int, int], task: str = "all") -> Job:
    write_csv(raw / "severity.csv", rows)
    people = [
        {"patient_id": number, "cov_test": test, "pat_sex": "1.0", "pat_age": "67.0"}
        for number, test in positive.items()
    ]
    write_csv(raw / "clinical_variables.csv", people)
    return Job(SOURCE.card, open_raw(raw), options={"task": task, "frames": 2})


def _asked(raw: Path, task: str = "all", **cells: str) -> dict[str, Any]:
    job = _job(raw, [ROW | cells], {7: 1}, task)
    frames = [np.full((32, 32), 40 * n, np.uint8) for n in range(4)]
    write_video(raw / "lus_videos/patient_7_R2.mp4", frames, 10)
    (unit,) = SOURCE.plan(job)
    assert isinstance(unit, Unit)
    return {one.task: one for one in SOURCE.convert(unit, job)}


def test_a_clip_is_asked_for_all_that_is_noted(tmp_path: Path) -> None:
    asked = _asked(tmp_path)
    assert {task: one.answer for task, one in asked.items()} == {
        "severity": "Score 2",
        "a_lines": "No A-lines",
        "b_lines": "B-lines",
        "description": "broken pleura line, B-lines",
        "covid": "COVID-19 positive",
    }
    assert {len(one.images) for one in asked.values()} == {2}
    assert {one.images[0].view for one in asked.values()} == {"R2"}
    assert {(one.age, one.sex) for one in asked.values()} == {(67, "male")}
    # What is noted of a clip is an answer, and never told beside another question.
    assert {one.context for one in asked.values()} == {None}


@pytest.mark.parametrize(
    ("column", "task"),
    [("A-lines", "a_lines"), ("B-lines", "b_lines"), ("comments", "description")],
)
def test_an_empty_cell_answers_nothing(tmp_path: Path, column: str, task: str) -> None:
    asked = _asked(tmp_path, **{column: ""})
    assert isinstance(asked.pop(task), Skipped)
    assert all(isinstance(one, Record) for one in asked.values())


def test_one_question_is_asked_on_request(tmp_path: Path) -> None:
    assert list(_asked(tmp_path, task="covid")) == ["covid"]


def test_the_order_of_patients_decides_no_split(tmp_path: Path) -> None:
    """Numbers of patients go with the test's result: all of the later half are positive here."""
    number = 200
    rows = [ROW | {"video_file": f"patient_{n}_L1"} for n in range(number)]
    rows += [ROW | {"video_file": f"patient_{n}_R1"} for n in range(number)]
    units = [
        one
        for one in SOURCE.plan(_job(tmp_path, rows, {n: int(n >= 100) for n in range(number)}))
        if isinstance(one, Unit)
    ]
    assert len(units) == 2 * number
    assert all(unit.group == unit.patient and unit.split is None for unit in units)
    shares = SOURCE.card.splits.shares
    tests = Counter(
        unit.facts["covid"]
        for unit in units
        if hashed_split("covid_blues", unit.group or "", shares) == "test"
    )
    # An ordered cut puts none but positive ones into test.
    assert 0.3 < tests["COVID-19 positive"] / tests.total() < 0.7
