"""MetaImage headers and their data written by hand: 2 x 3 x 4 voxels of 16 bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np

HEAD = "ObjectType = Image\nNDims = 3\nDimSize = 2 3 4\nElementSpacing = 0.5 2 3\nOffset = 1 2 3\n"
IDENTITY = "TransformMatrix = 1 0 0 0 1 0 0 0 1\n"
SHORTS = np.arange(-12, 12, dtype="<i2")


def write(folder: Path, rest: str, data: bytes | None = None, head: str = HEAD + IDENTITY) -> Path:
    """A header `a.mhd` that ends in `rest`, and data `a.raw`."""
    if data is not None:
        (folder / "a.raw").write_bytes(data)
    (folder / "a.mhd").write_bytes((head + rest).encode())
    return folder / "a.mhd"


def binary(dtype: str = "MET_SHORT", extra: str = "", file: str = "a.raw") -> str:
    """The last header lines: `extra` fields, the element type and the data file."""
    return f"ElementByteOrderMSB = False\n{extra}ElementType = {dtype}\nElementDataFile = {file}\n"
