"""Images written by ITK, and volumes held against what ITK reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from qoqdata.readers.volume import Volume, world_from_voxel

ELEMENT_TYPES = (
    *("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"),
    *("float32", "float64"),
)


def write_oblique(path: Path, dtype: str, *, compressed: bool) -> None:
    """An image of 5 x 4 x 3 voxels of 0.7 x 0.8 x 2.5 mm, its axes along none of the world's."""
    image = sitk.GetImageFromArray((np.arange(60) % 127).astype(dtype).reshape(3, 4, 5))
    rotation = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
    image.SetDirection(rotation.ravel())
    image.SetSpacing((0.7, 0.8, 2.5))
    image.SetOrigin((-120.5, 33.25, 71))
    sitk.WriteImage(image, str(path), useCompression=compressed)


def assert_agrees_with_itk(volume: Volume, path: Path) -> None:
    """Same voxels of the same type, and corner voxels within 1e-3 mm (ITK's world is LPS)."""
    image = sitk.ReadImage(str(path))
    array = sitk.GetArrayFromImage(image).T
    size = image.GetSize()
    np.testing.assert_array_equal(volume.voxels.reshape(array.shape), array)
    assert volume.voxels.dtype == array.dtype
    for corner in np.ndindex(*(2,) * min(3, len(size))):
        index = [bit * (side - 1) for bit, side in zip(corner, size, strict=False)]
        index += [0] * (len(size) - len(index))
        lps = (*image.TransformIndexToPhysicalPoint(index), 0)[:3]
        ijk = np.array([[*index, 0][:3]])
        ras = world_from_voxel(volume.affine, ijk)[0]
        np.testing.assert_allclose(ras[: len(lps)], lps * np.array([-1, -1, 1]), atol=1e-3)
