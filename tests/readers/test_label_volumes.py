"""Codes of label volumes: what nibabel stored comes back as it was drawn, or is refused."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoqdata.errors import BadLabel, UnreadableFile
from qoqdata.readers.volume import (
    SlicePolicy,
    Volume,
    label_volume,
    read_volume,
    without_nonfinite,
)
from qoqdata.records.slices import cut_slices

AFFINE = np.diag([-0.8, -0.8, 3.0, 1.0])
TABLE = {code: f"structure {code}" for code in range(1, 41)}


def labels(highest: int) -> np.ndarray:
    """0 to `highest`, each at least once, most of them several times."""
    return (np.arange(6 * 7 * 8) % (highest + 1)).reshape(6, 7, 8)


def saved(path: Path, array: np.ndarray, **header: object) -> Volume:
    """Written by nibabel, with `dtype` of the header and perhaps a `scale` (slope, intercept)."""
    image = nib.Nifti1Image(array, AFFINE)
    if "dtype" in header:
        image.set_data_dtype(header["dtype"])
    if "scale" in header:
        image.header.set_slope_inter(*header["scale"])
    image.to_filename(path)
    return read_volume(path)


def unsaved(values: np.ndarray, step: float = 0.0) -> Volume:
    return Volume(np.atleast_3d(values), AFFINE, (0.8, 0.8, 3.0), "nifti1", (), "m.nii", step)


@pytest.mark.parametrize("dtype", [np.int16, np.uint8])
def test_floats_that_nibabel_saved_once_under_an_integer_header(
    tmp_path: Path, dtype: type
) -> None:
    off = 0
    for highest in range(1, 31):
        drawn = labels(highest)
        mask = saved(tmp_path / "m.nii.gz", drawn.astype(np.float64), dtype=dtype)
        shown = nib.load(tmp_path / "m.nii.gz").get_fdata()
        off += not np.array_equal(shown, drawn)
        codes = label_volume(mask, TABLE)
        assert codes.voxels.dtype == np.uint16
        np.testing.assert_array_equal(codes.voxels, drawn)
        was_off = not np.array_equal(mask.voxels, drawn)
        assert any("rounded to whole numbers" in note for note in codes.repairs) == was_off
    # Most of these maps come off the whole numbers: the test would see a plain comparison fail.
    assert off > 20


def test_a_scale_factor_of_one_in_255_keeps_all_structures(tmp_path: Path) -> None:
    drawn = labels(3)
    mask = saved(tmp_path / "m.nii", drawn.astype(np.int16) * 255, scale=(1 / 255, 0))
    assert float(mask.voxels.max()) != 3
    codes = label_volume(mask, TABLE)
    np.testing.assert_array_equal(codes.voxels, drawn)
    assert codes.repairs[-1].startswith("codes rounded to whole numbers, by up to 2.4e-07; half")


def test_an_intercept_moves_the_background_as_well(tmp_path: Path) -> None:
    """0 to 7 over all of int16, around 3.5: no slice is touched but those that are drawn on."""
    drawn = labels(7)
    drawn[:, :, :6] = 0
    step = 7 / 65535
    stored = np.rint((drawn - 3.5) / step).clip(-32768, 32767).astype(np.int16)
    mask = saved(tmp_path / "m.nii", stored, scale=(step, 3.5))
    assert 0 < abs(mask.voxels[drawn == 0]).min() < mask.step
    np.testing.assert_array_equal(label_volume(mask, TABLE).voxels, drawn)
    policy = SlicePolicy("mask", count=8, plane="axial")
    cut = cut_slices(None, mask, TABLE, policy=policy)
    assert cut.masks is not None and len(cut.masks) == 2


def test_floats_that_went_through_a_scale_factor_before(tmp_path: Path) -> None:
    drawn = labels(30)
    for array in ((drawn * (1 + 2e-7)).astype(np.float32), drawn * (1 + 1e-7)):
        mask = saved(tmp_path / "m.nii", array)
        np.testing.assert_array_equal(label_volume(mask, TABLE).voxels, drawn)


def test_values_between_whole_numbers_are_told_by_how_much(tmp_path: Path) -> None:
    soft = labels(4) / 4
    for header, half in (({}, "stored unscaled"), ({"dtype": np.uint8}, "half a step")):
        with pytest.raises(BadLabel, match=r"not whole numbers: 2\d\d of 336 voxels") as caught:
            label_volume(saved(tmp_path / "m.nii", soft, **header), TABLE)
        assert "by up to 0.5" in caught.value.what and half in caught.value.what
        assert caught.value.where == str(tmp_path / "m.nii")


def test_steps_of_more_than_one_lose_codes(tmp_path: Path) -> None:
    """Labels 0 to 510 saved by nibabel in uint8: 1 and 2 both come back as a multiple of 2."""
    drawn = np.arange(512).clip(0, 510).reshape(8, 8, 8)
    mask = saved(tmp_path / "m.nii", drawn.astype(np.float64), dtype=np.uint8)
    assert mask.step == 2
    with pytest.raises(BadLabel, match="in steps of 2"):
        label_volume(mask, dict.fromkeys(range(1, 511), "x"))


@given(st.floats(1e-6, 1), st.integers(1, 255), st.integers(0, 400))
def test_rounding_finds_the_one_label_that_storage_may_stand_for(
    step: float, stored: int, offset: int
) -> None:
    """The invariant: the label, stored in steps, gives the stored value again."""
    values = np.array([0.0, offset + stored * step])
    try:
        codes = label_volume(unsaved(values, step), dict.fromkeys(range(1, 700), "x")).voxels
    except BadLabel:
        assert abs(values[1] - np.rint(values[1])) > min(step / 2, 0.499)
        return
    assert np.rint((int(codes.max()) - offset) / step) == pytest.approx(stored, abs=1 + 1e-3 / step)
    assert abs(int(codes.max()) - values[1]) <= step / 2 + 1e-3


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([0, 7, 9], "the codes 7, 9"),
        ([0, 1, 70_000], "the code 70000"),
        ([-1, 1], "the code -1"),
        ([0, 1e9], "the code 1000000000"),
    ],
)
@pytest.mark.parametrize("dtype", [np.int64, np.float64])
def test_codes_beyond_the_table_are_named(values: list[float], told: str, dtype: type) -> None:
    with pytest.raises(BadLabel, match=f"holds {told}") as caught:
        label_volume(unsaved(np.array(values, dtype)), {1: "kidney", 2: "cyst"})
    assert caught.value.fix == "name each under mask_codes; the card knows: 1 kidney, 2 cyst"


def test_a_stray_code_that_a_scale_factor_moved_is_named_whole(tmp_path: Path) -> None:
    drawn = np.array([0, 1, 22, 23])[labels(3)]
    mask = saved(tmp_path / "m.nii", drawn.astype(np.float64), dtype=np.uint8)
    assert 22 not in mask.voxels
    with pytest.raises(BadLabel) as caught:
        label_volume(mask, {1: "a", 23: "b"})
    assert caught.value.what == "the mask holds the code 22"


def test_nan_outside_of_the_brain(tmp_path: Path) -> None:
    values = np.where(labels(3) == 0, np.nan, labels(3)).astype(np.float32)
    mask = saved(tmp_path / "m.nii", values)
    with pytest.raises(BadLabel, match="84 of the mask's 336 voxels are NaN") as caught:
        label_volume(mask, TABLE)
    assert "`mask_nonfinite: 0`" in str(caught.value.fix)
    filled = label_volume(without_nonfinite(mask, 0), TABLE)
    np.testing.assert_array_equal(filled.voxels, labels(3))
    assert filled.repairs == ("84 NaN voxels of 336: 0 taken",)


def test_the_background_is_the_lowest_finite_value() -> None:
    values = np.array([[np.nan, -7.5, 3], [np.inf, -np.inf, 0]], np.float32)
    filled = without_nonfinite(unsaved(values), "background")
    wanted = [[-7.5, -7.5, 3], [-7.5, -7.5, 0]]
    np.testing.assert_array_equal(filled.voxels[..., 0], wanted)
    assert filled.voxels.dtype == np.float32
    assert filled.repairs == ("1 NaN and 2 infinite voxels of 6: -7.5 taken",)
    assert without_nonfinite(unsaved(values), -1000).voxels[0, 0, 0] == -1000
    with pytest.raises(UnreadableFile, match="every voxel"):
        without_nonfinite(unsaved(np.full((2, 2), np.nan)), 0)


def test_volumes_without_gaps_stay_as_they_are() -> None:
    for volume in (unsaved(np.ones((2, 2))), unsaved(np.ones((2, 2), np.int16))):
        assert without_nonfinite(volume, "background") is volume
