"""ISLES 2022: cases drawn by hand, in both layouts, with what the masks must give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qoqdata.errors import BadTable, DuplicateKey, Misaligned, MissingFile, MissingKey
from qoqdata.simulation import write_csv, write_nifti
from qoqdata.sources.catalogue import find_source
from qoqdata.sources.protocol import Job, Planned, Refused, Skipped, Unit
from qoqdata.sources.rawtree import open_raw
from tests.readers.nifti_files import patch

SOURCE = find_source("isles22")
SHAPE = (40, 40, 24)
#: Voxels of 4 mm: 0.064 mL each.
AFFINE = np.array([[4.0, 0, 0, -78], [0, 4, 0, -78], [0, 0, 4, -46], [0, 0, 0, 1]])
OPTIONS = {"slices": 8, "most_slices": 32, "participants": "table"}
Box = tuple[slice, slice, slice]


def _case(
    raw: Path,
    *lesions: Box,
    name: str = "sub-strokecase0001",
    affine: np.ndarray = AFFINE,
    flat: bool = False,
    mask_shape: tuple[int, int, int] = SHAPE,
) -> None:
    x, y = np.ogrid[-19.5:20, -19.5:20]
    head = ((x / 17) ** 2 + (y / 18) ** 2 < 1)[..., None] & np.ones(SHAPE, bool)
    drawn = np.zeros(mask_shape, np.uint8)
    for box in lesions:
        drawn[box] = 1
    stem = f"{name}_ses-0001"
    session = raw / ("rawdata" if flat else "") / name / "ses-0001"
    # Brain is not all alike, or what is brighter than nearly all of it would be as white.
    brain = 60 + 2 * np.arange(40)[:, None, None]
    dwi = np.where(head, brain, 0).astype(np.int16)
    if mask_shape == SHAPE:
        dwi[drawn > 0] = 250
    write_nifti(session / ("" if flat else "dwi") / f"{stem}_dwi.nii.gz", dwi, affine)
    write_nifti(session / ("" if flat else "dwi") / f"{stem}_adc.nii.gz", 300 - dwi, affine)
    # Of FLAIR twice as many rows and columns, half as many slices, over the same brain.
    finer = affine @ np.array([[0.5, 0, 0, 0], [0, 0.5, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1.0]])
    flair = dwi.repeat(2, 0).repeat(2, 1)[:, :, ::2]
    where = session / (f"{stem}_flair.nii.gz" if flat else f"anat/{stem}_FLAIR.nii.gz")
    write_nifti(where, flair, finer)
    write_nifti(raw / "derivatives" / name / "ses-0001" / f"{stem}_msk.nii.gz", drawn, affine)


def _people(raw: Path, *names: str) -> None:
    rows = [{"participant_id": name, "sex": "F", "age": 71, "weight": 60} for name in names]
    write_csv(raw / "participants.tsv", rows, separator="\t")


def _box(x: int, y: int, z: int, size: int = 4) -> Box:
    return slice(x, x + size), slice(y, y + size), slice(z, z + size)


def _planned(raw: Path, **options: Any) -> dict[str, Planned]:
    job = Job(SOURCE.card, open_raw(raw), options=OPTIONS | options)
    return {one.key: one for one in SOURCE.plan(job)}


def _asked(raw: Path, **options: Any) -> dict[str, Any]:
    (unit,) = _planned(raw, **options).values()
    assert isinstance(unit, Unit), unit
    job = Job(SOURCE.card, open_raw(raw), options=OPTIONS | options)
    found: dict[str, Any] = {}
    for one in SOURCE.convert(unit, job):
        found[one.task + (f" {one.answer}" if one.task == "presence" and one.item else "")] = one
    return found


def _made(raw: Path, *lesions: Box, **more: Any) -> dict[str, Any]:
    _case(raw, *lesions, **more)
    _people(raw, "sub-strokecase0001")
    return _asked(raw)


@pytest.mark.parametrize("flat", [False, True], ids=["bids", "challenge"])
def test_both_layouts_give_the_same(tmp_path: Path, flat: bool) -> None:
    """The published layouts differ in folders and in the case of FLAIR."""
    asked = _made(tmp_path, _box(28, 18, 10), flat=flat)
    assert asked["side"].answer == "Right"
    assert asked["side"].age == 71 and asked["side"].sex == "female"


def test_flair_lies_over_dwi(tmp_path: Path) -> None:
    """Array sizes differ; the lesion must be at one place in all three images of a level."""
    record = _made(tmp_path, _box(28, 26, 10))["presence Yes"]
    dwi, adc, flair = (image.pixels.astype(float) for image in record.images)
    assert dwi.shape == adc.shape == flair.shape == SHAPE[:2]
    codes = record.masks[0].codes > 0
    around = dwi > 0
    for image in (dwi, flair):
        assert image[codes].mean() > 1.3 * image[around & ~codes].mean()
    assert adc[codes].mean() < adc[around & ~codes].mean()
    # The patient's right is on the image's left, anterior at the top.
    rows, columns = np.nonzero(codes)
    assert columns.mean() < 20 and rows.mean() < 20


@pytest.mark.parametrize(
    ("lesions", "side"),
    [
        ([_box(28, 18, 10)], "Right"),
        ([_box(8, 18, 10)], "Left"),
        ([_box(28, 18, 10), _box(8, 18, 10)], "Both"),
    ],
)
@pytest.mark.parametrize("mirrored", [False, True])
def test_side_is_the_patients(
    tmp_path: Path, lesions: list[Box], side: str, mirrored: bool
) -> None:
    affine = AFFINE @ np.diag([-1.0, 1, 1, 1]) if mirrored else AFFINE
    affine = affine.copy()
    affine[0, 3] = 78 if mirrored else -78
    answer = _made(tmp_path, *lesions, affine=affine)["side"].answer
    other = {"Left": "Right", "Right": "Left", "Both": "Both"}
    assert answer == (other[side] if mirrored else side)


def test_no_side_is_asked_of_a_mask_that_does_not_tell_left_from_right(tmp_path: Path) -> None:
    _case(tmp_path, _box(28, 18, 10))
    _people(tmp_path, "sub-strokecase0001")
    for path in tmp_path.rglob("*.nii.gz"):
        patch(path, sform_code=0, qform_code=0)
    found = _asked(tmp_path)
    side = found["side"]
    assert isinstance(side, Skipped) and side.reason == "side_not_known"
    assert found["volume"].answer and found["lesions"].regions


def test_a_lesion_at_the_midline_has_no_side(tmp_path: Path) -> None:
    side = _made(tmp_path, _box(18, 18, 10))["side"]
    assert isinstance(side, Skipped) and side.reason == "near_midline"


@pytest.mark.parametrize(
    ("size", "volume"), [(2, "Below 1 mL"), (4, "1 to 10 mL"), (8, "10 to 70 mL")]
)
def test_volume_is_of_voxels_in_millilitres(tmp_path: Path, size: int, volume: str) -> None:
    """8, 64 and 512 voxels of 0.064 mL: 0.5, 4.1 and 32.8 mL."""
    assert _made(tmp_path, _box(24, 16, 10, size))["volume"].answer == volume


def test_lesions_that_touch_at_a_corner_are_one(tmp_path: Path) -> None:
    touching = [_box(24, 16, 10), _box(28, 20, 14)]
    assert _made(tmp_path / "a", *touching)["count"].answer == "One"
    apart = [_box(24, 16, 10), _box(29, 21, 15)]
    assert _made(tmp_path / "b", *apart)["count"].answer == "Two to five"


def test_each_lesion_of_a_level_has_its_box(tmp_path: Path) -> None:
    record = _made(tmp_path, _box(28, 26, 10), _box(8, 12, 10))["lesions"]
    boxes = [(r.image, r.x_min, r.y_min, r.x_max, r.y_max) for r in record.regions]
    # Columns count from the right of the patient, rows from anterior: 40 - 28 - 4 = 8.
    assert boxes == [(0, 8.0, 10.0, 12.0, 14.0), (0, 28.0, 24.0, 32.0, 28.0)]


def test_an_empty_mask_is_no_infarct(tmp_path: Path) -> None:
    asked = _made(tmp_path)
    assert asked["presence No"].answer == "No"
    assert asked["volume"].answer == "No infarct" and asked["count"].answer == "None"
    reasons = {task: asked[task].reason for task in ("lesions", "side", "largest_slice")}
    assert reasons == {"lesions": "no_infarct", "side": "no_infarct", "largest_slice": "not_shown"}


def test_nothing_is_asked_of_lesions_that_are_not_shown(tmp_path: Path) -> None:
    _case(tmp_path, _box(24, 16, 11, 1), _box(24, 24, 14, 1))
    _people(tmp_path, "sub-strokecase0001")
    asked = _asked(tmp_path, slices=2, most_slices=2)
    assert {asked[task].reason for task in ("side", "volume", "count")} == {"not_shown"}


def test_the_answer_to_series_is_not_in_the_caption(tmp_path: Path) -> None:
    record = _made(tmp_path, _box(28, 18, 10))["series"]
    assert [image.view for image in record.images] == ["axial"]
    assert record.masks is None


def test_a_mask_of_another_grid_is_refused(tmp_path: Path) -> None:
    _case(tmp_path, mask_shape=(40, 40, 12))
    _people(tmp_path, "sub-strokecase0001")
    (unit,) = _planned(tmp_path).values()
    assert isinstance(unit, Unit)
    with pytest.raises(Misaligned):
        SOURCE.convert(unit, Job(SOURCE.card, open_raw(tmp_path), options=OPTIONS))


def test_what_is_missing_is_told_by_name(tmp_path: Path) -> None:
    _case(tmp_path, _box(28, 18, 10))
    with pytest.raises(BadTable, match="participants"):
        _planned(tmp_path)
    _people(tmp_path, "sub-strokecase0002")
    (refused,) = _planned(tmp_path).values()
    assert isinstance(refused, Refused) and isinstance(refused.error, MissingKey)
    assert isinstance(next(iter(_planned(tmp_path, participants="none").values())), Unit)
    _people(tmp_path, "sub-strokecase0001", "sub-strokecase0001")
    (refused,) = _planned(tmp_path).values()
    assert isinstance(refused, Refused) and isinstance(refused.error, DuplicateKey)
    _people(tmp_path, "sub-strokecase0001")
    next(tmp_path.rglob("*_adc.nii.gz")).unlink()
    (refused,) = _planned(tmp_path).values()
    assert isinstance(refused, Refused) and isinstance(refused.error, MissingFile)
