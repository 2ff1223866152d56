"""NIfTI and MetaImage volumes."""

from __future__ import annotations

import gzip
import zlib
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


#: MetaImage's names of element types.
_ELEMENTS = {
    "uint8": "MET_UCHAR",
    "int16": "MET_SHORT",
    "uint16": "MET_USHORT",
    "int32": "MET_INT",
    "float32": "MET_FLOAT",
}


def write_metaimage(
    path: Path,
    voxels: np.ndarray,
    *,
    spacing: tuple[float, float, float],
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0),
    compressed: bool = False,
) -> None:
    """A MetaImage header `.mhd` for voxels (x, y, z), with its data beside it, `.raw` or `.zraw`.

    Axes run along LPS from `origin` in mm, `spacing` apart. A comment marks it. Raises KeyError for
    a dtype that has no name there.
    """
    element = _ELEMENTS[voxels.dtype.name]
    data = np.asfortranarray(voxels, voxels.dtype.newbyteorder("<")).tobytes(order="F")
    beside = path.with_suffix(".zraw" if compressed else ".raw")
    if compressed:
        data = zlib.compress(data, 6)
    header = {
        "ObjectType": "Image",
        "NDims": "3",
        "Comment": MARK,
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": str(compressed),
        **({"CompressedDataSize": str(len(data))} if compressed else {}),
        "TransformMatrix": "1 0 0 0 1 0 0 0 1",
        "Offset": " ".join(f"{mm:g}" for mm in origin),
        "ElementSpacing": " ".join(f"{mm:g}" for mm in spacing),
        "DimSize": " ".join(map(str, voxels.shape)),
        "ElementType": element,
        "ElementDataFile": beside.name,
    }
    write_bytes(path, "".join(f"{key} = {value}\n" for key, value in header.items()).encode())
    write_bytes(beside, data)
