"""NIfTI volumes."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np

from qoqdata.simulation.mark import MARK, write_bytes


def write_nifti(path: Path, voxels: np.ndarray, affine: np.ndarray) -> None:
    """A NIfTI-1 volume of (x, y, z) or (x, y, z, t), gzipped where the name ends in `.gz`.

    The dtype of `voxels` is the file's; `affine` is 4 x 4, from voxel to mm. `descrip` marks it.
    """
    image = nib.Nifti1Image(voxels, affine)
    image.header["descrip"] = MARK.encode()
    data = image.to_bytes()
    write_bytes(path, gzip.compress(data, 6, mtime=0) if path.suffix == ".gz" else data)
