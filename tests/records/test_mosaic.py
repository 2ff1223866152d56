"""Tiles of a mosaic: what lay at a place of a slice lies at that place of its tile."""

from __future__ import annotations

import numpy as np
import pytest

from qoqdata.errors import InputError, UsageError
from qoqdata.readers.dicom import Window
from qoqdata.readers.volume import SlicePolicy, Volume, for_split, within_budget
from qoqdata.records.mosaic import mosaic
from qoqdata.records.slices import CutSlices, cut_slices

ALL = SlicePolicy("all", plane="axial")


def cut(n: int = 5) -> CutSlices:
    """n axial slices of 6 x 4 pixels; a box of label 1 in slice k at voxel (k, 1)."""
    voxels = np.arange(4 * 6 * n, dtype=np.int16).reshape(4, 6, n)
    codes = np.zeros_like(voxels)
    for k in range(n):
        codes[k % 4, 1, k] = 1
    affine = np.diag([-1.0, -1.0, 2.0, 1.0])  # voxel (i, j) is column i, row j of the image
    grid = [Volume(one, affine, (1.0, 1.0, 2.0), "nifti1") for one in (voxels, codes)]
    return cut_slices(*grid, {1: "spot"}, policy=ALL, window=Window(60, 120, "LINEAR_EXACT"))


def test_tiles_masks_and_boxes_move_together() -> None:
    one = cut()
    whole = mosaic(one, columns=3)
    assert whole.images and whole.masks and whole.regions and one.images and one.masks
    (image,), (mask,) = whole.images, whole.masks
    assert image.pixels.shape == mask.codes.shape == (12, 12)
    for k, tile in enumerate(one.images):
        y, x = 6 * (k // 3), 4 * (k % 3)
        assert np.array_equal(image.pixels[y : y + 6, x : x + 4], tile.pixels)
        assert np.array_equal(mask.codes[y : y + 6, x : x + 4], one.masks[k].codes)
        region = whole.regions[k]
        assert (region.x_min, region.y_min) == (x + k % 4, y + 1) and region.image == 0
        assert mask.codes[int(region.y_min), int(region.x_min)] == 1
    assert not image.pixels[6:, 8:].any()
    assert (image.index, image.view, image.spacing) == (None, "axial", (1.0, 1.0, 2.0))
    assert "mosaic: 5 tiles, 3 in a row, of the slices 0, 1, 2, 3, 4" in whole.notes


def test_a_mosaic_is_as_square_as_it_gets() -> None:
    assert [(mosaic(cut(n)).images or ())[0].pixels.shape for n in (1, 2, 5)] == [
        (6, 4),
        (6, 8),
        (12, 12),
    ]


def test_no_images_no_mosaic() -> None:
    with pytest.raises(InputError, match="slices of one size"):
        mosaic(CutSlices(None, None, None, ()))


def test_each_slice_is_shown_through_each_window_and_boxes_lie_on_the_first() -> None:
    voxels = np.full((4, 6, 2), 50, np.int16)
    codes = np.zeros_like(voxels)
    codes[1, 1] = 1
    grid = [Volume(one, np.eye(4), (1.0, 1.0, 1.0), "nifti1") for one in (voxels, codes)]
    windows = (Window(50, 100, "LINEAR_EXACT"), Window(100, 100, "LINEAR_EXACT"))
    both = cut_slices(*grid, {1: "spot"}, policy=ALL, window=windows)
    assert both.images and both.masks and both.regions
    assert [int(image.pixels[0, 0]) for image in both.images] == [128, 0, 128, 0]
    assert [image.index for image in both.images] == [0, 0, 1, 1]
    assert [mask.image for mask in both.masks] == [0, 2]
    assert [region.image for region in both.regions] == [0, 2]


def test_only_train_may_look_at_the_answer() -> None:
    looks = SlicePolicy("mask", 6, plane="axial")
    assert for_split(looks, "train") == looks
    for split in ("validation", "test", None):
        assert for_split(looks, split) == SlicePolicy("uniform", 6, plane="axial")
    named = SlicePolicy("index", indices=(3,))
    assert for_split(named, "test") == named


def test_a_budget_counts_images_not_slices() -> None:
    assert within_budget(SlicePolicy("uniform", 8), 12, windows=2).count == 6
    assert within_budget(SlicePolicy("uniform", 4), 12, windows=2).count == 4
    everything = within_budget(ALL, 9)
    assert (everything.kind, everything.count, everything.inner) == ("uniform", 9, 0.0)
    for policy, images, windows in (
        (SlicePolicy("uniform"), 2, 3),
        (SlicePolicy("index", indices=(1, 2)), 3, 2),
    ):
        with pytest.raises(UsageError, match="over"):
            within_budget(policy, images, windows=windows)
