"""BUSI: images and masks drawn by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from qoqdata.errors import BadLabel
from qoqdata.records.content import Record
from qoqdata.simulation import write_csv, write_png
from qoqdata.sources.catalogue import find_source
from qoqdata.sources.protocol import Filtered, Job, Planned, Refused, Skipped, Unit
from qoqdata.sources.rawtree import open_raw

SOURCE = find_source("busi")
SHAPE = (30, 40)
Box = tuple[int, int, int, int]


def _image(raw: Path, stem: str, *boxes: Box, grey: int = 90) -> None:
    """An image with a mask for each (left, top, right, bottom), or with a black one."""
    folder = raw / "Dataset_BUSI_with_GT" / stem.partition(" ")[0]
    pixels = np.full(SHAPE, grey, np.uint8)
    write_png(folder / f"{stem}.png", pixels)
    for number, box in enumerate(boxes or ((0, 0, 0, 0),)):
        tail = f"_mask_{number}" if number else "_mask"
        write_png(folder / f"{stem}{tail}.png", _mask(box))


def _mask(box: Box) -> np.ndarray:
    left, top, right, bottom = box
    mask = np.zeros(SHAPE, bool)
    mask[top:bottom, left:right] = True
    return mask


def _job(raw: Path, groups: str = "neighbours") -> Job:
    return Job(SOURCE.card, open_raw(raw), options={"groups": groups})


def _planned(job: Job) -> dict[str, Planned]:
    return {one.key: one for one in SOURCE.plan(job)}


def _asked(raw: Path, stem: str) -> dict[str, Any]:
    unit = _planned(_job(raw))[stem]
    assert isinstance(unit, Unit), unit
    return {one.task: one for one in SOURCE.convert(unit, _job(raw))}


def _corners(record: Record) -> list[tuple[str, float, float, float, float]]:
    return [(r.role, r.x_min, r.y_min, r.x_max, r.y_max) for r in record.regions or ()]


def test_lesions_of_an_image_that_touch_stay_two(tmp_path: Path) -> None:
    """Each mask file is a lesion, with its own box, and both can overlap."""
    _image(tmp_path, "benign (100)", (2, 3, 10, 12), (8, 10, 20, 25))
    asked = _asked(tmp_path, "benign (100)")
    assert _corners(asked["lesions"]) == [("target", 2, 3, 10, 12), ("target", 8, 10, 20, 25)]
    drawn = [(m.instance, int(m.codes.sum()), int(m.codes.max())) for m in asked["lesions"].masks]
    assert drawn == [(1, 72, 1), (2, 180, 1)]
    assert asked["diagnosis"].answer == "Benign"
    assert (asked["count"].answer, asked["count"].number.value) == ("2", 2.0)
    assert asked["malignancy"].reason == "several_lesions"


def test_a_single_lesion_is_given_where_its_nature_is_asked(tmp_path: Path) -> None:
    _image(tmp_path, "malignant (1)", (2, 3, 10, 12))
    asked = _asked(tmp_path, "malignant (1)")
    assert asked["malignancy"].answer == "Malignant"
    assert _corners(asked["malignancy"]) == [("given", 2, 3, 10, 12)]
    assert {r.label for r in asked["malignancy"].regions} == {"lesion"}
    assert asked["diagnosis"].regions is None


def test_a_normal_image_has_no_lesion_and_an_empty_mask(tmp_path: Path) -> None:
    _image(tmp_path, "normal (1)")
    asked = _asked(tmp_path, "normal (1)")
    assert (asked["diagnosis"].answer, asked["count"].answer) == ("Normal", "0")
    (mask,) = asked["diagnosis"].masks
    assert mask.codes.shape == SHAPE and not mask.codes.any()
    for task in ("lesions", "malignancy"):
        assert isinstance(asked[task], Skipped) and asked[task].reason == "no_lesion"


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "P"])
def test_masks_are_read_however_they_are_stored(mode: str, tmp_path: Path) -> None:
    _image(tmp_path, "benign (1)", (2, 3, 10, 12))
    path = tmp_path / "Dataset_BUSI_with_GT/benign/benign (1)_mask.png"
    Image.fromarray(_mask((2, 3, 10, 12)).astype(np.uint8) * 255).convert(mode).save(path)
    assert _corners(_asked(tmp_path, "benign (1)")["lesions"]) == [("target", 2, 3, 10, 12)]


def test_a_mask_that_repeats_another_is_one_lesion(tmp_path: Path) -> None:
    _image(tmp_path, "benign (1)", (2, 3, 10, 12), (2, 3, 10, 12))
    asked = _asked(tmp_path, "benign (1)")
    assert asked["count"].answer == "1" and len(asked["lesions"].masks) == 1
    assert "a mask that repeats another is left out" in asked["lesions"].notes


@pytest.mark.parametrize(("stem", "boxes"), [("normal (1)", ((2, 3, 9, 9),)), ("benign (1)", ())])
def test_a_mask_that_contradicts_the_folder_is_refused(
    stem: str, boxes: tuple[Box, ...], tmp_path: Path
) -> None:
    _image(tmp_path, stem, *boxes)
    with pytest.raises(BadLabel):
        _asked(tmp_path, stem)


def test_a_mask_of_another_size_leaves_the_diagnosis(tmp_path: Path) -> None:
    _image(tmp_path, "benign (1)", (2, 3, 10, 12))
    other = np.pad(_mask((2, 3, 10, 12)), ((0, 1), (0, 0)))
    write_png(tmp_path / "Dataset_BUSI_with_GT/benign/benign (1)_mask.png", other)
    asked = _asked(tmp_path, "benign (1)")
    assert asked["diagnosis"].answer == "Benign" and asked["diagnosis"].masks is None
    assert {one.reason for task, one in asked.items() if task != "diagnosis"} == {"misaligned"}


def test_numbers_are_numbers_and_neighbours_share_a_group(tmp_path: Path) -> None:
    """As text 10 comes before 2; an ordered cut by text tears neighbours apart."""
    for number in (1, 2, 10, 11, 20):
        _image(tmp_path, f"benign ({number})", (2, 3, 10, 12), grey=number)
    units = [one for one in SOURCE.plan(_job(tmp_path)) if isinstance(one, Unit)]
    assert [one.key for one in units] == [f"benign ({n})" for n in (1, 2, 10, 11, 20)]
    groups = [one.group for one in units]
    assert groups[0] == groups[1] == groups[2] != groups[3] == groups[4]
    _image(tmp_path, "malignant (1)", (2, 3, 10, 12), grey=50)
    one = _planned(_job(tmp_path))["malignant (1)"]
    assert isinstance(one, Unit) and one.group not in groups


def test_a_table_of_groups_goes_before_numbers(tmp_path: Path) -> None:
    for number in (1, 50):
        _image(tmp_path, f"benign ({number})", (2, 3, 10, 12), grey=number)
    rows = [{"image": "benign (1).png", "group": "a"}, {"image": "benign (50)", "group": "a"}]
    write_csv(tmp_path / "busi_groups.csv", rows)
    groups = {one.group for one in SOURCE.plan(_job(tmp_path, "table")) if isinstance(one, Unit)}
    assert groups == {"a"}


def test_files_of_the_same_bytes_are_one_image_or_none(tmp_path: Path) -> None:
    _image(tmp_path, "benign (2)", (2, 3, 10, 12), grey=70)
    _image(tmp_path, "benign (10)", (2, 3, 10, 12), grey=70)
    _image(tmp_path, "benign (3)", (2, 3, 10, 12), grey=80)
    _image(tmp_path, "malignant (3)", (2, 3, 10, 12), grey=80)
    planned = _planned(_job(tmp_path))
    assert isinstance(planned["benign (2)"], Unit)
    assert isinstance(planned["benign (10)"], Filtered)
    for stem in ("benign (3)", "malignant (3)"):
        one = planned[stem]
        assert isinstance(one, Refused) and one.error.code == "bad_label"


def test_masks_and_images_without_each_other_are_refused(tmp_path: Path) -> None:
    _image(tmp_path, "benign (1)", (2, 3, 10, 12), (20, 3, 30, 12), grey=1)
    _image(tmp_path, "benign (2)", (2, 3, 10, 12), grey=2)
    _image(tmp_path, "benign (3)", (2, 3, 10, 12), grey=3)
    folder = tmp_path / "Dataset_BUSI_with_GT/benign"
    (folder / "benign (1)_mask.png").unlink()  # _mask_1 is still there
    (folder / "benign (2)_mask.png").unlink()
    (folder / "benign (3).png").unlink()
    write_png(folder / "malignant (4).png", np.zeros(SHAPE, np.uint8))
    found = {key: one.error.code for key, one in _planned(_job(tmp_path)).items()}
    assert found == {
        "benign (1)": "missing_file",
        "benign (2)": "missing_file",
        "benign (3)": "missing_key",
        "Dataset_BUSI_with_GT/benign/malignant (4).png": "bad_label",
    }


def test_a_mask_of_exchanged_values_is_refused(tmp_path: Path) -> None:
    """Its box would be the whole image."""
    _image(tmp_path, "benign (1)", (10, 5, 20, 15))
    path = next(tmp_path.rglob("*_mask.png"))
    write_png(path, ~_mask((10, 5, 20, 15)))
    with pytest.raises(BadLabel, match="the four corners are marked"):
        _asked(tmp_path, "benign (1)")
