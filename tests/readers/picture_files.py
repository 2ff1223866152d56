"""Encoded pictures written to a file and read back."""

from __future__ import annotations

from pathlib import Path

from qoqdata.readers import raster


def read_back(folder: Path, data: bytes, name: str = "picture") -> raster.Raster:
    """What `raster.read` makes of a file of these bytes."""
    path = folder / name
    path.write_bytes(data)
    return raster.read(path)
