"""Slices of real volumes show organs where anatomy has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qoqdata.readers.volume import (
    Plane,
    SlicePolicy,
    axis_of_plane,
    choose_slices,
    read_volume,
    slice_image,
    through_plane_axis,
)


def centre(mask: np.ndarray) -> np.ndarray:
    """Mean (row, column) of a mask plane."""
    return np.argwhere(mask).mean(axis=0)


def test_real_ct_shows_organs_where_a_radiologist_expects_them(realdata: Path) -> None:
    root = realdata / "nifti" / "totalsegmentator_ct"
    organs = {
        name: read_volume(root / "segmentations" / f"{name}.nii.gz")
        for name in ("liver", "spleen", "aorta", "kidney_left", "kidney_right")
    }
    image = read_volume(root / "example_ct_sm.nii.gz")
    assert through_plane_axis(image) == 2

    def at(name: str, plane: Plane, index: int) -> np.ndarray:
        organ = organs[name]
        return centre(slice_image(organ.voxels, organ.affine, plane, index))

    axial = {name: at(name, "axial", 10) for name in organs}
    assert axial["liver"][1] < axial["aorta"][1] < axial["spleen"][1]
    assert axial["kidney_right"][1] < axial["aorta"][1] < axial["kidney_left"][1]
    assert axial["liver"][0] < axial["kidney_right"][0]
    plane = slice_image(image.voxels, image.affine, "axial", 10)
    # Bone above 400 HU is mostly the spine, behind the aorta: lower in the plane.
    middle = slice(int(axial["aorta"][1]) - 12, int(axial["aorta"][1]) + 12)
    assert centre(plane[:, middle] > 400)[0] > axial["aorta"][0]
    coronal = at("liver", "coronal", 50), at("spleen", "coronal", 50)
    assert coronal[0][1] < coronal[1][1]
    assert at("liver", "coronal", 50)[0] < at("kidney_right", "coronal", 50)[0]


def test_real_kits_mask_is_cut_along_its_own_slice_axis(realdata: Path) -> None:
    mask = read_volume(realdata / "nifti/kits23/dataset/case_00550/segmentation.nii.gz")
    axis, indices = choose_slices(SlicePolicy("mask", 4), mask, mask=mask)
    assert axis == 0
    assert list(indices) == sorted(indices, reverse=True)
    for index in indices:
        plane = slice_image(mask.voxels, mask.affine, axis, index)
        assert plane.shape == (512, 512)
        assert plane.any()
        # Kidneys lie in the posterior half of the body: the lower half of the plane.
        assert centre(plane > 0)[0] > 256


def test_real_hippocampus_head_lies_before_its_body(realdata: Path) -> None:
    root = realdata / "nifti" / "msd_hippocampus" / "TrainingSet" / "labels"
    files = sorted(root.glob("*.nii.gz"))
    assert files
    for path in files:
        label = read_volume(path)
        axis = axis_of_plane(label.affine, "sagittal")
        index = int(np.argmax((label.voxels == 1).sum(axis=(1, 2))))
        assert axis == 0
        plane = slice_image(label.voxels, label.affine, "sagittal", index)
        # Label 1 is the anterior part; anterior is on the left of a sagittal plane.
        if (plane == 2).any():
            assert centre(plane == 1)[1] < centre(plane == 2)[1], path.name
