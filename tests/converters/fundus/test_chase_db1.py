"""CHASE_DB1: names, two drawings and their share, on made-up and real files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from qoqdata.records.content import Record
from qoqdata.simulation import write_jpeg, write_png
from qoqdata.sources.catalogue import find_source
from qoqdata.sources.protocol import Job, Refused, Unit
from qoqdata.sources.rawtree import open_raw

SOURCE = find_source("chase_db1")


def _eye(raw: Path, stem: str, *vessels: int) -> None:
    """A photograph of 20 x 10 pixels, and drawings of so many vessel pixels each."""
    write_jpeg(raw / f"{stem}.jpg", np.full((10, 20, 3), 90, np.uint8))
    for observer, count in zip(("1stHO", "2ndHO"), vessels, strict=False):
        write_png(raw / f"{stem}_{observer}.png", (np.arange(200) < count).reshape(10, 20))


def _job(raw: Path) -> Job:
    return Job(SOURCE.card, open_raw(raw))


def test_the_first_observer_answers_and_both_drawings_stay_apart(tmp_path: Path) -> None:
    _eye(tmp_path, "Image_03R", 15, 11)
    (unit,) = SOURCE.plan(_job(tmp_path))
    assert isinstance(unit, Unit) and (unit.patient, unit.group) == ("3", "3")
    vessels, side = SOURCE.convert(unit, _job(tmp_path))
    assert isinstance(vessels, Record) and isinstance(side, Record)
    assert vessels.number is not None and (vessels.number.value, vessels.number.unit) == (7.5, "%")
    assert vessels.masks is not None
    counts = {mask.reader: int((mask.codes == 255).sum()) for mask in vessels.masks}
    assert counts == {"1stHO": 15, "2ndHO": 11}
    assert (side.answer, side.images[0].laterality) == ("Right", None)


def test_drawings_of_one_bit_are_read_too(tmp_path: Path) -> None:
    _eye(tmp_path, "Image_03R", 15, 11)
    path = tmp_path / "Image_03R_1stHO.png"
    with Image.open(path) as drawn:
        drawn.convert("1").save(path)
    (unit,) = SOURCE.plan(_job(tmp_path))
    assert isinstance(unit, Unit)
    vessels, _ = SOURCE.convert(unit, _job(tmp_path))
    assert isinstance(vessels, Record) and vessels.answer == "7.5 %"


def test_both_eyes_of_a_child_are_one_group(tmp_path: Path) -> None:
    for stem in ("Image_01L", "Image_01R", "Image_02L"):
        _eye(tmp_path, stem, 5, 5)
    planned = {one.key: one.group for one in SOURCE.plan(_job(tmp_path)) if isinstance(one, Unit)}
    assert planned == {"1L": "1", "1R": "1", "2L": "2"}


def test_what_lacks_a_drawing_or_a_name_is_refused(tmp_path: Path) -> None:
    _eye(tmp_path, "Image_01L", 5)
    _eye(tmp_path, "eye_2", 5, 5)
    planned = list(SOURCE.plan(_job(tmp_path)))
    assert len(planned) == 4 and all(isinstance(one, Refused) for one in planned)


def test_real_photographs_and_drawings(realdata: Path) -> None:
    job = _job(realdata / "fundus/CHASEDB1")
    units = [one for one in SOURCE.plan(job) if isinstance(one, Unit)]
    assert {unit.key for unit in units} == {f"{n}{side}" for n in range(1, 5) for side in "LR"}
    for unit in units[:2]:
        vessels, side = SOURCE.convert(unit, job)
        assert isinstance(vessels, Record) and vessels.number is not None
        assert isinstance(side, Record)
        with Image.open(realdata / "fundus/CHASEDB1" / f"Image_0{unit.key}_1stHO.png") as drawn:
            share = 100 * np.asarray(drawn).mean()
        assert vessels.number.value == pytest.approx(share, abs=0.06)
        assert side.answer == {"L": "Left", "R": "Right"}[unit.key[-1]]
