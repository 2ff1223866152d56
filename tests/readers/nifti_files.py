"""NIfTI files written by nibabel, their header fields then set byte by byte."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np

TILTED = np.array([[0.0, -0.6, 2.0, 11.0], [0.8, 0.1, 0.3, -20.0], [0.1, 0.7, -0.4, 5.0]])
AFFINE = np.vstack([TILTED, [0, 0, 0, 1]])


def ramp(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Values that differ from voxel to voxel and use negative numbers where the type has them."""
    lowest = 0 if np.dtype(dtype).kind == "u" else -63
    return (np.arange(np.prod(shape)) % 127 + lowest).astype(dtype).reshape(shape)


def write(path: Path, array: np.ndarray, affine: np.ndarray = AFFINE, **fields: object) -> Path:
    """Write with nibabel, then set header fields byte by byte as asked."""
    kind = nib.Nifti2Image if fields.pop("version", 1) == 2 else nib.Nifti1Image
    endian = fields.pop("endian", "<")
    header = kind.header_class(endianness=endian)
    header.set_data_dtype(np.dtype(array.dtype).newbyteorder(str(endian)))
    nib.save(kind(array, affine, header), path)
    if fields:
        patch(path, **fields)
    return path


def patch(path: Path, **fields: object) -> None:
    """Overwrite fields of a NIfTI-1 header on disk."""
    raw = path.read_bytes()
    zipped = raw[:2] == b"\x1f\x8b"
    data = bytearray(gzip.decompress(raw) if zipped else raw)
    endian = "<" if data[:4] == b"\x5c\x01\0\0" else ">"
    header = nib.Nifti1Header(bytes(data[:348]), endianness=endian, check=False)
    for name, value in fields.items():
        header[name] = value
    data[:348] = header.binaryblock
    path.write_bytes(gzip.compress(bytes(data)) if zipped else bytes(data))
