"""EchoNet-Dynamic: clips with rectangular ventricles, traced by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qoqdata.errors import Misaligned
from qoqdata.records.content import Record
from qoqdata.simulation import write_csv, write_video
from qoqdata.sources.catalogue import find_source
from qoqdata.sources.protocol import Job, Planned, Refused, Skipped, Unit
from qoqdata.sources.rawtree import open_raw

SOURCE = find_source("echonet_dynamic")
SIDE, FRAMES = 48, 20
ROW = {
    "FileName": "0XA",
    "EF": "50.04",
    "ESV": "60.0",
    "EDV": "120.1",
    "FrameHeight": str(SIDE),
    "FrameWidth": str(SIDE),
    "FPS": "50",
    "NumberOfFrames": "20",
    "Split": "TRAIN",
}
Line = tuple[int, float, float, float, float]
#: Rectangles traced by ten chords from the top down, the long axis first: 11 x 10 pixels in frame
#: 3, and 5 x 10 in frame 12.
SMALL: list[Line] = [(12, 12, 5, 12, 14), *((12, 10, y, 14, y) for y in range(5, 15))]
LARGE: list[Line] = [(3, 15, 5, 15, 14), *((3, 10, y, 20, y) for y in range(5, 15))]


def _job(
    raw: Path, lines: list[Line], *rows: dict[str, str], videos: tuple[str, ...] = ("0XA",)
) -> Job:
    write_csv(raw / "FileList.csv", rows or [ROW])
    columns = ("Frame", "X1", "Y1", "X2", "Y2")
    named = [dict(zip(columns, line, strict=True)) | {"FileName": "0XA.avi"} for line in lines]
    other = dict.fromkeys(columns, 1) | {"FileName": "0XA.avi"}
    write_csv(raw / "VolumeTracings.csv", named or [other])
    for name in videos:
        frames = [np.full((SIDE, SIDE), 10 + 10 * n, np.uint8) for n in range(FRAMES)]
        write_video(raw / "Videos" / f"{name}.avi", frames, 50)
    return Job(SOURCE.card, open_raw(raw), options={"frames": 4})


def _asked(job: Job) -> dict[str, Any]:
    (unit,) = SOURCE.plan(job)
    assert isinstance(unit, Unit), unit
    return {one.task: one for one in SOURCE.convert(unit, job)}


def _boxes(record: Record) -> list[tuple[int, float, float, float, float]]:
    return [(r.image, r.x_min, r.y_min, r.x_max, r.y_max) for r in record.regions or ()]


@pytest.mark.parametrize("lines", [LARGE + SMALL, SMALL + LARGE], ids=["ED first", "ES first"])
def test_end_diastole_is_the_larger_tracing_whatever_the_order(
    lines: list[Line], tmp_path: Path
) -> None:
    asked = _asked(_job(tmp_path, lines))
    assert asked["phase"].answer == "First frame"  # 3 before 12
    assert [image.index for image in asked["phase"].images] == [3, 12]
    one = asked["ventricle"]
    assert _boxes(one) == [(0, 10, 5, 21, 15), (1, 10, 5, 15, 15)]
    assert [(m.image, int(m.codes.sum())) for m in one.masks] == [(0, 110), (1, 50)]


def test_the_second_frame_may_be_end_diastole(tmp_path: Path) -> None:
    swapped = [(15 - line[0], *line[1:]) for line in LARGE + SMALL]
    asked = _asked(_job(tmp_path, swapped))
    assert asked["phase"].answer == "Second frame"
    assert [int(m.codes.sum()) for m in asked["ventricle"].masks] == [50, 110]


def test_traced_frames_are_among_the_shown_ones_with_their_masks(tmp_path: Path) -> None:
    """Centres of four parts of 20 frames are 2, 7, 12 and 17; frame 3 joins them, 12 is there."""
    one = _asked(_job(tmp_path, LARGE + SMALL))["ejection_fraction"]
    assert [image.index for image in one.images] == [2, 3, 7, 12, 17]
    assert [(m.image, int(m.codes.sum())) for m in one.masks] == [(1, 110), (3, 50)]
    # Frame n is of the grey 10 + 10 n, as far as Motion JPEG keeps it.
    greys = [round(float(image.pixels.mean())) for image in one.images]
    assert np.abs(np.array(greys) - [30, 40, 80, 130, 180]).max() <= 3
    assert one.regions is None


def test_numbers_have_their_units_and_grades(tmp_path: Path) -> None:
    asked = _asked(_job(tmp_path, LARGE + SMALL))
    numbers = {task: (one.answer, one.number.unit) for task, one in asked.items() if one.number}
    assert numbers == {
        "ejection_fraction": ("50 %", "%"),
        "function": ("Preserved (50 % or more)", None),
        "end_diastolic_volume": ("120.1 mL", "mL"),
        "end_systolic_volume": ("60 mL", "mL"),
    }


@pytest.mark.parametrize(
    ("fraction", "grade"),
    [("39.9", "Reduced"), ("40", "Mildly"), ("49.9", "Mildly"), ("50", "Preserved")],
)
def test_grades_begin_at_their_bounds(fraction: str, grade: str, tmp_path: Path) -> None:
    row = ROW | {"EF": fraction, "ESV": "", "EDV": ""}
    asked = _asked(_job(tmp_path, LARGE + SMALL, row))
    assert asked["function"].answer.startswith(grade)
    assert asked["end_systolic_volume"].reason == "not_stated"


@pytest.mark.parametrize(
    "cells", [{"EF": "40"}, {"EF": "0.5004"}, {"EF": "-3", "ESV": ""}, {"EDV": "60", "ESV": "120"}]
)
def test_numbers_that_contradict_each_other_are_not_asked(
    cells: dict[str, str], tmp_path: Path
) -> None:
    """Also an ejection fraction as a share, and volumes in each other's columns."""
    asked = _asked(_job(tmp_path, LARGE + SMALL, ROW | cells))
    skipped = {task for task, one in asked.items() if isinstance(one, Skipped)}
    assert skipped == {
        "ejection_fraction",
        "function",
        "end_diastolic_volume",
        "end_systolic_volume",
    }


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (LARGE, "not_two_frames"),
        ([*LARGE, *SMALL, (5, 1, 1, 9, 9)], "not_two_frames"),
        (LARGE + SMALL[:-1], "incomplete_tracing"),
        (LARGE + [(FRAMES, *line[1:]) for line in SMALL], "no_such_frame"),
        (LARGE[1:] + SMALL[1:], "no_long_axis"),
        ([*LARGE[:3], LARGE[7], *LARGE[3:7], *LARGE[8:], *SMALL], "disordered_tracing"),
        ([(f, x + 40, y, u + 40, v) for f, x, y, u, v in LARGE + SMALL], "outside"),
        (LARGE + [(12, *line[1:]) for line in LARGE], "no_larger_frame"),
    ],
)
def test_tracings_that_cannot_be_trusted_leave_the_numbers(
    lines: list[Line], reason: str, tmp_path: Path
) -> None:
    asked = _asked(_job(tmp_path, lines))
    assert asked["ejection_fraction"].answer == "50 %"
    assert asked["ejection_fraction"].masks is None
    assert {asked[task].reason for task in ("phase", "ventricle")} == {reason}


def test_a_clip_of_another_size_than_the_tracing_is_not_used(tmp_path: Path) -> None:
    sizes = {"FrameHeight": "112", "FrameWidth": "112"}
    asked = _asked(_job(tmp_path, LARGE + SMALL, ROW | sizes))
    assert asked["ventricle"].reason == "other_size"
    assert asked["ejection_fraction"].answer == "50 %"


@pytest.mark.parametrize(
    ("said", "split"), [("TRAIN", "train"), ("VAL", "validation"), ("TEST", "test")]
)
def test_the_official_split_is_read_as_it_is_spelled(said: str, split: str, tmp_path: Path) -> None:
    (unit,) = SOURCE.plan(_job(tmp_path, LARGE, ROW | {"Split": said}))
    assert isinstance(unit, Unit) and unit.split == split


def test_another_spelling_of_a_split_is_refused(tmp_path: Path) -> None:
    (one,) = SOURCE.plan(_job(tmp_path, LARGE, ROW | {"Split": "VALID"}))
    assert isinstance(one, Refused) and one.error.code == "bad_table"


def test_names_join_with_and_without_their_suffix(tmp_path: Path) -> None:
    rows = [ROW, ROW | {"FileName": "0XA.avi", "EF": "20"}]
    (one,) = SOURCE.plan(_job(tmp_path / "a", LARGE, *rows))
    assert isinstance(one, Refused) and one.error.code == "duplicate_key"
    asked = _asked(_job(tmp_path / "b", LARGE + SMALL, ROW | {"FileName": "0XA.avi"}))
    assert isinstance(asked["ventricle"], Record)


def test_rows_videos_and_tracings_without_each_other_are_named(tmp_path: Path) -> None:
    rows = [ROW | {"FileName": "0XB"}, ROW | {"FileName": "0XC"}]
    job = _job(tmp_path, LARGE + SMALL, *rows, videos=("0XC", "0XD"))
    planned: dict[str, Planned] = {one.key: one for one in SOURCE.plan(job)}
    codes = {key: one.error.code for key, one in planned.items() if isinstance(one, Refused)}
    assert codes == {"0XB": "missing_file", "0XA": "missing_key", "0XD": "missing_key"}
    (skipped,) = {
        one.reason for one in SOURCE.convert(planned["0XC"], job) if isinstance(one, Skipped)
    }
    assert skipped == "not_traced"


@pytest.mark.parametrize(("stated", "fault"), [("19", False), ("21", False), ("14", True)])
def test_a_row_of_another_clip_is_refused(tmp_path: Path, stated: str, fault: bool) -> None:
    """The clip has 20 frames; decoders may differ about the last one."""
    job = _job(tmp_path, LARGE + SMALL, ROW | {"NumberOfFrames": stated})
    if not fault:
        assert _asked(job)["ejection_fraction"].answer == "50 %"
        return
    with pytest.raises(Misaligned, match="has 20 frames, and the table says 14"):
        _asked(job)


@pytest.mark.parametrize("cell", ["50,04", "normal"])
def test_what_is_no_number_is_no_blank(tmp_path: Path, cell: str) -> None:
    (refused,) = SOURCE.plan(_job(tmp_path, LARGE + SMALL, ROW | {"EF": cell}))
    assert isinstance(refused, Refused) and refused.error.what == f"EF is {cell!r}, no number"


def test_tracings_with_x_and_y_exchanged_are_not_used(tmp_path: Path) -> None:
    exchanged = [(frame, y1, x1, y2, x2) for frame, x1, y1, x2, y2 in LARGE + SMALL]
    asked = _asked(_job(tmp_path, exchanged))
    assert asked["phase"].reason == asked["ventricle"].reason == "no_long_axis"
    assert asked["ejection_fraction"].masks is None
